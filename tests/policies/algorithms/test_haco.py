"""HACO: its three losses against numpy; what is taken over is worth less, and is foreseen."""

import numpy as np
import pytest
from agent_rig import Rig, gradients_of, small

from robot_hil.data.specs import Array
from robot_hil.errors import ConfigError
from robot_hil.policies.algorithms.haco import HacoConfig

LINEAR = small(
    HacoConfig, hidden=(), action_gain=0.0, utd=1, anchor=0.0, caution=0.0, exploration=0.0, proxy_weight=0.3,
    cost_weight=0.5, value_range=(-0.2, 0.2),
)  # fmt: skip


def test_losses_are_those_of_the_paper(backend: str) -> None:
    rig = Rig(LINEAR, backend)
    batch = rig.given(rig.batch())
    batch["overridden"] = np.float32([1, 0, 1, 1, 0, 0, 1, 0])
    params, targets = rig.params(), rig.params("targets")
    obs, after = batch["obs/state"], batch["next_obs/state"]

    def linear(params: dict[str, Array], name: str, *parts: Array) -> Array:
        found = np.concatenate(parts, 1) @ params[f"{name}/out/kernel"] + params[f"{name}/out/bias"]
        return found if name == "actor" else found[..., 0]

    q = linear(params, "critic", obs, batch["action"])
    overridden = linear(params, "critic", obs, batch["action_policy"])
    drawn = batch["noise/members"]
    action, acted = (np.tanh(linear(params, "actor", seen)[0]) for seen in (after, obs))
    later = linear(targets, "critic", after, action)[drawn].min(0)
    target = np.clip(batch["reward"] + batch["discount"] * later, -0.2, 0.2)
    better = batch["overridden"] * (q - np.maximum(overridden, -0.2))
    later = linear(targets, "cost", after, action).min(0)
    cost = (
        linear(params, "cost", obs, batch["action_policy"]) - batch["takeover_cost"] - batch["discount"] * later
    ) ** 2
    wanted = -linear(params, "critic", obs, acted).mean(0) + 0.5 * linear(params, "cost", obs, acted).min(0)

    found = gradients_of(rig, rig.algorithm.update, batch)
    assert found["critic0 loss"] == pytest.approx(((q - target) ** 2 - 0.3 * better).mean(1).sum(), rel=1e-4)
    assert found["cost1 loss"] == pytest.approx(cost.mean(1).sum(), rel=1e-4)
    assert found["actor2 loss"] == pytest.approx(wanted.mean(), rel=1e-3, abs=1e-5)


def test_what_was_overridden_is_worth_less_but_not_ever_less() -> None:
    rig = Rig(small(HacoConfig, anchor=0.0, utd=1, learning_rate=1e-2, value_range=(-1.0, 1.0)), "torch")
    batch = rig.batch(reward=0.0, discount=0.0, overridden=1.0)
    batch["action_policy"] = -batch["action"]
    for _ in range(300):
        rig.update(batch)

    def q(nn, params, given):
        features, _ = rig.algorithm._vision.see(nn, params, given, "obs")
        rates = [rig.algorithm._q(nn, params, "critic", features, given[n]) for n in ("action", "action_policy")]
        return nn.stack([nn.mean(value) for value in rates], 0)

    human, policy = rig.run(q, batch)
    assert human > 0.3
    assert -1.6 < policy < -0.8


def test_negative_weights_are_refused() -> None:
    with pytest.raises(ConfigError, match="cost_weight -1"):
        HacoConfig(cost_weight=-1.0)
