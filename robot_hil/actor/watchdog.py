"""A thread that asks the gate's watchdog, for the case that the control loop itself hangs."""

import threading

from robot_hil.actor.safety import SafetyGate
from robot_hil.errors import ConfigError


class Watchdog:
    """Calls `gate.check` every `period_s` of real time between `start` and `stop`. Needs a gate on a monotonic clock.

    A hung policy then holds the arm at most `max_command_age + period_s` after its last command. A hung process does
    not run threads either: the arm's own time-out must be shorter than what the cell can bear.
    """

    def __init__(self, gate: SafetyGate, period_s: float = 0.02) -> None:
        if not 0 < period_s < float("inf"):
            raise ConfigError(f"period_s is {period_s}; give a time in seconds above 0, e.g. 0.02.")
        self._gate = gate
        self._period = period_s
        self._done = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to watch; legal twice."""
        if self._thread is None:
            self._done.clear()
            self._thread = threading.Thread(target=self._run, name="safety-watchdog", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Stop watching; legal twice."""
        if self._thread is not None:
            self._done.set()
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        while not self._done.wait(self._period):
            self._gate.check()
