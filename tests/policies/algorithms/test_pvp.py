"""PVP: the proxy values of human and overridden actions, against numpy; what it learns."""

import numpy as np
import pytest
from agent_rig import Rig, small

from robot_hil.errors import ConfigError
from robot_hil.policies.algorithms.pvp import PvpConfig

LINEAR = small(PvpConfig, hidden=(), action_gain=0.0, utd=1, anchor=0.0, value_range=(-1.0, 1.0))


def extra_of(rig: Rig, batch: dict[str, np.ndarray]) -> float:
    """Return what is added to the critics' loss."""

    def function(nn, params, given):
        features, _ = rig.algorithm._vision.see(nn, params, given, "obs")
        return rig.algorithm._critic_extra(nn, None, params, given, features)[0]

    return float(rig.run(function, batch))


def test_the_proxy_values_are_those_of_the_paper(backend: str) -> None:
    rig = Rig(small(PvpConfig, hidden=(), action_gain=0.0, proxy=0.5, proxy_weight=0.3), backend)
    batch = rig.batch()
    batch["overridden"] = np.float32([0, 1, 1, 0, 1, 0, 0, 0])
    params, obs = rig.params(), rig.see(batch)

    def q(action):  # (members, B): the critics are linear
        rows = np.concatenate([obs, action], 1)
        return (rows @ params["critic/out/kernel"] + params["critic/out/bias"])[..., 0]

    human = batch["overridden"] * (q(batch["action"]) - 0.5) ** 2
    policy = batch["overridden"] * (q(batch["action_policy"]) + 0.5) ** 2
    assert extra_of(rig, batch) == pytest.approx(0.3 * (human + policy).mean(1).sum(), rel=1e-5)


def test_values_tell_human_from_overridden_actions_without_any_reward(backend: str) -> None:
    rig = Rig(small(PvpConfig, anchor=0.0, utd=1, learning_rate=1e-2, value_range=(-1.0, 1.0)), backend)
    batch = rig.batch(reward=0.0, discount=0.5, imitate=1.0, overridden=1.0)
    batch["action_policy"] = -batch["action"]
    for _ in range(100):
        rig.update(batch)

    def q(nn, params, given):
        features, _ = rig.algorithm._vision.see(nn, params, given, "obs")
        rate = [rig.algorithm._q(nn, params, "critic", features, given[n]) for n in ("action", "action_policy")]
        return nn.stack([nn.mean(value) for value in rate], 0)

    human, policy = rig.run(q, batch)
    assert human > 0.3
    assert policy < -0.7


def test_labels_without_sign_are_refused() -> None:
    with pytest.raises(ConfigError, match="proxy is 0"):
        PvpConfig(proxy=0.0)
    with pytest.raises(ConfigError, match="proxy_weight -1"):
        PvpConfig(proxy_weight=-1.0)
