"""Which steps of an actor are sent, acknowledged and still to be sent: bookkeeping without sockets or disk."""

from collections.abc import Mapping


class SendWindow:
    """Sequence numbers of one actor: `acknowledged` <= `next` to be sent <= `end` of what may be sent, in each epoch.

    At most `size` steps are on their way, sent and not acknowledged.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        """Most steps on their way."""
        self._acked: dict[int, int] = {}
        self._next: dict[int, int] = {}
        self._end: dict[int, int] = {}
        self._top: dict[int, int] = {}
        self.sent = 0
        """Steps sent, repetitions included."""
        self.repeated = 0
        """Steps sent more than once, after a lost connection."""
        self.confirmed = 0
        """Steps acknowledged since this was made."""

    @property
    def held(self) -> dict[int, tuple[int, int]]:
        """First number that is not acknowledged and the end (exclusive), by epoch."""
        return {epoch: (self._acked[epoch], end) for epoch, end in self._end.items()}

    @property
    def waiting(self) -> int:
        """Steps that are not acknowledged."""
        return sum(end - self._acked[epoch] for epoch, end in self._end.items())

    def add_epoch(self, epoch: int, first: int, end: int) -> None:
        """Know an epoch that holds `first` to `end` (exclusive)."""
        self._acked[epoch] = self._next[epoch] = self._top[epoch] = first
        self._end[epoch] = end

    def acknowledged(self, epoch: int) -> int:
        """Return the first number of an epoch that is not acknowledged."""
        return self._acked[epoch]

    def extend(self, epoch: int, end: int) -> None:
        """Allow the steps of an epoch below `end` to be sent."""
        self._end[epoch] = end

    def upcoming(self) -> tuple[int, int, int] | None:
        """Return (epoch, first number, most steps) to send now, oldest epoch first; None when there is nothing."""
        room = self.size - sum(self._next[epoch] - self._acked[epoch] for epoch in self._end)
        waiting = [epoch for epoch, end in self._end.items() if self._next[epoch] < end]
        if room <= 0 or not waiting:
            return None
        epoch = min(waiting)
        return epoch, self._next[epoch], min(room, self._end[epoch] - self._next[epoch])

    def note_sent(self, epoch: int, end: int, steps: int) -> None:
        """Take `steps` steps into account, sent from the upcoming number up to `end`."""
        self.sent += steps
        self.repeated += max(0, min(self._top[epoch], end) - self._next[epoch])
        self._next[epoch] = end
        self._top[epoch] = max(self._top[epoch], end)

    def acknowledge(self, marks: Mapping[int, int], *, rewind: bool = False) -> None:
        """Take first wanted numbers by epoch into account; `rewind` sends again what is not acknowledged."""
        for epoch, mark in marks.items():
            if epoch in self._end:
                done = max(self._acked[epoch], min(mark, self._end[epoch]))
                self.confirmed += done - self._acked[epoch]
                self._acked[epoch] = done
                self._next[epoch] = done if rewind else max(self._next[epoch], done)

    def forget_done(self, current: int) -> None:
        """Forget the epochs other than `current` of which everything is acknowledged."""
        for epoch in [epoch for epoch, end in self._end.items() if epoch != current and self._acked[epoch] >= end]:
            for known in (self._acked, self._next, self._end, self._top):
                del known[epoch]
