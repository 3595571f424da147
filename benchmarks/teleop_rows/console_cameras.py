"""A robot's process for figures of video: three cameras at 30 Hz, a paced control thread, and a console of its own."""

import json
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from robot_hil.actor.pacing import Pacer, punctual
from robot_hil.clock import MonotonicClock
from robot_hil.console.host import ConsoleHost
from robot_hil.console.link import RobotLink
from robot_hil.console.messages import Ack, FromPage, Status, ToRobot, Welcome
from robot_hil.data.operator_input import Button, Words
from robot_hil.data.specs import Array

CAMERAS = ("front", "wrist", "side")
FRAME_HZ, CONTROL_HZ = 30.0, 100.0
_WORK_S = 0.001


def moving_pictures(count: int = 30) -> list[Array]:
    """Return images uint8 (480, 640, 3) with edges, texture and something that moves."""
    import cv2

    rng = np.random.default_rng(0)
    texture = cv2.resize(rng.integers(0, 255, (24, 32, 3), np.uint8), (640, 480), interpolation=cv2.INTER_CUBIC)
    pictures = []
    for number in range(count):
        image = np.roll(texture, 8 * number, axis=1).copy()
        x = int(320 + 240 * np.sin(2 * np.pi * number / count))
        cv2.rectangle(image, (x - 40, 180), (x + 40, 300), (230, 40, 40), -1)
        cv2.putText(image, f"{number:03d}", (20, 60), cv2.FONT_HERSHEY_SIMPLEX, 2, (255, 255, 255), 3)
        pictures.append(image)
    return pictures


class Loop:
    """A thread with the control loop's pacing: 100 periods per second, a millisecond of work in each."""

    def __init__(self) -> None:
        self.pacer = Pacer(MonotonicClock(), 1 / CONTROL_HZ)
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="control")
        self._from = 0

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._done.set()
        self._thread.join()

    def lateness(self) -> dict[str, float]:
        """Return the 99th percentile of lateness [ms] since the last call, and how many periods these were."""
        values = self.pacer.lateness()[self._from :]
        self._from += len(values)
        return {"p99_ms": 1e3 * float(np.percentile(values, 99)), "periods": len(values)}

    def _run(self) -> None:
        matrix = np.ones((60, 60))
        with punctual():
            self.pacer.start()
            while not self._done.is_set():
                end = time.monotonic() + _WORK_S
                while time.monotonic() < end:
                    matrix @ matrix
                self.pacer.wait()


def serve() -> None:
    """Answer `lateness` on stdin with a line of JSON until it ends."""
    robot = RobotLink(
        Welcome(experiment="video", task="", cameras=list(CAMERAS), control_hz=CONTROL_HZ, folder=""),
        lambda message: hear(robot, message),
    )
    robot.start()
    done, loop = threading.Event(), Loop()

    def film() -> None:
        pictures = moving_pictures()
        pacer, number = Pacer(MonotonicClock(), 1 / FRAME_HZ), 0
        pacer.start()
        while not done.is_set():
            now = time.monotonic()
            frames = {name: pictures[(number + 7 * at) % len(pictures)] for at, name in enumerate(CAMERAS)}
            robot.show(frames, now)
            if number % 3 == 0:
                robot.send(Status(t=now, state="POLICY", reason="", phase="train", message="", driver="policy"))
            number += 1
            pacer.wait()

    filming = threading.Thread(target=film, name="cameras")
    with tempfile.TemporaryDirectory(prefix="robot-hil-video-") as folder:
        host = ConsoleHost(robot.endpoint, Path(folder), port=0)
        host.start()
        loop.start()
        filming.start()
        try:
            while host.pid is None:
                time.sleep(0.01)
            print(json.dumps({"url": host.url, "pid": host.pid}), flush=True)
            while sys.stdin.readline().strip() == "lateness":
                print(json.dumps(loop.lateness()), flush=True)
        finally:
            done.set()
            filming.join()
            loop.stop()
            host.stop()
            robot.stop()


def hear(robot: RobotLink, message: ToRobot) -> None:
    """Acknowledge buttons."""
    if isinstance(message, FromPage) and isinstance(message.body, Button | Words):
        robot.send(Ack(id=message.body.id, client=message.client, ok=True))


if __name__ == "__main__":
    serve()
