"""A scripted person at a real page: knows where the cube lies and sees where the tool is."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np

from robot_hil.actor.seeding import Stream, episode_seed
from robot_hil.envs import gym_adapter
from robot_hil.envs.base import privileged_of

PATIENCE_S = 240.0


def keep_picture(page: Any, folder: Path, name: str) -> None:
    """Take a picture of what the person sees; also for the docs, where ROBOT_HIL_PICTURES says where those are."""
    page.screenshot(path=folder / name)
    assert (folder / name).stat().st_size > 10_000
    if docs := os.environ.get("ROBOT_HIL_PICTURES"):
        shutil.copy(folder / name, Path(docs) / name)


class Program:
    """`robot-hil ...` as a user starts it, with its output in a file."""

    def __init__(self, log: Path, *argv: str) -> None:
        self.log = log
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
        with log.open("wb") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "robot_hil.cli.main", *argv],
                stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT, env=environment,
            )  # fmt: skip

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def until(self, condition: Callable[[], Any]) -> Any:
        """Wait for `condition` while the program runs; return what it gave."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            if found := condition():
                return found
            assert self.process.poll() is None, self.output[-3000:]
            time.sleep(0.05)
        raise AssertionError(f"waited in vain:\n{self.output[-3000:]}")

    def address(self, folder: Path) -> tuple[str, str]:
        """Return origin and token of the console of the run in `folder`."""
        file = folder / "console.json"
        self.until(file.exists)
        url = json.loads(file.read_text())["url"]
        origin, token = re.match(r"(https?://[^/]+)/#t=(.+)", url).groups()  # type: ignore[union-attr]
        return origin, token

    def end(self) -> int:
        """Wait for its end by itself; return the exit code."""
        return self.process.wait(PATIENCE_S)

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class Eyes:
    """Watches the robot as an observer over a socket of its own: what a person sees on the screen.

    As a `pilot` it also presses buttons: `say`.
    """

    def __init__(self, origin: str, token: str, role: str = "observer") -> None:
        self.origin, self.token, self.role = origin, token, role
        self.state: dict[str, Any] = {}
        self.acks: dict[str, dict[str, Any]] = {}
        self._say: list[dict[str, Any]] = []
        self._done = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._watch()), daemon=True)
        self._thread.start()

    async def _watch(self) -> None:
        async with aiohttp.ClientSession() as session:
            while not self._done.is_set():
                try:
                    await self._read(session)
                except aiohttp.ClientError:
                    await asyncio.sleep(0.1)

    async def _read(self, session: aiohttp.ClientSession) -> None:
        async with session.ws_connect(f"{self.origin}/ws", headers={"Origin": self.origin}) as socket:
            hello = {"type": "hello", "v": 1, "token": self.token, "client": "console", "role": self.role}
            await socket.send_json(hello)
            if self.role == "pilot":
                await socket.send_json({"type": "pilot", "want": True})
            while not self._done.is_set():
                said, self._say = self._say, []
                for message in said:
                    await socket.send_json(message)
                try:
                    message = await socket.receive(timeout=0.1)
                except TimeoutError:
                    await socket.send_json({"type": "ping", "t": 0.0})
                    continue
                if message.type is not aiohttp.WSMsgType.TEXT:
                    return
                content = json.loads(message.data)
                if content["type"] == "state":
                    self.state = content
                elif content["type"] == "ack":
                    self.acks[content["id"]] = content

    def say(self, message: dict[str, Any]) -> dict[str, Any]:
        """Send what has an id; return its acknowledgement."""
        self._say = [*self._say, message]
        deadline = time.monotonic() + PATIENCE_S
        while message["id"] not in self.acks:
            assert time.monotonic() < deadline, f"no answer to {message}"
            time.sleep(0.01)
        return self.acks[message["id"]]

    def press(self, number: str, kind: str, reason: str = "") -> dict[str, Any]:
        return self.say({"type": "event", "id": number, "kind": kind, "reason": reason})

    def close(self) -> None:
        self._done.set()
        self._thread.join(10)


def cube_of(seed: int, episode: int) -> np.ndarray:
    """Return where the cube lies in a demonstration of a run: what a person sees at a glance, base frame [m]."""
    env = gym_adapter.make("robot_hil/PickCube-v0", obs_type="state")
    try:
        env.reset(seed=episode_seed(seed, Stream.DEMO, episode))
        return np.asarray(privileged_of(env)["cube_pos"])
    finally:
        env.close()
