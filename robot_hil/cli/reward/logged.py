"""Frames from episodes that run folders hold already."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from robot_hil.cli.episodes import experiment_of, spec_of_env
from robot_hil.cli.reward import show
from robot_hil.cli.reward.frames import Taking, chosen, classes_of, crops_of, labels_of, success_of, unlike
from robot_hil.cli.runfolder import RunFolder
from robot_hil.data.codec import Header
from robot_hil.data.labels import EpisodeKey, Verdict
from robot_hil.data.reward import LabelledFrame
from robot_hil.data.specs import EnvSpec, Observation
from robot_hil.errors import ConfigError, StorageError
from robot_hil.policies.reward.config import Crop
from robot_hil.policies.reward.dataset import DATASET_FILE, FrameSet
from robot_hil.replay.log_reader import StepLogReader
from robot_hil.report.labels import read_labels

if TYPE_CHECKING:
    from robot_hil.cli.reward.options import FromRuns


@dataclass(slots=True)
class Stored:
    """A complete episode in a step log."""

    key: EpisodeKey
    arrivals: list[int] = field(default_factory=list)
    headers: list[Header] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Whether it is there from its first step to its last."""
        indices = [header.step_index for header in self.headers]
        last = self.headers[-1]
        return indices == list(range(len(indices))) and last.has_final and (last.terminated or last.truncated)


def stored_episodes(run: RunFolder) -> tuple[StepLogReader, list[Stored]]:
    """Return the whole episodes of a run, also of one that is under way, and what reads them; close that."""
    reader = StepLogReader(run.steps)
    if reader.file is None:
        reader = StepLogReader(run.spool)
    found: dict[EpisodeKey, Stored] = {}
    start = 0
    while rows := reader.headers(start):
        for arrival, header in rows:
            key = (header.actor_id, header.epoch, header.episode_id)
            episode = found.setdefault(key, Stored(key))
            episode.arrivals.append(arrival)
            episode.headers.append(header)
        start = rows[-1][0] + 1
    return reader, [episode for episode in found.values() if episode.whole]


def observation(reader: StepLogReader, episode: Stored, index: int) -> Observation:
    """Return observation `index` of an episode; the one after its last step is its end. Raises `StorageError`."""
    at_end = index == len(episode.arrivals)
    step = reader.step(episode.arrivals[index - 1 if at_end else index])
    seen = None if step is None else step.final_obs if at_end else step.obs
    if seen is None:
        raise StorageError(f"{reader.path} no longer holds observation {index} of episode {episode.key}.")
    return seen


def key_in_set(run: RunFolder, key: EpisodeKey) -> EpisodeKey:
    """Return how an episode of `run` is known in a data set: runs count their episodes from 0, all of them."""
    return f"{key[0]}@{run.run_id()}", key[1], key[2]


@dataclass(frozen=True)
class Taken:
    """What was taken from a run."""

    episodes: int
    successes: int
    """Episodes that were successes."""
    known: int
    """Episodes that the data set held already."""
    frames: Counter[int]
    """By label."""


def take_run(
    run: RunFolder, frames: FrameSet, taking: Taking, tick: Callable[[float], object] = lambda share: None
) -> Taken:
    """Add frames of the episodes of `run` to `frames`; episodes that are in it already, or were discarded, are not."""
    verdicts, known = read_labels(run.path), set(frames.episodes)
    reader, episodes = stored_episodes(run)
    won, count, successes, skipped, labels_taken = success_of(frames.classes), 0, 0, 0, Counter[int]()
    try:
        for done, episode in enumerate(episodes):
            tick((done + 1) / len(episodes))
            label = verdicts.get(episode.key)
            verdict = label.verdict if label is not None else None
            key = key_in_set(run, episode.key)
            skipped += key in known
            if key in known or verdict is Verdict.DISCARD:
                continue
            labels, success = labels_of(episode.headers, verdict, frames.classes, taking)
            for index in chosen(labels, won, taking.negatives_per_episode):
                value = labels[index]
                assert value is not None
                frames.add(
                    LabelledFrame(
                        obs=observation(reader, episode, index),
                        label=value,
                        episode=key,
                        step_index=index,
                        source="log",
                        operator=label.operator if label is not None else "",
                    )
                )
                labels_taken[value] += 1
            count, successes = count + 1, successes + success
    finally:
        reader.close()
    return Taken(count, successes, skipped, labels_taken)


def record_logged(asked: "FromRuns") -> int:
    """Fill a data set from run folders; return the exit code. An interruption leaves what was taken so far."""
    classes = classes_of(0, asked.three_way)
    runs = [RunFolder(path) for path in asked.runs]
    for run in runs:
        run.config()  # says so when it is no run folder
    frames = open_or_create(asked.out, classes, lambda: spec_of_run(runs[0]), crops_of(asked.crop))
    for run in runs:
        with show.bar(str(run.path)) as told:
            taken = take_run(run, frames, asked.taking, told)
        counts = ", ".join(f"{taken.frames[label]} {name}" for label, name in enumerate(frames.classes))
        known = f"; {taken.known} more were there already" if taken.known else ""
        print(f"{run.path}: {taken.episodes} episodes, {taken.successes} of them a success: {counts}{known}")
    tell_counts(frames)
    return 0


def open_or_create(
    path: Path, classes: tuple[str, ...], spec: Callable[[], EnvSpec], crops: Mapping[str, Crop] | None = None
) -> FrameSet:
    """Return the data set at `path`, a new one if there is none; refuses one of other classes or another robot."""
    if not (path / DATASET_FILE).exists():
        return FrameSet.create(path, classes, spec(), crops)
    frames = FrameSet.open(path)
    if frames.classes != classes:
        raise ConfigError(
            f"{path} has the classes {', '.join(frames.classes)}, asked for are {', '.join(classes)}. Choose another "
            "--out, or leave --three-way and --stages as they were."
        )
    if words := unlike(frames.spec, here := spec(), sorted({*frames.spec.observation, *here.observation})):
        raise ConfigError(f"{path} is of another robot: {words}. Choose another --out.")
    if crops and dict(crops) != frames.crops:
        raise ConfigError(f"{path} has crops of its own: {frames.crops}. Leave --crop out, or choose another --out.")
    return frames


def tell_counts(frames: FrameSet) -> None:
    """Print what a data set holds, and what to do next."""
    counts = frames.counts
    words = ", ".join(f"{count} {name}" for name, count in counts.items())
    print(f"{frames.path} holds {words}, of {len(frames.episodes)} episodes.")
    if missing := [name for name, count in counts.items() if not count]:
        print(f"It cannot be trained from yet: there is no frame of {' or '.join(missing)}.")
    else:
        print(f"Train a model: robot-hil reward train {frames.path} --out model")


def spec_of_run(run: RunFolder) -> EnvSpec:
    """Return what the robot of a run sees and does."""
    return spec_of_env(experiment_of(run))
