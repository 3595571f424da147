"""RECAP: value of what was seen, indicator by a quantile of the advantage, a policy that is told; on both backends."""

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from agent_rig import Rig, changed, each, small

from robot_hil.data.specs import Array
from robot_hil.errors import ConfigError
from robot_hil.policies.algorithms.recap import RecapConfig, pinball_loss
from robot_hil.policies.base import Routine
from robot_hil.protocols import Valuing

RECAP = small(RecapConfig, bins=11)
LINEAR = replace(RECAP, hidden=(), drop=0.0)


def batch_of(rig: Rig, rows: int = 8, **values: float) -> dict[str, Array]:
    rng = np.random.default_rng(3)
    told = {"return": rng.uniform(-1, 0, rows).astype(np.float32), "returned": np.ones(rows, np.float32)}
    return rig.batch(rows=rows, **{"imitate": 1.0, "actor_weight": 1.0, "is_human": 0.0} | values) | told


def value_of(params: dict[str, Array], state: Array) -> Array:
    logits = state @ params["value/out/kernel"] + params["value/out/bias"]
    chance = np.exp(logits - logits.max(1, keepdims=True))
    return (chance / chance.sum(1, keepdims=True)) @ np.linspace(-1, 0, 11)


def test_the_indicator_is_the_papers(backend: str) -> None:
    """Above the threshold, or a person drove; the loss is that of a policy told so."""
    rig = Rig(replace(LINEAR, learning_rate=0.0, threshold_rate=0.0), backend)
    batch = batch_of(rig)
    batch["is_human"][:2] = 1.0
    params = rig.params()
    now, then = (value_of(params, batch[f"{when}/state"]) for when in ("obs", "next_obs"))
    advantage = batch["reward"] + batch["discount"] * then - now
    threshold = np.sort(advantage[2:])[2:4].mean()
    rig.put(params__threshold__advantage=threshold)
    good = (advantage > threshold) | (batch["is_human"] > 0)
    assert good.sum() == 5
    told = np.concatenate([batch["obs/state"], np.where(good, 1.0, -1.0)[:, None]], 1)
    mean = np.tanh(told @ params["actor/out/kernel"] + params["actor/out/bias"])
    found = rig.update(batch)
    assert found["good"] == pytest.approx(good.mean())
    assert found["actor_loss"] == pytest.approx(((mean - batch["action"]) ** 2).sum(1).mean(), rel=1e-4)
    assert found["threshold"] == pytest.approx(threshold)


def test_values_become_the_returns(backend: str) -> None:
    rig = Rig(replace(RECAP, hidden=(32,), learning_rate=1e-2), backend)
    batch = batch_of(rig)
    batch["returned"][0] = 0.0
    for _ in range(200):
        rig.update(batch)
    assert isinstance(rig.agent, Valuing)
    values = rig.agent.values(rig.state, batch)
    assert values[1:] == pytest.approx(batch["return"][1:], abs=0.06)
    assert abs(values[0] - batch["return"][0]) > 0.06  # nobody knows that one


@cache
def threshold_of(algorithm: Any) -> Routine:
    def routine(nn, trainer, given):
        algorithm._update_threshold(nn, trainer, given, given["reward"])
        return each(trainer.params["threshold/advantage"][None])

    return routine


def test_the_threshold_becomes_the_quantile_of_the_robots_own(backend: str) -> None:
    rig = Rig(replace(RECAP, good=0.25, threshold_rate=2e-2), backend)
    batch = batch_of(rig, rows=80)
    batch["reward"] = np.linspace(0, 1, 80, dtype=np.float32)
    batch["reward"][60:], batch["is_human"][60:] = 9.0, 1.0
    for _ in range(150):
        found = rig.train(threshold_of(rig.algorithm), batch)["0"]
    assert found == pytest.approx(np.quantile(np.linspace(0, 1, 80)[:60], 0.75), abs=0.05)


def test_pinball_is_least_at_the_quantile(nn) -> None:
    error = np.float32([-2.0, 1.0])
    found = float(pinball_loss(nn, nn.array(error), nn.array(np.float32([1.0, 1.0])), 0.8))
    assert found == pytest.approx((0.2 * 2 + 0.8 * 1) / 2)


def test_it_acts_as_told_that_it_will_be_good(backend: str) -> None:
    """Good steps went right, bad ones left, in the same state."""
    acted = {}
    for guidance in (0.0, 1.0, 1.5):
        rig = Rig(replace(RECAP, hidden=(32,), learning_rate=1e-2, guidance=guidance, threshold_rate=0.0), backend)
        batch = batch_of(rig, reward=0.5, discount=0.0)
        batch["obs/state"][:] = batch["obs/state"][:1]
        batch["reward"][4:] = -1.5
        batch["action"][:] = np.repeat(np.float32([0.5, -0.5]), 4)[:, None]
        for _ in range(150):
            rig.update(batch)
        actor = rig.agent.load_actor(rig.agent.actor_params(rig.state))
        obs = {"state": batch["obs/state"][0]}
        acted[guidance] = rig.agent.act(actor, obs, True, np.random.default_rng(0))[0]
    assert acted[1.0] == pytest.approx(0.5, abs=0.1)
    assert abs(acted[0.0]) < 0.2
    assert acted[1.5] > acted[1.0]


def test_every_update_moves_policy_value_and_threshold(backend: str) -> None:
    rig = Rig(RECAP, backend)
    before = rig.export()
    rig.update(batch_of(rig))
    assert changed(before, rig.export()) == {
        "params/actor", "targets/actor", "adam/actor", "params/value", "adam/value", "params/threshold",
        "adam/threshold", "counters/actor_updates", "generator",
    }  # fmt: skip
    before = rig.export()
    rig.pretrain(rig.batch())
    assert changed(before, rig.export()) == {
        "params/actor",
        "targets/actor",
        "adam/actor",
        "counters/actor_updates",
        "generator",
    }


@pytest.mark.parametrize("wrong", [{"bins": 1}, {"good": 1.0}, {"drop": 1.0}, {"guidance": -0.5}])
def test_numbers_that_cannot_work_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=str(next(iter(wrong.values())))):
        replace(RECAP, **wrong)
