"""The thread that reads a leader arm."""

import contextlib
import logging
import threading
import time
from dataclasses import dataclass

from robot_hil.clock import Clock
from robot_hil.errors import RobotHilError
from robot_hil.teleop.base import RateMeter
from robot_hil.teleop.leader.bus import TRIES, BusError, ServoBus
from robot_hil.teleop.leader.calibration import Calibration

_LOG = logging.getLogger(__name__)
JUMP_RAD = 0.5
"""No hand moves a joint that far between two readings: such a reading is refused [rad]."""
_REOPEN_AFTER = 10
_REOPEN_PAUSE_S = 0.5


@dataclass(frozen=True, slots=True)
class LeaderReading:
    """Where the leader arm is."""

    t: float = 0.0
    """Monotonic [s]; when the bus was last known to be alive."""
    session: int = 0
    """Rises whenever readings begin anew after a silence: what was before tells nothing about what is now."""
    joint_pos: tuple[float, ...] = ()
    """[rad]."""
    squeeze: float | None = None
    """The trigger, 0 open to 1 closed; None without one."""


class LeaderReader:
    """Reads the bus `rate_hz` times per second; a reading that fails leaves the last one to grow old."""

    def __init__(self, bus: ServoBus, calibration: Calibration, clock: Clock, rate_hz: float, stale_s: float) -> None:
        self.latest = LeaderReading()
        self.meter = RateMeter()
        self.dropped = 0
        self.problem = ""
        self._bus, self._calibration, self._clock = bus, calibration, clock
        self._period_s, self._stale_s = 1.0 / rate_hz, stale_s
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Open the bus and read once, so that what is wrong is said now; then go on in a thread. Legal twice."""
        if self._thread is not None:
            return
        self._bus.open()
        try:
            self._begin(*self._first())
        except BaseException:
            self._bus.close()
            raise
        self._stop.clear()
        self._thread = threading.Thread(target=self._run, name="leader arm", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Release the bus; legal twice."""
        if self._thread is not None:
            self._stop.set()
            self._thread.join()
            self._thread = None
            self._bus.close()

    def _first(self) -> tuple[float, tuple[int, ...]]:
        for _ in range(TRIES - 1):
            with contextlib.suppress(BusError):
                return self._clock.now(), self._bus.read()
        return self._clock.now(), self._bus.read()

    def _run(self) -> None:
        failures, due = 0, time.monotonic()
        while not self._stop.wait(max(0.0, due - time.monotonic())):
            due = max(due + self._period_s, time.monotonic())
            try:
                self._take(self._clock.now(), self._bus.read())
                failures = 0
            except BusError as error:
                failures += 1
                self.dropped += 1
                self.problem = str(error)
            except Exception as error:
                failures = _REOPEN_AFTER
                self.problem = f"reading the leader arm failed: {error!r}"
                _LOG.exception("reading the leader arm failed")
            if failures >= _REOPEN_AFTER:
                self._reopen()

    def _reopen(self) -> None:
        self._bus.close()
        if self._stop.wait(_REOPEN_PAUSE_S):
            return
        try:
            self._bus.open()
        except (RobotHilError, OSError) as error:
            self.problem = str(error)

    def _take(self, now: float, ticks: tuple[int, ...]) -> None:
        """Take a reading, asked for at `now`, unless it cannot be one of the same motion."""
        last = self.latest
        if now - last.t > self._stale_s:
            self._begin(now, ticks)
            return
        angles = self._calibration.joint_pos(ticks, last.joint_pos)
        jumps = [abs(a - b) for a, b in zip(angles, last.joint_pos, strict=True)]
        if max(jumps) > JUMP_RAD:
            joint = jumps.index(max(jumps))
            self.dropped += 1
            self.problem = f"joint {joint + 1} jumped by {jumps[joint]:.2f} rad"
            return
        self._note(LeaderReading(now, last.session, angles, self._calibration.squeeze(ticks)))

    def _begin(self, now: float, ticks: tuple[int, ...]) -> None:
        angles, squeeze = self._calibration.joint_pos(ticks), self._calibration.squeeze(ticks)
        self._note(LeaderReading(now, self.latest.session + 1, angles, squeeze))

    def _note(self, reading: LeaderReading) -> None:
        self.latest, self.problem = reading, ""
        self.meter.count(reading.t)
