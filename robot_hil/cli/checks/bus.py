"""Measure the servos' bus of a leader arm, below the device that drives with it."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from robot_hil.cli.checks.base import Finding, Verdict
from robot_hil.cli.checks.measure import Limits, Series, found, judge_series, limit, milliseconds, spread
from robot_hil.clock import Clock

if TYPE_CHECKING:
    from robot_hil.teleop.leader.bus import ServoBus

LIMITS = Limits(
    rate_hz=100.0,
    gap_max_s=0.150,
    advice="raise the servos' baud rate; set the adapter's latency timer to 1 ms; check plugs and power",
)
READ_P99_S = 0.010
LOST_SHARE = 0.01


def bus(servos: "ServoBus", clock: Clock, seconds: float) -> Iterator[Finding]:
    """Read an open bus as often as it goes, for a while."""
    from robot_hil.teleop.leader.bus import BusError

    answers, durations, ticks = Series(), [], []
    failures, why = 0, ""
    end = clock.now() + seconds
    while (begin := clock.now()) < end:
        try:
            ticks.append(servos.read())
        except BusError as error:
            failures, why = failures + 1, str(error)
            continue
        answers.times.append(clock.now())
        durations.append(answers.times[-1] - begin)
    yield from judge_series("leader: readings", answers, LIMITS)
    if durations:
        good = float(np.percentile(durations, 99)) <= READ_P99_S
        text = f"{spread(durations)}; allowed p99 {milliseconds(READ_P99_S)}"
        yield limit("leader: one reading takes", good, text, LIMITS.advice)
        moved = np.ptp(np.array(ticks), axis=0).tolist()
        yield found("leader: servos moved", Verdict.PASS, f"{', '.join(map(str, moved))} ticks; 4096 are a turn")
    text = f"{failures} of {failures + len(ticks)} failed; allowed {LOST_SHARE:.0%}"
    good = failures <= LOST_SHARE * len(ticks)
    yield limit("leader: lost readings", good, f"{text}: {why}" if why else text, LIMITS.advice)
