"""AWAC: the policy is pulled towards what was executed, by the exponent of its advantage; on both backends."""

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from agent_rig import Rig, changed, small

from robot_hil.data.specs import Array
from robot_hil.errors import ConfigError
from robot_hil.policies.algorithms.awac import AwacConfig, advantage_weight
from robot_hil.policies.base import Routine

AWAC = small(AwacConfig)
PLAIN = replace(AWAC, hidden=(), action_gain=0.0, utd=1, exploration=0.0)
"""Linear networks: a value is a product."""


@cache  # what is compiled for it can then be found again
def actor_routine(algorithm: Any) -> Routine:
    def routine(nn, trainer, given):
        features, _ = algorithm._vision.see(nn, trainer.params, given, "obs")
        return algorithm._update_actor(nn, trainer, given, features, given["noise/next_action"])

    return routine


def update_actor(rig: Rig, batch: dict[str, Array]) -> dict[str, float]:
    return rig.train(actor_routine(rig.algorithm), batch)


def test_the_loss_is_that_of_the_paper(backend: str) -> None:
    rig = Rig(replace(PLAIN, temperature=0.3), backend)
    batch = rig.batch(rows=6, actor_weight=1.0)
    batch["imitate"] = np.float32([1, 1, 1, 0, 1, 1])
    params = rig.params()
    state = batch["obs/state"]
    mine = np.tanh(state @ params["actor/out/kernel"][0] + params["actor/out/bias"][0])
    kernel = params["critic/out/kernel"].mean(0)[:, 0]
    advantage = (batch["action"] - mine) @ kernel[state.shape[1] :]  # the rest of a linear value cancels
    weight = np.minimum(np.exp(advantage / 0.3), 100.0)
    loss = (weight * batch["imitate"] * ((mine - batch["action"]) ** 2).sum(1)).mean()
    found = update_actor(rig, batch)
    assert found["actor_loss"] == pytest.approx(loss, rel=1e-4)
    assert found["advantage"] == pytest.approx(advantage.mean(), rel=1e-3, abs=1e-6)


def test_weights_grow_with_the_advantage_up_to_a_limit(nn) -> None:
    weight = np.asarray(advantage_weight(nn, nn.array(np.float32([-1e6, -1.0, 0.0, 1.0, 1e6])), 0.5, 100.0))
    assert weight == pytest.approx([0.0, np.exp(-2), 1.0, np.exp(2), 100.0], abs=1e-6)


def test_the_policy_goes_where_the_critics_see_an_advantage(backend: str) -> None:
    """Two actions in one state; the critics pay for the first dimension: the one with more of it wins."""
    rig = Rig(replace(PLAIN, temperature=0.1, actor_rate=1e-2, actor_average=1.0), backend)
    kernel = np.zeros_like(rig.params()["critic/out/kernel"])
    kernel[:, 5, 0] = 1.0  # five numbers of state come first
    rig.put(params__critic__out__kernel=kernel)
    batch = rig.batch(rows=8, imitate=1.0, actor_weight=1.0)
    batch["obs/state"][:] = batch["obs/state"][:1]
    batch["action"] = np.float32([[0.5, 0.3, 0.0], [-0.5, -0.3, 0.0]] * 4)
    for _ in range(300):
        update_actor(rig, batch)
    state = batch["obs/state"]
    mean = np.tanh(state @ rig.params()["actor/out/kernel"][0] + rig.params()["actor/out/bias"][0])
    assert mean[:, 0] == pytest.approx(np.full(8, 0.5), abs=0.15)
    assert mean[:, 1] == pytest.approx(np.full(8, 0.3), abs=0.15)


def test_a_round_moves_what_the_actor_critics_does(backend: str) -> None:
    rig = Rig(AWAC, backend)
    before = rig.export()
    rig.update(rig.batch())
    assert changed(before, rig.export()) == {
        "params/actor", "targets/actor", "adam/actor", "counters/actor_updates",
        "params/critic", "targets/critic", "adam/critic", "counters/critic_updates", "generator",
    }  # fmt: skip


@pytest.mark.parametrize("wrong", [{"temperature": 0.0}, {"largest_weight": -1.0}])
def test_numbers_that_cannot_work_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=str(next(iter(wrong.values())))):
        replace(AWAC, **wrong)
