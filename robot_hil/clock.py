"""Time is injected, so that every time-out, deadline and watchdog can be tested in virtual time."""

import time
from typing import Protocol


class Clock(Protocol):
    """Monotonic time; never the wall clock, which may jump."""

    def now(self) -> float:
        """Return seconds since an arbitrary, fixed origin."""
        ...

    def sleep_until(self, deadline: float) -> None:
        """Return at `deadline` [s] on this clock, or at once when it has passed."""
        ...


class MonotonicClock:
    """The machine's monotonic clock."""

    def now(self) -> float:
        return time.monotonic()

    def sleep_until(self, deadline: float) -> None:
        delay = deadline - time.monotonic()
        if delay > 0:
            time.sleep(delay)


class VirtualClock:
    """A clock that moves only when told to; `sleep_until` jumps there at once."""

    def __init__(self, start: float = 0.0) -> None:
        self._now = start

    def now(self) -> float:
        return self._now

    def advance(self, seconds: float) -> None:
        """Move forward by `seconds` >= 0."""
        if not seconds >= 0:
            raise ValueError(f"time cannot move by {seconds} s; give a number >= 0")
        self._now += seconds

    def sleep_until(self, deadline: float) -> None:
        self._now = max(self._now, deadline)
