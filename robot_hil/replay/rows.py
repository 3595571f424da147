"""Sets and queues of row numbers: drawn from, changed and popped in O(1)."""

import numpy as np

from robot_hil.data.specs import Array


class RowSet:
    """Rows of one pool, kept densely packed; removal moves the last row into the gap.

    The order of the rows depends only on the order of additions and removals, so that drawing with an
    equal generator gives equal rows.
    """

    def __init__(self, capacity: int) -> None:
        self._rows = np.zeros(capacity, np.int32)
        self._places = np.full(capacity, -1, np.int32)
        self._row, self._place = self._rows.data, self._places.data  # single numbers come quicker from a memoryview
        self._size = 0
        self._cumulative: Array | None = None

    def __len__(self) -> int:
        return self._size

    def __contains__(self, row: int) -> bool:
        return int(self._place[row]) >= 0

    @property
    def bytes_per_row(self) -> int:
        """Memory of one row of the buffer."""
        return self._rows.itemsize + self._places.itemsize

    @property
    def rows(self) -> Array:
        """The rows, int32 (size,); a view that the next change invalidates."""
        return self._rows[: self._size]

    def add(self, row: int) -> None:
        """Add `row`; nothing happens when it is in already."""
        if self._place[row] < 0:
            self._row[self._size] = row
            self._place[row] = self._size
            self._size += 1
            self._cumulative = None

    def discard(self, row: int) -> None:
        """Remove `row`; nothing happens when it is not in."""
        place = self._place[row]
        if place >= 0:
            self._size -= 1
            last = self._row[self._size]
            self._row[place] = last
            self._place[last] = place
            self._place[row] = -1
            self._cumulative = None

    def draw(self, rng: np.random.Generator, count: int) -> Array:
        """Draw `count` rows uniformly with replacement, int64 (count,). The set must not be empty."""
        return self._rows[rng.integers(0, self._size, count)].astype(np.int64)

    def draw_weighted(self, rng: np.random.Generator, count: int, weight: Array) -> Array:
        """Draw rows in proportion to `weight` (>= 0, one per row of the buffer); uniformly when all are 0.

        The running sum is kept until the set changes or `forget_weights` is called: O(size) then, O(log size) a draw.
        """
        if self._cumulative is None:
            self._cumulative = np.cumsum(weight[self.rows], dtype=np.float64)
        total = self._cumulative[-1]
        if not total > 0:
            return self.draw(rng, count)
        # `side="right"` skips rows of weight 0; the product can round up to the total itself, hence the clip.
        places = np.searchsorted(self._cumulative, rng.random(count) * total, side="right")
        last = int(np.searchsorted(self._cumulative, total))
        rows: Array = self._rows[np.minimum(places, last)]
        return rows.astype(np.int64)

    def forget_weights(self) -> None:
        """Sum the weights afresh at the next weighted draw."""
        self._cumulative = None


class SlotQueue:
    """Slots in the order in which they were filled, at most `capacity`."""

    def __init__(self, capacity: int) -> None:
        self._ring = np.zeros(capacity, np.int32).data
        self._begin = 0
        self._size = 0

    def __len__(self) -> int:
        return self._size

    @property
    def bytes_per_row(self) -> int:
        """Memory of one slot."""
        return self._ring.itemsize

    @property
    def oldest(self) -> int:
        """The slot that `pop` returns; the queue must not be empty."""
        slot: int = self._ring[self._begin]
        return slot

    def push(self, slot: int) -> None:
        """Add the newest."""
        self._ring[(self._begin + self._size) % len(self._ring)] = slot
        self._size += 1

    def pop(self) -> int:
        """Remove and return the oldest."""
        slot = self.oldest
        self._begin = (self._begin + 1) % len(self._ring)
        self._size -= 1
        return slot
