"""The Adroit hand: names, success, and a clear word on who can demonstrate it."""

from typing import Any

import gymnasium
import numpy as np
import pytest

import robot_hil.envs  # noqa: F401 - registers the ids
from robot_hil.envs.base import privileged_of, scale_of, spec_of
from robot_hil.envs.suites import ADROIT
from robot_hil.errors import ConfigError, SpecError


def make(task: str, **options: Any) -> Any:
    return gymnasium.make(f"robot_hil/Adroit{task}-v0", disable_env_checker=True, **options).unwrapped


@pytest.mark.parametrize("task", ADROIT)
def test_every_value_has_a_name(task: str) -> None:
    env = make(task)
    spec = spec_of(env)
    obs, _ = env.reset(seed=0)
    spec.validate_observation(obs)
    assert env.reset(seed=0)[0]["state"].shape == env._sim.observation_space.shape
    names = spec.observation["state"].names
    assert len(set(names)) == len(names)
    assert "THJ0 [rad]" in names
    assert "THJ0" in spec.action.names
    env.close()


def test_the_door_that_stands_open_is_success_and_ends_the_episode() -> None:
    env = make("Door")
    env.reset(seed=0)
    still = np.zeros(env.action_space.shape, np.float32)
    obs, reward, terminated, truncated, info = env.step(still)
    assert (reward, terminated, truncated, info) == (0.0, False, False, {"success": False})
    env.data.qpos[env.model.joint("door_hinge").qposadr[0]] = 1.5
    obs, reward, terminated, truncated, info = env.step(still)
    assert (reward, terminated, truncated, info) == (1.0, True, False, {"success": True})
    hinge = spec_of(env).observation["state"].names.index("hinge [rad]")
    assert obs["state"][hinge] > 1.35
    env.close()


def test_nobody_demonstrates_it_yet_and_that_is_said() -> None:
    env = make("Relocate")
    with pytest.raises(ConfigError, match="reset"):
        env.step(np.zeros(env.action_space.shape, np.float32))
    env.reset(seed=0)
    for ask in (privileged_of, scale_of):
        with pytest.raises(SpecError, match="nobody demonstrates"):
            ask(env)
    env.close()
