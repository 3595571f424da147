"""MILE: its losses against numpy, the expectation against samples, and what it learns from steps nobody corrected."""

import numpy as np
import pytest
from agent_rig import Rig, gradients_of, small
from scipy.special import ndtr
from scipy.stats import norm

from robot_hil.data.specs import Array
from robot_hil.errors import ConfigError
from robot_hil.policies.algorithms.mile import Mile, MileConfig
from robot_hil.policies.ops import Ops

LINEAR = small(MileConfig, hidden=(), cost=0.7, imitation=0.5)


def gaussian_of(rig: Rig, name: str, obs: Array) -> tuple[Array, Array]:
    """Mean and standard deviation of a linear network."""
    raw = obs @ rig.params()[f"{name}/out/kernel"] + rig.params()[f"{name}/out/bias"]
    mean, raw_std = np.split(raw, 2, axis=1)
    low, high = np.log(0.05), 0.0
    return np.tanh(mean), np.exp((low + high) / 2 + (high - low) / 2 * np.tanh(raw_std))


def test_losses_are_those_of_the_paper(backend: str) -> None:
    rig = Rig(LINEAR, backend)
    batch = rig.given(rig.batch())
    batch["proposed"] = np.float32([1, 1, 0, 1, 1, 0, 1, 1])
    batch["overridden"] = np.float32([1, 0, 0, 0, 1, 0, 0, 1])
    obs = batch["obs/state"]
    (mean, std), (other, other_std) = (gaussian_of(rig, name, obs) for name in ("actor", "robot"))
    gap = (((mean - other) ** 2 + other_std**2) / std**2 / 2 - 0.5).sum(1)
    p = 1 / (1 + np.exp(-1.702 * (gap - 0.7)))
    taken = -np.log(np.where(batch["overridden"] > 0, p, 1 - p))
    surprise = -norm.logpdf(batch["action"], mean, std).sum(1)
    expected = (batch["proposed"] * taken).mean() + 0.5 * (batch["imitate"] * surprise).mean()
    found = gradients_of(rig, rig.algorithm.update, batch)
    assert found["actor1 loss"] == pytest.approx(expected, rel=1e-4)
    surprise = -norm.logpdf(batch["action_policy"], other, other_std).sum(1)
    assert found["robot0 loss"] == pytest.approx((batch["proposed"] * surprise).mean(), rel=1e-4)
    found = gradients_of(rig, rig.algorithm.pretrain, batch)
    assert found["actor0 loss"] == pytest.approx(
        (batch["imitate"] * -norm.logpdf(batch["action"], mean, std).sum(1)).mean(), rel=1e-4
    )


def test_the_gap_is_the_difference_of_expectations(nn: Ops) -> None:
    rng = np.random.default_rng(0)
    mean, other = rng.uniform(-1, 1, (2, 1, 3))
    std, other_std = rng.uniform(0.3, 0.6, (2, 1, 3))
    draws = rng.standard_normal((400_000, 3))
    own, robots = (norm.logpdf(m + s * draws, mean, std).sum(1).mean() for m, s in ((mean, std), (other, other_std)))
    found = Mile.gap(nn, (nn.array(mean), nn.array(np.log(std))), (nn.array(other), nn.array(np.log(other_std))))
    assert float(found[0]) == pytest.approx(own - robots, rel=0.02)


def test_the_logistic_is_close_to_the_probit() -> None:
    x = np.linspace(-6, 6, 1001)
    assert np.abs(1 / (1 + np.exp(-1.702 * x)) - ndtr(x)).max() < 0.01


def test_what_nobody_corrected_is_taken_for_good() -> None:
    rig = Rig(small(MileConfig, learning_rate=1e-2), "torch")
    batch = rig.batch(imitate=0.0, overridden=0.0)
    batch["action_policy"] = batch["action_policy"] * 0 + 0.6
    for _ in range(300):
        rig.update(batch)
    actor = rig.agent.load_actor(rig.agent.actor_params(rig.state))
    acted = [rig.agent.act(actor, {"state": obs}, True, np.random.default_rng(0)) for obs in batch["obs/state"]]
    assert np.abs(np.array(acted) - 0.6).mean() < 0.2


def test_negative_weights_are_refused() -> None:
    with pytest.raises(ConfigError, match="imitation is -1"):
        MileConfig(imitation=-1.0)
