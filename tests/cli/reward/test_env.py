"""Environments whose own success ends nothing."""

from typing import Any

import gymnasium
import numpy as np

from robot_hil.cli.reward.env import GoesOn, going_on
from robot_hil.data.specs import ArraySpec, EnvSpec
from robot_hil.envs import gym_adapter
from robot_hil.envs.base import spec_of


class Counts(gymnasium.Env[dict[str, np.ndarray], np.ndarray]):
    """Succeeds from the third to the fifth step; fails for good at the action -1."""

    env_spec = EnvSpec(
        env_id="test/Counts-v0", observation={"k": ArraySpec(shape=(1,))}, action=ArraySpec(shape=(1,)),
        control_hz=10.0, max_episode_steps=8,
    )  # fmt: skip

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.k = 0
        return self.obs(), {}

    def step(self, action: np.ndarray) -> Any:
        self.k += 1
        success = 3 <= self.k <= 5
        return self.obs(), float(success), success or action[0] == -1, False, {"success": success}

    def obs(self) -> dict[str, np.ndarray]:
        return {"k": np.array([self.k], np.float32)}


GO, FAIL = np.zeros(1, np.float32), -np.ones(1, np.float32)


def play(env: Any, action: np.ndarray = GO) -> list[tuple[float, bool, bool, bool]]:
    env.reset(seed=0)
    told = []
    while not told or not (told[-1][1] or told[-1][2]):
        _, reward, terminated, truncated, info = env.step(action)
        told.append((reward, terminated, truncated, info["success"]))
    return told


def test_it_goes_on_after_its_own_success_until_its_time_is_over() -> None:
    env = going_on(Counts())
    for _ in range(2):
        told = play(env)
        assert len(told) == 8
        assert [success for *_, success in told] == [False, False, True, True, True, False, False, False]
        assert not any(reward or terminated for reward, terminated, *_ in told)
        assert told[-1][2]
    assert spec_of(env).max_episode_steps == 8


def test_it_may_end_when_the_success_has_lasted() -> None:
    assert len(play(going_on(Counts(), hold=2))) == 4
    assert len(play(going_on(Counts(), hold=9))) == 8


def test_a_failure_of_its_own_is_an_end() -> None:
    assert play(going_on(Counts()), FAIL) == [(0.0, True, False, False)]


def test_an_environment_of_another_suite_ends_as_it_does() -> None:
    env = gym_adapter.make("Pendulum-v1")
    assert going_on(env) is env
    assert isinstance(going_on(gym_adapter.make("robot_hil/PickCube-v0")), GoesOn)
    env.close()
