"""Which episode each row of the replay belongs to, and what a person said about it afterwards."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from robot_hil.data.labels import EpisodeKey, Verdict
from robot_hil.data.specs import Array
from robot_hil.data.step import Segment, Step
from robot_hil.replay.columns import VERDICT_CODES


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeRows:
    """One episode in the replay."""

    key: EpisodeKey
    rows: Array
    """Its rows in order of their steps, int64 (n,)."""


class EpisodeIndex:
    """Finds the rows of an episode; remembers verdicts on episodes whose steps have yet to come."""

    def __init__(self, columns: Mapping[str, Array]) -> None:
        self._verdict, self._step_index = columns["verdict"], columns["step_index"]
        self._episode = np.full(len(self._verdict), -1, np.int32)  # apart from the columns: searched as a whole
        self._numbers: dict[tuple[str, EpisodeKey], int] = {}
        self._verdicts: dict[EpisodeKey, Verdict] = {}
        self._newest: tuple[str, EpisodeKey] | None = None

    @property
    def bytes_per_row(self) -> int:
        """Memory of one row."""
        return self._episode.itemsize

    def enter(self, row: int, step: Step, source: str) -> None:
        """Take in `step`, whose facts are in `row`. Verdicts are about the run's own log, the source without a name."""
        key = (step.actor_id, step.epoch, step.episode_id)
        self._episode[row] = self._numbers.setdefault((source, key), len(self._numbers))
        if self._verdicts and not source:
            self._verdict[row] = VERDICT_CODES[self._verdicts.get(key, Verdict.NONE)]
        if step.is_last and step.segment is not Segment.DEMO:
            self._newest = source, key

    def forget(self, row: int) -> None:
        """Nothing is in `row` any more."""
        self._episode[row] = -1

    def rows(self, key: EpisodeKey, source: str = "") -> Array:
        """Return the rows of an episode in order of their steps, int64 (n,); none when it is not there."""
        found = np.flatnonzero(self._episode == self._numbers.get((source, key), -2))
        return found[np.argsort(self._step_index[found], kind="stable")]

    def judge(self, key: EpisodeKey, verdict: Verdict) -> Array:
        """See an episode in this light from now on, also steps that come later; return the rows it has now."""
        self._verdicts[key] = verdict
        rows = self.rows(key)
        self._verdict[rows] = VERDICT_CODES[verdict]
        return rows

    def newest(self) -> EpisodeRows | None:
        """Return the newest episode that has ended and was no demonstration, None before the first.

        Of a long one whose beginning has left the replay only the rest.
        """
        if self._newest is None:
            return None
        source, key = self._newest
        return EpisodeRows(key=key, rows=self.rows(key, source))
