"""A SpaceMouse on reports that a test makes, in virtual time, with the reader's real thread."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
from fake_hidapi import COMPACT, WIRELESS, motion

from robot_hil.clock import VirtualClock
from robot_hil.data.robot import ActionScale, ToolState
from robot_hil.data.teleop import SampleStatus
from robot_hil.teleop.spacemouse import SpaceMouse, SpaceMouseConfig
from robot_hil.teleop.spacemouse_hid import HidEntry

SCALE = ActionScale(axes=("x", "y", "z", "rx", "ry", "rz", "gripper"), linear_m=0.01, angular_rad=0.05, gripper_m=0.01)
FORWARD = (0, -350, 0, 0, 0, 0)  # away from the operator; the device's y points towards him
PATIENT = SpaceMouseConfig(max_age_s=5.0, idle_age_s=5.0, silent_s=60.0)
"""For tests in real time: a busy machine is no fault of the device."""
OK, LOST, DISCONNECTED = SampleStatus.OK, SampleStatus.LOST, SampleStatus.DISCONNECTED


def tool(width: float = 0.04) -> ToolState:
    return ToolState(
        pos_base=np.zeros(3), quat_base=np.array([1.0, 0, 0, 0]), gripper_width=width, joint_pos=np.zeros(6)
    )


def counts(value: float, axis: int = 1) -> tuple[int, ...]:
    return tuple(round(350 * value) if i == axis else 0 for i in range(6))


def wait_until(condition: Callable[[], bool]) -> None:
    """A thread needs a moment; how long is not asked."""
    for _ in range(5000):
        if condition():
            return
        time.sleep(0.002)
    raise AssertionError("it did not happen within 10 s")


class Bench:
    """A HID library with one device, whose reports and troubles the test decides; also the port of that device."""

    def __init__(self, ids: tuple[int, int] = COMPACT) -> None:
        self.ids = ids
        self.plugged = True
        self.refuses = False
        self.thawed = threading.Event()
        self.thawed.set()
        self.breaks: BaseException | None = None
        self.waits = 0
        self.closed = 0
        self.written: list[bytes] = []
        self._reports: deque[bytes] = deque()

    def entries(self) -> list[HidEntry]:
        path = "/dev/hidraw1"
        return [HidEntry(path=path, vendor_id=self.ids[0], product_id=self.ids[1])] if self.plugged else []

    def open(self, path: str) -> "Bench":
        if self.refuses or not self.plugged:
            raise OSError(path)
        self._reports.clear()
        return self

    def read(self, timeout_ms: int) -> bytes:
        self.thawed.wait()
        if self.breaks:
            raise self.breaks
        if not self.plugged:
            raise OSError("gone")
        if self._reports:
            return self._reports.popleft()
        if timeout_ms:
            self.waits += 1
            time.sleep(0.0005)
        return b""

    def write(self, data: bytes) -> None:
        self.written.append(bytes(data))

    def close(self) -> None:
        self.closed += 1

    def settle(self) -> None:
        """Wait until the reader has shown all that was sent, at the present time."""
        seen = self.waits
        wait_until(lambda: self.waits >= seen + 3 and not self._reports)

    def send(self, *reports: bytes) -> None:
        self._reports.extend(reports)
        self.settle()


class Rig:
    """A device on a `Bench`, in virtual time."""

    def __init__(self, ids: tuple[int, int] = COMPACT, width: float = 0.04, **config) -> None:
        self.bench, self.clock, self.width = Bench(ids), VirtualClock(100.0), width
        self.device = SpaceMouse(
            SCALE, lambda: tool(self.width), self.clock, config=SpaceMouseConfig(**config), hid=self.bench
        )
        self.combined = ids == WIRELESS

    def begin(self) -> "Rig":
        """Start and let the look at the untouched puck pass."""
        self.device.start()
        self.wait(0.625)
        return self

    def wait(self, seconds: float) -> None:
        """Let time pass in which the puck says nothing."""
        self.clock.advance(seconds)
        if self.bench.plugged and self.bench.thawed.is_set():
            self.bench.settle()

    def push(self, raw) -> None:
        self.bench.send(*motion(raw, combined=self.combined))

    def latest(self):
        return self.device.latest()


@contextmanager
def rigs() -> Iterator[Callable[..., Rig]]:
    """Give a function that makes rigs, and end them all."""
    made: list[Rig] = []

    def make(*args, **kwargs) -> Rig:
        made.append(Rig(*args, **kwargs))
        return made[-1]

    yield make
    for one in made:
        one.bench.thawed.set()
        one.device.stop()


def button(bits: int, *more: int) -> bytes:
    return bytes([3, bits, *more])
