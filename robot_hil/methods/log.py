"""The whole log as a method may survey it: every row that can be drawn, episode by episode."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from robot_hil.data.specs import Array
from robot_hil.data.step import Segment
from robot_hil.methods.base import Columns


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """Facts of all n rows, those of an episode one after the other, in order of time.

    An episode here is a run of steps of which each follows the one before: one that is still going on, or of which old
    steps have left the replay, is there as far as it goes.
    """

    columns: Columns
    """As in `Method.reward`, (n, ...)."""
    begins: Array
    """Row at which each of the E episodes begins, int64 (E,), ascending from 0."""
    gamma: float
    """Discount per step."""

    @property
    def size(self) -> int:
        """Number of rows."""
        return len(self.columns["terminated"])

    @property
    def episode(self) -> Array:
        """Number of each row's episode, int64 (n,), from 0."""
        return np.repeat(np.arange(len(self.begins)), self.lengths)

    @property
    def lengths(self) -> Array:
        """Rows of each episode, int64 (E,)."""
        return np.diff(np.append(self.begins, self.size))

    @property
    def ends(self) -> Array:
        """Last row of each episode, int64 (E,)."""
        return self.begins + self.lengths - 1

    @property
    def is_demo(self) -> Array:
        """Rows of demonstrations, bool (n,)."""
        found: Array = self.columns["segment"] == Segment.DEMO
        return found

    @property
    def is_intervention(self) -> Array:
        """Rows that a person drove outside demonstrations, bool (n,)."""
        return self.columns["is_human"] & ~self.is_demo

    def mean(self, values: Array) -> Array:
        """Return the mean of `values` (n,) over each episode, float64 (E,)."""
        if not self.size:
            return np.zeros(0)
        sums: Array = np.add.reduceat(np.asarray(values, np.float64), self.begins)
        return sums / self.lengths

    def spread(self, values: Array) -> Array:
        """Return (n,): for every row its episode's of `values` (E,)."""
        return np.repeat(values, self.lengths)

    def discounted(self, reward: Array, after: Array | None = None) -> Array:
        """Return the discounted sum of `reward` (n,) from each row to the end of its episode, float64 (n,).

        `after` (E,) is what follows the last row of each episode, discounted once more; nothing by default.
        """
        total = np.asarray(reward, np.float64).copy()
        if after is not None:
            total[self.ends] += self.gamma * after
        for back in range(1, int(self.lengths.max(initial=0))):
            rows = self.ends[self.lengths > back] - back
            total[rows] += self.gamma * total[rows + 1]
        return total


def log_of(columns: Columns, rows: Array, gamma: float) -> tuple[Log, Array]:
    """Return the log of what is in `rows` (n,) of a replay, and these rows in the log's order.

    `columns` are their facts, (n, ...), among them `next_row`, the row of the replay that follows each, -1 for none.
    """
    count = len(rows)
    where = np.full(int(rows.max(initial=-1)) + 2, -1)
    where[rows] = np.arange(count)
    following = where[np.clip(columns["next_row"], -1, len(where) - 1)]  # of -1 the last: never a row
    first, known = np.arange(count), following >= 0
    first[following[known]] = np.flatnonzero(known)
    while ((further := first[first]) != first).any():  # doubles its reach every time
        first = further
    order = np.lexsort((columns["step_index"], first))
    begins = np.flatnonzero(np.diff(first[order], prepend=-1))
    return Log(columns=_Ordered(columns, order), begins=begins, gamma=gamma), rows[order]


class _Ordered(Columns):
    """Columns in another order; what nobody asks for is not copied."""

    def __init__(self, columns: Columns, order: Array) -> None:
        self._columns, self._order = columns, order

    def __getitem__(self, name: str) -> Array:
        ordered: Array = self._columns[name][self._order]
        return ordered

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)
