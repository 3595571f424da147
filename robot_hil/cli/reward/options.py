"""What the commands of `robot-hil reward` take."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from robot_hil.cli.options import Common
from robot_hil.cli.reward.check import Limits
from robot_hil.cli.reward.frames import Taking
from robot_hil.policies.reward.config import ProgressConfig, RewardConfig

Backend = Literal["auto", "torch", "jax"]


@dataclass(frozen=True, kw_only=True)
class FromRuns:
    """Take frames of recorded episodes: how they ended, and verdicts on them, say what the frames show."""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Run folders, of demonstrations or of training; one that is still running will do."""
    out: Path = Path("frames")
    """Data set that the frames go into; one that is there grows, and no episode enters it twice."""
    three_way: bool = False
    """Classes running, success and failure instead of failure and success."""
    crop: tuple[str, ...] = ()
    """Parts of images that matter, CAMERA:TOP,LEFT,HEIGHT,WIDTH [pixels]: a model sees nothing else. Kept with a new
    data set; whole images are stored."""
    taking: Annotated[Taking, tyro.conf.arg(name="")] = Taking()


@dataclass(frozen=True, kw_only=True)
class Live(Common):
    """Drive, and press the success key while the success can be seen; everything else is taken for failure.

    Without --teleop the simulated person drives, and presses when the environment knows of a success.
    """

    out: Path | None = Path("frames")
    """Data set that the frames go into; one that is there grows."""
    successes: int = 200
    """Frames of success to collect."""
    failures: int = 1000
    """Frames of everything else to collect."""
    press_frames: int = 3
    """Frames that one press of the success key marks: the present one and those that follow."""
    stages: int = 0
    """Classes of a task in stages, the last of which is success: each press says that the next stage has begun, the
    fail key takes one back."""
    three_way: bool = False
    """Classes running, success and failure: the fail key marks failure."""
    crop: tuple[str, ...] = ()
    """Parts of images that matter, CAMERA:TOP,LEFT,HEIGHT,WIDTH [pixels]: a model sees nothing else. Kept with a new
    data set; whole images are stored."""
    negatives_per_episode: int = 40
    """Most frames that are no success to keep of one episode, spread over it."""


@dataclass(frozen=True, kw_only=True)
class TrainReward:
    """Train a success classifier on labelled frames; measure it on episodes that it has not seen."""

    frames: tyro.conf.Positional[Path]
    """Data set, as `robot-hil reward record` makes it."""
    out: Path = Path("reward-model")
    """Folder of the model. One that is there is replaced, and its version goes on."""
    seed: int = 0
    backend: Backend = "auto"
    trunk: Path | None = None
    """Frozen pretrained network to train upon, a local safetensors file; see docs/encoders.md."""
    trunk_kind: Literal["resnet10", "resnet18", "vit"] = "resnet10"
    """What --trunk holds: HIL-SERL's ResNet-10, a ResNet-18, or a vit such as DINOv2."""
    trunk_size: int = 128
    """Side of the images that it looks at [pixels], in place of --image-size; of a vit a multiple of its patches."""
    trunk_sha256: str = ""
    """Hash that its file must have."""
    config: Annotated[RewardConfig, tyro.conf.arg(name="")] = field(default_factory=RewardConfig)


@dataclass(frozen=True, kw_only=True)
class TrainProgress:
    """Train a critic of progress on successful episodes of run folders: a dense reward, and when it is done."""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Run folders with successful episodes, whole: demonstrations do."""
    out: Path = Path("progress-model")
    seed: int = 0
    backend: Backend = "auto"
    config: Annotated[ProgressConfig, tyro.conf.arg(name="")] = field(default_factory=ProgressConfig)


@dataclass(frozen=True, kw_only=True)
class Retrain:
    """Go on training a model with what was labelled since; the next version takes its place."""

    model: tyro.conf.Positional[Path]
    frames: Path | None = None
    """Data set; the one that the model was trained from unless given."""
    nice: bool = False
    """Give way to every other process."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """Run a model over labelled frames or recorded episodes: where it errs, and when it would have ended them."""

    model: tyro.conf.Positional[Path]
    data: tyro.conf.Positional[tuple[Path, ...]] = ()
    """Data sets and run folders; the model's own data set without. What it was trained with is left out."""
    out: Path | None = None
    """Where the pictures of its errors go; into the model's folder unless given."""
    taking: Annotated[Taking, tyro.conf.arg(name="")] = Taking()
    limits: Annotated[Limits, tyro.conf.arg(name="")] = Limits()


@dataclass(frozen=True, kw_only=True)
class LabelFrames:
    """Serve a page with the frames that the model doubts most: keys label, undo and skip, and then it is retrained."""

    model: tyro.conf.Positional[Path]
    frames: tyro.conf.Positional[Path | None] = None
    """Data set; the one that the model was trained from unless given."""
    count: int = 50
    """Frames to show."""
    name: str = ""
    """Who labels; stored with each label."""
    host: str = "127.0.0.1"
    """Interface to listen on; other than this computer's own means https."""
    port: int = 8444
    """Port to listen on; 0 for any free one."""
