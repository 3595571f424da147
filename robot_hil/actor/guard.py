"""A thread that looks after arm and operator between the control loop's periods, and when that loop hangs."""

import logging
import threading
from collections.abc import Sequence
from typing import Protocol

from robot_hil.actor.arbiter import ArbiterState
from robot_hil.actor.arms import AnyArbiter
from robot_hil.actor.safety import GateState, SafetyGate
from robot_hil.clock import Clock, MonotonicClock
from robot_hil.data.teleop import EventKind, TeleopEvent
from robot_hil.errors import ConfigError

_log = logging.getLogger(__name__)
_DRIVING = frozenset((ArbiterState.ENGAGING, ArbiterState.HUMAN, ArbiterState.RELEASING))


class Watched(Protocol):
    """What the guard sees of the operator's devices; both may be called beside the control loop."""

    def trouble(self, now: float) -> str:
        """Say why the driving device cannot be trusted at `now` [s], or return an empty string."""
        ...

    def pump(self) -> Sequence[TeleopEvent]:
        """Take the edges that came, keep them for the control loop, and return them."""
        ...


class Guard:
    """Looks every `period_s` of real time between `start` and `stop`.

    * An e-stop of any device stops the arm now, not at the next control period.
    * A device that is lost while it drives stops the arm now and asks the arbiter to hold.
    * The gate's watchdog is asked: a hung policy holds the arm at most `max_command_age + period_s` after its last
      command. Needs a gate on a clock that runs.

    A hung process does not run threads either: the arm's own time-out must be shorter than what the cell can bear.
    """

    def __init__(
        self,
        gate: SafetyGate | None,
        arbiter: AnyArbiter | None = None,
        station: Watched | None = None,
        clock: Clock | None = None,
        period_s: float = 0.01,
    ) -> None:
        if not 0 < period_s < float("inf"):
            raise ConfigError(f"period_s is {period_s}; give a time in seconds above 0, e.g. 0.01.")
        self._gate, self._arbiter, self._station = gate, arbiter, station
        self._clock: Clock = clock or MonotonicClock()
        self._period = period_s
        self._done = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to watch; legal twice."""
        if self._thread is None:
            self._done.clear()
            self._thread = threading.Thread(target=self._run, name="guard", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Stop watching; legal twice."""
        if self._thread is not None:
            self._done.set()
            self._thread.join()
            self._thread = None

    def look(self) -> None:
        """Look once."""
        if self._station is not None:
            for event in self._station.pump():
                if event.kind is EventKind.ESTOP:
                    self.emergency_stop(f"e-stop by {event.source or 'a person'}")
            self._look_after_operator(self._station)
        if self._gate is not None:
            self._gate.check()

    def emergency_stop(self, reason: str) -> None:
        """Stop the arm now; the arbiter learns of it by the edge that comes to the loop. Any thread."""
        if self._gate is not None and self._gate.mode is not GateState.STOP:
            self._gate.emergency_stop(reason)

    def _look_after_operator(self, station: Watched) -> None:
        arbiter = self._arbiter
        if arbiter is None:
            return
        if arbiter.state in _DRIVING and (problem := station.trouble(self._clock.now())):
            _log.warning("guard: %s", problem)
            arbiter.request_hold(f"{problem}; make it work, let go of it and resume")
        if arbiter.hold_requested and self._gate is not None:
            self._gate.stop()  # again and again: a command that was under way must not be the last word

    def _run(self) -> None:
        while not self._done.wait(self._period):
            try:
                self.look()
            except Exception:  # a broken device or driver must not blind the guard for the rest
                _log.exception("guard: could not look")
