"""Numbers of the reward models, apart from the models: reading them loads no learning library."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from robot_hil.errors import ConfigError

Rule = Literal["mean", "min", "mean_minus_std"]
"""How the members' probabilities of success become one; see `robot_hil.policies.reward.rules.combine`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Crop:
    """The part of a camera's image that matters [pixels of the recorded image]."""

    top: int
    left: int
    height: int
    width: int

    def __post_init__(self) -> None:
        if min(self.top, self.left) < 0 or min(self.height, self.width) < 1:
            raise ConfigError(f"{self} is no part of an image: top and left >= 0, height and width >= 1.")


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameConfig:
    """What of a frame a reward model looks at, and through which network."""

    cameras: tuple[str, ...] = ()
    """Names of the images it looks at; empty for all of them."""
    crops: Mapping[str, Crop] = field(default_factory=dict)
    """Part of each camera's image; the data set's own where a camera is missing, else the whole image."""
    vectors: tuple[str, ...] = ()
    """Names of vectors it reads beside the images, e.g. `proprio`. None by default: from a handful of demonstrations a
    place of the tool is learnt by heart, and a success elsewhere is not recognised (docs/reward.md)."""
    image_size: int = 64
    """Side to which a crop is scaled [pixels]."""
    filters: tuple[int, ...] = (8, 16)
    strides: tuple[int, ...] = (2, 2)
    hidden: tuple[int, ...] = (64,)
    shift: int = 3
    """Largest random shift of images in training [pixels of `image_size`]."""

    def __post_init__(self) -> None:
        if not self.filters or len(self.filters) != len(self.strides):
            raise ConfigError(f"strides are {self.strides}, filters {self.filters}; give one stride for each of them.")
        _at_least(1, image_size=self.image_size)
        _at_least(0, shift=self.shift)


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardConfig(FrameConfig):
    """Numbers of a success classifier."""

    views: int = 4
    """Shifted views of a frame whose features are computed once, when a frozen trunk is given."""
    members: int = 5
    """Networks of the ensemble, which differ in their beginnings and in the episodes that they learn from."""
    rule: Rule = "mean_minus_std"
    caution: float = 1.0
    """Standard deviations of the members taken from their mean, with `mean_minus_std`."""
    updates: int = 200
    batch_size: int = 32
    learning_rate: float = 2e-3
    smoothing: float = 0.02
    """Share of a label that goes to all classes alike, so that nothing is learnt to be certain."""
    hard_weight: float = 5.0
    """How much more often a hard negative is drawn than another frame of its class."""
    retrain_updates: int = 40
    """Updates of a continuation, e.g. after a false positive."""
    hard_share: float = 0.3
    """Least share of a class's draws, in a continuation, that goes to hard negatives where it has any: a few frames
    among thousands are learnt in a few updates."""
    test_share: float = 0.2
    """Share of the episodes that only measure."""
    calibration_share: float = 0.2
    """Share of the other episodes from which temperature and threshold are taken."""
    false_positive_rate: float = 0.01
    """Wanted of single frames; the threshold is the lowest that keeps it on the calibration episodes."""
    confirm_frames: int = 2
    """Frames running that must be hits before success is believed."""
    stage_rewards: bool = False
    """Reward each stage that is confirmed, with classes in the order of the task and success last: stages of S earn
    1 / (S - 1) each, and cost as much when they are lost."""
    clip_reward: bool = False
    """Clip the corrected reward to [0, 1], which takes the correction back: bounded, but biased by the error rates."""

    def __post_init__(self) -> None:
        FrameConfig.__post_init__(self)
        _at_least(1, members=self.members, batch_size=self.batch_size, updates=self.updates, views=self.views)
        _at_least(1, confirm_frames=self.confirm_frames)
        _at_least(0, caution=self.caution, smoothing=self.smoothing)
        _share(test_share=self.test_share, calibration_share=self.calibration_share)
        _share(false_positive_rate=self.false_positive_rate, hard_share=self.hard_share)
        if self.rule not in ("mean", "min", "mean_minus_std"):
            raise ConfigError(f"rule is {self.rule!r}; choose mean, min or mean_minus_std.")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressConfig(FrameConfig):
    """Numbers of the progress-delta critic."""

    hidden: tuple[int, ...] = (128,)
    members: int = 3
    """Networks whose mean delta counts, and whose disagreement is the doubt."""
    updates: int = 300
    episodes: int = 4
    """Episodes in a batch."""
    frames: int = 16
    """Frames of each of them, of which all pairs are learnt."""
    stretch: int = 10
    """Half of these come from a stretch of twice so many frames: pairs as near as they will be compared."""
    learning_rate: float = 1e-3
    negatives: float = 0.25
    """Share of episodes that teach 0: failures, and others under another goal."""
    stride_s: float = 1.0
    """Time between the two frames that are compared [s]."""
    caution: float = 1.0
    """Standard deviations of the members taken from their mean probability of being done."""
    calibration_share: float = 0.2
    """Share of the episodes from which the threshold of being done is taken."""
    false_positive_rate: float = 0.005
    """Wanted of single frames that are not done."""
    done_threshold: float = 0.5
    """Where no episodes could be laid aside."""
    done_frames: int = 2
    """Frames running that must say done."""

    def __post_init__(self) -> None:
        FrameConfig.__post_init__(self)
        _at_least(1, members=self.members, updates=self.updates, episodes=self.episodes, stretch=self.stretch)
        _at_least(1, done_frames=self.done_frames)
        _at_least(2, frames=self.frames)
        _at_least(0, caution=self.caution)
        _share(negatives=self.negatives, done_threshold=self.done_threshold)
        _share(calibration_share=self.calibration_share, false_positive_rate=self.false_positive_rate)


def _at_least(low: int, **values: float) -> None:
    for name, value in values.items():
        if value < low:
            raise ConfigError(f"{name} is {value}; it must be at least {low}.")


def _share(**values: float) -> None:
    for name, value in values.items():
        if not 0.0 < value < 1.0:
            raise ConfigError(f"{name} is {value}; allowed are values between 0 and 1.")
