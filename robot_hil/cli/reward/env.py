"""An environment whose own success ends nothing, for runs in which somebody else says what a success is."""

from typing import Any

import gymnasium

from robot_hil.data.specs import Array
from robot_hil.envs.base import HasSpec, spec_of


class GoesOn(gymnasium.Wrapper[dict[str, Array], Array, Any, Any]):
    """Goes on after the environment's own success, which stays in `info`, until its time is over; rewards nothing.

    With `hold` > 0 an episode ends after so many steps running with that success: for recording frames of it.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], hold: int = 0) -> None:
        super().__init__(env)
        self._limit, self._hold = spec_of(env).max_episode_steps, hold
        self._step = self._held = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Array], dict[str, Any]]:
        self._step = self._held = 0
        found: tuple[dict[str, Array], dict[str, Any]] = self.env.reset(seed=seed, options=options)
        return found

    def step(self, action: Array) -> tuple[dict[str, Array], float, bool, bool, dict[str, Any]]:
        obs, reward, terminated, truncated, info = self.env.step(action)
        success = bool(info.get("success", False))
        self._step += 1
        self._held = self._held + 1 if success else 0
        truncated = bool(truncated) or self._step >= self._limit or 0 < self._hold <= self._held
        if success:
            terminated, reward = False, 0.0
        return obs, float(reward), bool(terminated), truncated, info


def going_on(env: gymnasium.Env[Any, Any], hold: int = 0) -> gymnasium.Env[Any, Any]:
    """Return `env` so that its own success ends nothing; one of another suite, which cannot go on, as it is."""
    return GoesOn(env, hold) if isinstance(env.unwrapped, HasSpec) else env
