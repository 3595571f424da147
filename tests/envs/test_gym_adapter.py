"""Other people's environments through the adapter."""

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from robot_hil.data.specs import Array
from robot_hil.envs.base import privileged_of, spec_of
from robot_hil.envs.gym_adapter import GymAdapter, make
from robot_hil.errors import ConfigError, SpecError


class Dummy(gymnasium.Env[Any, Array]):
    """Gives and takes whatever its spaces say."""

    def __init__(self, observation: spaces.Space[Any], action: spaces.Space[Any]) -> None:
        self.observation_space, self.action_space = observation, action
        self.seen: list[Array] = []

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        return self.observation_space.sample(), {}

    def step(self, action: Array) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.seen.append(action)
        return self.observation_space.sample(), 0.0, False, False, {"is_success": True}


ACTION = spaces.Box(np.array([0.0, -2.0], np.float32), np.array([10.0, 2.0], np.float32))


def test_a_classic_environment_can_be_made_by_id() -> None:
    env = make("Pendulum-v1")
    spec = spec_of(env)
    assert (spec.vectors, spec.images, spec.max_episode_steps) == (("state",), (), 200)
    obs, info = env.reset(seed=0)
    spec.validate_observation(obs)
    obs, reward, _, _, info = env.step(np.array([1.0], np.float32))
    spec.validate_observation(obs)
    assert isinstance(reward, float)
    assert info["success"] is False
    with pytest.raises(SpecError, match="no ground truth"):
        privileged_of(env)
    env.close()


def test_own_environments_are_not_wrapped() -> None:
    env = make("robot_hil/PickCube-v0", control_hz=20.0)
    assert spec_of(env).control_hz == 20.0
    assert not isinstance(env, GymAdapter)
    env.close()


def test_actions_are_scaled_to_the_bounds() -> None:
    inner = Dummy(spaces.Box(-1.0, 1.0, (3,), np.float32), ACTION)
    env = GymAdapter(inner, "Dummy")
    env.reset()
    for action, wanted in (([-1, -1], [0, -2]), ([0, 0], [5, 0]), ([1, 1], [10, 2]), ([3, -3], [10, -2])):
        *_, info = env.step(np.array(action, np.float32))
        assert inner.seen[-1].tolist() == wanted
        assert info["success"] is True
    with pytest.raises(SpecError, match="finite"):
        env.step(np.array([np.nan, 0], np.float32))


def test_nested_dict_with_image_and_scalar() -> None:
    space = spaces.Dict(
        {
            "camera": spaces.Box(0, 255, (8, 9, 3), np.uint8),
            "arm": spaces.Dict({"q": spaces.Box(-np.inf, np.inf, (4,), np.float64), "t": spaces.Box(0.0, 1.0, ())}),
        }
    )
    env = GymAdapter(Dummy(space, ACTION), "Dummy")
    spec = spec_of(env)
    assert spec.images == ("camera",)
    assert spec.vectors == ("arm.q", "arm.t")
    obs, _ = env.reset()
    spec.validate_observation(obs)
    assert env.observation_space.contains(obs)


def test_an_environment_without_limit_is_truncated() -> None:
    env = GymAdapter(Dummy(spaces.Box(-1.0, 1.0, (1,)), ACTION), "Dummy")
    env.reset()
    ends = [env.step(np.zeros(2, np.float32))[3] for _ in range(1000)]
    assert ends == [False] * 999 + [True]


@pytest.mark.parametrize(
    ("observation", "action", "words"),
    [
        (spaces.Box(-1, 1, (3,)), spaces.Discrete(4), "Discrete"),
        (spaces.Box(-1, 1, (3,)), spaces.Box(0, 5, (2,), np.int64), "int64"),
        (spaces.Discrete(3), ACTION, "Discrete"),
        (spaces.Box(-1, 1, (3, 3)), ACTION, "vectors and uint8"),
        (spaces.Box(0, 255, (8, 8, 1), np.uint8), ACTION, "needed is"),
        (spaces.Dict({"a.b": spaces.Box(-1, 1, (3,))}), ACTION, "dot"),
    ],
)
def test_what_cannot_be_learnt_is_refused(observation: Any, action: Any, words: str) -> None:
    with pytest.raises(SpecError, match=words):
        GymAdapter(Dummy(observation, action), "Dummy")


@pytest.mark.parametrize("env_id", ["NoSuch-v0", "no_such_suite/Thing-v0", "no_such_module:Thing-v0", "CartPole-v99"])
def test_unknown_environment_is_named(env_id: str) -> None:
    with pytest.raises(ConfigError, match=env_id.rsplit(":", maxsplit=1)[-1]):
        make(env_id)


def test_discrete_environment_by_id_is_refused() -> None:
    with pytest.raises(SpecError, match="CartPole-v1"):
        make("CartPole-v1")


def test_environment_without_specification_says_what_to_do() -> None:
    with pytest.raises(SpecError, match="gym_adapter"):
        spec_of(Dummy(spaces.Box(-1, 1, (3,)), ACTION))
