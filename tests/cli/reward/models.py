"""A data set of `Seen` and a tiny model of it."""

from pathlib import Path

import numpy as np
from cli.reward.seen import GOAL, Seen

from robot_hil.cli.reward.models import remember_frames
from robot_hil.data.reward import LabelledFrame
from robot_hil.policies.reward.config import RewardConfig
from robot_hil.policies.reward.dataset import FrameSet
from robot_hil.policies.reward.model import TrainedReward, train

TINY = RewardConfig(
    members=2, updates=30, image_size=12, filters=(4,), strides=(2,), hidden=(16,), shift=0, retrain_updates=4,
    false_positive_rate=0.2, learning_rate=1e-2,
)  # fmt: skip


def fill(folder: Path, episodes: int = 8) -> FrameSet:
    """Make a data set with what the bar looks like on its way, and at the goal."""
    frames, env = FrameSet.create(folder, ("failure", "success"), Seen.env_spec), Seen()
    for episode in range(episodes):
        obs, _ = env.reset(seed=episode)
        for step in range(14):
            label = int(env.x >= GOAL)
            frames.add(LabelledFrame(obs=obs, label=label, episode=("a", 1, episode), step_index=step, source="log"))
            obs, *_ = env.step(np.zeros(2, np.float32))
    return frames


def make(folder: Path) -> tuple[FrameSet, TrainedReward, Path]:
    """Make a data set and a model that is trained from it, in folders of `folder`."""
    frames = fill(folder / "frames")
    trained = train(frames, TINY, backend="torch")
    trained.save(folder / "model")
    remember_frames(folder / "model", folder / "frames", 0)
    return frames, trained, folder / "model"
