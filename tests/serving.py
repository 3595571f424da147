"""A console and a robot's end of its link, real sockets and all, for tests that are no coroutines themselves."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from robot_hil.console.link import RobotLink
from robot_hil.console.messages import Ack, FromPage, Gone, Status, ToRobot, Welcome
from robot_hil.console.server import ConsoleConfig, ConsoleServer
from robot_hil.data.operator_input import Button, Words

WELCOME = Welcome(experiment="pick_cube", task="pick the cube", cameras=["front"], control_hz=20.0, folder="")


def status(**values: Any) -> Status:
    """Return a status of a robot at work."""
    defaults: dict[str, Any] = {
        "t": time.monotonic(), "state": "POLICY", "reason": "", "phase": "train", "message": "", "driver": "policy",
    }  # fmt: skip
    return Status(**(defaults | values))


def until(holds: Callable[[], Any], timeout: float = 30.0) -> None:
    """Wait until something holds; fails after a generous time."""
    deadline = time.monotonic() + timeout
    while not holds():
        assert time.monotonic() < deadline, "nothing happened in time"
        time.sleep(0.005)


@dataclass
class Robot:
    """The robot's end: keeps what it hears and acknowledges edges."""

    welcome: Welcome = WELCOME
    heard: list[ToRobot] = field(default_factory=list)
    answer: bool = True

    def __post_init__(self) -> None:
        self.link = RobotLink(self.welcome, self._hear)

    @contextmanager
    def says(self, **values: Any) -> Iterator[None]:
        """Tell the console this status ten times per second, as a robot does."""
        done = threading.Event()

        def tell() -> None:
            while not done.is_set():
                self.link.send(status(**values))
                done.wait(0.1)

        thread = threading.Thread(target=tell, name="robot-status")
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def _hear(self, message: ToRobot) -> None:
        self.heard.append(message)
        if self.answer and isinstance(message, FromPage) and isinstance(message.body, Button | Words):
            self.link.send(Ack(id=message.body.id, client=message.client, ok=True))

    def pages(self) -> list[FromPage]:
        return [one for one in self.heard if isinstance(one, FromPage)]

    def bodies(self) -> list[Any]:
        return [one.body for one in self.pages()]

    def gone(self) -> list[Gone]:
        return [one for one in self.heard if isinstance(one, Gone)]


@contextmanager
def robot_end(**values: Any) -> Iterator[Robot]:
    robot = Robot(**values)
    robot.link.start()
    try:
        yield robot
    finally:
        robot.link.stop()


@contextmanager
def console_thread(**values: Any) -> Iterator[ConsoleServer]:
    """Serve a console from a thread with an event loop of its own, on a free port unless one is given."""
    with serve(ConsoleServer(ConsoleConfig(**({"port": 0} | values)))) as server:
        yield server


@contextmanager
def serve(server: ConsoleServer) -> Iterator[ConsoleServer]:
    """Serve `server` from a thread with an event loop of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="console")
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(server.start(), loop).result(30)
        if server.config.link:
            until(lambda: server.hub.welcome)
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result(30)
        # In the loop's own thread: the caller's may have a loop of its own running, e.g. a browser driver's.
        asyncio.run_coroutine_threadsafe(loop.shutdown_default_executor(), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
