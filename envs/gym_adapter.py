"""Any Gymnasium environment with continuous actions, by id, in the form everything else here expects."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

import robot_hil.envs  # noqa: F401  registers this project's ids
from robot_hil.data.specs import Array, ArraySpec, EnvSpec
from robot_hil.envs.base import HasSpec
from robot_hil.errors import ConfigError, SpecError

_LIMIT = 1000
"""Steps after which an episode of an environment without a limit is truncated: it would never be evaluated."""


def make(env_id: str, *, control_hz: float | None = None, **options: Any) -> gymnasium.Env[Any, Any]:
    """Make `env_id` with its `options`; environments of other suites come wrapped in `GymAdapter`.

    `control_hz` is passed to environments of this project; for others it only states how many steps make a second
    (default: their `render_fps`, else 10).
    """
    if env_id.startswith("robot_hil/") and control_hz is not None:
        options["control_hz"] = control_hz
    try:
        env = gymnasium.make(env_id, **options)
    except (gymnasium.error.UnregisteredEnv, gymnasium.error.NamespaceNotFound, ModuleNotFoundError) as error:
        raise ConfigError(
            f"environment {env_id!r} cannot be made: {error}. If its package must be imported first, write "
            "`package:Env-v0`."
        ) from error
    if isinstance(env.unwrapped, HasSpec):
        return env
    return GymAdapter(env, env_id, control_hz=control_hz)


class GymAdapter(gymnasium.Wrapper[dict[str, Array], Array, Any, Any]):
    """Observation as a dict of float32 vectors and uint8 images, action in [-1, 1], specification derived.

    A Box vector becomes `{"state": ...}`, a Box image `{"image": ...}`; in a Dict every entry keeps its name and
    nested ones are joined by a dot. Vectors are clipped to finite float32. Actions are scaled to the Box's bounds, and
    stay as they are along unbounded axes. `info["success"]` is taken from the environment (`success` or
    `is_success`), else False. Ground truth for simulated persons is not available.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], env_id: str, *, control_hz: float | None = None) -> None:
        super().__init__(env)
        action = env.action_space
        if not isinstance(action, spaces.Box) or len(action.shape) != 1 or action.dtype is None:
            raise SpecError(f"{env_id} has the action space {action}; only one-dimensional Box actions can be learnt.")
        if not np.issubdtype(action.dtype, np.floating):
            raise SpecError(f"{env_id} has actions of type {action.dtype}; only floating point actions can be learnt.")
        bounded = np.isfinite(action.low) & np.isfinite(action.high)
        self._scale = np.where(bounded, 0.5 * (action.high - action.low), 1.0)
        self._offset = np.where(bounded, 0.5 * (action.high + action.low), 0.0)
        self._action_dtype = action.dtype
        specs: dict[str, ArraySpec] = {}
        _collect(env.observation_space, "", env_id, specs)
        names = tuple(f"a{i}" for i in range(action.shape[0]))
        limit = env.spec.max_episode_steps if env.spec is not None else None
        self._spec = EnvSpec(
            env_id=env_id,
            observation=specs,
            action=ArraySpec(shape=action.shape, low=-1.0, high=1.0, names=names),
            control_hz=control_hz or float(env.metadata.get("render_fps") or 10.0),
            max_episode_steps=limit or _LIMIT,
        )
        self._own_limit = limit is None
        self._step = 0
        self.observation_space: spaces.Space[Any] = spaces.Dict(
            {name: spaces.Box(s.low, s.high, s.shape, np.dtype(s.dtype).type) for name, s in specs.items()}
        )
        self.action_space = spaces.Box(-1.0, 1.0, action.shape, np.float32)

    @property
    def env_spec(self) -> EnvSpec:
        """The derived specification."""
        return self._spec

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Array], dict[str, Any]]:
        obs, info = self.env.reset(seed=seed, options=options)
        self._step = 0
        return self._convert(obs), {**info, "success": _success(info)}

    def step(self, action: Array) -> tuple[dict[str, Array], float, bool, bool, dict[str, Any]]:
        values = np.asarray(action, dtype=np.float64)
        if values.shape != self._scale.shape or not np.isfinite(values).all():
            raise SpecError(f"action {action} is refused; give {len(self._scale)} finite values in [-1, 1].")
        scaled = (np.clip(values, -1.0, 1.0) * self._scale + self._offset).astype(self._action_dtype)
        obs, reward, terminated, truncated, info = self.env.step(scaled)
        self._step += 1
        truncated = bool(truncated) or (self._own_limit and not terminated and self._step >= _LIMIT)
        return self._convert(obs), float(reward), bool(terminated), truncated, {**info, "success": _success(info)}

    def _convert(self, obs: Any) -> dict[str, Array]:
        found: dict[str, Array] = {}
        for name, spec in self._spec.observation.items():
            value: Any = obs
            if isinstance(self.env.observation_space, spaces.Dict):
                for key in name.split("."):
                    value = value[key]
            if spec.is_image:
                found[name] = np.ascontiguousarray(value, dtype=np.uint8)
            else:
                vector = np.asarray(value, dtype=np.float64).ravel()
                found[name] = np.clip(vector, spec.low, spec.high).astype(np.float32)
        return found


def _collect(space: spaces.Space[Any], name: str, env_id: str, specs: dict[str, ArraySpec]) -> None:
    """Add the specification of `space` under `name`; refuses what no agent here can read."""
    if isinstance(space, spaces.Dict):
        for key, part in space.spaces.items():
            if "." in str(key):
                raise SpecError(f"{env_id}: observation name {key!r} holds a dot, which separates nested names.")
            _collect(part, f"{name}.{key}" if name else str(key), env_id, specs)
    elif isinstance(space, spaces.Box) and space.dtype == np.uint8 and len(space.shape) == 3:
        if space.shape[2] != 3:
            raise SpecError(f"{env_id}: image {name or 'observation'} has shape {space.shape}; needed is (H, W, 3).")
        specs[name or "image"] = ArraySpec(shape=space.shape, dtype="uint8", low=0, high=255)
    elif isinstance(space, spaces.Box) and len(space.shape) <= 1:
        size = int(np.prod(space.shape))
        low, high = float(np.max(np.abs(space.low))), float(np.max(np.abs(space.high)))
        bound = max(low, high) if np.isfinite(max(low, high)) and max(low, high) < 1e6 else 1e6
        names = tuple(f"{name or 'state'}[{i}]" for i in range(size))
        specs[name or "state"] = ArraySpec(shape=(size,), low=-bound, high=bound, names=names)
    else:
        raise SpecError(f"{env_id}: observation {name!r} is {space}; allowed are vectors and uint8 (H, W, 3) images.")


def _success(info: dict[str, Any]) -> bool:
    return bool(info.get("success", info.get("is_success", False)))
