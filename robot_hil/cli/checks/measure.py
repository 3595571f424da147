"""Measure a device for a while: how old its samples are, how evenly they come, what is lost, what it says at rest."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from robot_hil.cli.checks.base import Finding, Verdict
from robot_hil.clock import Clock
from robot_hil.data.teleop import SampleStatus
from robot_hil.protocols import Monitored, TeleopDevice

if TYPE_CHECKING:
    pass

GROUP = "measured"
LOOKS_HZ = 200.0
Say = Callable[[str], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a device must keep; the project's own acceptance tests use the same."""

    rate_hz: float = 0.0
    """Signs of life per second, at least."""
    age_p99_s: float = 0.010
    """Age of a sample when it is asked for [s]."""
    age_max_s: float = 0.050
    gap_max_s: float = 0.150
    """Between two signs of life [s]."""
    advice: str = ""


WIRED = Limits(advice="try another USB port, without hub; end programs that use the processor")
LIMITS = {"spacemouse": WIRED, "gamepad": WIRED}
PAGE = Limits(
    rate_hz=40.0, age_p99_s=0.080, age_max_s=0.150,
    advice="use the USB cable (adb reverse) or a 5 GHz network of your own; close other tabs",
)  # fmt: skip


@dataclass(slots=True)
class Series:
    """Times at which something happened."""

    times: list[float] = field(default_factory=list)

    def gaps(self) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """Return the times between them [s]."""
        return np.diff(np.array(self.times, float))

    def rate(self) -> float:
        """Return how many per second; 0 for fewer than two."""
        length = self.times[-1] - self.times[0] if len(self.times) > 1 else 0.0
        return (len(self.times) - 1) / length if length > 0 else 0.0


@dataclass(slots=True)
class Watched:
    """What `watch` saw."""

    ages: list[float] = field(default_factory=list)
    """Of the samples that were OK [s]."""
    life: Series = field(default_factory=Series)
    """When the device was alive, as its samples say."""
    looks: int = 0
    bad: int = 0
    """Looks at which it was not OK."""
    problem: str = ""
    dropped: int = 0
    engaged: int = 0


def watch(device: TeleopDevice, clock: Clock, seconds: float) -> Watched:
    """Ask a started device `LOOKS_HZ` times per second."""
    seen = Watched()
    before = device.info().dropped if isinstance(device, Monitored) else 0
    begin = clock.now()
    for tick in range(1, round(seconds * LOOKS_HZ) + 1):
        sample = device.latest()
        now = clock.now()
        seen.looks += 1
        if sample.status is SampleStatus.OK:
            seen.ages.append(now - sample.t)
            seen.engaged += sample.engaged
            if not seen.life.times or sample.t > seen.life.times[-1]:
                seen.life.times.append(sample.t)
        else:
            seen.bad += 1
            seen.problem = sample.problem or sample.status.value
        clock.sleep_until(begin + tick / LOOKS_HZ)
    if isinstance(device, Monitored):
        seen.dropped = device.info().dropped - before
    return seen


def judge(name: str, seen: Watched, limits: Limits) -> Iterator[Finding]:
    """Compare with the limits."""
    if seen.bad or not seen.ages:
        text = f"{seen.bad} of {seen.looks} times it was not there: {seen.problem or 'it said nothing'}"
        fix = limits.advice if seen.ages else "robot-hil doctor   (says what is plugged in)"
        yield found(f"{name}: there", Verdict.FAIL, text, fix)
    if not seen.ages:
        return
    p50, p99, worst = (float(np.percentile(seen.ages, p)) for p in (50, 99, 100))
    allowed = f"allowed p99 {milliseconds(limits.age_p99_s)}, max {milliseconds(limits.age_max_s)}"
    text = f"p50 {milliseconds(p50)}, p99 {milliseconds(p99)}, max {milliseconds(worst)}; {allowed}"
    yield limit(f"{name}: age", p99 <= limits.age_p99_s and worst <= limits.age_max_s, text, limits.advice)
    yield from judge_series(f"{name}: signs of life", seen.life, limits)
    yield limit(f"{name}: lost reports", seen.dropped == 0, f"{seen.dropped}; allowed 0", limits.advice)


def judge_series(name: str, series: Series, limits: Limits) -> Iterator[Finding]:
    """Compare rate and evenness with the limits."""
    gaps = series.gaps()
    if not gaps.size:
        yield found(name, Verdict.FAIL, "fewer than two; nothing can be said about them", limits.advice)
        return
    rate, worst = series.rate(), float(gaps.max())
    text = f"{rate:.1f} per second, gaps {spread(gaps)}; allowed max {milliseconds(limits.gap_max_s)}"
    if limits.rate_hz:
        text += f", at least {limits.rate_hz:g} per second"
    yield limit(name, rate >= limits.rate_hz and worst <= limits.gap_max_s, text, limits.advice)


def milliseconds(seconds: float) -> str:
    """Return a time in words."""
    return f"{1e3 * seconds:.1f} ms" if seconds < 0.1 else f"{1e3 * seconds:.0f} ms"


def spread(gaps: Sequence[float] | np.ndarray[tuple[int], np.dtype[np.float64]]) -> str:
    """Return how times are spread, in words."""
    return ", ".join(
        f"{word} {milliseconds(float(np.percentile(gaps, p)))}" for word, p in (("p50", 50), ("p99", 99), ("max", 100))
    )


def limit(name: str, good: bool, text: str, advice: str) -> Finding:
    """Return a finding that passes when `good`."""
    return found(name, Verdict.PASS if good else Verdict.FAIL, text, "" if good else advice)


def found(name: str, verdict: Verdict, text: str, fix: str = "") -> Finding:
    """Return a finding of this group."""
    return Finding(group=GROUP, name=name, verdict=verdict, text=text, fix=fix)
