"""The Adroit hand of Gymnasium-Robotics (Rajeswaran et al. 2018): door, hammer, pen, relocate, with sparse reward.

Actions are set-points of all joints, scaled to [-1, 1] by the suite. Nobody demonstrates these tasks: there is no
scripted person, and no device here commands two dozen joints.
"""

import warnings
from dataclasses import replace
from math import isfinite
from typing import Any, NoReturn

import gymnasium
import numpy as np
from gymnasium import spaces

from robot_hil.data.specs import Array, ArraySpec, EnvSpec
from robot_hil.envs.mujoco.camera import MujocoCamera, Renderer
from robot_hil.envs.suites.base import check, draw_plainly, library, whole_frames
from robot_hil.envs.task import ObsType
from robot_hil.errors import ConfigError, SafetyError, SpecError, UnknownNameError

FRAME_HZ = 100.0
_CAMERA = "vil_camera"
_SLIDE = 2
"""MuJoCo's number of a joint that slides."""


def _xyz(*what: str) -> tuple[str, ...]:
    return tuple(f"{one} {axis} [m]" for one in what for axis in "xyz")


_REST = {
    "Door": ("latch [rad]", "hinge [rad]", *_xyz("palm", "handle", "palm - handle"), "door open [-1, 1]"),
    "Hammer": (
        *(f"hammer velocity {i} [m/s, rad/s]" for i in range(6)), *_xyz("palm", "hammer"),
        "hammer roll [rad]", "hammer pitch [rad]", "hammer yaw [rad]", *_xyz("nail"), "force on nail [N]",
    ),
    "Pen": (
        *_xyz("pen"), *(f"pen velocity {i} [m/s, rad/s]" for i in range(6)),
        *(f"{one} {axis} [1]" for one in ("pen axis", "wanted axis") for axis in "xyz"), *_xyz("pen - wanted"),
        *(f"pen axis - wanted {axis} [1]" for axis in "xyz"),
    ),
    "Relocate": _xyz("palm - ball", "palm - target", "ball - target"),
}  # fmt: skip
"""What the suite observes after the joints of arm and hand."""
_INSTRUCTION = {
    "Door": "undo the latch and open the door", "Hammer": "drive the nail into the board",
    "Pen": "turn the pen to the wanted orientation", "Relocate": "move the ball to the target",
}  # fmt: skip
_FIRST_JOINT = {"Door": 1}
"""Number of the first joint that the suite observes; 0 elsewhere."""


class AdroitEnv(gymnasium.Env[dict[str, Array], Array]):
    """One task. Reward 1 with `terminated` at the suite's own success, else 0; truncated after `max_seconds`.

    `pixels` shows the scene and tells only the joints. Finite actions are clipped; NaN and infinity raise `SafetyError`
    and leave the episode as it was.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 100}  # noqa: RUF012  Gymnasium's own declaration

    def __init__(
        self,
        task: str,
        *,
        obs_type: ObsType,
        control_hz: float,
        image_size: int,
        render_mode: str | None,
        seconds: float,
    ) -> None:
        check(obs_type, image_size, render_mode)
        self._frames = whole_frames(control_hz, FRAME_HZ)
        if task not in _REST:
            raise UnknownNameError("task of Adroit", task, _REST)
        if not 1.0 / control_hz <= seconds < float("inf"):
            raise ConfigError(f"max_seconds is {seconds}; give the time of at least one control period, in seconds.")
        suite = library("gymnasium_robotics", pictures=obs_type == "pixels" or render_mode is not None)
        import mujoco

        self.mj: Any = mujoco
        gymnasium.register_envs(suite)
        with warnings.catch_warnings():  # as when it was imported
            warnings.simplefilter("ignore")
            made: Any = gymnasium.make(f"AdroitHand{task}Sparse-v1", disable_env_checker=True)
        self._sim: Any = made.unwrapped  # without the suite's limit of time
        self.model, self.data = self._sim.model, self._sim.data
        draw_plainly(self.model)
        self.render_mode = render_mode
        self.metadata = {**self.metadata, "render_fps": round(control_hz)}
        self._obs_type = obs_type
        self._time = 0
        self._step = -1
        joints = self._joint_names(_FIRST_JOINT.get(task, 0), self._sim.observation_space.shape[0] - len(_REST[task]))
        self._vectors = {"proprio": _vector(joints), "state": _vector((*joints, *_REST[task]))}
        self._image = ArraySpec(shape=(image_size, image_size, 3), dtype="uint8", low=0, high=255)
        self._small, self._large = Renderer(self, image_size), Renderer(self, 480)
        self._camera = MujocoCamera(self, self._small, _CAMERA)
        actuators = tuple(self.model.actuator(i).name.removeprefix("A_") for i in range(self.model.nu))
        self.env_spec = EnvSpec(
            env_id=f"robot_hil/Adroit{task}-v0",
            observation=self._observation(obs_type),
            action=ArraySpec(shape=(len(actuators),), low=-1.0, high=1.0, names=actuators),
            control_hz=control_hz,
            max_episode_steps=round(seconds * control_hz),
            task=_INSTRUCTION[task],
        )
        self.observation_space: spaces.Space[Any] = spaces.Dict(
            {
                name: spaces.Box(s.low, s.high, s.shape, np.dtype(s.dtype).type)
                for name, s in self.env_spec.observation.items()
            }
        )
        self.action_space = spaces.Box(-1.0, 1.0, (len(actuators),), np.float32)

    def now(self) -> float:
        """Simulated seconds since construction."""
        return self._time / FRAME_HZ

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Array], dict[str, Any]]:
        super().reset(seed=seed)
        self._seen, _ = self._sim.reset(seed=int(self.np_random.integers(2**31)))
        self._step = 0
        return self._observe(self._obs_type), {"success": False}

    def step(self, action: Array) -> tuple[dict[str, Array], float, bool, bool, dict[str, Any]]:
        if self._step < 0:
            raise ConfigError("step() before the first reset(); call reset() first.")
        values = np.asarray(action, dtype=np.float64)
        if values.shape != self.action_space.shape:
            raise SafetyError(f"action of shape {values.shape} needs {self.action_space.shape}: a value per joint.")
        if not isfinite(float(values.sum())):
            raise SafetyError(f"action {values} holds NaN or infinity; refused. Allowed are values in [-1, 1].")
        success = False
        for _ in range(self._frames):
            self._seen, _, _, _, info = self._sim.step(values)
            success = success or bool(np.all(info["success"]))
        self._time += self._frames
        self._step += 1
        truncated = not success and self._step >= self.env_spec.max_episode_steps
        return self._observe(self._obs_type), float(success), success, truncated, {"success": success}

    def render(self) -> Array | None:
        """Return a picture for people, uint8 (480, 480, 3); None without `render_mode`."""
        return None if self.render_mode is None else self._large.picture(_CAMERA)

    def look(self) -> dict[str, Array]:
        """Return what the camera sees now, uint8 (H, W, 3) by name; empty before a reset and without camera."""
        return {} if self._obs_type == "state" or self._step < 0 else {"front": self._camera.latest().image}

    @property
    def pixels_spec(self) -> EnvSpec:
        """Specification of `pixels`."""
        return replace(self.env_spec, observation=self._observation("pixels"))

    def pixels(self) -> dict[str, Array]:
        """Return what is observed now with `obs_type="pixels"`, for a judge beside a policy that sees the state."""
        return self._observe("pixels")

    def privileged(self) -> NoReturn:
        """Raise `SpecError`: nobody could use it."""
        raise SpecError(f"{_NOBODY} Train it without: --person.expert none --demos 0.")

    @property
    def action_scale(self) -> NoReturn:
        """Raise `SpecError`: an action moves joints, not a tool."""
        raise SpecError(f"{_NOBODY} Actions move joints, and no device here commands as many.")

    def close(self) -> None:
        self._small.close()
        self._large.close()
        self._sim.close()
        super().close()

    def _joint_names(self, first: int, count: int) -> tuple[str, ...]:
        model = self.model
        joints = [model.joint(i) for i in range(first, first + count)]
        return tuple(f"{joint.name} [{'m' if int(joint.type[0]) == _SLIDE else 'rad'}]" for joint in joints)

    def _observe(self, obs_type: ObsType) -> dict[str, Array]:
        name = "state" if obs_type == "state" else "proprio"
        spec = self._vectors[name]
        found: dict[str, Array] = {name: np.clip(self._seen[: spec.shape[0]], spec.low, spec.high).astype(np.float32)}
        if obs_type == "pixels":
            found["front"] = self._camera.latest().image
        return found

    def _observation(self, obs_type: ObsType) -> dict[str, ArraySpec]:
        if obs_type == "state":
            return {"state": self._vectors["state"]}
        return {"proprio": self._vectors["proprio"], "front": self._image}


_NOBODY = "nobody demonstrates the tasks of the Adroit hand yet."


def _vector(names: tuple[str, ...]) -> ArraySpec:
    return ArraySpec(shape=(len(names),), low=-10.0, high=10.0, names=names)


def make_env(
    task: str,
    obs_type: ObsType = "state",
    control_hz: float = FRAME_HZ,
    image_size: int = 128,
    render_mode: str | None = None,
    max_seconds: float = 2.0,
) -> AdroitEnv:
    """Return `robot_hil/Adroit<task>-v0`; rate and time are the suite's own, `control_hz` must divide 100."""
    return AdroitEnv(
        task, obs_type=obs_type, control_hz=control_hz, image_size=image_size, render_mode=render_mode,
        seconds=max_seconds,
    )  # fmt: skip
