"""The way back: where the tool was told to be in an episode, and the action that leads there again, backwards."""

from collections.abc import Callable, Sequence
from math import ceil, floor

import numpy as np

from robot_hil.data import rotation
from robot_hil.data.robot import ActionScale, ToolState
from robot_hil.data.specs import Array
from robot_hil.errors import ConfigError


class Rewind:
    """Remembers the commanded pose of every period of an episode, and leads back along them at a `share` of the speed.

    It only proposes actions: they take the way of every other command, so the safety gate limits and refuses them as it
    does those of a person. One thread uses it. Call `begin_episode` after a reset and `note` after each period.
    """

    def __init__(self, scale: ActionScale, tool: Callable[[], ToolState], share: float = 0.5) -> None:
        if not 0 < share <= 1:
            raise ConfigError(f"share is {share}; the way back is taken at a share of the speed above 0 and at most 1.")
        self._scale, self._tool, self._share = scale, tool, share
        self._way: list[ToolState] = []
        self._at = 0.0

    @property
    def left(self) -> float:
        """Recorded periods between here and the beginning."""
        return self._at

    def begin_episode(self) -> None:
        """The way begins here."""
        self._way, self._at = [self._tool()], 0.0

    def note(self, rewound: bool) -> None:
        """A period is over; `rewound` says that it was spent going back.

        Standing still is no part of the way. What was taken back is forgotten once the tool moves on.
        """
        if rewound:
            self._at = max(0.0, self._at - self._share)
            return
        here = self._tool()
        if _same(here, self._way[min(ceil(self._at), len(self._way) - 1)]):
            return
        del self._way[floor(self._at) + 1 :]
        self._way.append(here)
        self._at = float(len(self._way) - 1)

    def action(self) -> Array:
        """Return float32 (A,) in [-1, 1] that goes on backwards; at the beginning it stands there.

        Where the tool lags behind (a limit, a contact) it is led straight to the place where it should be by now.
        """
        at = max(0.0, self._at - self._share)
        before, after, part = self._way[floor(at)], self._way[min(floor(at) + 1, len(self._way) - 1)], at % 1.0
        wanted = self._leading(before), self._leading(after)
        values = [(1.0 - part) * a + part * b for a, b in zip(*wanted, strict=True)]
        largest = max(1.0, *(abs(value) for value in values))
        return np.array([value / largest for value in values], np.float32)

    def _leading(self, pose: ToolState) -> Sequence[float]:
        """Return the deflections, unbounded, that would lead the tool from where it is told to be to `pose`."""
        here, scale = self._tool(), self._scale
        way = dict(zip(("x", "y", "z"), (pose.pos_base - here.pos_base).tolist(), strict=True))
        turn = rotation.difference(pose.quat_base.tolist(), here.quat_base.tolist())
        units = dict.fromkeys("xyz", scale.linear_m) | dict.fromkeys(("rx", "ry", "rz"), scale.angular_rad)
        way |= dict(zip(("rx", "ry", "rz"), turn, strict=True))
        way["gripper"], units["gripper"] = pose.gripper_width - here.gripper_width, scale.gripper_m
        return [way[axis] / units[axis] for axis in scale.axes]


def _same(a: ToolState, b: ToolState) -> bool:
    """Return whether two commanded poses are the same, within a micrometre and a thousandth of a degree."""
    moved = float(np.abs(a.pos_base - b.pos_base).max()) + abs(a.gripper_width - b.gripper_width)
    return moved < 1e-6 and rotation.angle_between(a.quat_base.tolist(), b.quat_base.tolist()) < 2e-5
