"""A robot arm with a task as a Gymnasium environment: the same code for a MuJoCo arm and a real one."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import isfinite, sqrt
from typing import Any, get_args

import gymnasium
import numpy as np
from gymnasium import spaces

from robot_hil.actor.safety import SafetyGate
from robot_hil.data import rotation
from robot_hil.data.disturbance import Disturbance, Disturbed
from robot_hil.data.robot import ActionScale, CartesianTarget, ToolState
from robot_hil.data.specs import Array, ArraySpec, EnvSpec
from robot_hil.envs.task import DisturbableTask, ObsType, Reading, Task
from robot_hil.errors import ConfigError, SafetyError, SpecError
from robot_hil.protocols import Camera

Forward = Callable[[Array], tuple[Array, Array]]
ARRIVED_M = 0.01
"""Distance to the start pose at which a reset counts as done [m]."""


class RobotEnv(gymnasium.Env[dict[str, Array], Array]):
    """Drives an arm, always through its safety gate, towards targets that actions move.

    An action in [-1, 1] moves the *commanded* pose and width, not the measured one, so the arm keeps pressing where it
    was told to and does not sink; the command never leads the measured pose by more than `Motion.lead_m`. Finite
    actions are clipped; NaN and infinity raise `SafetyError` and leave the episode as it was.
    Reward 1 with `terminated` when the task succeeds, else 0; `info["success"]` says the same. After
    `max_seconds` (the task's own by default) the episode is truncated.

    `advance(seconds)` lets time pass between command and observation: a simulation steps its physics, a real
    robot sleeps until the deadline. A reset asks the task for a start pose and drives there through the gate; a
    simulated task has placed the arm there already and calls `gate.sync`, so nothing is left to drive.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012  Gymnasium's own declaration

    def __init__(
        self,
        task: Task,
        gate: SafetyGate,
        cameras: Mapping[str, Camera],
        advance: Callable[[float], None],
        *,
        obs_type: ObsType = "state",
        control_hz: float = 10.0,
        image_size: int = 128,
        max_seconds: float | None = None,
        forward: Forward | None = None,
        render: Callable[[], Array] | None = None,
        on_close: Callable[[], None] | None = None,
    ) -> None:
        if obs_type not in ("state", "pixels"):
            raise ConfigError(f"obs_type is {obs_type!r}; choose 'state' or 'pixels'.")
        if not 1.0 <= control_hz <= 100.0:
            raise ConfigError(f"control_hz is {control_hz}; allowed are 1 to 100 policy steps per second.")
        seconds = task.max_seconds if max_seconds is None else max_seconds
        if not 1.0 / control_hz <= seconds < float("inf"):
            raise ConfigError(f"max_seconds is {seconds}; give the time of at least one control period, in seconds.")
        self.gate = gate
        self.forward = forward
        """Joints (n,) [rad] -> tool position (3,) [m] and orientation wxyz (4,) of the arm; None: unknown."""
        self.render_mode = None if render is None else "rgb_array"
        self.metadata = {**self.metadata, "render_fps": round(control_hz)}
        self._task, self._advance, self._obs_type = task, advance, obs_type
        self._vectors = {kind: task.observation_spec(kind) for kind in get_args(ObsType)}
        self._cameras, self._image_size = dict(cameras), image_size
        self._looking = False
        """Whether the cameras are connected: only once their images are wanted."""
        self._period = 1.0 / control_hz
        self._render, self._on_close = render, on_close
        axes = task.motion.axes
        self.env_spec = EnvSpec(
            env_id=task.env_id,
            observation=self._observation_spec(obs_type),
            action=ArraySpec(shape=(len(axes),), low=-1.0, high=1.0, names=axes),
            control_hz=control_hz,
            max_episode_steps=round(seconds * control_hz),
            task=task.instruction,
        )
        self.observation_space: spaces.Space[Any] = spaces.Dict(
            {k: _space(s) for k, s in self.env_spec.observation.items()}
        )
        self.action_space = spaces.Box(-1.0, 1.0, (len(axes),), np.float32)
        self._low, self._high = gate.limits.workspace_low.tolist(), gate.limits.workspace_high.tolist()
        self._slots = [axes.index(a) if a in axes else -1 for a in ("x", "y", "z", "rx", "ry", "rz", "gripper")]
        self._connected = False
        self._episode = self._step = 0
        self._reading: Reading

    @property
    def control_hz(self) -> float:
        """Policy steps per second."""
        return self.env_spec.control_hz

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Array], dict[str, Any]]:
        super().reset(seed=seed)
        if not self._connected:
            self.gate.connect()
            self._connected = True
            if self._obs_type == "pixels":
                self._open_eyes()
        start = self._task.reset(self.np_random)
        self.gate.sync()
        self._drive_to(start)
        self._episode += 1
        self._step = 0
        arm = self.gate.state()
        x, y, z = start.pos_base.tolist()
        w, i, j, k = start.quat_base.tolist()
        self._reading = Reading(arm, (x, y, z), (w, i, j, k), start.gripper_width)
        return self._observe(self._obs_type), {"success": False}

    def step(self, action: Array) -> tuple[dict[str, Array], float, bool, bool, dict[str, Any]]:
        self.gate.command(self._target(action))
        self._advance(self._period)
        self._step += 1
        last = self._reading
        self._reading = Reading(self.gate.state(), last.target_pos, last.target_quat, last.target_width)
        success = self._task.success(self._reading)
        truncated = not success and self._step >= self.env_spec.max_episode_steps
        return self._observe(self._obs_type), float(success), success, truncated, {"success": success}

    def render(self) -> Array | None:
        """Return a picture for people, uint8 (H, W, 3); None without `render_mode`."""
        return None if self._render is None else self._render()

    def look(self) -> dict[str, Array]:
        """Return what the cameras see now, uint8 (H, W, 3) by name, without letting time pass; empty before a reset."""
        if not self._looking:
            return {}
        return {name: camera.latest().image for name, camera in self._cameras.items()}

    @property
    def pixels_spec(self) -> EnvSpec:
        """Specification of `pixels`; raises `SpecError` for a robot without cameras."""
        if not self._cameras:
            raise SpecError(f"{self.env_spec.env_id} has no cameras; a judge of images cannot work with it.")
        return replace(self.env_spec, observation=self._observation_spec("pixels"))

    def pixels(self) -> dict[str, Array]:
        """Return what is observed now with `obs_type="pixels"`, for a judge beside a policy that sees the state."""
        self._open_eyes()
        return self._observe("pixels")

    def privileged(self) -> dict[str, Any]:
        """See `robot_hil.envs.base.privileged_of`."""
        reading = self._reading
        return {
            "tcp_pos": reading.arm.tcp_pos_base.copy(),
            "tcp_quat": reading.arm.tcp_quat_base.copy(),
            "target_pos": np.array(reading.target_pos),
            "target_quat": np.array(reading.target_quat),
            "gripper_width": reading.arm.gripper_width,
            "t": reading.arm.t,
            "episode": self._episode,
            "step": self._step,
            **self._task.privileged(reading),
        }

    @property
    def disturbances(self) -> tuple[str, ...]:
        """Kinds of disturbance that `disturb` takes; none on a real robot, where people disturb by hand."""
        return ("gripper", *self._task.disturbances) if isinstance(self._task, DisturbableTask) else ()

    def disturb(self, what: Disturbance) -> Disturbed:
        """Push the world between two steps and return what that did; the next observation shows it.

        `gripper` moves the commanded pose by (x, y, z), as far as it may lead the measured one; the arm goes there with
        the next command, through the safety gate. All else is the task's. Raises `ConfigError` for a kind that is none
        of `disturbances`, for numbers that are not finite, and before the first reset.
        """
        if what.kind not in self.disturbances or not isfinite(what.x + what.y + what.z) or self._episode == 0:
            raise ConfigError(
                f"{what} cannot be done here. Reset first, give finite numbers and one of {self.disturbances}."
            )
        before = self._ground_truth()
        if what.kind == "gripper":
            reading = self._standing() if self.gate.interrupted else self._reading
            px, py, pz = reading.target_pos
            wanted = (px + what.x, py + what.y, pz + what.z)
            pos = self._near(wanted, reading.arm.tcp_pos_base.tolist())
            self._reading = Reading(reading.arm, pos, reading.target_quat, reading.target_width)
        elif isinstance(self._task, DisturbableTask):
            self._task.disturb(self._reading, what)
        return Disturbed(disturbance=what, step=self._step, before=before, after=self._ground_truth())

    @property
    def action_scale(self) -> ActionScale:
        """What an action of +-1 means, for devices that command positions."""
        motion, dt = self._task.motion, self._period
        return ActionScale(
            axes=motion.axes,
            linear_m=motion.linear_speed * dt,
            angular_rad=motion.angular_speed * dt,
            gripper_m=motion.gripper_speed * dt,
            gripper_range=self.gate.limits.gripper_range,
            period_s=dt,
        )

    def tool(self) -> ToolState:
        """Return where the tool is commanded to be; raises `SpecError` before the first reset."""
        if self._episode == 0:
            raise SpecError("the tool's commanded pose is known after the first reset; call reset() first.")
        if self.gate.interrupted:
            self._reading = self._standing()
        reading = self._reading
        return ToolState(
            pos_base=np.array(reading.target_pos),
            quat_base=np.array(reading.target_quat),
            gripper_width=reading.target_width,
            joint_pos=reading.arm.joint_pos.copy(),
        )

    def close(self) -> None:
        for camera in self._cameras.values():
            camera.close()
        self.gate.close()
        self._connected = self._looking = False
        if self._on_close is not None:
            self._on_close()
        super().close()

    def _target(self, action: Array) -> CartesianTarget:
        """Move the commanded pose by `action` and return it; keeps it near the measured pose and in the box."""
        values = np.asarray(action).tolist()
        if len(values) != len(self._task.motion.axes):
            raise SafetyError(f"action {values} needs {len(self._task.motion.axes)} values: {self._task.motion.axes}.")
        if not isfinite(sum(values)):
            raise SafetyError(f"action {values} holds NaN or infinity; refused. Allowed are values in [-1, 1].")
        values = [min(max(v, -1.0), 1.0) for v in values]
        dx, dy, dz, rx, ry, rz, grip = [values[i] if i >= 0 else 0.0 for i in self._slots]
        if self.gate.interrupted:  # the arm was stopped on its way: go on from where it stands
            self._reading = self._standing()
        motion, reading, dt = self._task.motion, self._reading, self._period
        step = motion.linear_speed * dt
        px, py, pz = reading.target_pos
        pos = self._near((px + dx * step, py + dy * step, pz + dz * step), reading.arm.tcp_pos_base.tolist())
        quat = reading.target_quat
        if motion.angular_speed:
            turn = motion.angular_speed * dt
            quat = rotation.multiply(rotation.from_rotvec((rx * turn, ry * turn, rz * turn)), quat)
            quat = _near_rotation(quat, reading.arm.tcp_quat_base.tolist(), motion.lead_rad)
        low, high = self.gate.limits.gripper_range
        width = min(max(reading.target_width + grip * motion.gripper_speed * dt, low), high)
        self._reading = Reading(reading.arm, pos, quat, width)
        return CartesianTarget(pos_base=np.array(pos), quat_base=np.array(quat), gripper_width=width)

    def _ground_truth(self) -> dict[str, Any]:
        """Return `privileged`, JSON-ready."""
        return {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in self.privileged().items()}

    def _standing(self) -> Reading:
        """Return the reading of an arm that is told to be where it is; the gripper keeps what it was told."""
        arm = self.gate.state()
        (x, y, z), (w, i, j, k) = arm.tcp_pos_base.tolist(), arm.tcp_quat_base.tolist()
        return Reading(arm, (x, y, z), (w, i, j, k), self._reading.target_width)

    def _near(self, wanted: tuple[float, ...], measured: list[float]) -> rotation.Vec:
        """Return `wanted`, at most `lead_m` from `measured` and inside the workspace."""
        mx, my, mz = measured
        ex, ey, ez = wanted[0] - mx, wanted[1] - my, wanted[2] - mz
        distance = sqrt(ex * ex + ey * ey + ez * ez)
        share = min(1.0, self._task.motion.lead_m / distance) if distance > 0 else 1.0
        (lx, ly, lz), (hx, hy, hz) = self._low, self._high
        x, y, z = mx + ex * share, my + ey * share, mz + ez * share
        return min(max(x, lx), hx), min(max(y, ly), hy), min(max(z, lz), hz)

    def _observe(self, obs_type: ObsType) -> dict[str, Array]:
        spec = self._vectors[obs_type]
        vector = np.array(self._task.observe(self._reading, obs_type), dtype=np.float32)
        vector.clip(spec.low, spec.high, out=vector)
        return {"state": vector} if obs_type == "state" else {"proprio": vector, **self.look()}

    def _observation_spec(self, obs_type: ObsType) -> dict[str, ArraySpec]:
        image = ArraySpec(shape=(self._image_size, self._image_size, 3), dtype="uint8", low=0, high=255)
        vector = self._vectors[obs_type]
        return {"state": vector} if obs_type == "state" else {"proprio": vector, **dict.fromkeys(self._cameras, image)}

    def _open_eyes(self) -> None:
        if not self._looking:
            for camera in self._cameras.values():
                camera.connect()
            self._looking = True

    def _drive_to(self, start: CartesianTarget) -> None:
        """Command the start pose until the tool is there; the gate limits the speed on the way."""
        for _ in range(round(10.0 / self._period)):
            arm = self.gate.state()
            if float(np.linalg.norm(arm.tcp_pos_base - start.pos_base)) <= ARRIVED_M:
                return
            self.gate.command(start)
            self._advance(self._period)
        raise SafetyError(f"the arm did not reach its start pose {start} within 10 s; look what is in the way.")


def _near_rotation(wanted: rotation.Quat, measured: list[float], limit: float) -> rotation.Quat:
    """Return `wanted`, turned back to at most `limit` rad from `measured`."""
    error = rotation.difference(wanted, measured)
    angle = sqrt(error[0] * error[0] + error[1] * error[1] + error[2] * error[2])
    if angle <= limit:
        return wanted
    share = limit / angle
    return rotation.multiply(rotation.from_rotvec([e * share for e in error]), measured)


def _space(spec: ArraySpec) -> spaces.Box:
    return spaces.Box(spec.low, spec.high, spec.shape, np.dtype(spec.dtype).type)
