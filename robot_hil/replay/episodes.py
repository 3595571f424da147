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
        self._episodes = np.full(len(self._verdict), -1, np.int32)  # apart from the columns: searched as a whole
        self._episode = self._episodes.data
        self._numbers: dict[tuple[str, EpisodeKey], int] = {}
        self._codes: dict[int, int] = {}  # number of a judged episode -> what its rows have in the column `verdict`
        self._newest: int | None = None
        self._keys: list[EpisodeKey] = []  # by number

    @property
    def bytes_per_row(self) -> int:
        """Memory of one row."""
        return self._episodes.itemsize

    def number(self, key: EpisodeKey, source: str = "") -> int:
        """Return the number of an episode, a new one when it is not known yet."""
        found = self._numbers.setdefault((source, key), len(self._keys))
        if found == len(self._keys):
            self._keys.append(key)
        return found

    def enter(self, row: int, number: int, step: Step) -> None:
        """Take in `step` of episode `number`, whose facts are in `row`."""
        self._episode[row] = number
        if self._codes:
            self._verdict[row] = self._codes.get(number, 0)
        if step.is_last and step.segment != Segment.DEMO:
            self._newest = number

    def forget(self, row: int) -> None:
        """Nothing is in `row` any more."""
        self._episode[row] = -1

    def judge(self, key: EpisodeKey, verdict: Verdict) -> Array:
        """See an episode in this light from now on, also steps that come later; return the rows it has now.

        Verdicts are about the run's own log, the source without a name.
        """
        number = self.number(key)
        self._codes[number] = VERDICT_CODES[verdict]
        rows = self._rows(number)
        self._verdict[rows] = VERDICT_CODES[verdict]
        return rows

    def newest(self) -> EpisodeRows | None:
        """Return the newest episode that has ended and was no demonstration, None before the first.

        Of a long one whose beginning has left the replay only the rest.
        """
        if self._newest is None:
            return None
        return EpisodeRows(key=self._keys[self._newest], rows=self._rows(self._newest))

    def _rows(self, number: int) -> Array:
        found = np.flatnonzero(self._episodes == number)
        return found[np.argsort(self._step_index[found], kind="stable")]
