"""What devices share: the mailbox between a reader thread and the control loop, the gripper latch, rates, actions."""

import contextlib
from collections import deque
from collections.abc import Sequence
from enum import IntEnum
from typing import Generic, TypeVar

import numpy as np

from robot_hil.data.robot import ActionScale
from robot_hil.data.specs import Array
from robot_hil.data.teleop import TeleopEvent

T = TypeVar("T")
TWIST_AXES = ("x", "y", "z", "rx", "ry", "rz")


class Mailbox(Generic[T]):
    """The newest value and all edges, from any number of threads to one; nobody ever waits here.

    One assignment replaces the value, so a reader sees the old one or the new one; edges are queued and taken once.
    """

    def __init__(self, empty: T) -> None:
        self.value = empty
        self._events: deque[TeleopEvent] = deque()

    def post(self, event: TeleopEvent) -> None:
        """Queue an edge."""
        self._events.append(event)

    def drain(self) -> list[TeleopEvent]:
        """Return and forget all edges, oldest first; each goes to exactly one of several callers."""
        events = []
        with contextlib.suppress(IndexError):
            while True:
                events.append(self._events.popleft())
        return events


class RateMeter:
    """Counts reports; `rate(now)` is their number per second over the last `window_s`."""

    def __init__(self, window_s: float = 1.0, size: int = 4096) -> None:
        self._window = window_s
        self._times: deque[float] = deque(maxlen=size)
        self.total = 0

    def count(self, t: float) -> None:
        """Note a report at `t` [s]."""
        self.total += 1
        self._times.append(t)

    def rate(self, now: float) -> float:
        """Return reports per second of late; other threads may count meanwhile."""
        try:
            return sum(1 for t in tuple(self._times) if now - t <= self._window) / self._window
        except RuntimeError:  # counted meanwhile: the next look will do
            return 0.0


class Grip(IntEnum):
    """What the gripper is told: the value of its action."""

    CLOSE = -1
    KEEP = 0
    OPEN = 1


class GripLatch:
    """Open, close or keep, until the person says otherwise or lets go of the robot.

    An edge moves the gripper for `drive_s` even when nothing else is commanded: a tap is enough.
    """

    def __init__(self, scale: ActionScale, drive_s: float = 0.5) -> None:
        self._closed, self._opened = scale.gripper_range
        self._margin = 0.02 * (self._opened - self._closed)
        self._drive_s = drive_s
        self._edge_t = -np.inf
        self.command = Grip.KEEP

    def engage(self, commanded_width: float) -> None:
        """Begin to drive: go on with what the gripper is told now, so that taking over drops nothing."""
        if commanded_width <= self._closed + self._margin:
            self.command = Grip.CLOSE
        elif commanded_width >= self._opened - self._margin:
            self.command = Grip.OPEN
        else:
            self.command = Grip.KEEP

    def press(self, command: Grip, now: float) -> None:
        """Open or close from now on."""
        self.command, self._edge_t = command, now

    def driving(self, now: float) -> bool:
        """Whether an edge is recent enough to drive the gripper on its own."""
        return now - self._edge_t < self._drive_s

    def release(self) -> None:
        """Forget everything: nobody drives."""
        self.command, self._edge_t = Grip.KEEP, -np.inf


def to_action(scale: ActionScale, twist: Sequence[float], grip: float) -> Array:
    """Return float32 (A,) in [-1, 1] from deflections x, y, z, rx, ry, rz and a gripper command, clipped.

    Axes that the task does not have are dropped.
    """
    values = dict(zip(TWIST_AXES, twist, strict=True))
    values["gripper"] = grip
    return np.clip(np.array([values[axis] for axis in scale.axes], np.float32), -1.0, 1.0)
