"""From the deflection of a stick, a puck or keys to a sample: dead-zone with hysteresis, rotation, gripper, tail."""

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from robot_hil.data.robot import ActionScale, ToolState
from robot_hil.data.teleop import SampleStatus, TeleopSample
from robot_hil.errors import ConfigError
from robot_hil.teleop.base import Grip, GripLatch, to_action

_LOG = logging.getLogger(__name__)
IDENTITY = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
FACING_ROBOT = ((-1.0, 0.0, 0.0), (0.0, -1.0, 0.0), (0.0, 0.0, 1.0))
"""The operator looks at the robot from the front: away from the operator is towards the robot's base."""


def turned(facing: float) -> tuple[tuple[float, float, float], ...]:
    """Return the rotation of an operator for whom *away* is `facing` about the base's z axis [rad]: 0 from behind it.

    >>> turned(0.0) == IDENTITY
    True
    """
    c, s = round(math.cos(facing), 12), round(math.sin(facing), 12)
    return (c, -s, 0.0), (s, c, 0.0), (0.0, 0.0, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeflectionConfig:
    """How deflections become commands; all of them as shares of full deflection."""

    enter: float = 0.08
    """The person takes over when an axis is deflected more than this..."""
    leave: float = 0.04
    """...and lets go when none is deflected more than that; output starts at 0 here."""
    speed: float = 1.0
    """Share of the full speed at full deflection."""
    tail_s: float = 0.3
    """Time after letting go in which the person is still in charge: a hand passes through the centre [s]."""
    rotation: tuple[tuple[float, float, float], ...] = IDENTITY
    """Operator's frame to robot base, a rotation matrix: x away from the operator, y to the left, z up."""

    def __post_init__(self) -> None:
        if not 0 <= self.leave < self.enter < 1:
            raise ConfigError(f"dead-zone leave is {self.leave}, enter {self.enter}; needed: 0 <= leave < enter < 1.")
        if not 0 < self.speed <= 1:
            raise ConfigError(f"speed is {self.speed}; give a share of the full speed, above 0 and at most 1.")
        if not 0 <= self.tail_s < np.inf:
            raise ConfigError(f"tail_s is {self.tail_s}; give a time in seconds, at least 0.")
        try:
            matrix = np.array(self.rotation, float)
        except ValueError:  # rows of different lengths
            matrix = np.zeros(0)
        if matrix.shape != (3, 3) or not np.allclose(matrix @ matrix.T, np.eye(3), atol=1e-6):
            raise ConfigError(f"rotation {self.rotation} is no rotation matrix: its rows must be orthonormal.")
        if np.linalg.det(matrix) < 0:
            raise ConfigError(f"rotation {self.rotation} mirrors (its determinant is -1): swap one axis' sign.")


class Deflection:
    """The part of a device that knows no hardware. One thread uses it: that of the control loop."""

    def __init__(self, scale: ActionScale, tool: Callable[[], ToolState], config: DeflectionConfig) -> None:
        self.grip = GripLatch(scale)
        self._scale, self._tool, self._config = scale, tool, config
        self._rotation = np.array(config.rotation, float)
        self._deflected = self._engaged = False

    def reset(self) -> None:
        """Let go: the device was lost or stopped."""
        self._deflected = self._engaged = False
        self.grip.release()

    def sample(
        self,
        t: float,
        now: float,
        raw: Sequence[float],
        *,
        device: str,
        operator: str = "",
        pressed: Grip | None = None,
        held: bool = False,
    ) -> TeleopSample:
        """Return the sample for deflections `raw` x, y, z, rx, ry, rz in [-1, 1], operator's frame, known at `t` [s].

        `pressed` is a gripper edge since the last call. `held` says that the person holds on by a dead-man's button,
        and so is in charge without any deflection. A value that is not finite makes the sample LOST.
        """
        values = np.asarray(raw, float)
        if values.shape != (6,) or not np.isfinite(values).all():
            self.reset()
            return TeleopSample(
                status=SampleStatus.LOST, t=t, device=device, operator=operator, problem=f"{device} reports {raw}"
            )
        twist = self._twist(values)
        if pressed is not None:
            if not self._engaged:
                self.grip.engage(self._width())
            self.grip.press(pressed, now)
        engaged = held or self._deflected or self.grip.driving(now)
        if engaged and not self._engaged and pressed is None:
            self.grip.engage(self._width())
        elif not engaged and self._engaged:
            self.grip.release()
        self._engaged = engaged
        return TeleopSample(
            status=SampleStatus.OK,
            t=t,
            engaged=engaged,
            action=to_action(self._scale, twist.tolist(), self.grip.command) if engaged else None,
            device=device,
            operator=operator,
            tail_s=self._config.tail_s,
        )

    def closing(self) -> bool:
        """Whether the gripper is told to close, or is closed while nobody drives: what a toggle button turns round."""
        if not self._engaged:
            self.grip.engage(self._width())
        return self.grip.command is Grip.CLOSE

    def _width(self) -> float:
        """Return the commanded width; NaN, which leaves the gripper as it is, when the tool cannot be asked."""
        try:
            return self._tool().gripper_width
        # A device never raises, whatever is wrong with the environment.
        except Exception:
            _LOG.exception("the gripper's commanded width is not known")
            return float("nan")

    def _twist(
        self, values: np.ndarray[tuple[int], np.dtype[np.float64]]
    ) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """Apply dead-zone, speed and rotation; zeros while nobody pulls."""
        config = self._config
        largest = float(np.abs(values).max())
        self._deflected = largest > (config.leave if self._deflected else config.enter)
        if not self._deflected:
            return np.zeros(6)
        beyond = np.clip((np.abs(values) - config.leave) / (1.0 - config.leave), 0.0, 1.0)
        twist = config.speed * np.sign(values) * beyond
        return np.concatenate((self._rotation @ twist[:3], self._rotation @ twist[3:]))
