"""Task: put a square peg of 20.0 mm into a hole of 20.5 mm at an unknown place and yaw."""

from functools import partial
from math import atan2, pi, tanh
from typing import Any

import numpy as np

from robot_hil.data import rotation
from robot_hil.data.disturbance import Disturbance
from robot_hil.data.robot import CartesianTarget
from robot_hil.data.specs import ArraySpec
from robot_hil.envs.mujoco.arm import HOME
from robot_hil.envs.mujoco.build import build_env
from robot_hil.envs.mujoco.world import World
from robot_hil.envs.robot_env import RobotEnv
from robot_hil.envs.task import Motion, ObsType, Reading
from robot_hil.errors import ConfigError

CENTRE = (0.5, 0.0)
"""Middle of the area in which the hole lies, base frame [m]."""
HALF_AREA = 0.04
HALF_YAW = 0.35
MOUTH_Z = 0.03
"""Height of the block [m]."""
PEG_LENGTH = 0.05
"""Peg below the tool centre point [m]."""
DEPTH_M = 0.02
"""Success: the tip this far below the mouth, inside the hole."""
PEG_WIDTH = 0.02
CLEAR_M = 0.002
"""A tip that is less above the block holds it in place [m]."""

# No velocities: a policy that imitates smooth demonstrations would learn to go on with its own motion.
_MOTION = (
    "lead x [0.03 m]", "lead y [0.03 m]", "lead z [0.03 m]",
    "lead rx [0.2 rad]", "lead ry [0.2 rad]", "lead rz [0.2 rad]",
    "tilt rx [0.1 rad]", "tilt ry [0.1 rad]",
    "force x [20 N]", "force y [20 N]", "force z [20 N]",
    "torque x [2 N m]", "torque y [2 N m]", "torque z [2 N m]",
)  # fmt: skip
_HOLE = (
    "tip x - hole [0.05 m]", "tip y - hole [0.05 m]", "tip z - mouth [0.05 m]",
    "tip x - hole [tanh, 1.5 mm]", "tip y - hole [tanh, 1.5 mm]", "tip z - mouth [tanh, 3 mm]",
    "yaw to turn [0.3 rad]", "yaw to turn [tanh, 0.03 rad]",
)  # fmt: skip
_PLACE = (
    "tip x - centre [0.05 m]", "tip y - centre [0.05 m]", "tip z - mouth [0.05 m]", "tip z - mouth [tanh, 3 mm]",
    "yaw of peg [0.3 rad]",
)  # fmt: skip


class PegInsertion:
    """Hole at a random place (+-4 cm) and yaw (+-0.35 rad); the peg starts above the area, slightly turned and tilted.

    Action: x, y, z, rx, ry, rz in the base frame; 10 mm and 0.05 rad per step at 10 Hz. The observed hole pose is off
    by a constant of each episode, uniform within `hole_error_m` per axis and `hole_error_rad`; images never are.
    """

    env_id = "robot_hil/PegInsertion-v0"
    instruction = "put the peg into the hole"
    max_seconds = 10.0
    motion = Motion(
        axes=("x", "y", "z", "rx", "ry", "rz"), linear_speed=0.1, angular_speed=0.5, lead_m=0.03, lead_rad=0.2
    )

    disturbances: tuple[str, ...] = ("object",)

    def __init__(self, world: World, *, hole_error_m: float = 0.0, hole_error_rad: float = 0.0) -> None:
        if not 0.0 <= hole_error_m <= 0.02 or not 0.0 <= hole_error_rad <= 0.5:
            raise ConfigError(
                f"hole_error_m is {hole_error_m} and hole_error_rad {hole_error_rad}; "
                "allowed are 0 to 0.02 m and 0 to 0.5 rad."
            )
        self._world = world
        self._errors = np.array([hole_error_m, hole_error_m, hole_error_rad])
        self._tip = world.data.site("held_tip").xpos
        self._hole: list[float] = [0.0] * 3  # x, y, yaw
        self._reported = self._hole

    def observation_spec(self, obs_type: ObsType) -> ArraySpec:
        names = (*_MOTION, *(_HOLE if obs_type == "state" else _PLACE))
        return ArraySpec(shape=(len(names),), low=-5.0, high=5.0, names=names)

    def reset(self, rng: np.random.Generator) -> CartesianTarget:
        world = self._world
        area = np.array([HALF_AREA, HALF_AREA, HALF_YAW])
        hole = np.array([*CENTRE, 0.0]) + rng.uniform(-area, area)
        tip = np.array([*CENTRE, MOUTH_Z + 0.045]) + rng.uniform((-0.03, -0.03, -0.015), (0.03, 0.03, 0.015))
        turn = rng.uniform((-0.04, -0.04, -0.1), (0.04, 0.04, 0.1))
        self._hole = hole.tolist()
        self._reported = (hole + rng.uniform(-1.0, 1.0, 3) * self._errors).tolist()
        quat = rotation.multiply(rotation.from_rotvec(turn.tolist()), (0.0, 1.0, 0.0, 0.0))
        tool = tip - rotation.rotate(quat, (0.0, 0.0, PEG_LENGTH))
        world.rewind()
        world.place_tool(HOME, tool, quat)
        world.data.qpos[7:9] = 0.5 * PEG_WIDTH
        yaw = self._hole[2]
        world.data.mocap_pos[0] = self._hole[0], self._hole[1], MOUTH_Z
        world.data.mocap_quat[0] = np.cos(0.5 * yaw), 0.0, 0.0, np.sin(0.5 * yaw)
        world.refresh()
        return CartesianTarget(pos_base=tool, quat_base=np.array(quat), gripper_width=PEG_WIDTH)

    def observe(self, reading: Reading, obs_type: ObsType) -> list[float]:
        arm, target = reading.arm, reading.target_pos
        tx, ty, tz = arm.tcp_pos_base.tolist()
        quat = arm.tcp_quat_base.tolist()
        rx, ry, rz = rotation.difference(reading.target_quat, quat)
        ax, ay, _ = rotation.rotate(quat, (0.0, 0.0, 1.0))
        fx, fy, fz, mx, my, mz = arm.wrench_tcp.tolist()
        motion = [
            (target[0] - tx) / 0.03, (target[1] - ty) / 0.03, (target[2] - tz) / 0.03, 5.0 * rx, 5.0 * ry, 5.0 * rz,
            10.0 * ay, -10.0 * ax, 0.05 * fx, 0.05 * fy, 0.05 * fz, 0.5 * mx, 0.5 * my, 0.5 * mz,
        ]  # fmt: skip
        x, y, z = self._tip.tolist()
        z -= MOUTH_Z
        yaw = _yaw(quat)
        if obs_type == "pixels":
            return [*motion, 20.0 * (x - CENTRE[0]), 20.0 * (y - CENTRE[1]), 20.0 * z, tanh(z / 0.003), yaw / 0.3]
        dx, dy = x - self._reported[0], y - self._reported[1]
        turn = _wrap(self._reported[2] - yaw)
        return [
            *motion, 20.0 * dx, 20.0 * dy, 20.0 * z, tanh(dx / 0.0015), tanh(dy / 0.0015), tanh(z / 0.003),
            turn / 0.3, tanh(turn / 0.03),
        ]  # fmt: skip

    def success(self, reading: Reading) -> bool:
        x, y, z = self._tip.tolist()
        side: float = abs(x - self._hole[0]) + abs(y - self._hole[1])
        return bool(z <= MOUTH_Z - DEPTH_M and side < 0.5 * PEG_WIDTH)

    def disturb(self, reading: Reading, what: Disturbance) -> None:
        """`object` slides the block with the hole by (x, y) within its area; the pose that is reported slides along."""
        if float(self._tip[2]) < MOUTH_Z + CLEAR_M:
            return
        x, y, yaw = self._hole
        new = [
            min(max(old + by, centre - HALF_AREA), centre + HALF_AREA)
            for old, by, centre in zip((x, y), (what.x, what.y), CENTRE, strict=True)
        ]
        seen_x, seen_y, seen_yaw = self._reported
        self._reported = [seen_x + new[0] - x, seen_y + new[1] - y, seen_yaw]
        self._hole = [*new, yaw]
        self._world.data.mocap_pos[0] = *new, MOUTH_Z
        self._world.settle()

    def privileged(self, reading: Reading) -> dict[str, Any]:
        x, y, yaw = self._hole
        return {
            "hole_pos": np.array([x, y, MOUTH_Z]),
            "hole_yaw": yaw,
            "peg_tip_pos": self._tip.copy(),
            "peg_yaw": _yaw(reading.arm.tcp_quat_base.tolist()),
            "depth": MOUTH_Z - float(self._tip[2]),
            "wrench": reading.arm.wrench_tcp.copy(),
        }


def _yaw(quat: list[float]) -> float:
    """Return the direction of the tool's x axis about the vertical [rad]."""
    x, y, _ = rotation.rotate(quat, (1.0, 0.0, 0.0))
    return atan2(y, x)


def _wrap(yaw: float) -> float:
    """Return the smallest turn that means the same for a square [rad]."""
    return (yaw + 0.25 * pi) % (0.5 * pi) - 0.25 * pi


def make_env(
    obs_type: ObsType = "state",
    control_hz: float = 10.0,
    image_size: int = 128,
    render_mode: str | None = None,
    max_seconds: float | None = None,
    hole_error_m: float = 0.0,
    hole_error_rad: float = 0.0,
) -> RobotEnv:
    """Return `robot_hil/PegInsertion-v0`."""
    return build_env(
        "peg_insertion.xml", partial(PegInsertion, hole_error_m=hole_error_m, hole_error_rad=hole_error_rad),
        held="peg.xml", low=(0.42, -0.08, 0.05), high=(0.58, 0.08, 0.18),
        obs_type=obs_type, control_hz=control_hz, image_size=image_size, render_mode=render_mode,
        max_seconds=max_seconds,
    )  # fmt: skip
