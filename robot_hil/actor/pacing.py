"""Periods with absolute deadlines, their lateness, and what keeps a real-time loop punctual."""

import gc
import logging
import os
from array import array
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from robot_hil.clock import Clock
from robot_hil.data.specs import Array
from robot_hil.errors import ConfigError

_log = logging.getLogger(__name__)


class Pacer:
    """Ends each period at an absolute deadline. A missed one moves the schedule: late periods never come in bursts."""

    def __init__(self, clock: Clock, period_s: float, ring: int = 65_536) -> None:
        if not 0 < period_s < float("inf") or ring < 1:
            raise ConfigError(f"period is {period_s} s and ring {ring}; both must be above 0.")
        self._clock = clock
        self._period = period_s
        self._deadline = clock.now()
        self._ring = array("d", bytes(8 * ring))  # allocated once: the loop's memory does not grow
        self._first = 0
        self.periods = 0
        """Periods ended since construction."""
        self.misses = 0
        """Periods whose work was not done by the deadline."""

    def start(self) -> None:
        """Begin the first period now; lateness is counted from here."""
        self._deadline = self._clock.now() + self._period
        self._first = self.periods

    def restart(self) -> None:
        """Begin this period anew now: it was stretched on purpose, which is no lateness."""
        self._deadline = self._clock.now() + self._period

    def wait(self) -> None:
        """Sleep until this period's deadline and begin the next period."""
        missed = self._clock.now() > self._deadline
        self.misses += missed
        if not missed:
            self._clock.sleep_until(self._deadline)
        now = self._clock.now()
        lateness = max(0.0, now - self._deadline)
        self._ring[self.periods % len(self._ring)] = lateness
        self.periods += 1
        # Waking a little late must not make the schedule drift; lost time is gone, so start again from now.
        lost = missed or lateness >= self._period
        self._deadline = (now if lost else self._deadline) + self._period

    def lateness(self, since_start: bool = True) -> Array:
        """Return how late [s] each period ended since `start` (or ever), as far back as the ring reaches."""
        size = len(self._ring)
        first = max(self._first if since_start else 0, self.periods - size)
        return np.array([self._ring[i % size] for i in range(first, self.periods)])

    def lateness_percentile(self, percent: float) -> float:
        """Return a percentile of `lateness` since `start` [s]; 0 before the first period ended."""
        values = self.lateness()
        return float(np.percentile(values, percent)) if values.size else 0.0


@contextmanager
def punctual(enabled: bool = True) -> Iterator[None]:
    """Keep the garbage collector, and where permitted other processes, from delaying this thread.

    The collector runs once before and is off inside, so use it around one episode. What is there at the first use
    (modules, networks) is taken to stay and is not looked at again: a collection would hold up all threads for long.
    The real-time scheduler needs a privilege (root, or an rtprio limit); without it the priority stays ordinary.
    """
    if not enabled:
        yield
        return
    gc.collect()
    if gc.get_freeze_count() == 0:
        gc.freeze()
    gc.disable()
    urgent = _set_scheduler("SCHED_FIFO", priority=1)
    try:
        yield
    finally:
        if urgent:
            _set_scheduler("SCHED_OTHER", priority=0)
        gc.enable()


def _set_scheduler(name: str, priority: int) -> bool:
    """Give this thread the scheduler `name`; return False where the system has none or does not permit it."""
    if not hasattr(os, "sched_setscheduler"):
        return False
    try:
        # Threads and processes started from here shall not inherit the urgency.
        policy = getattr(os, name) | os.SCHED_RESET_ON_FORK
        os.sched_setscheduler(0, policy, os.sched_param(priority))
    except OSError as error:
        _log.debug("scheduler %s is not available: %s", name, error)
        return False
    return True
