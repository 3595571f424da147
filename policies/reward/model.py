"""A classifier of success: trained from a `FrameSet`, saved in a folder, asked frame by frame."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from robot_hil.data.reward import LabelledFrame, RewardModel
from robot_hil.data.specs import Array
from robot_hil.policies.reward.config import RewardConfig
from robot_hil.policies.reward.dataset import FrameSet
from robot_hil.policies.reward.report import Report

Features = Callable[[Array], Array]
"""A frozen trunk: uint8 images (n, S, S, 3) -> float32 features (n, d)."""
Progress = Callable[[float, str], None]
"""Told the share done in [0, 1] and what is going on, now and then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedReward:
    """A trained classifier with what is known of it. Immutable: `retrain` returns another, one version on."""

    config: RewardConfig
    classes: tuple[str, ...]
    version: int
    threshold: float
    report: Report

    def save(self, folder: Path) -> None:
        """Write `reward.json` and `reward.safetensors` into `folder`, as a whole or not at all."""
        raise NotImplementedError

    @staticmethod
    def load(folder: Path, features: Features | None = None, backend: str = "auto") -> "TrainedReward":
        """Read what `save` wrote; raises `StorageError` when it is damaged or missing."""
        raise NotImplementedError

    def probabilities(self, obs: Mapping[str, Array]) -> Array:
        """Return each member's calibrated probabilities (K, n, classes) of observations (n, ...) by name."""
        raise NotImplementedError

    def judge_of(self) -> RewardModel:
        """Return a judge of episodes, which remembers the frames that confirm."""
        raise NotImplementedError

    def most_doubtful(self, frames: FrameSet, count: int) -> list[tuple[str, float]]:
        """Return ids and doubts in [0, 1] of the frames that a person should look at first, worst first."""
        raise NotImplementedError

    def retrain(
        self, frames: FrameSet, extra: Sequence[LabelledFrame] = (), *, seed: int = 0, progress: Progress | None = None
    ) -> "TrainedReward":
        """Go on training for a few seconds, hard negatives first; test episodes stay test episodes."""
        raise NotImplementedError


def train(
    frames: FrameSet,
    config: RewardConfig,
    seed: int = 0,
    progress: Progress | None = None,
    features: Features | None = None,
    backend: str = "auto",
) -> TrainedReward:
    """Train, calibrate and measure a classifier on `frames`, each on episodes of its own."""
    raise NotImplementedError
