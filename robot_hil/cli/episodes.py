"""Whole episodes of a run's log, by who drove them and what came of it."""

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from robot_hil.cli import compose
from robot_hil.cli.runfolder import RunFolder
from robot_hil.data.labels import EpisodeKey, Verdict
from robot_hil.data.specs import EnvSpec
from robot_hil.data.step import Segment, Step
from robot_hil.errors import StorageError
from robot_hil.replay.log_reader import StepLogReader
from robot_hil.report.labels import read_labels

if TYPE_CHECKING:
    from robot_hil.experiments.base import Experiment

Episode = Sequence[Step]
MOST = 300
"""Episodes of the robot's own that are kept: an old policy says little, and images take memory."""


def experiment_of(run: RunFolder) -> "Experiment":
    """Return the experiment that a run folder holds."""
    from robot_hil.cli import options

    return options.parse("train", options.Train, run.config()["argv"], run.path).experiment


def spec_of_env(experiment: "Experiment") -> EnvSpec:
    """Return what the environment of an experiment gives and takes."""
    from robot_hil.envs.base import spec_of

    env = compose.make_env(experiment)
    try:
        return spec_of(env)
    finally:
        env.close()


def sorted_out(run: RunFolder) -> tuple[list[Episode], list[Episode], list[Episode]]:
    """Return demonstrations, what the robot did well by itself, and episodes in which a person helped.

    Of the latter two the newest `MOST`; what a person has called a failure or discarded since is left out.
    """
    people = list[Episode]()
    own, helped = deque[Episode](maxlen=MOST), deque[Episode](maxlen=MOST)
    for _, episode in _accepted(run):
        if episode[0].segment is Segment.DEMO:
            people.append(episode)
        elif any(step.is_human for step in episode):
            helped.append(episode)
        elif episode[-1].terminated and (episode[-1].success or max(episode[-1].reward.values(), default=0) > 0):
            own.append(episode)
    return people, list(own), list(helped)


def demonstrations(run: RunFolder) -> dict[EpisodeKey, Episode]:
    """Return the demonstrations of a run that nobody has rejected since."""
    return {key: episode for key, episode in _accepted(run) if episode[0].segment is Segment.DEMO}


def _accepted(run: RunFolder) -> Iterator[tuple[EpisodeKey, Episode]]:
    """Yield the whole episodes of a run, as they ended; of those under way at a time no more than that is held."""
    if not run.steps.is_dir():
        raise StorageError(f"{run.path} has no step log; give the folder of a run that has recorded one.")
    bad = {key for key, row in read_labels(run.path).items() if row.verdict in (Verdict.FAIL, Verdict.DISCARD)}
    under_way: dict[EpisodeKey, dict[int, Step]] = {}
    with closing(StepLogReader(run.steps)) as log:
        for step in log.steps():
            key = (step.actor_id, step.epoch, step.episode_id)
            under_way.setdefault(key, {})[step.step_index] = step
            if step.is_last:
                steps = under_way.pop(key)
                if len(steps) == step.step_index + 1 and key not in bad:
                    yield key, [steps[i] for i in sorted(steps)]
