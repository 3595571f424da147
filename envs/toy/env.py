"""A toy task as a Gymnasium environment of this project: stored states, disturbances, practice without resets."""

from collections.abc import Mapping
from dataclasses import replace
from math import isfinite
from typing import Any, NamedTuple, get_args

import gymnasium
import numpy as np
from gymnasium import spaces

from robot_hil.data.disturbance import Disturbance, Disturbed
from robot_hil.data.robot import ActionScale, ToolState
from robot_hil.data.specs import Array, ArraySpec, EnvSpec
from robot_hil.envs.task import ObsType
from robot_hil.envs.toy.picture import Canvas
from robot_hil.envs.toy.task import ToyTask, scene_like
from robot_hil.errors import ConfigError, SafetyError, SpecError, StorageError

_SKY = (235, 235, 230)
_OPTIONS = {"state", "keep", "goal"}
_MAX_WIDTH = 0.08


class _Motion(NamedTuple):
    """What disturbances made of the axes x and z."""

    gain: tuple[float, ...]
    drift: tuple[float, ...]


class ToyEnv(gymnasium.Env[dict[str, Array], Array]):
    """Steps a task of pure functions. Nothing is drawn at random after a reset: equal actions give equal bits.

    An action in [-1, 1] is a velocity, `task.speeds` at full deflection. Finite actions are clipped; NaN and infinity
    raise `SafetyError` and leave the episode as it was. Reward 1 with `terminated` when the goal is reached, else 0.
    `info` holds `success` and the task's counts.

    `reset(options=...)` takes `state`, a `snapshot` to begin from; or `keep=True`, to begin where the last episode
    ended (practice without resets); and `goal`, one of `goals`, else the environment's own. Wrong options raise and
    leave the episode as it was.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012  Gymnasium's own declaration
    forward = None

    def __init__(
        self, task: ToyTask, *, obs_type: ObsType = "state", control_hz: float = 10.0, image_size: int = 64,
        render_mode: str | None = None, max_seconds: float | None = None, goal: str | None = None,
    ) -> None:  # fmt: skip
        seconds = task.max_seconds if max_seconds is None else max_seconds
        _check(obs_type, control_hz, image_size, render_mode, seconds)
        self.render_mode = render_mode
        self.metadata = {**self.metadata, "render_fps": round(control_hz)}
        self._task, self._obs_type, self._image_size = task, obs_type, image_size
        self._own_goal = self._goal(goal or task.goals[0])
        self._vectors = {kind: task.observation_spec(kind) for kind in get_args(ObsType)}
        self.env_spec = EnvSpec(
            env_id=task.env_id,
            observation=self._observation_spec(obs_type),
            action=ArraySpec(shape=(len(task.axes),), low=-1.0, high=1.0, names=task.axes),
            control_hz=control_hz,
            max_episode_steps=round(seconds * control_hz),
            task=task.instruction,
        )
        self.observation_space: spaces.Space[Any] = spaces.Dict(
            {
                k: spaces.Box(s.low, s.high, s.shape, np.dtype(s.dtype).type)
                for k, s in self.env_spec.observation.items()
            }
        )
        self.action_space = spaces.Box(-1.0, 1.0, (len(task.axes),), np.float32)
        self._period = 1.0 / control_hz
        self._per_step = [speed * self._period for speed in task.speeds]
        self._scene: Any = None
        self._gain, self._drift = (1.0, 1.0), (0.0, 0.0)
        self._episode = self._step = 0
        self._t = 0.0

    @property
    def control_hz(self) -> float:
        """Policy steps per second."""
        return self.env_spec.control_hz

    @property
    def goals(self) -> tuple[str, ...]:
        """What an episode can aim at."""
        return self._task.goals

    @property
    def disturbances(self) -> tuple[str, ...]:
        """Kinds of disturbance that `disturb` takes."""
        return ("gripper", "gain", "drift", *self._task.disturbances)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Array], dict[str, Any]]:
        given = self._given(options or {})  # before anything changes: it may refuse
        super().reset(seed=seed)
        goal = self._goal((options or {}).get("goal", self._own_goal))
        scene, self._gain, self._drift = given or (self._task.start(self.np_random, goal), (1.0, 1.0), (0.0, 0.0))
        self._scene = scene
        self._episode += 1
        self._step = 0
        return self._observe(self._obs_type), {"success": False, **self._task.metrics(scene)}

    def step(self, action: Array) -> tuple[dict[str, Array], float, bool, bool, dict[str, Any]]:
        if self._scene is None:
            raise ConfigError("step() before the first reset(); call reset() first.")
        task = self._task
        self._scene = task.advance(self._scene, self._move(action))
        self._step += 1
        self._t += self._period
        success = task.success(self._scene)
        truncated = not success and self._step >= self.env_spec.max_episode_steps
        return (
            self._observe(self._obs_type),
            float(success),
            success,
            truncated,
            {"success": success, **task.metrics(self._scene)},
        )

    def snapshot(self) -> dict[str, Any]:
        """Return the state to begin from later, also in another process; JSON-ready. After a reset only."""
        if self._scene is None:
            raise ConfigError("there is no state before the first reset(); call reset() first.")
        return {
            "env_id": self.env_spec.env_id,
            "scene": self._scene._asdict(),
            "gain": list(self._gain),
            "drift": list(self._drift),
        }

    def disturb(self, what: Disturbance) -> Disturbed:
        """Push the world between two steps and return what that did; the next observation shows it.

        What something holds in place stays: a slot with a peg in it does not move. Raises `ConfigError` for a kind that
        is none of `disturbances` and for numbers that are not finite.
        """
        if what.kind not in self.disturbances or not isfinite(what.x + what.y + what.z):
            raise ConfigError(f"{what} cannot be done here. Give finite numbers and one of {self.disturbances}.")
        before = self.snapshot()
        if what.kind == "gain":
            self._gain = (what.x, what.z)
        elif what.kind == "drift":
            self._drift = (what.x, what.z)
        elif what.kind == "gripper":
            rest = [0.0] * (len(self._per_step) - 2)
            self._scene = self._task.advance(self._scene, [what.x, what.z, *rest])
        else:
            self._scene = self._task.disturb(self._scene, what.kind, what.x, what.z)
        return Disturbed(disturbance=what, step=self._step, before=before, after=self.snapshot())

    def look(self) -> dict[str, Array]:
        """Return what the camera sees now, uint8 (H, W, 3) by name; empty before a reset and without camera."""
        return {} if self._obs_type == "state" or self._scene is None else {"front": self._picture(self._image_size)}

    @property
    def pixels_spec(self) -> EnvSpec:
        """Specification of `pixels`."""
        return replace(self.env_spec, observation=self._observation_spec("pixels"))

    def pixels(self) -> dict[str, Array]:
        """Return what is observed now with `obs_type="pixels"`, for a judge beside a policy that sees the state."""
        return self._observe("pixels")

    def render(self) -> Array | None:
        """Return a picture for people, uint8 (480, 480, 3); None without `render_mode`."""
        return None if self.render_mode is None else self._picture(480)

    def privileged(self) -> dict[str, Any]:
        """See `robot_hil.envs.base.privileged_of`; `step_m` is the tool's motion per step at full deflection [m]."""
        if self._scene is None:
            raise ConfigError("there is no ground truth before the first reset(); call reset() first.")
        x, z, opening = self._task.place(self._scene)
        tool, upright = np.array([x, 0.0, z]), np.array([0.0, 1.0, 0.0, 0.0])
        return {
            "tcp_pos": tool,
            "tcp_quat": upright,
            "target_pos": tool.copy(),
            "target_quat": upright.copy(),
            "gripper_width": _MAX_WIDTH * opening,
            "t": self._t,
            "episode": self._episode,
            "step": self._step,
            "step_m": self._per_step[0],
            **self._task.privileged(self._scene),
        }

    @property
    def action_scale(self) -> ActionScale:
        """What an action of +-1 means, for devices that command positions."""
        return ActionScale(
            axes=self._task.axes,
            linear_m=self._per_step[0],
            gripper_m=_MAX_WIDTH * self._per_step[-1] if "gripper" in self._task.axes else 0.0,
            gripper_range=(0.0, _MAX_WIDTH),
            period_s=self._period,
        )

    def tool(self) -> ToolState:
        """Return where the tool is; raises `SpecError` before the first reset."""
        if self._scene is None:
            raise SpecError("the tool's pose is known after the first reset; call reset() first.")
        x, z, opening = self._task.place(self._scene)
        return ToolState(
            pos_base=np.array([x, 0.0, z]),
            quat_base=np.array([0.0, 1.0, 0.0, 0.0]),
            gripper_width=_MAX_WIDTH * opening,
            joint_pos=np.array([x, z]),
        )

    def _move(self, action: Array) -> list[float]:
        """Return how far each axis is to move in this step."""
        values = np.asarray(action).tolist()
        if len(values) != len(self._per_step):
            raise SafetyError(f"action {values} needs {len(self._per_step)} values: {self._task.axes}.")
        if not isfinite(sum(values)):
            raise SafetyError(f"action {values} holds NaN or infinity; refused. Allowed are values in [-1, 1].")
        move = [min(max(v, -1.0), 1.0) * s for v, s in zip(values, self._per_step, strict=True)]
        (gx, gz), (vx, vz) = self._gain, self._drift
        move[0] = gx * move[0] + vx * self._period
        move[1] = gz * move[1] + vz * self._period
        return move

    def _given(self, options: Mapping[str, Any]) -> tuple[Any, Any, Any] | None:
        """Return scene, gain and drift that `options` ask to begin from; None for a fresh episode."""
        if unknown := set(options) - _OPTIONS:
            raise ConfigError(f"reset has no options {sorted(unknown)}; allowed are {sorted(_OPTIONS)}.")
        goal = self._goal(options.get("goal", self._own_goal))
        if (state := options.get("state")) is not None:
            scene, gain, drift = self._read(state)
            aside = "goal" in options and goal != scene.goal  # else what has been done of the task stays done
            return self._task.go_on(scene, goal) if aside else scene, gain, drift
        if not options.get("keep"):
            return None
        if self._scene is None:
            raise ConfigError("reset with keep=True has nothing to go on from: this is the first episode.")
        return self._task.go_on(self._scene, goal), self._gain, self._drift

    def _read(self, state: Mapping[str, Any]) -> tuple[Any, Any, Any]:
        if set(state) != {"env_id", "scene", "gain", "drift"} or state["env_id"] != self.env_spec.env_id:
            raise StorageError(
                f"{dict(state)} is no state of {self.env_spec.env_id}; give what its snapshot() returned."
            )
        scene = scene_like(self._task.start(np.random.default_rng(0), self._own_goal), state["scene"])
        self._goal(scene.goal)
        motion = scene_like(_Motion((1.0, 1.0), (0.0, 0.0)), {k: state[k] for k in ("gain", "drift")})
        return scene, motion.gain, motion.drift

    def _goal(self, goal: Any) -> str:
        if goal not in self._task.goals:
            raise ConfigError(f"goal {goal!r} does not exist here; choose one of {self._task.goals}.")
        return str(goal)

    def _observe(self, obs_type: ObsType) -> dict[str, Array]:
        spec = self._vectors[obs_type]
        vector = np.array(self._task.observe(self._scene, obs_type), dtype=np.float32)
        vector.clip(spec.low, spec.high, out=vector)
        if obs_type == "state":
            return {"state": vector}
        return {"proprio": vector, "front": self._picture(self._image_size)}

    def _observation_spec(self, obs_type: ObsType) -> dict[str, ArraySpec]:
        if obs_type == "state":
            return {"state": self._vectors[obs_type]}
        image = ArraySpec(shape=(self._image_size, self._image_size, 3), dtype="uint8", low=0, high=255)
        return {"proprio": self._vectors[obs_type], "front": image}

    def _picture(self, size: int) -> Array:
        canvas = Canvas(size, *self._task.view, background=_SKY)
        self._task.draw(self._scene, canvas)
        return canvas.picture()


def _check(obs_type: str, control_hz: float, image_size: int, render_mode: str | None, seconds: float) -> None:
    if obs_type not in ("state", "pixels"):
        raise ConfigError(f"obs_type is {obs_type!r}; choose 'state' or 'pixels'.")
    if render_mode not in (None, "rgb_array"):
        raise ConfigError(f"render_mode is {render_mode!r}; choose None or 'rgb_array'.")
    if not 1.0 <= control_hz <= 100.0:
        raise ConfigError(f"control_hz is {control_hz}; allowed are 1 to 100 policy steps per second.")
    if not 16 <= image_size <= 640:
        raise ConfigError(f"image_size is {image_size}; allowed are 16 to 640 pixels.")
    if not 1.0 / control_hz <= seconds < float("inf"):
        raise ConfigError(f"max_seconds is {seconds}; give the time of at least one control period, in seconds.")
