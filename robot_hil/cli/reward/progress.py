"""`robot-hil reward progress`: a critic of progress out of whole recorded episodes."""

from typing import TYPE_CHECKING

from robot_hil.cli.reward import show
from robot_hil.cli.reward.frames import Taking, labels_of
from robot_hil.cli.reward.logged import observation, spec_of_run, stored_episodes
from robot_hil.cli.reward.models import CLASSIFIER_FILE, version_in
from robot_hil.cli.runfolder import RunFolder
from robot_hil.data.labels import Verdict
from robot_hil.data.reward import BINARY
from robot_hil.errors import ConfigError
from robot_hil.report.labels import read_labels

if TYPE_CHECKING:
    from robot_hil.cli.reward.options import TrainProgress
    from robot_hil.policies.reward.practice import EpisodeFrames

_WHOLE = Taking(last_frames=1, margin=0)


def train_progress(asked: "TrainProgress") -> int:
    """Train a critic and save it; return the exit code."""
    from robot_hil.policies.reward.progress import train_progress as fit

    if (asked.out / CLASSIFIER_FILE).exists():
        raise ConfigError(f"{asked.out} holds a classifier; choose another --out for a critic of progress.")
    runs = [RunFolder(path) for path in asked.runs]
    episodes = [episode for run in runs for episode in episodes_of(run)]
    won = sum(bool(episode.success.any()) for episode in episodes)
    if not won:
        raise ConfigError(
            f"no episode of {', '.join(map(str, asked.runs))} reaches success; record demonstrations: robot-hil record."
        )
    print(f"{len(episodes)} episodes, {won} of them reach success")
    with show.bar() as told:
        critic = fit(
            episodes, spec_of_run(runs[0]), asked.config, asked.seed, told, backend=asked.backend,
            version=version_in(asked.out) + 1,
        )  # fmt: skip
    critic.save(asked.out)
    traces = [critic.trace(episode.observations) for episode in episodes if episode.success.any()]
    order = sum(trace.order_correlation for trace in traces) / len(traces)
    back = sum(trace.negative_rate for trace in traces) / len(traces)
    print(f"Value and time agree in the successful ones to {order:.2f} (1 is best); {back:.0%} of the steps went back.")
    print(f"These were trained with. Check others: robot-hil reward check {asked.out} RUN. Use it: --reward-model.")
    return 0


def episodes_of(run: RunFolder) -> "list[EpisodeFrames]":
    """Return the whole episodes of a run with where success can be seen; those that were discarded are not there."""
    import numpy as np

    from robot_hil.policies.reward.practice import EpisodeFrames

    run.config()
    verdicts, found = read_labels(run.path), []
    reader, episodes = stored_episodes(run)
    try:
        for episode in episodes:
            said = verdicts.get(episode.key)
            if said is not None and said.verdict is Verdict.DISCARD:
                continue
            labels, _ = labels_of(episode.headers, said.verdict if said is not None else None, BINARY, _WHOLE)
            seen = [observation(reader, episode, index) for index in range(len(labels))]
            found.append(EpisodeFrames(observations=seen, success=np.array([label == 1 for label in labels], bool)))
    finally:
        reader.close()
    return found
