"""From the leader's joints to motions of the robot's tool: may it engage, soft start, follow. Knows no bus, no time."""

from collections.abc import Callable, Sequence

import numpy as np

from robot_hil.data.robot import ActionScale, ToolState
from robot_hil.data.rotation import Quat, conjugate, difference, multiply
from robot_hil.data.specs import Array
from robot_hil.errors import SpecError
from robot_hil.teleop.base import to_action

Forward = Callable[[Array], tuple[Array, Array]]
"""The robot's forward kinematics: joints (n,) [rad] to position (3,) [m] and orientation wxyz (4,), base frame."""


class Follower:
    """Moves a joint target from where the robot is to where the leader is, and the tool to where the target puts it.

    What the arm was told beyond where it stands (its weight, or a surface it presses on) is kept: the first command is
    no motion, and from then on the leader's motions are the robot's.
    """

    def __init__(
        self, scale: ActionScale, forward: Forward, *, match_rad: float, soft_rad_s: float, soft_step_rad: float
    ) -> None:
        self._scale, self._forward = scale, forward
        self._match, self._speed, self._step = match_rad, soft_rad_s, soft_step_rad
        self.target: Array = np.zeros(0)
        """Joint target, (n,) [rad]."""
        self.caught_up = False
        """The target has reached the leader: from now on it is where the leader is."""
        self._lead_pos: Array = np.zeros(3)
        self._lead_quat: Quat = (1.0, 0.0, 0.0, 0.0)
        self._trigger_side: float | None = None

    def mismatch(self, leader: Sequence[float], tool: ToolState) -> str:
        """Say what keeps the leader from engaging, in words for the operator, or return an empty string."""
        robot = tool.joint_pos
        if len(leader) != len(robot):
            return f"the leader arm has {len(leader)} joints, the robot {len(robot)}: correct the calibration"
        apart = np.abs(np.asarray(leader) - robot)
        if not np.isfinite(apart).all():
            return f"the robot's joint angles are not known: {robot}"
        far = [f"joint {i + 1} by {apart[i]:.2f} rad" for i in np.flatnonzero(apart > self._match)]
        if far:
            return f"the leader arm is off the robot's pose, {', '.join(far)} (at most {self._match:g}): move it there"
        return ""

    def engage(self, tool: ToolState, squeeze: float | None) -> None:
        """Begin at the robot's own joints; raises `SpecError` when the kinematics give no pose."""
        self.target = np.array(tool.joint_pos, float)
        self.caught_up = False
        pos, quat = self._pose()
        self._lead_pos = tool.pos_base - pos
        self._lead_quat = multiply(tool.quat_base.tolist(), conjugate(quat))
        # The gripper waits until the trigger passes what it was told: a leader with an open hand drops nothing.
        self._trigger_side = None if squeeze is None else self._width(squeeze) - tool.gripper_width

    def follow(self, leader: Sequence[float], squeeze: float | None, tool: ToolState, seconds: float) -> Array:
        """Return the action, float32 (A,), for the period that begins now, `seconds` after the last one."""
        gap = np.asarray(leader) - self.target
        furthest, step = float(np.abs(gap).max()), min(self._step, self._speed * seconds)
        self.caught_up = self.caught_up or furthest <= step
        self.target = self.target + (gap if self.caught_up else gap * (step / furthest))
        pos, quat = self._pose()
        scale = self._scale
        shift = (pos + self._lead_pos - tool.pos_base) / scale.linear_m
        turn = np.zeros(3)
        if scale.angular_rad:
            wanted = multiply(self._lead_quat, quat)
            turn = np.array(difference(wanted, tool.quat_base.tolist())) / scale.angular_rad
        return to_action(scale, [*shift.tolist(), *turn.tolist()], self._grip(squeeze, tool))

    def _grip(self, squeeze: float | None, tool: ToolState) -> float:
        if squeeze is None or not self._scale.gripper_m:
            return 0.0
        off = self._width(squeeze) - tool.gripper_width
        if self._trigger_side is not None:
            closed, opened = self._scale.gripper_range
            if off * self._trigger_side > 0 and abs(off) > 0.05 * (opened - closed):
                return 0.0
            self._trigger_side = None
        return off / self._scale.gripper_m

    def _width(self, squeeze: float) -> float:
        closed, opened = self._scale.gripper_range
        return opened - squeeze * (opened - closed)

    def _pose(self) -> tuple[Array, list[float]]:
        pos, quat = self._forward(self.target)
        if np.shape(pos) != (3,) or np.shape(quat) != (4,) or not np.isfinite([*pos, *quat]).all():
            raise SpecError(f"the forward kinematics of {self.target} gave {pos}, {quat}; needed are 3 + 4 numbers.")
        return np.asarray(pos, float), np.asarray(quat, float).tolist()
