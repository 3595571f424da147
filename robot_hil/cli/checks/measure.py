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
    from robot_hil.teleop.spacemouse_puck import Puck

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
LIMITS = {
    "spacemouse": WIRED,
    "gamepad": WIRED,
    "leader": Limits(
        rate_hz=100.0, age_p99_s=0.020, advice="raise the baud rate; set the adapter's latency timer to 1 ms"
    ),
}
PAGE = Limits(
    rate_hz=40.0, age_p99_s=0.080, age_max_s=0.150,
    advice="use the USB cable (adb reverse) or a 5 GHz network of your own; close other tabs",
)  # fmt: skip
REST_GOOD, REST_BAD = 0.04, 0.08
"""Deflections at which a stick or puck lets go and takes over: at rest it must stay below the first."""
EVEN_S, SILENT_S = 0.030, 0.150
"""Between two reports of a puck that is held deflected: p99 of a good one, and when it counts as lost [s]."""
CAMERA_HZ, CAMERA_GAP_S = 25.0, 0.080


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
        yield _found(f"{name}: there", Verdict.FAIL, text, fix)
    if not seen.ages:
        return
    p50, p99, worst = (float(np.percentile(seen.ages, p)) for p in (50, 99, 100))
    allowed = f"allowed p99 {milliseconds(limits.age_p99_s)}, max {milliseconds(limits.age_max_s)}"
    text = f"p50 {milliseconds(p50)}, p99 {milliseconds(p99)}, max {milliseconds(worst)}; {allowed}"
    yield _limit(f"{name}: age", p99 <= limits.age_p99_s and worst <= limits.age_max_s, text, limits.advice)
    yield from judge_series(f"{name}: signs of life", seen.life, limits)
    yield _limit(f"{name}: lost reports", seen.dropped == 0, f"{seen.dropped}; allowed 0", limits.advice)


def judge_series(name: str, series: Series, limits: Limits) -> Iterator[Finding]:
    """Compare rate and evenness with the limits."""
    gaps = series.gaps()
    if not gaps.size:
        yield _found(name, Verdict.FAIL, "fewer than two; nothing can be said about them", limits.advice)
        return
    rate, worst = series.rate(), float(gaps.max())
    text = f"{rate:.1f} per second, gaps {_spread(gaps)}; allowed max {milliseconds(limits.gap_max_s)}"
    if limits.rate_hz:
        text += f", at least {limits.rate_hz:g} per second"
    yield _limit(name, rate >= limits.rate_hz and worst <= limits.gap_max_s, text, limits.advice)


# -- a SpaceMouse, report by report ------------------------------------------------------------------------------------


@dataclass(slots=True)
class Reports:
    """What a puck said."""

    twists: list[tuple[float, ...]] = field(default_factory=list)
    motion: Series = field(default_factory=Series)
    held: list[float] = field(default_factory=list)
    """Times between two reports of motion, the first of which was a deflection [s]."""
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
    return heard


def judge_rest(rest: Reports) -> Iterator[Finding]:
    """Say whether a puck that nobody touches could take over."""
    if not rest.twists:
        yield _found("spacemouse: at rest", Verdict.PASS, "silent, as most are")
        return
    twists = np.array(rest.twists)
    bias, worst = np.abs(twists.mean(axis=0)).max(), np.abs(twists).max()
    text = f"{len(twists)} reports; bias {bias:.3f}, largest deflection {worst:.3f}; allowed {REST_GOOD:g}"
    verdict = Verdict.PASS if worst <= REST_GOOD else Verdict.WARN if worst <= REST_BAD else Verdict.FAIL
    fix = (
        "" if verdict is Verdict.PASS else "take the hand off; unplug it and plug it in again without touching the cap"
    )
    yield _found("spacemouse: at rest", verdict, text, fix)


def judge_moved(moved: Reports) -> Iterator[Finding]:
    """Say whether a puck that is held deflected keeps speaking."""
    name = "spacemouse: reports"
    if not moved.held:
        yield _found(
            name, Verdict.WARN, "it was not moved, so nothing can be said", "run this again and move it when told"
        )
        return
    gaps = np.array(moved.held)
    p99, worst = float(np.percentile(gaps, 99)), float(gaps.max())
    text = f"{moved.motion.rate():.0f} per second, while deflected gaps {_spread(gaps)}"
    text += f"; allowed p99 {milliseconds(EVEN_S)}, max {milliseconds(SILENT_S)}"
    verdict = Verdict.FAIL if worst > SILENT_S else Verdict.WARN if p99 > EVEN_S else Verdict.PASS
    fix = (
        "wireless: put the receiver on a cable near the puck, charge it; if it stays so, give "
        "SpaceMouseConfig(silent_s=...) a larger value"
    )
    yield _found(name, verdict, text, "" if verdict is Verdict.PASS else fix)
    yield _limit("spacemouse: broken reports", moved.broken == 0, f"{moved.broken}; allowed 0", WIRED.advice)


# -- a camera ----------------------------------------------------------------------------------------------------------


def camera(source: int | str, clock: Clock, seconds: float, name: str) -> Iterator[Finding]:
    """Open a camera, take frames for a while, release it."""
    import cv2

    label, fix = f"camera {name}", "close other programs that use it; check: v4l2-ctl --list-formats-ext"
    capture = cv2.VideoCapture(source)
    try:
        frames, shape = Series(), (0, 0)
        end = clock.now() + seconds
        while capture.isOpened() and clock.now() < end:
            good, image = capture.read()
            if not good:
                break
            frames.times.append(clock.now())
            shape = image.shape[:2]
    finally:
        capture.release()
    if len(frames.times) < 2:
        yield _found(label, Verdict.FAIL, f"gave {len(frames.times)} pictures", fix)
        return
    gaps = frames.gaps()
    good = frames.rate() >= CAMERA_HZ and float(np.percentile(gaps, 99)) <= CAMERA_GAP_S
    text = f"{shape[1]} x {shape[0]}, {frames.rate():.1f} pictures per second, gaps {_spread(gaps)}"
    text += f"; wanted {CAMERA_HZ:g} per second, p99 {milliseconds(CAMERA_GAP_S)}"
    yield _found(
        label,
        Verdict.PASS if good else Verdict.WARN,
        text,
        "" if good else "more light, or MJPG instead of YUYV; " + fix,
    )


# -- words -------------------------------------------------------------------------------------------------------------


def milliseconds(seconds: float) -> str:
    """Return a time in words."""
    return f"{1e3 * seconds:.1f} ms" if seconds < 0.1 else f"{1e3 * seconds:.0f} ms"


def _spread(gaps: Sequence[float] | np.ndarray[tuple[int], np.dtype[np.float64]]) -> str:
    return ", ".join(
        f"{word} {milliseconds(float(np.percentile(gaps, p)))}" for word, p in (("p50", 50), ("p99", 99), ("max", 100))
    )


def _limit(name: str, good: bool, text: str, advice: str) -> Finding:
    return _found(name, Verdict.PASS if good else Verdict.FAIL, text, "" if good else advice)


def _found(name: str, verdict: Verdict, text: str, fix: str = "") -> Finding:
    return Finding(group=GROUP, name=name, verdict=verdict, text=text, fix=fix)
