"""A Policy made of an Agent and the newest weights."""

from typing import Any

import numpy as np

from robot_hil.data.specs import Array, Observation
from robot_hil.errors import ConfigError
from robot_hil.protocols import Agent, Remembering


class AgentPolicy:
    """Implements `Policy` and `EpisodeAware`. `set_params` may be called from any thread."""

    def __init__(self, agent: Agent, seed: int = 0) -> None:
        self._agent = agent
        self._remembering = agent if isinstance(agent, Remembering) and agent.memory_size else None
        self._rng = np.random.default_rng(seed)
        # One tuple, replaced in one assignment: weights and version can never be of two different broadcasts.
        self._current: tuple[int, Any] = (-1, None)
        self._newest = self._current
        self._memory = self._nothing()

    def set_params(self, version: int, params: Any) -> None:
        """Act with `params`, in the form that `agent.act` takes, from the next step on."""
        self._newest = (version, params)

    @property
    def version(self) -> int:
        """Version of the weights that made the last action; before the first action, of those that will."""
        return self._current[0] if self._current[0] >= 0 else self._newest[0]

    @property
    def params(self) -> Any:
        """Weights that made the last action; None before the first."""
        return self._current[1]

    def begin_episode(self, seed: int) -> None:
        """Draw all exploration noise from `seed` from now on, and remember nothing."""
        self._rng = np.random.default_rng(seed)
        self._memory = self._nothing()

    def act(self, obs: Observation, deterministic: bool = False) -> Array:
        """Return float32 (A,) in [-1, 1]; raises `ConfigError` before the first `set_params`."""
        self._current = self._newest
        version, params = self._current
        if version < 0:
            raise ConfigError("the policy has no weights yet; wait for the learner's first broadcast before acting.")
        if self._remembering is None:
            return self._agent.act(params, obs, deterministic, self._rng)
        action, self._memory = self._remembering.act_on(params, obs, self._memory, deterministic, self._rng)
        return action

    def _nothing(self) -> Array:
        return np.zeros(0 if self._remembering is None else self._remembering.memory_size, np.float32)
