"""`robot-hil reward check`: a model over frames and episodes that it has not seen, against limits."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.table import Table

from robot_hil.cli.reward import show
from robot_hil.cli.reward.frames import Labels, Taking, labels_of, success_of
from robot_hil.cli.reward.models import LoadedModel, frames_of, load_model
from robot_hil.cli.runfolder import CONFIG_FILE, RunFolder
from robot_hil.data.labels import EpisodeKey, Verdict
from robot_hil.errors import ConfigError
from robot_hil.policies.reward.dataset import FrameSet
from robot_hil.report.labels import read_labels

if TYPE_CHECKING:
    from robot_hil.cli.reward.options import Check
    from robot_hil.policies.reward.report import Rate

OUTCOMES = {
    "on time": "success, confirmed while it could be seen",
    "early": "success, but confirmed before it",
    "missed": "success, never confirmed",
    "too short": "success, seen in the last frame; the recording ends before it could be confirmed",
    "none": "no success, and none was seen",
    "false": "no success, but one was confirmed",
}


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a model must keep to pass. Compared are the rates measured, not the ends of their intervals."""

    max_false_positive: float = 0.02
    """Of single frames."""
    max_false_negative: float = 0.3
    """Of single frames: one that is missed costs a period, the next will do."""
    max_false_episodes: float = 0.02
    """Of episodes: ended as a success that was none, or before it."""
    max_missed_episodes: float = 0.1
    """Of successful episodes: success never confirmed."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0 <= value <= 1:
                raise ConfigError(f"--{name.replace('_', '-')} is {value}; allowed are shares from 0 to 1.")


@dataclass(frozen=True)
class Ending:
    """What a model would have made of one episode."""

    key: EpisodeKey
    outcome: str
    """One of `OUTCOMES`."""
    success_at: int
    """First observation that shows the success; -1 for none."""
    ended_at: int
    """Observation at which the model would have ended it; -1 for never."""


def ending(key: EpisodeKey, labels: Labels, won: int, hits: Sequence[bool], confirmed: Sequence[bool]) -> Ending:
    """Compare what a model said of an episode's observations with what they show.

    >>> ending(("a", 1, 7), [0, 0, 1, 1], 1, [False, False, True, True], [False, False, False, True]).outcome
    'on time'
    """
    first = next((index for index, label in enumerate(labels) if label == won), -1)
    ended = next((index for index, said in enumerate(confirmed) if said), -1)
    if first < 0:
        return Ending(key, "none" if ended < 0 else "false", first, ended)
    if ended < 0:
        outcome = "too short" if hits[-1] and labels[-1] == won else "missed"
    else:
        outcome = "early" if ended < first and labels[ended] is not None else "on time"
    return Ending(key, outcome, first, ended)


def check(asked: "Check") -> int:
    """Check a model, print, draw, and return 0 when it passes all limits, else 1."""
    model = load_model(asked.model)
    data = asked.data or tuple(path for path in (frames_of(asked.model),) if path is not None)
    if not data:
        raise ConfigError(f"the data set of {asked.model} is not there any more: name a data set or a run to check.")
    known = set() if model.dense else {*model.trained.parts.train, *model.trained.parts.calibration}
    tables, verdicts, looked = list[Table](), list[bool](), list[show.Looked]()
    for path in data:
        work: _Work
        if (path / CONFIG_FILE).exists():
            work = _Run(model, RunFolder(path), asked, known)
        elif model.dense:
            raise ConfigError(f"{path} holds single frames; a critic of progress is checked on run folders.")
        else:
            looked += (frames := _Frames(model, path, asked.limits, known)).looked
            work = frames
        tables += work.tables
        verdicts += work.kept
    show.console().print(*tables, sep="\n")
    if looked:
        from robot_hil.cli.reward import plots

        out = asked.out or asked.model
        out.mkdir(parents=True, exist_ok=True)
        plots.contact_sheet(out / "check_errors.png", plots.worst(looked), model.trained.classes)
        print(f"Its worst errors: {out / 'check_errors.png'}.")
    passed = all(verdicts)
    print("PASS" if passed else "FAIL: collect frames of what it gets wrong, or label what it doubts, and train again.")
    return 0 if passed else 1


class _Work:
    """Figures of one data set or run; `kept` says of each limit whether it holds."""

    def __init__(self, title: str) -> None:
        self.kept: list[bool] = []
        self._figures = Table(title=title, title_justify="left")
        for name in ("", "measured", "limit", ""):
            self._figures.add_column(name, no_wrap=True)
        self.tables = [self._figures]

    def hold(self, what: str, found: "Rate", limit: float) -> None:
        """Compare a rate with its limit; one that nothing was measured of holds, and says so."""
        good = found.value <= limit
        self.kept.append(good)
        self._figures.add_row(
            what, show.rate(found), f"{limit:.1%}", "not measured" if not found.trials else "ok" if good else "FAIL"
        )


class _Frames(_Work):
    """Labelled frames, one by one."""

    def __init__(self, model: LoadedModel, path: Path, limits: Limits, known: set[EpisodeKey]) -> None:
        from robot_hil.cli.reward.train import look
        from robot_hil.policies.reward.calibration import confusion, wilson

        frames = FrameSet.open(path)
        if frames.classes != model.trained.classes:
            raise ConfigError(f"{path} has classes {frames.classes}, {model.folder} {model.trained.classes}.")
        ids = [name for name in frames.ids if frames.episode(name) not in known]
        super().__init__(f"{path}: {len(ids)} frames of episodes it was not trained with")
        self.looked = look(model.trained, frames, ids)
        hits = np.array([one.score >= model.threshold for one in self.looked], bool)
        truth = np.array([one.success for one in self.looked], bool)
        self.hold("false positives", wilson(int((hits & ~truth).sum()), int((~truth).sum())), limits.max_false_positive)
        self.hold("false negatives", wilson(int((~hits & truth).sum()), int(truth.sum())), limits.max_false_negative)
        labels, guesses = (np.array([getattr(one, name) for one in self.looked], int) for name in ("label", "guess"))
        self.tables.append(show.confusion_table(frames.classes, confusion(labels, guesses, len(frames.classes))))


class _Run(_Work):
    """Whole episodes of a run, as the model would have judged them."""

    def __init__(self, model: LoadedModel, run: RunFolder, asked: "Check", known: set[EpisodeKey]) -> None:
        from robot_hil.policies.reward.calibration import wilson

        self.endings, frames, left_out = endings(model, run, asked.taking, known)
        counts = {outcome: sum(one.outcome == outcome for one in self.endings) for outcome in OUTCOMES}
        title = f"{run.path}: {len(self.endings)} episodes" + (f", {left_out} it knows left out" if left_out else "")
        super().__init__(title)
        limits = asked.limits
        (wrong, negatives), (missed, positives) = frames
        self.hold("false positives, frames", wilson(wrong, negatives), limits.max_false_positive)
        self.hold("false negatives, frames", wilson(missed, positives), limits.max_false_negative)
        false = counts["false"] + counts["early"]
        self.hold("ended as a success that was none", wilson(false, len(self.endings)), limits.max_false_episodes)
        succeeded = counts["on time"] + counts["early"] + counts["missed"]
        self.hold("success missed", wilson(counts["missed"], succeeded), limits.max_missed_episodes)
        self.tables += [_outcomes(counts, self.endings), *_errors(self.endings)]


def endings(
    model: LoadedModel, run: RunFolder, taking: Taking, known: set[EpisodeKey]
) -> tuple[list[Ending], tuple[tuple[int, int], tuple[int, int]], int]:
    """Judge the episodes of a run one after the other.

    Returns what would have become of each; of single frames (false hits, negatives) and (misses, positives); and how
    many episodes were left out because the model knows them.
    """
    from robot_hil.cli.reward.logged import key_in_set, observation, stored_episodes

    reader, episodes = stored_episodes(run)
    verdicts, judge = read_labels(run.path), model.judge()
    classes = model.classes
    won, found, left_out = success_of(classes), list[Ending](), 0
    wrong = negatives = missed = positives = 0
    try:
        for episode in episodes:
            said = verdicts.get(episode.key)
            if key_in_set(run, episode.key) in known:
                left_out += 1
                continue
            if said is not None and said.verdict is Verdict.DISCARD:
                continue
            labels, _ = labels_of(episode.headers, said.verdict if said is not None else None, classes, taking)
            judge.begin_episode()
            thoughts = [judge.judge(observation(reader, episode, index)) for index in range(len(labels))]
            hits = [thought.probability >= model.threshold for thought in thoughts]
            found.append(ending(episode.key, labels, won, hits, [thought.confirmed for thought in thoughts]))
            for label, hit in zip(labels, hits, strict=True):
                if label == won:
                    missed, positives = missed + (not hit), positives + 1
                elif label is not None:
                    wrong, negatives = wrong + hit, negatives + 1
    finally:
        reader.close()
    return found, ((wrong, negatives), (missed, positives)), left_out


def _outcomes(counts: dict[str, int], found: Sequence[Ending]) -> Table:
    table = Table(title="when it would have ended them", title_justify="left", show_header=False)
    for outcome, words in OUTCOMES.items():
        if counts[outcome]:
            table.add_row(str(counts[outcome]), words)
    delays = [one.ended_at - one.success_at for one in found if one.outcome == "on time"]
    if delays:
        table.add_row(f"{np.median(delays):.0f}", "frames from the first of a success to its confirmation, median")
    return table


def _errors(found: Sequence[Ending], most: int = 12) -> list[Table]:
    wrong: list[Any] = [one for one in found if one.outcome in ("early", "missed", "false")]
    if not wrong:
        return []
    table = Table(title="what it would have got wrong", title_justify="left")
    for name in ("episode", "outcome", "success seen at", "ended at"):
        table.add_column(name, justify="right")
    for one in wrong[:most]:
        places = (str(place) if place >= 0 else "never" for place in (one.success_at, one.ended_at))
        table.add_row(f"{one.key[0]} {one.key[1]} #{one.key[2]}", one.outcome, *places)
    if len(wrong) > most:
        table.caption = f"and {len(wrong) - most} more"
    return [table]
