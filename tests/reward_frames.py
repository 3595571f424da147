"""A world of two small cameras in which success is a bright block: what tests of reward models learn from."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from robot_hil.data.reward import BINARY, LabelledFrame
from robot_hil.data.specs import Array, ArraySpec, EnvSpec, Observation
from robot_hil.policies.reward.config import RewardConfig
from robot_hil.policies.reward.dataset import FrameSet

SIZE = 16
SPEC = EnvSpec(
    env_id="test/Block-v0",
    observation={
        "front": ArraySpec(shape=(SIZE, SIZE, 3), dtype="uint8"),
        "side": ArraySpec(shape=(SIZE, SIZE, 3), dtype="uint8"),
        "proprio": ArraySpec(shape=(2,), low=-5.0, high=5.0, names=("height", "width")),
    },
    action=ArraySpec(shape=(1,), low=-1.0, high=1.0),
    control_hz=10.0,
    max_episode_steps=20,
)
TINY = RewardConfig(
    image_size=SIZE, filters=(4, 4), hidden=(8,), members=2, updates=60, retrain_updates=20, batch_size=16, shift=1,
    learning_rate=1e-2, false_positive_rate=0.1,
)  # fmt: skip


def seen(height: float, rng: np.random.Generator) -> Observation:
    """Show a block at `height` in [0, 1], left to right at random."""
    images = {}
    row, column = round((1 - height) * (SIZE - 4)), int(rng.integers(0, SIZE - 4))
    for name in ("front", "side"):
        image: Array = rng.integers(0, 60, (SIZE, SIZE, 3), dtype=np.uint8)
        image[row : row + 4, column : column + 4] = 250
        images[name] = image
    return images | {"proprio": np.array([height, rng.uniform()], np.float32)}


def episode(number: int, rises: bool, steps: int = 8) -> Iterator[tuple[Observation, float]]:
    """Yield observations and heights of an episode that ends high, or moves below the middle."""
    rng = np.random.default_rng(number)
    for step in range(steps):
        height = step / (steps - 1) if rises else float(rng.uniform(0.0, 0.5))
        yield seen(height, rng), height


def fill(path: Path, episodes: int = 16, classes: tuple[str, ...] = BINARY) -> FrameSet:
    """Make a data set of as many successes as failures; of more than two classes, stages by height."""
    frames = FrameSet.create(path, classes, SPEC)
    for number in range(episodes):
        for step, (obs, height) in enumerate(episode(number, rises=number % 2 == 0)):
            label = int(height > 0.7) if len(classes) == 2 else min(int(height * len(classes)), len(classes) - 1)
            frame = LabelledFrame(obs=obs, label=label, episode=("a", 0, number), step_index=step, source="log")
            frames.add(frame, durable=False)
    return frames
