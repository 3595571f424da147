"""Starts the two processes of a run, watches them, and ends them so that nothing is lost."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from robot_hil.errors import StorageError

GRACE_S = 45.0


def free_ports(count: int) -> list[int]:
    """Return `count` different ports that are free on the loopback interface now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]
    finally:
        for one in sockets:
            one.close()


@dataclass
class Child:
    """One process with its log."""

    name: str
    argv: Sequence[str]
    log: Path
    env: Mapping[str, str] = field(default_factory=dict)
    process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        """Start it in a process group of its own: Ctrl-C on the terminal reaches the parent only."""
        try:
            with self.log.open("ab") as log:
                self.process = subprocess.Popen(
                    [sys.executable, "-m", "robot_hil.cli.main", *self.argv],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, **self.env},
                    start_new_session=True,
                )
        except OSError as error:
            raise StorageError(f"{self.name} cannot be started: {error}.") from error

    def code(self) -> int | None:
        """Return the exit code; None while it runs."""
        return self.process.poll() if self.process else 0

    def end(self, grace_s: float = GRACE_S, tick: Callable[[], object] = lambda: None) -> int:
        """Ask it to save and end, wait, kill it when it does not; return the exit code."""
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.wait(grace_s, tick)

    def wait(self, grace_s: float, tick: Callable[[], object] = lambda: None, *, kill: bool = True) -> int:
        """Wait for its end and return the exit code; after `grace_s` kill it, or return 0 while it goes on."""
        assert self.process is not None
        deadline = time.monotonic() + grace_s
        while self.process.poll() is None:
            if time.monotonic() > deadline:
                if not kill:
                    return 0
                self.process.kill()
            tick()
            time.sleep(0.02)
        return int(self.process.wait())

    def last_words(self, lines: int = 12) -> str:
        """Return the end of its log; only its message when it ended by one of this program's errors."""
        try:
            rows = self.log.read_text(errors="replace").rstrip().splitlines()
        except OSError:
            return ""
        if rows and rows[-1].startswith("robot-hil: "):
            return rows[-1].removeprefix("robot-hil: ")
        return "\n".join(f"  | {row}" for row in rows[-lines:])
