"""What is measured is what happened, and the limits say pass and fail where they should."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from servo_bus import ServoRig

from robot_hil.cli.checks import measure, puck
from robot_hil.cli.checks.base import Finding, Verdict
from robot_hil.cli.checks.bus import bus
from robot_hil.cli.checks.camera import camera
from robot_hil.cli.checks.measure import Limits, Series, Watched
from robot_hil.cli.checks.puck import Reports
from robot_hil.clock import MonotonicClock, VirtualClock
from robot_hil.data.teleop import DeviceInfo, SampleStatus, TeleopEvent, TeleopSample
from robot_hil.teleop.leader.bus import BusError, DynamixelBus

LIMITS = Limits(rate_hz=50.0, age_p99_s=0.010, age_max_s=0.050, gap_max_s=0.150, advice="try another cable")


def verdicts(findings: object) -> dict[str, Verdict]:
    found = list(findings)  # type: ignore[call-overload]
    assert all(isinstance(one, Finding) and one.text for one in found)
    assert all(one.fix for one in found if one.verdict is Verdict.FAIL)
    return {one.name: one.verdict for one in found}


class Pulse:
    """A device that is alive every `period` seconds, was so `lag` ago at best, and fails in the stretch `gone`."""

    name = "pulse"

    def __init__(
        self, clock: VirtualClock, period: float = 0.01, lag: float = 0.0, gone: tuple[float, float] = (-1, -1)
    ) -> None:
        self._clock, self._period, self._lag, self._gone = clock, period, lag, gone
        self._lost = 0

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def drain_events(self) -> list[TeleopEvent]:
        return []

    def latest(self) -> TeleopSample:
        now = self._clock.now()
        t = np.floor((now - self._lag + 1e-9) / self._period) * self._period
        if self._gone[0] <= now < self._gone[1]:
            self._lost += 1
            return TeleopSample(status=SampleStatus.LOST, t=t, problem="a loose plug")
        return TeleopSample(status=SampleStatus.OK, t=t)

    def info(self) -> DeviceInfo:
        return DeviceInfo(name="pulse", kind="test", status=SampleStatus.OK, age_s=0.0, dropped=self._lost)


def watch(seconds: float = 5.0, **how: object) -> Watched:
    clock = VirtualClock(10.0)
    return measure.watch(Pulse(clock, **how), clock, seconds)  # type: ignore[arg-type]


def test_a_steady_device_passes_and_its_numbers_are_right() -> None:
    seen = watch(period=0.01, lag=0.002)
    assert seen.looks == 1000
    assert seen.bad == 0
    assert seen.life.rate() == pytest.approx(100.0, rel=0.01)
    assert seen.life.gaps().max() == pytest.approx(0.01)
    assert max(seen.ages) <= 0.012
    assert set(verdicts(measure.judge("pulse", watch(period=0.005), LIMITS)).values()) == {Verdict.PASS}


@pytest.mark.parametrize(
    ("how", "failed"),
    [
        ({"lag": 0.02, "period": 0.005}, {"pulse: age"}),
        ({"period": 0.04}, {"pulse: age", "pulse: signs of life"}),
        ({"period": 0.005, "gone": (11.0, 11.3)}, {"pulse: there", "pulse: signs of life", "pulse: lost reports"}),
        ({"gone": (0.0, 99.0)}, {"pulse: there"}),
    ],
)
def test_what_is_late_uneven_or_lost_fails(how: dict[str, object], failed: set[str]) -> None:
    found = verdicts(measure.judge("pulse", watch(**how), LIMITS))
    assert {name for name, verdict in found.items() if verdict is Verdict.FAIL} == failed


def test_a_device_that_was_not_there_says_why() -> None:
    found = list(measure.judge("pulse", watch(gone=(11.0, 12.0)), LIMITS))
    assert "200 of 1000" in found[0].text
    assert "a loose plug" in found[0].text


def test_a_series_of_one_has_no_rate() -> None:
    assert Series([3.0]).rate() == 0.0
    assert verdicts(measure.judge_series("x", Series([3.0]), LIMITS)) == {"x": Verdict.FAIL}


# -- SpaceMouse --------------------------------------------------------------------------------------------------------


def at_rest(*values: float) -> Reports:
    return Reports(twists=[(value, 0.0, 0.0, 0.0, 0.0, -value) for value in values])


@pytest.mark.parametrize(
    ("rest", "verdict"),
    [
        (at_rest(), Verdict.PASS),
        (at_rest(0.0, 0.01, -0.02), Verdict.PASS),
        (at_rest(0.0, 0.05), Verdict.WARN),
        (at_rest(0.0, 0.2), Verdict.FAIL),
    ],
)
def test_a_puck_that_would_take_over_by_itself_fails(rest: Reports, verdict: Verdict) -> None:
    assert verdicts(puck.judge_rest(rest)) == {"spacemouse: at rest": verdict}


@pytest.mark.parametrize(
    ("gaps", "verdict"),
    [([0.008] * 100, Verdict.PASS), ([0.008] * 90 + [0.05] * 10, Verdict.WARN), ([0.008, 0.2], Verdict.FAIL)],
)
def test_a_puck_that_falls_silent_while_it_is_held_fails(gaps: list[float], verdict: Verdict) -> None:
    moved = Reports(held=gaps, motion=Series(list(np.cumsum(gaps))))
    assert verdicts(puck.judge_moved(moved))["spacemouse: reports"] is verdict


def test_a_puck_that_nobody_moved_is_no_pass() -> None:
    assert verdicts(puck.judge_moved(Reports())) == {"spacemouse: reports": Verdict.WARN}


class Port:
    """A HID port that says `reports` (time, bytes) when they are due, in virtual time."""

    def __init__(self, clock: VirtualClock, reports: list[tuple[float, bytes]]) -> None:
        self._clock, self._reports = clock, reports

    def read(self, timeout_ms: int) -> bytes:
        now = self._clock.now()
        if self._reports and self._reports[0][0] <= now + timeout_ms / 1000:
            self._clock.advance(max(0.0, self._reports[0][0] - now))
            return self._reports.pop(0)[1]
        self._clock.advance(timeout_ms / 1000)
        return b""

    def write(self, data: bytes) -> None: ...

    def close(self) -> None: ...


def test_every_report_of_a_puck_is_taken_at_its_time() -> None:
    from fake_hidapi import motion

    from robot_hil.teleop.spacemouse_puck import Puck

    clock = VirtualClock()
    reports = [(0.1 + 0.016 * i, report) for i in range(20) for report in motion((350, 0, 0, 0, 0, 35))]
    reports += [(0.6, b"\x01\x00"), (0.7, motion((0, 0, 0, 0, 0, 0))[0])]
    heard = puck.listen(Puck(Port(clock, reports), "SpaceMouseCompact"), clock, 2.0)
    assert clock.now() == pytest.approx(2.0, abs=0.01)
    assert heard.broken == 1
    assert len(heard.motion.times) == 21  # translation and rotation of one sample count once
    assert heard.held[:19] == pytest.approx([0.016] * 19)
    assert heard.held[19:] == pytest.approx([0.7 - (0.1 + 0.016 * 19), 1.3], abs=0.01)  # silent while deflected
    assert np.abs(heard.twists).max() == pytest.approx(1.0)


# -- leader arm --------------------------------------------------------------------------------------------------------


class Bus:
    """A bus whose readings take `duration`, and of which every `failing`-th fails."""

    def __init__(self, clock: VirtualClock, duration: float, failing: int) -> None:
        self._clock, self._duration, self._failing, self._count = clock, duration, failing, 0

    def open(self) -> None: ...

    def close(self) -> None: ...

    def read(self) -> tuple[int, ...]:
        self._clock.advance(self._duration)
        self._count += 1
        if self._count % self._failing == 0:
            raise BusError("a loose plug")
        return (2048, 2000 + self._count % 3)


@pytest.mark.parametrize(
    ("duration", "failing", "failed"),
    [
        (0.005, 1000, set()),
        (0.012, 1000, {"leader: readings", "leader: one reading takes"}),
        (0.005, 50, {"leader: lost readings"}),
        (0.005, 1, {"leader: readings", "leader: lost readings"}),
    ],
)
def test_a_bus_is_held_against_its_limits(duration: float, failing: int, failed: set[str]) -> None:
    clock = VirtualClock()
    found = verdicts(bus(Bus(clock, duration, failing), clock, 5.0))
    assert {name for name, verdict in found.items() if verdict is Verdict.FAIL} == failed


def test_a_bus_is_read_and_its_failures_are_counted() -> None:
    rig = ServoRig([1, 2, 3])
    servos = DynamixelBus(rig.port, ids=(1, 2, 3))
    try:
        servos.open()
        found = {one.name: one for one in bus(servos, MonotonicClock(), 0.5)}
        assert found["leader: lost readings"].text.startswith(("0 of", "1 of", "2 of"))  # a busy computer may miss one
        assert found["leader: servos moved"].text.startswith("0, 0, 0 ticks")
        assert "p99" in found["leader: one reading takes"].text
        rig.silent = True
        found = {one.name: one for one in bus(servos, MonotonicClock(), 0.5)}
        assert found["leader: readings"].verdict is Verdict.FAIL
        assert found["leader: lost readings"].verdict is Verdict.FAIL
        assert rig.port in found["leader: lost readings"].text
    finally:
        servos.close()
        rig.close()


# -- camera ------------------------------------------------------------------------------------------------------------


def test_a_camera_is_opened_and_its_pictures_are_counted(tmp_path: Path) -> None:
    film = tmp_path / "film.avi"
    writer = cv2.VideoWriter(str(film), cv2.VideoWriter.fourcc(*"MJPG"), 30, (64, 48))
    for i in range(200):
        writer.write(np.full((48, 64, 3), i, np.uint8))
    writer.release()
    (found,) = camera(str(film), MonotonicClock(), 20.0, "film")
    assert found.name == "camera film"
    assert "64 x 48" in found.text
    assert found.verdict in (Verdict.PASS, Verdict.WARN)  # a busy computer reads a film unevenly


def test_a_camera_that_is_none_fails(tmp_path: Path) -> None:
    (found,) = camera(str(tmp_path / "nothing.avi"), MonotonicClock(), 1.0, "x")
    assert found.verdict is Verdict.FAIL
    assert "gave 0 pictures" in found.text
