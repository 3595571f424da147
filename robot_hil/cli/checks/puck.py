"""Measure a SpaceMouse report by report, below the device that drives with it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from robot_hil.cli.checks.base import Finding, Verdict
from robot_hil.cli.checks.measure import WIRED, Series, found, limit, milliseconds, spread
from robot_hil.clock import Clock

if TYPE_CHECKING:
    from robot_hil.teleop.spacemouse_puck import Puck

REST_GOOD, REST_BAD = 0.04, 0.08
"""Deflections at which a puck lets go and takes over: at rest it must stay below the first."""
EVEN_S, SILENT_S = 0.030, 0.150
"""Between two reports of a puck that is held deflected: p99 of a good one, and when it counts as lost [s]."""


@dataclass(slots=True)
class Reports:
    """What a puck said."""

    twists: list[tuple[float, ...]] = field(default_factory=list)
    motion: Series = field(default_factory=Series)
    held: list[float] = field(default_factory=list)
    """From each report of a deflection to the next report, or to the end [s]."""
    broken: int = 0


def listen(puck: "Puck", clock: Clock, seconds: float) -> Reports:
    """Take every report of an open puck; raises `OSError` when it goes."""
    from robot_hil.teleop.spacemouse_puck import MOTION, Heard

    heard = Reports()
    end = clock.now() + seconds
    deflected_at = -np.inf
    while (now := clock.now()) < end:
        report = puck.read(5)
        if report is None:
            continue
        now = clock.now()
        heard.broken += Heard.BROKEN in report
        if report & MOTION:
            # A model with two reports per sample sends them together; they count as one.
            if not heard.motion.times or now - heard.motion.times[-1] > 0.001:
                heard.motion.times.append(now)
                if np.isfinite(deflected_at):
                    heard.held.append(now - deflected_at)
            heard.twists.append(puck.twist)
            deflected_at = now if max(map(abs, puck.twist)) > REST_BAD else -np.inf
    if np.isfinite(deflected_at):
        heard.held.append(now - deflected_at)  # it may have fallen silent
    return heard


def judge_rest(rest: Reports) -> Iterator[Finding]:
    """Say whether a puck that nobody touches could take over."""
    if not rest.twists:
        yield found("spacemouse: at rest", Verdict.PASS, "silent, as most are")
        return
    twists = np.array(rest.twists)
    bias, worst = np.abs(twists.mean(axis=0)).max(), np.abs(twists).max()
    text = f"{len(twists)} reports; bias {bias:.3f}, largest deflection {worst:.3f}; allowed {REST_GOOD:g}"
    verdict = Verdict.PASS if worst <= REST_GOOD else Verdict.WARN if worst <= REST_BAD else Verdict.FAIL
    fix = (
        "" if verdict is Verdict.PASS else "take the hand off; unplug it and plug it in again without touching the cap"
    )
    yield found("spacemouse: at rest", verdict, text, fix)


def judge_moved(moved: Reports) -> Iterator[Finding]:
    """Say whether a puck that is held deflected keeps speaking."""
    name = "spacemouse: reports"
    if not moved.held:
        yield found(
            name, Verdict.WARN, "it was not moved, so nothing can be said", "run this again and move it when told"
        )
        return
    gaps = np.array(moved.held)
    p99, worst = float(np.percentile(gaps, 99)), float(gaps.max())
    text = f"{moved.motion.rate():.0f} per second, while deflected gaps {spread(gaps)}"
    text += f"; allowed p99 {milliseconds(EVEN_S)}, max {milliseconds(SILENT_S)}"
    verdict = Verdict.FAIL if worst > SILENT_S else Verdict.WARN if p99 > EVEN_S else Verdict.PASS
    fix = (
        "wireless: put the receiver on a cable near the puck, charge it. A puck that always falls silent while it is "
        "held needs a larger SpaceMouseConfig(silent_s=...); its loss is then noticed as much later"
    )
    yield found(name, verdict, text, "" if verdict is Verdict.PASS else fix)
    yield limit("spacemouse: broken reports", moved.broken == 0, f"{moved.broken}; allowed 0", WIRED.advice)
