"""Ask a process to stop: Ctrl-C, SIGTERM, or the end of the process that started it."""

import os
import signal
import time
from collections.abc import Callable
from types import FrameType

PARENT_VARIABLE = "ROBOT_HIL_PARENT"


class StopRequest:
    """Remembers that a stop was asked for, and tells `on_stop` once. Making it installs the handlers."""

    def __init__(self, on_stop: Callable[[], object] = lambda: None) -> None:
        self.requested = False
        self.on_stop = on_stop
        parent = os.environ.get(PARENT_VARIABLE, "")
        self._parent = int(parent) if parent.isdigit() else 0
        self._asked_parent = time.monotonic()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._handle)

    def finish(self) -> None:
        """Let signals no longer end the process: everything is saved and it is about to end by itself."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)

    def __bool__(self) -> bool:
        """Whether to stop; looks after the parent about once per second."""
        now = time.monotonic()
        if self._parent and now - self._asked_parent >= 1.0:
            self._asked_parent = now
            if os.getppid() != self._parent:
                self._request()
        return self.requested

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._request()

    def _request(self) -> None:
        if not self.requested:
            self.requested = True
            self.on_stop()
