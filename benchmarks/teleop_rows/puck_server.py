"""SpaceMice of another process: it serves the sockets that the HID library in `tests/fake_hidapi.c` connects to."""

import contextlib
import multiprocessing
import os
import sys
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

TESTS = Path(__file__).parents[2] / "tests"
HZ = 250.0
REST = (0,) * 6


class Server:
    """Starts the process; a method call there is a method call here. Pucks are known by name."""

    def __init__(self, folder: Path) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, str(folder)), daemon=True)
        self._process.start()
        theirs.close()

    def ask(self, command: str, *args: Any) -> Any:
        """Let the process do something; returns its answer, by default the time at which it was done [s]."""
        self._pipe.send((command, *args))
        return self._pipe.recv()

    def kill(self) -> float:
        """End the process without giving it a chance to say good-bye; returns when [s]."""
        self._process.kill()
        t = time.monotonic()
        self._process.join()
        return t

    def close(self) -> None:
        """End the process."""
        if self._process.is_alive():
            self.ask("end")
            self._process.join()


def _serve(pipe: Connection, folder: str) -> None:
    sys.path.insert(0, str(TESTS))
    with contextlib.suppress(OSError):  # hardware does not wait for a processor; without permission it does here
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(2))
    bench = _Pucks(Path(folder))
    while True:
        command, *args = pipe.recv()
        if command == "end":
            pipe.send(time.monotonic())
            return
        answer = getattr(bench, command)(*args)
        pipe.send(time.monotonic() if answer is None else answer)


class _Pucks:
    """What the process does. Each puck sends 250 samples per second of what its hand does, or nothing."""

    def __init__(self, folder: Path) -> None:
        from fake_hidapi import FakePuck

        self._make, self._folder = FakePuck, folder
        self._pucks: dict[str, Any] = {}
        self._combined: dict[str, bool] = {}
        self._hands: dict[str, tuple[Any, ...]] = {}
        self._sent: dict[str, list[float]] = {}
        self._lock = threading.Lock()  # what a hand does changes between samples, not within

    def plug(self, name: str, ids: tuple[int, int]) -> None:
        """Appear."""
        if name in self._pucks:
            self._pucks[name].plug()
            return
        self._pucks[name] = self._make(self._folder, name, ids)
        self._combined[name] = ids[1] == 0xC62E
        self._hands[name], self._sent[name] = ("off",), []
        threading.Thread(target=self._stream, args=(name,), daemon=True).start()

    def unplug(self, name: str) -> float:
        """Disappear."""
        t = time.monotonic()
        self._pucks[name].unplug()
        return t

    def opened(self, name: str) -> int:
        """How many have it open."""
        count: int = self._pucks[name].opened
        return count

    def hand(self, name: str, *hand: Any) -> None:
        """Begin to do: `off`, `hold` raw, `noise` amplitude, or `count` samples."""
        with self._lock:
            self._sent[name] = []
            self._hands[name] = hand

    def release(self, name: str) -> float:
        """Let go: the device says once that it is at rest, then nothing."""
        with self._lock:
            self._hands[name] = ("off",)
            t = time.monotonic()
            self._send(name, REST)
        return t

    def freeze(self, name: str, ms: int) -> float:
        """Let the driver hang for a while."""
        t = time.monotonic()
        self._pucks[name].send(f"freeze:{ms}".encode())
        return t

    def sent(self, name: str) -> list[float]:
        """Return when each sample of `count` was sent; empty until all are."""
        return self._sent[name] if self._hands[name] == ("off",) else []

    def _send(self, name: str, raw: tuple[int, ...]) -> None:
        from fake_hidapi import motion

        self._pucks[name].send(*motion(raw, combined=self._combined[name]))

    def _stream(self, name: str) -> None:
        rng = np.random.default_rng(len(name))
        due = time.monotonic()
        while True:
            due += 1 / HZ
            time.sleep(max(0.0, due - time.monotonic()))
            with self._lock:
                what, *args = self._hands[name]
                if what == "hold":
                    self._send(name, args[0])
                elif what == "noise":
                    self._send(name, tuple(rng.integers(-args[0], args[0] + 1, 6).tolist()))
                elif what == "count":
                    self._count(name, args[0])

    def _count(self, name: str, samples: int) -> None:
        """Send a sample that tells its own number: y and x are its digits to base 300, from 1."""
        times = self._sent[name]
        number = len(times)
        times.append(time.monotonic())
        self._send(name, (-(number // 300 + 1), -(number % 300 + 1), 0, 0, 0, 0))
        if len(times) == samples:
            self._hands[name] = ("off",)
