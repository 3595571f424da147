"""Reward models in folders, of either kind, and the frames that they were trained from."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robot_hil.data.reward import BINARY, RewardModel
from robot_hil.data.specs import EnvSpec
from robot_hil.errors import StorageError
from robot_hil.policies.reward.dataset import FrameSet
from robot_hil.report.metrics import write_json

ABOUT_FILE = "trained_from.json"
CLASSIFIER_FILE, PROGRESS_FILE = "reward.json", "progress.json"


@dataclass(frozen=True)
class LoadedModel:
    """A trained model and what is known of it."""

    folder: Path
    trained: Any
    """A `TrainedReward` or a `ProgressCritic`."""
    dense: bool
    """Whether its reward is progress made."""

    @property
    def version(self) -> int:
        """Counts its trainings."""
        return int(self.trained.version)

    @property
    def spec(self) -> EnvSpec:
        """What the robot saw whose frames it learnt from."""
        spec: EnvSpec = self.trained.spec if self.dense else self.trained.setup.spec
        return spec

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of its classes."""
        return BINARY if self.dense else tuple(self.trained.classes)

    @property
    def threshold(self) -> float:
        """Probability from which a single frame is taken for success."""
        return float(self.trained.threshold)

    @property
    def false_positive(self) -> tuple[float, float, float] | None:
        """Share of single frames wrongly taken for success on held-out episodes, with its 95 % interval."""
        rate = None if self.dense else self.trained.report.false_positive
        return None if rate is None else (rate.value, rate.low, rate.high)

    def judge(self) -> RewardModel:
        """Return a judge of episodes."""
        model: RewardModel = self.trained.judge_of()
        return model


def load_model(folder: Path) -> LoadedModel:
    """Read a model; raises `StorageError`, which says what to do when there is none."""
    if (folder / PROGRESS_FILE).exists():
        from robot_hil.policies.reward.progress import ProgressCritic

        return LoadedModel(folder, ProgressCritic.load(folder), True)
    if not (folder / CLASSIFIER_FILE).exists():
        raise StorageError(
            f"{folder} holds no reward model. Train one: robot-hil reward train FRAMES --out {folder}, with frames "
            "from robot-hil reward record."
        )
    from robot_hil.policies.reward.model import TrainedReward

    return LoadedModel(folder, TrainedReward.load(folder), False)


def version_in(folder: Path) -> int:
    """Return the version of the model in `folder`, 0 without one."""
    try:
        return load_model(folder).version
    except StorageError:
        return 0


def remember_frames(folder: Path, frames: Path, seed: int) -> None:
    """Write down what the model in `folder` was trained from, so that it can learn on."""
    write_json(folder / ABOUT_FILE, {"frames": str(frames.resolve()), "seed": seed})


def frames_of(folder: Path) -> Path | None:
    """Return the data set of the model in `folder`; None when it is not known or no longer there."""
    try:
        path = Path(json.loads((folder / ABOUT_FILE).read_text())["frames"])
        FrameSet.open(path)
    except (OSError, ValueError, KeyError, TypeError, StorageError):
        return None
    return path
