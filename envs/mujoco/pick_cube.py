"""Task: lift a cube of 4 cm, somewhere on the table, by 10 cm."""

from typing import Any

import numpy as np

from robot_hil.data.disturbance import Disturbance
from robot_hil.data.robot import CartesianTarget
from robot_hil.data.specs import Array, ArraySpec
from robot_hil.envs.mujoco.arm import HOME, MAX_WIDTH
from robot_hil.envs.mujoco.build import build_env
from robot_hil.envs.mujoco.world import World
from robot_hil.envs.robot_env import RobotEnv
from robot_hil.envs.task import Motion, ObsType, Reading

CENTRE = (0.5, 0.0)
"""Middle of the area in which the cube lies, base frame [m]."""
HALF_AREA = 0.08
HALF_EDGE = 0.02
LIFT_M = 0.10
"""Success: the cube's centre this far above where it lay."""
SLIP_M = 0.05
"""A cube that is lifted by less cannot slip out of the fingers: they would touch it again [m]."""
LOW_M, BESIDE_M = 0.09, 0.07
"""A hand that is less above a cube than the first and, along x and y, nearer than the second is in its way [m]."""

# No velocities: a policy that imitates smooth demonstrations would learn to go on with its own motion.
_MOTION = (
    "tcp height above table [0.1 m]", "lead x [0.03 m]", "lead y [0.03 m]", "lead z [0.03 m]",
    "gripper width [-1..1]", "gripper command [-1..1]",
)  # fmt: skip
_CUBE = ("cube x - tcp [0.1 m]", "cube y - tcp [0.1 m]", "cube z - tcp [0.1 m]", "cube lift [0.1 m]")
_PLACE = ("tcp x - centre [0.1 m]", "tcp y - centre [0.1 m]")


class PickCube:
    """Cube at a random place (+-8 cm) and yaw (+-0.15 rad), tool starting at a random place above the area.

    Action: x, y, z and gripper (+1 opens); 25 mm and 0.6 of the gripper's range per step at 10 Hz.
    """

    env_id = "robot_hil/PickCube-v0"
    instruction = "lift the cube"
    max_seconds = 10.0
    motion = Motion(axes=("x", "y", "z", "gripper"), linear_speed=0.25, gripper_speed=6.0 * MAX_WIDTH, lead_m=0.04)

    disturbances: tuple[str, ...] = ("object", "slip")

    def __init__(self, world: World) -> None:
        self._world = world
        joint = world.model.joint("cube")
        start = int(joint.qposadr[0])
        self._cube = world.data.qpos[start : start + 7]
        first = int(joint.dofadr[0])
        self._cube_velocity = world.data.qvel[first : first + 6]

    def observation_spec(self, obs_type: ObsType) -> ArraySpec:
        names = (*_MOTION, *(_CUBE if obs_type == "state" else _PLACE))
        return ArraySpec(shape=(len(names),), low=-5.0, high=5.0, names=names)

    def reset(self, rng: np.random.Generator) -> CartesianTarget:
        world = self._world
        x, y, yaw = rng.uniform((-HALF_AREA, -HALF_AREA, -0.2), (HALF_AREA, HALF_AREA, 0.15))
        tool = np.array([*CENTRE, 0.16]) + rng.uniform((-0.05, -0.05, -0.04), (0.05, 0.05, 0.04))
        world.rewind()
        world.place_tool(HOME, tool)
        world.data.qpos[7:9] = 0.5 * MAX_WIDTH
        self._cube[:] = CENTRE[0] + x, CENTRE[1] + y, HALF_EDGE, np.cos(0.5 * yaw), 0.0, 0.0, np.sin(0.5 * yaw)
        world.refresh()
        return CartesianTarget(pos_base=tool, quat_base=np.array([0.0, 1.0, 0.0, 0.0]), gripper_width=MAX_WIDTH)

    def observe(self, reading: Reading, obs_type: ObsType) -> list[float]:
        arm, target = reading.arm, reading.target_pos
        tx, ty, tz = arm.tcp_pos_base.tolist()
        motion = [
            10.0 * tz, (target[0] - tx) / 0.03, (target[1] - ty) / 0.03, (target[2] - tz) / 0.03,
            2.0 * arm.gripper_width / MAX_WIDTH - 1.0, 2.0 * reading.target_width / MAX_WIDTH - 1.0,
        ]  # fmt: skip
        if obs_type == "pixels":
            return [*motion, 10.0 * (tx - CENTRE[0]), 10.0 * (ty - CENTRE[1])]
        cx, cy, cz = self._cube.tolist()[:3]
        return [*motion, 10.0 * (cx - tx), 10.0 * (cy - ty), 10.0 * (cz - tz), 10.0 * (cz - HALF_EDGE)]

    def success(self, reading: Reading) -> bool:
        return float(self._cube[2]) - HALF_EDGE >= LIFT_M

    def disturb(self, reading: Reading, what: Disturbance) -> None:
        """`object` slides the cube by (x, y) within its area; `slip` takes it out of the fingers and puts it down."""
        here, hand = self._cube[:2].copy(), reading.arm.tcp_pos_base
        if what.kind == "slip":
            if float(self._cube[2]) - HALF_EDGE >= SLIP_M:
                self._put(here)
            return
        middle = np.array(CENTRE)
        there = np.clip(here + np.array((what.x, what.y)), middle - HALF_AREA, middle + HALF_AREA)
        nearest = min(float(np.abs(place - hand[:2]).max()) for place in (here, there))
        if nearest >= BESIDE_M or float(hand[2]) >= LOW_M + float(self._cube[2]):
            self._put(there)

    def _put(self, place: Array) -> None:
        """Lay the cube on the table at `place` (2,), at rest."""
        self._cube[:3] = *place, HALF_EDGE
        self._cube_velocity[:] = 0.0
        self._world.settle()

    def privileged(self, reading: Reading) -> dict[str, Any]:
        cube = self._cube
        return {
            "cube_pos": cube[:3].copy(),
            "cube_quat": cube[3:].copy(),
            "lift_height": float(cube[2]) - HALF_EDGE,
        }


def make_env(
    obs_type: ObsType = "state",
    control_hz: float = 10.0,
    image_size: int = 128,
    render_mode: str | None = None,
    max_seconds: float | None = None,
) -> RobotEnv:
    """Return `robot_hil/PickCube-v0`."""
    return build_env(
        "pick_cube.xml", PickCube, low=(0.36, -0.16, 0.008), high=(0.64, 0.16, 0.30),
        obs_type=obs_type, control_hz=control_hz, image_size=image_size, render_mode=render_mode,
        max_seconds=max_seconds,
    )  # fmt: skip
