"""Weights are swapped whole, between two actions, and the version tells which were used."""

import threading

import numpy as np
import pytest
from actor.parts import A

from robot_hil.actor.policy import AgentPolicy
from robot_hil.errors import ConfigError
from robot_hil.protocols import EpisodeAware


class ScaleAgent:
    """The part of an agent that acts: the weight plus noise."""

    def act(self, params, obs, deterministic, rng):
        assert params["a"] == params["b"]
        noise = 0.0 if deterministic else rng.uniform(-0.1, 0.1)
        return np.full(A, params["a"] + noise, np.float32)


def test_acts_with_the_newest_weights_and_says_which():
    policy = AgentPolicy(ScaleAgent())
    assert policy.version == -1
    with pytest.raises(ConfigError, match="no weights"):
        policy.act({})
    policy.set_params(4, {"a": 0.5, "b": 0.5})
    assert policy.version == 4
    assert (policy.act({}, deterministic=True) == 0.5).all()
    policy.set_params(5, {"a": 0.25, "b": 0.25})
    assert policy.version == 4  # the last action was made by these
    policy.act({})
    assert policy.version == 5


def test_noise_of_an_episode_depends_on_its_seed_only():
    policy = AgentPolicy(ScaleAgent())
    assert isinstance(policy, EpisodeAware)
    policy.set_params(0, {"a": 0.0, "b": 0.0})

    def actions(seed):
        policy.begin_episode(seed)
        return [policy.act({})[0] for _ in range(5)]

    first = actions(1)
    actions(2)
    assert actions(1) == first
    assert actions(3) != first


def test_swapping_from_another_thread_never_mixes_weights():
    policy = AgentPolicy(ScaleAgent())
    policy.set_params(0, {"a": 0.0, "b": 0.0})
    done = threading.Event()

    def publish():
        version = 1
        while not done.is_set():
            policy.set_params(version, {"a": version / 2**20, "b": version / 2**20})
            version += 1

    thread = threading.Thread(target=publish)
    thread.start()
    try:
        for _ in range(3000):
            action = policy.act({}, deterministic=True)
            assert action[0] == np.float32(policy.version / 2**20)
    finally:
        done.set()
        thread.join()
