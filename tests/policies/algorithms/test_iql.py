"""IQL: expectile of what was done, targets from it, weights by the advantage over it; on both backends."""

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from agent_rig import Rig, changed, each, small

from robot_hil.data.specs import Array
from robot_hil.errors import ConfigError
from robot_hil.policies.algorithms.iql import IqlConfig, expectile_loss
from robot_hil.policies.base import Routine

IQL = small(IqlConfig)
PLAIN = replace(IQL, hidden=(), action_gain=0.0, utd=1, ensemble=2, value_range=(-9.0, 9.0), temperature=0.4)
"""Linear networks."""


@cache  # what is compiled for it can then be found again
def targets_of(algorithm: Any) -> Routine:
    return lambda nn, trainer, given: each(algorithm._targets(nn, trainer, given))


def linear(rig: Rig, batch: dict[str, Array]) -> tuple[Array, Array, Array]:
    """Least of the target critics at what was executed; the value of the states, and of the next ones, (B,) each."""
    params, targets = rig.params(), rig.params("targets")
    seen = np.concatenate([batch["obs/state"], batch["action"]], 1)
    q = (seen @ targets["critic/out/kernel"] + targets["critic/out/bias"])[..., 0].min(0)

    def value(of: Array) -> Array:
        return (of @ params["value/out/kernel"] + params["value/out/bias"])[:, 0]

    return q, value(batch["obs/state"]), value(batch["next_obs/state"])


def test_expectile_is_asymmetric_least_squares(nn) -> None:
    error = np.float32([-2.0, -1.0, 0.5, 3.0])
    expected = np.mean([0.1 * 4, 0.1 * 1, 0.9 * 0.25, 0.9 * 9])
    assert float(expectile_loss(nn, nn.array(error), 0.9)) == pytest.approx(expected)


def test_targets_bootstrap_from_the_value_not_from_an_action(backend: str) -> None:
    rig = Rig(replace(PLAIN, learning_rate=0.0), backend)
    batch = rig.batch(rows=6)
    _, _, after = linear(rig, batch)

    found = np.array(list(rig.train(targets_of(rig.algorithm), batch).values()))
    assert found == pytest.approx(batch["reward"] + batch["discount"] * after, abs=1e-4)


def test_the_loss_is_that_of_the_paper(backend: str) -> None:
    rig = Rig(PLAIN, backend)
    batch = rig.batch(rows=6, imitate=1.0, actor_weight=1.0)
    q, value, _ = linear(rig, batch)
    weight = np.minimum(np.exp((q - value) / 0.4), 100.0)
    params = rig.params()
    mean = np.tanh(batch["obs/state"] @ params["actor/out/kernel"][0] + params["actor/out/bias"][0])
    loss = (weight * ((mean - batch["action"]) ** 2).sum(1)).mean()

    def actor(nn, trainer, given):
        features, _ = rig.algorithm._vision.see(nn, trainer.params, given, "obs")
        return rig.algorithm._update_actor(nn, trainer, given, features, given["noise/next_action"])

    found = rig.train(actor, batch)
    assert found["actor_loss"] == pytest.approx(loss, rel=1e-3)
    assert found["advantage"] == pytest.approx((q - value).mean(), rel=1e-3, abs=1e-5)


def test_the_value_becomes_the_expectile_of_what_was_done(backend: str) -> None:
    """One state, two actions, the critics give 0 and 1: the value settles at the expectile itself."""
    rig = Rig(replace(PLAIN, expectile=0.8, learning_rate=3e-2), backend)
    kernel = np.zeros_like(rig.params()["critic/out/kernel"])
    kernel[:, 5, 0] = 1.0  # five numbers of state come first
    rig.put(targets__critic__out__kernel=kernel, targets__critic__out__bias=0.0)
    batch = rig.batch(rows=8, reward=0.0, discount=0.9)
    batch["obs/state"][:] = batch["obs/state"][:1]
    batch["action"][:, 0] = [0, 1] * 4

    for _ in range(200):
        rig.train(targets_of(rig.algorithm), batch)
    assert linear(rig, batch)[1] == pytest.approx(np.full(8, 0.8), abs=0.02)


def test_a_round_moves_value_critics_and_actor(backend: str) -> None:
    rig = Rig(IQL, backend)
    before = rig.export()
    rig.update(rig.batch())
    assert changed(before, rig.export()) == {
        "params/actor", "targets/actor", "adam/actor", "counters/actor_updates", "params/value", "adam/value",
        "params/critic", "targets/critic", "adam/critic", "counters/critic_updates", "generator",
    }  # fmt: skip


@pytest.mark.parametrize("expectile", [0.0, 1.0])
def test_an_expectile_lies_between(expectile: float) -> None:
    with pytest.raises(ConfigError, match=str(expectile)):
        replace(IQL, expectile=expectile)
