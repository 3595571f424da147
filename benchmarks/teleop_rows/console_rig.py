"""A simulated robot in real time with its console, and a person's page, as used: for figures of stopping."""

import asyncio
import contextlib
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from robot_hil.actor.safety import GateState
from robot_hil.actor.seeding import Stream
from robot_hil.console.auth import Tokens

KEYS_PERIOD_S = 0.02


@dataclass
class Driven:
    """When the arm's driver was told to move and to stop, on the machine's monotonic clock."""

    moved: list[float] = field(default_factory=list)
    stopped: list[float] = field(default_factory=list)

    def watch(self, driver: Any) -> None:
        """Note all calls from now on."""
        command, stop = driver.command, driver.stop

        def noted_command(target: Any) -> None:
            self.moved.append(time.monotonic())
            command(target)

        def noted_stop() -> None:
            stop()
            self.stopped.append(time.monotonic())

        driver.command, driver.stop = noted_command, noted_stop

    def take(self) -> dict[str, list[float]]:
        """Return and forget what was noted."""
        moved, stopped = self.moved[:], self.stopped[:]
        del self.moved[: len(moved)], self.stopped[: len(stopped)]
        return {"moved": moved, "stopped": stopped}


def serve_robot() -> None:
    """Run the simulated arm at 20 Hz of real time, driven from its console; answer `report` and `quit` on stdin."""
    from robot_hil.cli import compose
    from robot_hil.cli.operator_options import OperatorOptions
    from robot_hil.cli.robot import Robot
    from robot_hil.cli.runfolder import RunFolder
    from robot_hil.cli.teleop import for_driving
    from robot_hil.experiments import registry

    experiment = for_driving(registry.get("pick_cube"))
    with tempfile.TemporaryDirectory(prefix="robot-hil-console-") as folder:
        options = OperatorOptions(teleop=("console",), console=True, console_port=0)
        robot = Robot(experiment, RunFolder(Path(folder)), compose.make_agent(experiment), 0, operator=options)
        driven = Driven()
        assert robot.gate is not None
        driven.watch(robot.gate._driver)

        def run() -> None:
            episode = 0
            while not robot.stop_requested:
                episode += robot.run(Stream.DEMO, episode) is not None

        robot.start()
        thread = threading.Thread(target=run, name="control")
        thread.start()
        assert robot.operator is not None
        host = robot.operator._host
        assert host is not None
        print(json.dumps({"port": host.port, "token": host.token}), flush=True)
        try:
            while sys.stdin.readline().strip() == "report":
                said = {"latched": robot.gate.mode is GateState.STOP, "console": host.pid, **driven.take()}
                print(json.dumps(said), flush=True)
        finally:
            robot.request_stop()
            thread.join()
            robot.close()


class Robot:
    """The robot's process, from outside."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        known = self._read()
        self.port, self.token = int(known["port"]), str(known["token"])

    def report(self) -> dict[str, Any]:
        """Return `latched`, process id of the `console`, and when the arm was `moved` and `stopped` since the last."""
        assert self._process.stdin is not None
        self._process.stdin.write("report\n")
        self._process.stdin.flush()
        return self._read()

    async def stopped_since(self, t: float) -> float:
        """Wait until the arm was stopped after `t`; return when that was first [s]."""
        async with asyncio.timeout(10):
            while True:
                report = await asyncio.to_thread(self.report)
                if late := [one for one in report["stopped"] if one >= t]:
                    return float(late[0])
                await asyncio.sleep(0.05)

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        while not (line := self._process.stdout.readline()).startswith("{"):  # what it says to people
            if not line:
                raise RuntimeError("the robot's process ended")
        said: dict[str, Any] = json.loads(line)
        return said


@contextmanager
def robot_process() -> Iterator[Robot]:
    """Start the robot's process with its console."""
    code = "from teleop_rows.console_rig import serve_robot; serve_robot()"
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        text=True, cwd=Path(__file__).parents[1],
    )  # fmt: skip
    try:
        yield Robot(process)
    finally:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        process.wait()
        process.stdout.close()


class Page:
    """The page of a person who holds a key down, without a browser."""

    def __init__(self, robot: Robot, name: str, observer: bool = False) -> None:
        self.down: list[str] = []
        self.state: dict[str, Any] = {}
        self.acks: dict[str, dict[str, Any]] = {}
        self._name = name
        self.origin = f"http://127.0.0.1:{robot.port}"
        self.token = Tokens(robot.token).observer if observer else robot.token
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._number = self._seq = 0

    @asynccontextmanager
    async def open(self, http: aiohttp.ClientSession) -> AsyncIterator["Page"]:
        """Connect, again and again while the console is not there, and begin to send and listen."""
        async with asyncio.timeout(60):
            while True:
                try:
                    self._socket = await http.ws_connect(self.origin + "/ws", headers={"Origin": self.origin})
                    break
                except aiohttp.ClientError:
                    await asyncio.sleep(0.1)
        await self._socket.send_json({"type": "hello", "token": self.token, "name": self._name})
        tasks = [asyncio.create_task(work()) for work in (self._listen, self._beat)]
        try:
            yield self
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._socket.close()

    async def _listen(self) -> None:
        assert self._socket is not None
        async for message in self._socket:
            body = message.json()
            if body["type"] == "state":
                self.state = body
            elif body["type"] == "ack":
                self.acks[body["id"]] = body

    async def _beat(self) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                self._seq += 1
                await self.send(type="keys", seq=self._seq, t=time.monotonic() * 1e3, down=self.down)
                await asyncio.sleep(KEYS_PERIOD_S)

    async def send(self, **body: Any) -> None:
        """Send one message."""
        assert self._socket is not None
        await self._socket.send_json(body)

    async def press(self, kind: str, reason: str = "") -> str:
        """Press a button; return its id."""
        self._number += 1
        number = f"{self._name}-{id(self)}-{self._number}"
        await self.send(type="event", id=number, kind=kind, reason=reason)
        return number

    async def until(self, *states: str, timeout: float = 60.0) -> None:
        """Wait until the robot is in one of `states`."""
        async with asyncio.timeout(timeout):
            while self.state.get("state") not in states:
                await asyncio.sleep(0.01)

    async def drive(self) -> None:
        """Let go, clear and resume what stands, hold a key down, and wait until the robot follows."""
        for _ in range(20):
            self.down = []
            await asyncio.sleep(0.15)
            if self.state.get("state") == "ESTOP":
                await self.press("clear", "benchmark: nobody is here")
                await self.until("HOLD", "IDLE")
            if self.state.get("state") in ("HOLD", "LOST"):
                await self.press("resume")
                await asyncio.sleep(0.3)
            self.down = ["KeyA" if self._seq % 2 else "KeyD"]
            with contextlib.suppress(TimeoutError):
                await self.until("HUMAN", timeout=1.0)
                return
        raise RuntimeError(f"the robot does not follow: {self.state}")
