"""Timing of works that take turns, and who else had the processors meanwhile."""

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

Work = Callable[[], object]


class CpuUse:
    """Who had the processors since this was made; one more figure to judge a measurement by."""

    def __init__(self) -> None:
        self._ticks, self._own = self._read()

    def shares(self) -> tuple[float, float]:
        """Return what the host stole and what other processes used, as shares of all processor time since."""
        ticks, own = self._read()
        spent = [after - before for before, after in zip(self._ticks, ticks, strict=True)]
        total = max(1.0, sum(spent))
        user, nice, system, _idle, _wait, irq, softirq, steal = spent
        tick = os.sysconf("SC_CLK_TCK")
        others = user + nice + system + irq + softirq - (own - self._own) * tick
        return steal / total, min(1.0, max(0.0, others / total))

    @staticmethod
    def _read() -> tuple[list[float], float]:
        """Return the eight counters of the whole machine [ticks] and this process's and its children's time [s]."""
        try:
            ticks = [float(part) for part in Path("/proc/stat").read_text().split()[1:9]]
        except OSError:
            ticks = [0.0] * 8  # not Linux: nothing is known
        return ticks, sum(os.times()[:4])


def seconds_of(work: Work, seconds: float, at_least: int = 3) -> list[float]:
    """Return how long each call of `work` took, after one that is not counted, for about `seconds`."""
    work()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < at_least or time.perf_counter() < end:
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    return times


def in_turns(
    works: Mapping[str, Work], seconds: float, block: float = 0.3, at_least: int = 3
) -> dict[str, list[float]]:
    """Return how long each call of every work took, about `seconds` of each, or `at_least` calls of a slow one.

    They take turns of `block` seconds, so that a busy machine is unfair to none. The first call of a turn does not
    count, as it finds the caches and threads of another work, unless it filled the turn.
    """
    for work in works.values():
        work()
    times: dict[str, list[float]] = {name: [] for name in works}
    waiting = list(works)
    while waiting:
        for name in waiting:
            turn = _turn(works[name], block)
            times[name] += turn[1:] or turn
        waiting = [name for name in waiting if sum(times[name]) < seconds or len(times[name]) < at_least]
    return times


def _turn(work: Work, block: float) -> list[float]:
    """Call `work` for `block` seconds; return what every call took."""
    taken: list[float] = []
    while sum(taken) < block:
        begin = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begin)
    return taken
