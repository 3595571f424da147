"""From a hand to the robot's tool: relative poses, position tracking, no backlog."""

from collections.abc import Sequence
from math import cos, sin

from robot_hil.data.robot import ActionScale, ToolState
from robot_hil.data.rotation import Quat, Vec, conjugate, difference, from_rotvec, multiply, rotate
from robot_hil.teleop.base import TWIST_AXES
from robot_hil.teleop.webxr.config import WebXRConfig
from robot_hil.teleop.webxr.pose import HandPose

_AXES: Quat = (0.5, 0.5, -0.5, -0.5)
"""x right, y up, -z forward (WebXR) to x forward, y left, z up (the robot's base)."""
Six = tuple[float, float, float, float, float, float]
STILL: Six = (0.0,) * 6


def base_from_headset(heading: float, facing: float) -> Quat:
    """Return the rotation from the headset's space to the robot's base for an operator who looks along `heading`."""
    forward = multiply(_AXES, (cos(-0.5 * heading), 0.0, sin(-0.5 * heading), 0.0))
    return multiply((cos(0.5 * facing), 0.0, 0.0, sin(0.5 * facing)), forward)


class HandMapping:
    """Says how to move the commanded tool so that it repeats what the hand did since `engage`.

    The wanted pose is the one commanded at `engage`, moved by the hand's motion since: translation turned into the
    base frame, rotation left-composed there. The action closes the gap between wanted and commanded pose: positions are
    tracked, so nothing is lost to a limit on speed for a moment. What is further ahead than `lead_s` at full speed
    is forgotten, and so is motion along axes that the task does not have: the latch slips.
    """

    def __init__(self, scale: ActionScale, config: WebXRConfig) -> None:
        steps = [scale.linear_m] * 3 + [scale.angular_rad] * 3
        self._step = [s if a in scale.axes else 0.0 for a, s in zip(TWIST_AXES, steps, strict=True)]
        self._lead = [s * max(1.0, config.lead_s / scale.period_s) for s in self._step]
        self._config = config
        self._to_base: Quat = _AXES
        self._hand_pos: Vec = (0.0, 0.0, 0.0)
        self._hand_quat: Quat = (1.0, 0.0, 0.0, 0.0)
        self._tool_pos: Sequence[float] = (0.0, 0.0, 0.0)
        self._tool_quat: Sequence[float] = (1.0, 0.0, 0.0, 0.0)
        self.behind = False
        """The latch slipped at the last `follow` because the hand was ahead of what the arm can do."""

    def engage(self, hand: HandPose, heading: float, tool: ToolState) -> None:
        """Latch hand and commanded tool: from here on the tool repeats the hand, which is no motion yet."""
        self._to_base = base_from_headset(heading, self._config.facing)
        self._hand_pos, self._hand_quat = hand.pos, hand.quat
        self._tool_pos, self._tool_quat = tool.pos_base.tolist(), tool.quat_base.tolist()
        self.behind = False

    def follow(self, hand: HandPose, tool: ToolState) -> Six:
        """Return the motion of the next period, x, y, z, rx, ry, rz in [-1, 1], towards the wanted pose."""
        moved = [self._config.scale * (a - b) for a, b in zip(hand.pos, self._hand_pos, strict=True)]
        moved_base = rotate(self._to_base, moved)
        turned_base = from_rotvec(rotate(self._to_base, difference(hand.quat, self._hand_quat)))
        commanded_pos, commanded_quat = tool.pos_base.tolist(), tool.quat_base.tolist()
        gap = [p + m - c for p, m, c in zip(self._tool_pos, moved_base, commanded_pos, strict=True)]
        gap += difference(multiply(turned_base, self._tool_quat), commanded_quat)
        kept = [min(max(g, -lead), lead) for g, lead in zip(gap, self._lead, strict=True)]
        self.behind = any(step and g != k for g, k, step in zip(gap, kept, self._step, strict=True))
        if kept[:3] != gap[:3]:
            self._tool_pos = [c + k - m for c, k, m in zip(commanded_pos, kept[:3], moved_base, strict=True)]
        if kept[3:] != gap[3:]:
            self._tool_quat = multiply(conjugate(turned_base), multiply(from_rotvec(kept[3:]), commanded_quat))
        x, y, z, rx, ry, rz = (
            min(max(k / step, -1.0), 1.0) if step else 0.0 for k, step in zip(kept, self._step, strict=True)
        )
        return x, y, z, rx, ry, rz
