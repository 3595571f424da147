"""Numbers of the agents, apart from the agents: reading them loads no learning library."""

from dataclasses import dataclass
from typing import Literal

from robot_hil.errors import ConfigError

Precision = Literal["float32", "bfloat16"]
"""Of matrix products and convolutions in training; parameters, sums and everything else are float32 in any case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnchoredConfig:
    """Numbers of the anchored-RLPD agent."""

    hidden: tuple[int, ...] = (256, 256)
    activation: str = "relu"
    ensemble: int = 4
    """Critics."""
    action_gain: float = 5.0
    """The critics also see tanh(gain * action): in precise work small actions differ in much. 0 leaves that out."""
    subset: int = 2
    """Critics drawn without replacement whose minimum is the target."""
    utd: int = 4
    """Critic updates per round; one actor update follows them."""
    learning_rate: float = 3e-4
    """Of critics, and of the encoder while they train it."""
    clone_rate: float = 1e-3
    """Learning rate of the warm start."""
    actor_rate: float = 3e-4
    """Learning rate of the actor after the warm start."""
    tau: float = 0.02
    """Polyak rate of the target critics, per critic update."""
    actor_average: float = 0.01
    """Rate per actor update at which the acting policy follows the trained one; 1 acts with the newest."""
    value_range: tuple[float, float] = (0.0, 1.0)
    """Smallest and largest return; targets are clipped to it, which bounds over-estimation."""
    bins: int = 0
    """Bins of a categorical critic (HL-Gauss) over `value_range`; 0 trains a squared error."""
    exploration: float = 0.1
    """Standard deviation of the policy's noise, before squashing. Much less, and the critics cannot tell actions apart;
    much more, and a good policy fails by its noise."""
    anchor: float = 5.0
    """Weight of the pull towards human actions; 0 switches it off."""
    anchor_q_filter: bool = False
    """Pull only where the critic rates the human action above the policy's own."""
    anchor_half_life: int = 1000
    """Actor updates after which the anchor has half its weight; 0 keeps it."""
    caution: float = 1.0
    """The actor climbs the critics' mean less this many of their standard deviations: actions on which they disagree,
    for want of data, do not tempt it."""
    clip_norm: float = 10.0
    filters: tuple[int, ...] = (16, 32)
    """Of each camera's encoder, one number for every convolution."""
    strides: tuple[int, ...] = (2, 2)
    image_size: int = 64
    """Side to which images are scaled down [pixels]."""
    freeze_encoder: bool = True
    """Keep the encoder as the warm start on demonstrations left it; else critics and anchor go on training it."""
    goal_features: tuple[str, ...] = ()
    """Beginnings of the names of those vector features whose values at the end of a demonstration say where its goal
    was, e.g. the tool's place. With cameras and a frozen encoder the warm start then also learns to tell from the
    images how far away that is; critics and actor are given it. Without names there is no such estimate."""
    goal_only: bool = False
    """Critics and actor see the images through that estimate alone: where the goal is all that matters, some hundred
    further features only keep them from learning to act on it."""
    goal_gain: float = 30.0
    """They are given tanh(gain * distance), too: near the goal small distances matter much."""
    goal_weight: float = 1.0
    """Weight of the estimate's absolute error beside the imitation."""
    shift: int = 3
    """Random shift of images in training [pixels]."""
    precision: Precision = "float32"
    """bfloat16 is quicker where the processor or the GPU has instructions for it."""
    views: int = 8
    """Shifted views of a frame that are encoded once and kept, of which every update draws one; 1 does not shift."""

    def __post_init__(self) -> None:
        _check_encoder(self.filters, self.strides)
        if self.bins == 1 or self.bins < 0:
            raise ConfigError(f"bins is {self.bins}; give 0 for a squared error, or at least 2.")
        if self.exploration < 0:
            raise ConfigError(f"exploration is {self.exploration}; it is a standard deviation and must be >= 0.")
        if self.utd < 1:
            raise ConfigError(f"utd is {self.utd}; give at least 1 critic update per round.")
        if self.views < 1:
            raise ConfigError(f"views is {self.views}; give at least 1.")
        if self.goal_features and not self.freeze_encoder:
            raise ConfigError("goal_features need freeze_encoder: the estimate is learnt in the warm start alone.")
        if self.goal_only and not self.goal_features:
            raise ConfigError("goal_only without goal_features would leave the images unused; name some.")
        if not 1 <= self.subset <= self.ensemble:
            raise ConfigError(f"subset is {self.subset}; allowed are 1 to ensemble = {self.ensemble}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class HilSerlConfig:
    """Numbers of the baseline, as published."""

    hidden: tuple[int, ...] = (256, 256)
    ensemble: int = 2
    critic_to_actor: int = 2
    """Critic updates per round; the last comes with an actor and temperature update."""
    learning_rate: float = 3e-4
    tau: float = 0.005
    init_temperature: float = 0.01
    target_entropy_per_dim: float = -0.5
    gripper_penalty: float = 0.02
    """Taken from the gripper critic's reward when a step turns the gripper round."""
    filters: tuple[int, ...] = (16, 32)
    strides: tuple[int, ...] = (2, 2)
    image_size: int = 64
    shift: int = 4
    precision: Precision = "float32"

    def __post_init__(self) -> None:
        _check_encoder(self.filters, self.strides)


@dataclass(frozen=True, slots=True, kw_only=True)
class BcConfig:
    """Numbers of behaviour cloning: imitation of everything that a person drove, and nothing else."""

    hidden: tuple[int, ...] = (256, 256)
    activation: str = "relu"
    learning_rate: float = 1e-3
    exploration: float = 0.0
    """Standard deviation of noise added to the actions, before squashing; none, as imitation needs no exploring."""
    clip_norm: float = 10.0
    filters: tuple[int, ...] = (16, 32)
    strides: tuple[int, ...] = (2, 2)
    image_size: int = 64
    shift: int = 3
    precision: Precision = "float32"

    def __post_init__(self) -> None:
        _check_encoder(self.filters, self.strides)
        if self.exploration < 0:
            raise ConfigError(f"exploration is {self.exploration}; it is a standard deviation and must be >= 0.")


def _check_encoder(filters: tuple[int, ...], strides: tuple[int, ...]) -> None:
    if not filters or len(filters) != len(strides):
        raise ConfigError(f"strides are {strides} and filters {filters}; give one stride for every convolution.")
