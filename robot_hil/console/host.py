"""Keeps the console's process alive from within the robot's: starts it, starts it anew when it dies, ends it."""

import contextlib
import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from robot_hil.console.address import console_url, is_loopback
from robot_hil.console.auth import new_token

_log = logging.getLogger(__name__)
TOKEN_VARIABLE = "ROBOT_HIL_CONSOLE_TOKEN"  # noqa: S105
"""Hands the token to the console's process: other users see a process's arguments, but not its environment."""
PARENT_VARIABLE = "ROBOT_HIL_PARENT"
PORTS = 20
"""So many ports are tried, from the wanted one on."""
_LOOK_S = 0.05
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 5.0
_STEADY_S = 10.0
"""A console that lived so long is started anew without a pause."""


class ConsoleHost:
    """The console of a robot whose link is at `link`. The constructor does not act; `start` returns at once.

    `arguments` are further ones of `robot-hil console`. Address and token stay the same however often the console's
    process dies. That process ends when this one does, also when this one is killed: it reads a pipe that only this
    one holds.
    """

    def __init__(
        self,
        link: str,
        folder: Path | None,
        host: str = "127.0.0.1",
        port: int = 8443,
        *,
        token: str = "",
        arguments: Sequence[str] = (),
    ) -> None:
        self.host, self.port = host, port
        self.token = token or new_token()
        self.starts = 0
        """How often the console's process was started."""
        self._link, self._folder, self._arguments = link, folder, tuple(arguments)
        self._process: subprocess.Popen[bytes] | None = None
        self._thread: threading.Thread | None = None
        self._done = threading.Event()

    @property
    def url(self) -> str:
        """What to open; empty before `start`."""
        return self.address("/") if self._thread is not None else ""

    def address(self, page: str) -> str:
        """Return the address of a page, such as `/xr`."""
        tls = not is_loopback(self.host) or not {"--tls", "--cert"}.isdisjoint(self._arguments)
        return console_url(self.host, self.port, tls, self.token, page)

    @property
    def pid(self) -> int | None:
        """Process id of the console; None while there is none."""
        process = self._process
        return None if process is None or process.poll() is not None else process.pid

    def start(self) -> None:
        """Choose a free port and begin to keep a console alive; legal twice."""
        if self._thread is not None:
            return
        self.port = free_port(self.host, self.port)
        self._done.clear()
        self._thread = threading.Thread(target=self._keep_alive, name="console-host", daemon=True)
        self._thread.start()

    def stop(self, grace_s: float = 3.0) -> None:
        """End the console and wait for its end, at most `grace_s`, before it is killed; legal twice."""
        if self._thread is None:
            return
        self._grace_s = grace_s
        self._done.set()
        self._thread.join()
        self._thread = None

    _grace_s = 3.0

    def _keep_alive(self) -> None:
        pause = _FIRST_PAUSE_S
        while not self._done.is_set():
            born = time.monotonic()
            try:
                self._process = self._spawn()
            except OSError as error:
                _log.error("the console cannot be started: %s", error)
            else:
                self.starts += 1
                while self._process.poll() is None and not self._done.wait(_LOOK_S):
                    pass
                if self._done.is_set():
                    break
                self._reap(self._process)
                _log.warning("the console ended (code %s) and is started anew", self._process.returncode)
            if time.monotonic() - born > _STEADY_S:
                pause = _FIRST_PAUSE_S
            self._done.wait(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_S)
        if self._process is not None:
            self._end(self._process)

    def _spawn(self) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "robot_hil.cli.main", "console"]
        if self._folder is not None:
            command.append(str(self._folder))
        command += ["--link", self._link, "--host", self.host, "--port", str(self.port), *self._arguments]
        with contextlib.ExitStack() as stack:
            log = None if self._folder is None else stack.enter_context((self._folder / "console.log").open("ab"))
            return subprocess.Popen(
                command,
                stdin=subprocess.PIPE,  # never written to: its end tells the console that this process is gone
                stdout=log or subprocess.DEVNULL,
                stderr=log,
                env={**os.environ, TOKEN_VARIABLE: self.token, PARENT_VARIABLE: str(os.getpid())},
                start_new_session=True,  # Ctrl-C on the terminal reaches this process only
            )

    def _end(self, process: "subprocess.Popen[bytes]") -> None:
        if process.stdin is not None:
            process.stdin.close()
        process.terminate()
        try:
            process.wait(self._grace_s)
        except subprocess.TimeoutExpired:
            process.kill()
        self._reap(process)

    def _reap(self, process: "subprocess.Popen[bytes]") -> None:
        process.wait()
        if process.stdin is not None:
            process.stdin.close()


def free_port(host: str, wanted: int) -> int:
    """Return the first port from `wanted` on that is free on `host` now; any free one for 0 or when none of them is."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    ports = [*range(wanted, min(wanted + PORTS, 65_536)), 0] if wanted else [0]
    for port in ports:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind((host, port))
                return int(probe.getsockname()[1])
    return wanted
