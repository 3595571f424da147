"""Numbers of the agents, apart from the agents: reading them loads no learning library."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from robot_hil.errors import ConfigError

Precision = Literal["float32", "bfloat16"]
"""Of matrix products and convolutions in training; parameters, sums and everything else are float32 in any case."""
Part = tuple[float, float, float, float]
"""(top, left, height, width) of a part of an image: shares of the whole where height and width are at most 1, else
pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrunkConfig:
    """A frozen pretrained network under a trained head; without a file there is none. See docs/encoders.md."""

    kind: Literal["resnet10", "resnet18", "vit"] = "resnet10"
    """resnet10 is HIL-SERL's, with group normalisation; vit is that of DINOv2, of any size."""
    file: str = ""
    """Its weights, a local safetensors file; nothing is downloaded."""
    sha256: str = ""
    """Hash that the file must have; where it is not given, a new run records that of the file it finds."""
    image_size: int = 128
    """Side to which images are scaled for it [pixels]; for a vit a multiple of its patches, e.g. 126 or 224."""
    grid: int = 4
    """A vit's patches are averaged over grid x grid cells."""
    outputs: int = 256
    """Features of each camera's head."""
    vector_outputs: int = 64
    """Features of a layer that the vectors pass; 0 gives them on as they are."""
    train_head: bool = True
    """Critics go on training the head; else it stays as the warm start on demonstrations left it."""
    frames_per_call: int = 1
    """Frames that are encoded together, always so many: fewer are filled up, so that a frame's encoding depends on no
    other. More than 1 pays on a GPU, where frames come in faster than one by one."""

    def __post_init__(self) -> None:
        if self.sha256 and not re.fullmatch("[0-9a-fA-F]{64}", self.sha256):
            raise ConfigError(f"trunk.sha256 is {self.sha256!r}; a SHA-256 has 64 hexadecimal digits.")
        for name, least in (("image_size", 32), ("grid", 1), ("outputs", 1), ("frames_per_call", 1)):
            if getattr(self, name) < least:
                raise ConfigError(f"trunk.{name} is {getattr(self, name)}; give at least {least}.")
        if self.vector_outputs < 0:
            raise ConfigError(f"trunk.vector_outputs is {self.vector_outputs}; give 0 or more.")


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderConfig:
    """How an agent sees: what all agents' numbers have in common."""

    algorithm: ClassVar[str]
    """Module in `robot_hil.policies.algorithms` whose `ALGORITHM` these numbers are of; its `CONFIG` is their type."""
    filters: tuple[int, ...] = (16, 32)
    """Of each camera's encoder, one number for every convolution."""
    strides: tuple[int, ...] = (2, 2)
    image_size: int = 64
    """Side to which images are scaled for that encoder [pixels]."""
    crops: Mapping[str, Part] = field(default_factory=dict)
    """Part of a camera's image that is looked at: camera -> (top, left, height, width), shares of the image where
    height and width are at most 1, else pixels. It must be square."""
    trunk: TrunkConfig = TrunkConfig()
    """A frozen pretrained network in place of the small encoder."""
    shift: int = 3
    """Random shift of images in training [pixels]."""
    views: int = 8
    """Shifted views of a frame that a frozen encoder encodes once and that are kept, of which every update draws one; 1
    does not shift. 0 keeps images and encodes them anew, freshly shifted, in every update. A trunk's maps are large:
    give it 2 to 4."""
    vector_gain: float = 0.0
    """Agents are also shown tanh(gain * x) of every number x of the vectors: where errors are near zero little ones
    decide. 0 leaves that out."""
    precision: Precision = "float32"
    """bfloat16 is quicker where the processor or the GPU has instructions for it."""

    def __post_init__(self) -> None:
        filters, strides = self.filters, self.strides
        if not filters or len(filters) != len(strides):
            raise ConfigError(f"strides are {strides} and filters {filters}; give one stride for every convolution.")
        if self.views < 0:
            raise ConfigError(f"views is {self.views}; give 0 or more.")
        if self.shift < 0:
            raise ConfigError(f"shift is {self.shift}; give 0 or more.")
        if not 0 <= self.vector_gain < math.inf:
            raise ConfigError(f"vector_gain is {self.vector_gain}; give 0 or more.")
        for camera, crop in self.crops.items():
            if len(crop) != 4 or not all(math.isfinite(x) for x in crop) or min(crop[:2]) < 0 or min(crop[2:]) <= 0:
                raise ConfigError(
                    f"the crop of {camera!r} is {crop}; give top, left, height and width, none negative, the last two "
                    f"above 0."
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class AnchoredConfig(EncoderConfig):
    """Numbers of the anchored-RLPD agent."""

    algorithm = "anchored"
    vector_gain: float = 10.0
    hidden: tuple[int, ...] = (256, 256)
    activation: str = "relu"
    ensemble: int = 4
    """Critics."""
    actors: int = 3
    """Networks whose mean acts. Each imitates people by itself, the critics judge what they do together."""
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
    clone_average: float = 0.02
    """Rate per update of the warm start at which an average follows its weights; what comes after it goes on with that
    average. 1 goes on with the newest: single steps of the gradient swing success by tens of percent."""
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
    anchor_filter: Literal["none", "corrections", "all"] = "corrections"
    """What the critics may let go of: `corrections` that all of them rate below the policy's own action, or `all` human
    actions that are lower in their mean. Demonstrations are kept only if they succeed; a correction may be wrong,
    however well its episode ended."""
    anchor_half_life: int = 1000
    """Actor updates after which the anchor has half its weight; 0 keeps it."""
    caution: float = 1.0
    """The actor climbs the critics' mean less this many of their standard deviations: actions on which they disagree,
    for want of data, do not tempt it."""
    clip_norm: float = 10.0
    freeze_encoder: bool = True
    """Keep the small encoder as the warm start on demonstrations left it; else critics and anchor go on training it."""
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

    def __post_init__(self) -> None:
        EncoderConfig.__post_init__(self)
        if self.bins == 1 or self.bins < 0:
            raise ConfigError(f"bins is {self.bins}; give 0 for a squared error, or at least 2.")
        if self.exploration < 0:
            raise ConfigError(f"exploration is {self.exploration}; it is a standard deviation and must be >= 0.")
        if self.utd < 1:
            raise ConfigError(f"utd is {self.utd}; give at least 1 critic update per round.")
        if self.actors < 1:
            raise ConfigError(f"actors is {self.actors}; give at least 1.")
        if not 0 < self.clone_average <= 1:
            raise ConfigError(f"clone_average is {self.clone_average}; give a rate above 0 and at most 1.")
        if self.goal_features and not (self.freeze_encoder or self.trunk.file):
            raise ConfigError("goal_features need freeze_encoder: the estimate is learnt in the warm start alone.")
        if self.goal_only and not self.goal_features:
            raise ConfigError("goal_only without goal_features would leave the images unused; name some.")
        if not 1 <= self.subset <= self.ensemble:
            raise ConfigError(f"subset is {self.subset}; allowed are 1 to ensemble = {self.ensemble}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class HilSerlConfig(EncoderConfig):
    """Numbers of the baseline, as published."""

    algorithm = "hil_serl"
    hidden: tuple[int, ...] = (256, 256)
    ensemble: int = 2
    subset: int = 0
    """Critics drawn without replacement whose minimum is the target, as published with an ensemble of ten and two of
    them; 0 takes all, as published with two."""
    critic_to_actor: int = 2
    """Critic updates per round; the last comes with an actor and temperature update."""
    learning_rate: float = 3e-4
    tau: float = 0.005
    init_temperature: float = 0.01
    target_entropy_per_dim: float = -0.5
    gripper_penalty: float = 0.02
    """Taken from the gripper critic's reward when a step turns the gripper round."""
    shift: int = 4
    views: int = 3
    """See `EncoderConfig`; only a trunk's output is cached."""

    def __post_init__(self) -> None:
        EncoderConfig.__post_init__(self)
        if not 0 <= self.subset <= self.ensemble:
            raise ConfigError(f"subset is {self.subset}; allowed are 1 to ensemble = {self.ensemble}, or 0 for all.")


@dataclass(frozen=True, slots=True, kw_only=True)
class BcConfig(EncoderConfig):
    """Numbers of behaviour cloning: imitation of everything that a person drove, and nothing else."""

    algorithm = "bc"
    hidden: tuple[int, ...] = (256, 256)
    activation: str = "relu"
    learning_rate: float = 1e-3
    exploration: float = 0.0
    """Standard deviation of noise added to the actions, before squashing; none, as imitation needs no exploring."""
    average: float = 0.02
    """Rate per update at which the acting policy follows the trained one; 1 acts with the newest."""
    clip_norm: float = 10.0
    views: int = 3
    """See `EncoderConfig`; only a trunk's output is cached."""

    def __post_init__(self) -> None:
        EncoderConfig.__post_init__(self)
        if self.exploration < 0:
            raise ConfigError(f"exploration is {self.exploration}; it is a standard deviation and must be >= 0.")
        if not 0 < self.average <= 1:
            raise ConfigError(f"average is {self.average}; give a rate above 0 and at most 1.")
