"""ThriftyDAgger: the critics' targets against numpy; what they foresee; nobody else moves by them."""

import numpy as np
import pytest
from agent_rig import Rig, gradients_of, small

from robot_hil.errors import ConfigError
from robot_hil.policies.algorithms.thrifty import ThriftyConfig

LINEAR = small(ThriftyConfig, hidden=(), members=2)


def test_the_critics_loss_is_that_of_the_paper(backend: str) -> None:
    rig = Rig(LINEAR, backend)
    batch = rig.given(rig.batch(critic_weight=0.5))
    params, targets = rig.params(), rig.params("targets")

    def success(params, obs, action):  # of both critics
        rows = np.concatenate([obs, action], 1)
        return 1 / (1 + np.exp(-(rows @ params["critic/out/kernel"] + params["critic/out/bias"])[..., 0]))

    after = batch["next_obs/state"]
    action = np.tanh(after @ params["actor/out/kernel"] + params["actor/out/bias"]).mean(0)
    target = np.clip(batch["reward"] + batch["discount"] * success(targets, after, action).min(0), 0, 1)
    error = 0.5 * (success(params, batch["obs/state"], batch["action"]) - target) ** 2
    found = gradients_of(rig, rig.algorithm.update, batch)
    assert found["critic1 loss"] == pytest.approx(error.mean(1).sum(), rel=1e-4)
    assert {name.split()[1].split("/")[0] for name in found if name.startswith("critic")} == {"loss", "critic"}


def test_success_is_foreseen_where_it_came(backend: str) -> None:
    rig = Rig(small(ThriftyConfig, hidden=(32,), critic_rate=1e-2, members=2), backend)
    batch = rig.batch(rows=16, discount=0.0, imitate=1.0)
    batch["reward"] = np.repeat(np.float32([0, 1]), 8)
    for _ in range(150):
        rig.update(batch)
    foreseen = rig.agent.values(rig.state, batch)
    assert foreseen[:8].mean() < 0.3
    assert foreseen[8:].mean() > 0.7


def test_who_acts_knows_doubt_and_success(backend: str) -> None:
    rig = Rig(small(ThriftyConfig, members=3), backend)
    batch = rig.batch(rows=2)
    actor = rig.agent.load_actor(rig.agent.actor_params(rig.state))
    obs = {"state": batch["obs/state"][1]}
    action, doubt, success = rig.agent.foresee(actor, obs)
    assert action == pytest.approx(rig.agent.act(actor, obs, True, np.random.default_rng(0)), abs=1e-6)
    assert doubt == pytest.approx(rig.run(rig.algorithm.doubt, batch)[1], rel=1e-5)
    assert success == pytest.approx(rig.agent.values(rig.state, batch)[1], rel=1e-5)


def test_a_target_that_never_moves_is_refused() -> None:
    with pytest.raises(ConfigError, match="tau is 0"):
        ThriftyConfig(tau=0.0)
