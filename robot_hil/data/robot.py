"""States and targets of an arm. SI units, radians, base frame right-handed with z up, quaternions wxyz."""

from dataclasses import dataclass

import numpy as np

from robot_hil.data.specs import Array


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmState:
    """What an arm reports, float64."""

    t: float
    """Monotonic time of the measurement [s]."""
    joint_pos: Array
    """(n,) [rad]."""
    joint_vel: Array
    """(n,) [rad/s]."""
    tcp_pos_base: Array
    """Tool centre point, (3,) [m]."""
    tcp_quat_base: Array
    """Orientation of the tool, wxyz, (4,), unit norm."""
    tcp_vel_base: Array
    """Linear then angular velocity, (6,) [m/s, rad/s]."""
    wrench_tcp: Array
    """Force then torque exerted by the world on the tool, base-frame axes, (6,) [N, N m]."""
    gripper_width: float
    """Distance between the fingers [m]."""
    fault: str = ""
    """Non-empty while the arm itself refuses to move; says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CartesianTarget:
    """Where the tool should be; the arm's impedance controller pulls it there."""

    pos_base: Array
    """(3,) [m]."""
    quat_base: Array
    """wxyz, (4,), unit norm."""
    gripper_width: float
    """Wanted distance between the fingers [m]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JointTarget:
    """Where the joints should be (resets)."""

    joint_pos: Array
    """(n,) [rad]."""
    gripper_width: float


Target = CartesianTarget | JointTarget


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmLimits:
    """Bounds the safety gate enforces."""

    workspace_low: Array
    """Lower corner of the box for the tool centre point, (3,) [m], base frame."""
    workspace_high: Array
    """Upper corner, (3,) [m]."""
    joint_low: Array
    """(n,) [rad]."""
    joint_high: Array
    """(n,) [rad]."""
    max_linear_speed: float
    """Of the commanded tool position [m/s]."""
    max_angular_speed: float
    """Of the commanded orientation [rad/s]."""
    max_joint_speed: float = 2.0
    """Of the commanded joint positions [rad/s]."""
    max_linear_acceleration: float = np.inf
    """By which the speed of the commanded tool position may rise [m/s2]; slowing down is never limited."""
    max_force: float = np.inf
    """Measured force at the tool that stops the arm [N]."""
    max_torque: float = np.inf
    """Measured torque at the tool that stops the arm [N m]."""
    gripper_range: tuple[float, float] = (0.0, 0.08)
    """Allowed distance between the fingers [m]."""
    max_command_age: float = 0.2
    """A command older than this when it reaches the gate is refused [s]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolState:
    """Where the tool was told to be: what a device that commands positions compares the hand with."""

    pos_base: Array
    """Commanded position, (3,) float64 [m]."""
    quat_base: Array
    """Commanded orientation, wxyz, (4,) float64, unit norm."""
    gripper_width: float
    """Commanded distance between the fingers [m]."""
    joint_pos: Array
    """Measured joint angles, (n,) float64 [rad]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionScale:
    """What an action of +-1 means: which axes it has, and how far one control period moves the commanded tool."""

    axes: tuple[str, ...]
    """Name of each action dimension: a subset of x, y, z, rx, ry, rz, gripper, in this order; base frame."""
    linear_m: float
    """Per axis and period [m]."""
    angular_rad: float = 0.0
    """Per axis and period [rad]; rotations are left-composed in the base frame."""
    gripper_m: float = 0.0
    """Change of the commanded width per period [m]; +1 opens."""
    gripper_range: tuple[float, float] = (0.0, 0.08)
    """Closed and open width [m]."""
    period_s: float = 0.1
    """Control period [s]."""
