"""Meta-World's simulation (Yu et al. 2019, version 3 of its tasks) as an arm, a clock and a task of this project.

Meta-World moves a Sawyer arm by a body without mass that the hand is welded to, at most 1 cm per frame and 80 frames
per second, and drives the fingers by an effort. That body is our commanded position, and the effort our commanded
width: an open command is effort -1, a closed one +1. Every frame is a call of the suite's own `step`.
"""

import warnings
from typing import Any

import numpy as np

from robot_hil.actor.safety import SafetyGate
from robot_hil.data import rotation
from robot_hil.data.robot import ArmLimits, ArmState, CartesianTarget, Target
from robot_hil.data.specs import Array, ArraySpec
from robot_hil.envs.mujoco.camera import MujocoCamera, Renderer
from robot_hil.envs.robot_env import RobotEnv
from robot_hil.envs.suites.base import check, draw_plainly, library, whole_frames
from robot_hil.envs.task import Motion, ObsType, Reading
from robot_hil.errors import SafetyError, UnknownNameError

FRAME_HZ = 80.0
WIDTH = 0.1
"""Distance of the fingers that Meta-World calls 1, fully open [m]."""
_CENTRE = (0.0, 0.6, 0.2)
"""Middle of what the hand reaches, base frame [m]."""
_DOWN = (0.5**0.5, 0.0, 0.5**0.5, 0.0)
"""Orientation of the hand, wxyz, as Meta-World keeps it."""
_CAMERAS = {"front": "corner3", "wrist": "gripperPOV"}
"""Name here -> name in the suite."""

_PROPRIO = (
    "lead x [0.03 m]", "lead y [0.03 m]", "lead z [0.03 m]", "gripper width [-1..1]", "gripper command [-1..1]",
    "hand x - centre [0.2 m]", "hand y - centre [0.2 m]", "hand z - centre [0.2 m]",
)  # fmt: skip
_GOAL = ("goal x - object [0.2 m]", "goal y - object [0.2 m]", "goal z - object [0.2 m]")

_WELD = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 5.0)
"""How Meta-World welds the hand to the body that leads it: anchor, place, orientation, torque by force."""


class MetaWorld:
    """One task of the suite and its simulated time; the `Clock` of what happens in it. `restart` keeps the time."""

    def __init__(self, task: str, *, pictures: bool) -> None:
        suite = library("metaworld.env_dict", pictures=pictures)
        import mujoco

        known = suite.ALL_V3_ENVIRONMENTS
        if task not in known:
            raise UnknownNameError("task of Meta-World", task, known)
        self.mj: Any = mujoco
        self.task = task
        with warnings.catch_warnings():  # of Gymnasium, about spaces that nobody here uses
            warnings.simplefilter("ignore")
            self.sim: Any = type(known[task].__name__, (known[task],), {"reset_mocap_welds": _weld})()
        # What its own variants "goal observable" set; the horizon is ours.
        self.sim._freeze_rand_vec = self.sim._partially_observable = False
        self.sim.seeded_rand_vec = self.sim._set_task_called = True
        del self.sim.sawyer_observation_space  # cached with a goal that may not be seen
        self.sim.max_path_length = 2**31
        self.model, self.data = self.sim.model, self.sim.data
        draw_plainly(self.model)
        self._turn_upright(_CAMERAS["front"])
        self.target = np.zeros(3)
        """Where the leading body is sent, (3,) [m]."""
        self.effort = -1.0
        """Of the fingers in [-1, 1]; +1 closes."""
        self.observation = np.zeros(39)
        """The suite's own, (39,): hand, fingers and up to two objects, the same one frame before, the goal."""
        self.reward = 0.0
        """The suite's own, in [0, 10]; shaped."""
        self.success = False
        self.objects = len(self.sim._get_pos_objects()) // 3
        self._frames = 0

    def now(self) -> float:
        """Simulated seconds since construction."""
        return self._frames / FRAME_HZ

    def sleep_until(self, deadline: float) -> None:
        """Let simulated time pass until `deadline`."""
        if deadline > self.now():
            self.advance(deadline - self.now())

    def restart(self, seed: int) -> None:
        """Begin an episode whose objects and goal are drawn from `seed`."""
        self.sim.seed(seed)
        self.observation, _ = self.sim.reset()
        self.target, self.effort = self.data.mocap_pos[0].copy(), -1.0
        self.reward, info = self.sim.evaluate_state(self.observation, np.array([0.0, 0.0, 0.0, self.effort]))
        self.success = bool(info["success"])

    def advance(self, seconds: float) -> None:
        """Compute the frames in `seconds`, at least one; the leading body goes to `target` in equal parts."""
        frames = max(1, round(seconds * FRAME_HZ))
        self.success = False
        for left in range(frames, 0, -1):
            way = (self.target - self.data.mocap_pos[0]) / (left * self.sim.action_scale)
            self.observation, self.reward, _, _, info = self.sim.step(np.array([*way, self.effort]))
            self.success = self.success or bool(info["success"])
        self._frames += frames

    def close(self) -> None:
        """Release what the suite holds."""
        self.sim.close()

    def _turn_upright(self, camera: str) -> None:
        """Turn a camera about its axis by half a turn: the suite's stand on their heads."""
        quat = self.model.camera(camera).quat
        quat[:] = rotation.multiply(quat.tolist(), (0.0, 0.0, 0.0, 1.0))


class SawyerArm:
    """The arm of a `MetaWorld`. The hand points down and keeps doing so; no wrench is measured."""

    def __init__(self, world: MetaWorld) -> None:
        self._world = world
        self._connected = False
        self._body = world.data.body("hand")
        self._fingers = world.data.body("rightclaw").xpos, world.data.body("leftclaw").xpos
        self._kind = world.mj.mjtObj.mjOBJ_BODY

    def connect(self) -> None:
        self._connected = True

    def state(self) -> ArmState:
        world, data, velocity = self._world, self._world.data, np.zeros(6)
        world.mj.mj_objectVelocity(world.model, data, self._kind, self._body.id, velocity, 0)
        right, left = self._fingers
        return ArmState(
            t=world.now(),
            joint_pos=data.qpos[:7].copy(),
            joint_vel=data.qvel[:7].copy(),
            tcp_pos_base=self._body.xpos.copy(),
            tcp_quat_base=self._body.xquat.copy(),
            tcp_vel_base=np.concatenate((velocity[3:], velocity[:3])),
            wrench_tcp=np.zeros(6),
            gripper_width=min(float(np.linalg.norm(right - left)), WIDTH),
            fault="" if np.isfinite(data.qpos).all() else "the simulation diverged",
        )

    def command(self, target: Target) -> None:
        if not self._connected:
            raise SafetyError("the simulated arm is not connected; call connect() first.")
        if not isinstance(target, CartesianTarget):
            raise SafetyError(f"{target} asks for joint angles; Meta-World's arm follows positions of its hand only.")
        self._world.target = target.pos_base.copy()
        self._world.effort = 1.0 - 2.0 * target.gripper_width / WIDTH

    def stop(self) -> None:
        """Hold the measured place; the fingers keep their effort, so that they drop nothing."""
        self._world.target = self._body.xpos.copy()

    def recover(self, reason: str) -> None:
        if not reason.strip():
            raise SafetyError("recover needs a reason in words.")

    def close(self) -> None:
        """Hold the pose; nothing else to release."""
        self.stop()
        self._connected = False


class MetaWorldTask:
    """A task of the suite as this project sees it. Action: x, y, z and gripper (+1 opens).

    At 10 Hz a step is at most 25 mm and half of the gripper's range.

    Succeeds when the suite says so in any frame of a period, as in its own evaluation.
    """

    max_seconds = 15.0
    motion = Motion(axes=("x", "y", "z", "gripper"), linear_speed=0.25, gripper_speed=5.0 * WIDTH, lead_m=0.05)

    def __init__(self, world: MetaWorld, env_id: str) -> None:
        self._world = world
        self.env_id = env_id
        self.instruction = world.task.rsplit("-", 1)[0].replace("-", " ")

    def observation_spec(self, obs_type: ObsType) -> ArraySpec:
        names = [*_PROPRIO]
        if obs_type == "state":
            for one in ("object", "second object")[: self._world.objects]:
                names += [f"{one} {axis} - hand [0.2 m]" for axis in "xyz"] + [f"{one} q{axis}" for axis in "wxyz"]
            names += _GOAL
        return ArraySpec(shape=(len(names),), low=-5.0, high=5.0, names=tuple(names))

    def reset(self, rng: np.random.Generator) -> CartesianTarget:
        world = self._world
        world.restart(int(rng.integers(2**31)))
        return CartesianTarget(pos_base=world.target.copy(), quat_base=np.array(_DOWN), gripper_width=WIDTH)

    def observe(self, reading: Reading, obs_type: ObsType) -> list[float]:
        hand = reading.arm.tcp_pos_base.tolist()
        values = [(t - h) / 0.03 for t, h in zip(reading.target_pos, hand, strict=True)]
        values += [2.0 * width / WIDTH - 1.0 for width in (reading.arm.gripper_width, reading.target_width)]
        values += [5.0 * (h - c) for h, c in zip(hand, _CENTRE, strict=True)]
        if obs_type == "pixels":
            return values
        seen = self._world.observation.tolist()
        for start in range(4, 4 + 7 * self._world.objects, 7):
            values += [5.0 * (o - h) for o, h in zip(seen[start : start + 3], hand, strict=True)]
            values += seen[start + 3 : start + 7]
        return [*values, *(5.0 * (g - o) for g, o in zip(seen[36:], seen[4:7], strict=True))]

    def success(self, reading: Reading) -> bool:
        return self._world.success

    def privileged(self, reading: Reading) -> dict[str, Any]:
        world = self._world
        seen: Array = np.array(world.observation, dtype=np.float64)
        return {
            "suite_task": world.task,
            "suite_observation": seen,
            "suite_reward": float(world.reward),
            "object_pos": seen[4:7].copy(),
            "goal_pos": seen[36:].copy(),
            "target_width": reading.target_width,
        }


def limits(world: MetaWorld) -> ArmLimits:
    """Return the suite's box for the hand, and speeds that ordinary motion of a policy does not touch."""
    ranges = world.model.jnt_range
    return ArmLimits(
        workspace_low=np.array(world.sim.mocap_low, dtype=np.float64),
        workspace_high=np.array(world.sim.mocap_high, dtype=np.float64),
        joint_low=ranges[:7, 0].copy(),
        joint_high=ranges[:7, 1].copy(),
        max_linear_speed=1.0,
        max_angular_speed=3.0,
        gripper_range=(0.0, WIDTH),
    )


def make_env(
    task: str = "reach-v3",
    obs_type: ObsType = "state",
    control_hz: float = 10.0,
    image_size: int = 128,
    render_mode: str | None = None,
    max_seconds: float | None = None,
) -> RobotEnv:
    """Return a task of Meta-World, one of its fifty; `control_hz` must divide 80."""
    check(obs_type, image_size, render_mode)
    whole_frames(control_hz, FRAME_HZ)
    world = MetaWorld(task, pictures=obs_type == "pixels" or render_mode is not None)
    gate = SafetyGate(SawyerArm(world), limits(world), world, period_s=1.0 / control_hz)
    small, large = Renderer(world, image_size), Renderer(world, 480)

    def close() -> None:
        small.close()
        large.close()
        world.close()

    return RobotEnv(
        MetaWorldTask(world, env_id_of(task)),
        gate,
        {name: MujocoCamera(world, small, camera) for name, camera in _CAMERAS.items()},
        world.advance,
        obs_type=obs_type,
        control_hz=control_hz,
        image_size=image_size,
        max_seconds=max_seconds,
        render=(lambda: large.picture(_CAMERAS["front"])) if render_mode else None,
        on_close=close,
    )


def env_id_of(task: str) -> str:
    """Return the id of a task's environment.

    >>> env_id_of("pick-place-v3")
    'robot_hil/MetaWorldPickPlace-v0'
    """
    return f"robot_hil/MetaWorld{task.rsplit('-', 1)[0].title().replace('-', '')}-v0"


def _weld(sim: Any) -> None:
    """Do `reset_mocap_welds`, which counts on the eleven numbers of a weld; newer versions of MuJoCo have more."""
    import mujoco

    for i in np.flatnonzero(sim.model.eq_type == mujoco.mjtEq.mjEQ_WELD):
        sim.model.eq_data[i, : len(_WELD)] = _WELD
