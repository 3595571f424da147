"""`robot-hil reward train` and `retrain`: a model out of frames, its figures and the pictures that explain them."""

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robot_hil.cli.reward import show
from robot_hil.cli.reward.models import PROGRESS_FILE, frames_of, load_model, remember_frames, version_in
from robot_hil.errors import ConfigError
from robot_hil.policies.reward.dataset import FrameSet

if TYPE_CHECKING:
    from robot_hil.cli.reward.options import TrainReward
    from robot_hil.policies.reward.config import RewardConfig
    from robot_hil.policies.reward.inputs import Features
    from robot_hil.policies.reward.model import TrainedReward

LOOK = 64
"""Frames looked at in one call."""


def train(asked: "TrainReward") -> int:
    """Train, save, report; return the exit code."""
    from robot_hil.policies.reward.model import train as fit

    if (asked.out / PROGRESS_FILE).exists():
        raise ConfigError(f"{asked.out} holds a critic of progress; choose another --out for a classifier.")
    frames = FrameSet.open(asked.frames)
    counts = ", ".join(f"{count} {name}" for name, count in frames.counts.items())
    print(f"{asked.frames}: {counts}, of {len(frames.episodes)} episodes")
    version = version_in(asked.out)
    config, features = _seeing(asked)
    with show.bar() as told:
        trained = fit(
            frames, config, asked.seed, told, features=features, backend=asked.backend, version=version + 1
        )  # fmt: skip
    trained.save(asked.out)
    remember_frames(asked.out, asked.frames, asked.seed)
    tell(trained, frames, asked.out)
    print(f"Try it: robot-hil reward check {asked.out}, or robot-hil reward label {asked.out} for what it doubts.")
    return 0


def _seeing(asked: "TrainReward") -> "tuple[RewardConfig, Features | None]":
    """Return the numbers of the classifier and the trunk that it is to be trained upon, None for none."""
    if asked.trunk is None:
        return asked.config, None
    from robot_hil.policies.config import TrunkConfig
    from robot_hil.policies.reward.trunk import trunk_features

    config = TrunkConfig(
        kind=asked.trunk_kind, file=str(asked.trunk.resolve()), sha256=asked.trunk_sha256, image_size=asked.trunk_size
    )
    return replace(asked.config, image_size=asked.trunk_size), trunk_features(config, asked.backend)


def retrain(model: Path, given: Path | None, nice: bool) -> int:
    """Go on training the model in its folder; return the exit code."""
    if nice:
        os.nice(19)
    path = given or frames_of(model)
    if path is None:
        raise ConfigError(f"the data set that {model} was trained from is not there any more: give it by --frames.")
    loaded = load_model(model)
    if loaded.dense:
        raise ConfigError(f"{model} is a critic of progress; it learns from whole episodes: train it again.")
    frames = FrameSet.open(path)
    with show.bar() as told:
        trained: TrainedReward = loaded.trained.retrain(frames, progress=told)
    trained.save(model)
    if given is not None:
        remember_frames(model, given, 0)
    tell(trained, frames, model)
    return 0


def tell(trained: "TrainedReward", frames: FrameSet, folder: Path) -> None:
    """Print what is known of a model and draw it into its folder."""
    from robot_hil.cli.reward import plots

    show.console().print(*show.report_tables(trained.report, f"{folder}, version {trained.version}"), sep="\n")
    for warning in trained.report.warnings:
        print(f"Note: {warning}")
    ids = [name for name in frames.ids if frames.episode(name) in set(trained.parts.test)]
    looked = look(trained, frames, ids)
    plots.draw(folder, trained.report, looked)
    print(f"Pictures in {folder}: {', '.join(plots.FILES)}.")


def look(trained: Any, frames: FrameSet, ids: list[str]) -> list[show.Looked]:
    """Return what the model thinks of some frames of a data set."""
    from robot_hil.policies.reward import rules

    success, config, found = trained.setup.success, trained.config, []
    for start in range(0, len(ids), LOOK):
        some = ids[start : start + LOOK]
        read = [frames.get(name) for name in some]
        members = trained.look([frame.obs for frame in read])
        scores = rules.combine(members[..., success], config.rule, config.caution)
        for name, frame, score, mean in zip(some, read, scores, members.mean(0), strict=True):
            found.append(
                show.Looked(
                    name=name, label=frame.label, guess=int(mean.argmax()), score=float(score),
                    probability=float(mean[success]), success=frame.label == success,
                    images={camera: frame.obs[camera] for camera in frames.spec.images},
                )
            )  # fmt: skip
    return found
