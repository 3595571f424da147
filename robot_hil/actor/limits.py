"""The arithmetic of the safety gate: what is a command at all, and how far it may move the target.

Plain floats throughout: tiny numpy calls would dominate a simulation of 1,500 steps a second.
"""

from dataclasses import dataclass
from math import acos, inf, isfinite, sin, sqrt

import numpy as np

from robot_hil.data.robot import ArmLimits, ArmState, CartesianTarget, JointTarget, Target
from robot_hil.errors import ConfigError

_UNIT_TOLERANCE = 2e-3  # of the squared norm; float32 quaternions pass, zero or unnormalised ones do not
_RATE_SLACK = 1.0 + 1e-6  # rounding of "speed times period" is not a violation
_MOVED = 1e-5  # a target that moved by less [m, rad] asks for no motion
_MOVING_SPEED = 0.005  # a tool slower than this [m/s] counts as standing


@dataclass(frozen=True, slots=True)
class _Pose:
    """The last Cartesian target."""

    pos: list[float]
    quat: list[float]


class TargetLimiter:
    """Keeps targets inside the box and the joint ranges, and their motion below the allowed rates.

    Rates are measured from the last target let through, or from the measured state after `reset` and when the kind
    of target changes. A start outside the box is led back at the allowed speed, never further out.
    """

    def __init__(self, limits: ArmLimits, period_s: float) -> None:
        if not (isfinite(period_s) and period_s > 0):
            raise ConfigError(f"period_s is {period_s}; give the time between commands in seconds, e.g. 0.05.")
        self._limits = limits
        self._period = period_s
        self._low, self._high = _floats(limits.workspace_low), _floats(limits.workspace_high)
        self._joint_low, self._joint_high = _floats(limits.joint_low), _floats(limits.joint_high)
        self._width_low, self._width_high = map(float, limits.gripper_range)
        self._check_limits()
        self.limited_box = 0
        """Targets of which a position, joint or the gripper was moved into its range."""
        self.limited_rate = 0
        """Targets shortened to the allowed speed or acceleration."""
        self.moving = False
        """The last target asked for motion, or the tool was measured to move."""
        self.reset()

    def reset(self) -> None:
        """Forget the last target: the next one may move one period's way from the measured state."""
        self._reference: _Pose | list[float] | None = None
        self._velocity = (0.0, 0.0, 0.0)
        self._last_t = -inf
        self.moving = False

    def malformed(self, target: Target) -> str:
        """Say why `target` is no command at all, or return an empty string."""
        if isinstance(target, CartesianTarget):
            pos, quat = _floats(target.pos_base), _floats(target.quat_base)
            if len(pos) != 3 or len(quat) != 4:
                return f"a Cartesian target needs 3 position and 4 quaternion values, got {target}"
            # A sum is finite only when every term is: one test instead of eight.
            if not isfinite(sum(pos) + sum(quat) + target.gripper_width):
                return f"the command holds NaN or infinity: {target}"
            w, x, y, z = quat
            if not abs(w * w + x * x + y * y + z * z - 1.0) <= _UNIT_TOLERANCE:
                return f"the quaternion {quat} has no unit norm"
            return ""
        if isinstance(target, JointTarget):
            joints = _floats(target.joint_pos)
            if len(joints) != len(self._joint_low):
                return f"a joint target needs {len(self._joint_low)} values, got {target}"
            if not isfinite(sum(joints) + target.gripper_width):
                return f"the command holds NaN or infinity: {target}"
            return ""
        return f"{type(target).__name__} is neither a CartesianTarget nor a JointTarget"

    def limit(self, target: Target, state: ArmState, now: float) -> Target:
        """Return `target`, or the nearest allowed one on the way to it. `target` must not be malformed."""
        width = min(max(target.gripper_width, self._width_low), self._width_high)
        # However late a command comes, it may not ask for more than one period's motion at once.
        dt = min(max(now - self._last_t, 0.0), self._period)
        self._last_t = now
        if isinstance(target, CartesianTarget):
            return self._cartesian(target, width, state, dt)
        return self._joints(target, width, state, dt)

    def _cartesian(self, target: CartesianTarget, width: float, state: ArmState, dt: float) -> CartesianTarget:
        reference = self._reference
        if not isinstance(reference, _Pose):
            reference = _Pose(state.tcp_pos_base.tolist(), state.tcp_quat_base.tolist())
            self._velocity = (0.0, 0.0, 0.0)
        x, y, z = pos = _floats(target.pos_base)
        (lx, ly, lz), (hx, hy, hz) = self._low, self._high
        cx, cy, cz = min(max(x, lx), hx), min(max(y, ly), hy), min(max(z, lz), hz)
        boxed = cx != x or cy != y or cz != z or width != target.gripper_width
        px, py, pz = reference.pos
        dx, dy, dz = cx - px, cy - py, cz - pz
        distance = sqrt(dx * dx + dy * dy + dz * dz)
        allowed = self._allowed_distance((dx, dy, dz), distance, dt)
        slow = distance > allowed * _RATE_SLACK
        if slow:
            share = allowed / distance
            dx, dy, dz = dx * share, dy * share, dz * share
            cx, cy, cz = px + dx, py + dy, pz + dz
        goal = _floats(target.quat_base)
        quat, angle, turned = _limit_rotation(reference.quat, goal, self._limits.max_angular_speed * dt)
        self.limited_box += boxed
        self.limited_rate += slow or turned
        if boxed or slow or turned:
            pos = [cx, cy, cz]
            target = CartesianTarget(pos_base=np.array(pos), quat_base=np.array(quat), gripper_width=width)
        self._reference = _Pose(pos, quat)
        self._velocity = (dx / dt, dy / dt, dz / dt) if dt > 0 else (0.0, 0.0, 0.0)
        vx, vy, vz = state.tcp_vel_base.tolist()[:3]
        measured = vx * vx + vy * vy + vz * vz
        self.moving = distance > _MOVED or angle > _MOVED or measured > _MOVING_SPEED * _MOVING_SPEED
        return target

    def _allowed_distance(self, way: tuple[float, float, float], distance: float, dt: float) -> float:
        """Return how far [m] the target may move along `way`: by speed, and by how fast speed may rise."""
        allowed = self._limits.max_linear_speed * dt
        acceleration = self._limits.max_linear_acceleration
        if acceleration < inf and distance > 0:
            along = sum(v * d for v, d in zip(self._velocity, way, strict=True)) / distance
            # Only a rise is limited: slowing down must always be possible at once.
            allowed = min(allowed, (max(0.0, along) + acceleration * dt) * dt)
        return allowed

    def _joints(self, target: JointTarget, width: float, state: ArmState, dt: float) -> JointTarget:
        reference = self._reference
        if not isinstance(reference, list):
            reference = state.joint_pos.tolist()
        wanted = _floats(target.joint_pos)
        sent = [min(max(q, lo), hi) for q, lo, hi in zip(wanted, self._joint_low, self._joint_high, strict=True)]
        self.limited_box += sent != wanted or width != target.gripper_width
        steps = [q - p for q, p in zip(sent, reference, strict=True)]
        largest, allowed = max(map(abs, steps)), self._limits.max_joint_speed * dt
        if largest > allowed * _RATE_SLACK:  # all joints by the same share, so that the path stays straight
            sent = [p + step * (allowed / largest) for p, step in zip(reference, steps, strict=True)]
            self.limited_rate += 1
        self._reference = sent
        self.moving = largest > _MOVED
        if sent == wanted and width == target.gripper_width:
            return target
        return JointTarget(joint_pos=np.array(sent), gripper_width=width)

    def _check_limits(self) -> None:
        """Refuse limits that would switch a check off by accident; NaN compares false."""
        limits = self._limits
        low = [*self._low, *self._joint_low, self._width_low]
        high = [*self._high, *self._joint_high, self._width_high]
        if len(self._low) != 3 or len(self._high) != 3 or len(low) != len(high) or not self._joint_low:
            raise ConfigError(f"limits need 3 workspace values and one lower and upper bound per joint; got {limits}.")
        if not all(a <= b for a, b in zip(low, high, strict=True)):
            raise ConfigError(f"every lower bound must be a number not above its upper bound; got {limits}.")
        positive = (
            limits.max_linear_speed, limits.max_angular_speed, limits.max_joint_speed, limits.max_linear_acceleration,
            limits.max_force, limits.max_torque, limits.max_command_age,
        )  # fmt: skip
        if not all(value > 0 for value in positive):
            raise ConfigError(f"speeds, acceleration, force, torque and command age must be above 0; got {limits}.")


def _floats(values: object) -> list[float]:
    """Return a vector as floats, or nothing when it is no vector of numbers."""
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        return []
    floats: list[float] = array.tolist() if array.ndim == 1 else []
    return floats


def _limit_rotation(start: list[float], goal: list[float], allowed: float) -> tuple[list[float], float, bool]:
    """Turn from `start` towards `goal` by at most `allowed` rad: (quaternion, angle wanted, was it limited)."""
    dot = sum(a * b for a, b in zip(start, goal, strict=True))
    half = acos(min(1.0, abs(dot)))
    angle = 2.0 * half
    if angle <= max(allowed * _RATE_SLACK, 1e-7):  # below 1e-7 acos is rounding noise
        return goal, angle, False
    share = allowed / angle
    sign = 1.0 if dot >= 0 else -1.0  # q and -q are the same orientation: take the short way
    a, b = sin((1.0 - share) * half) / sin(half), sign * sin(share * half) / sin(half)
    quat = [a * p + b * q for p, q in zip(start, goal, strict=True)]
    norm = sqrt(sum(v * v for v in quat))
    return [v / norm for v in quat], angle, True
