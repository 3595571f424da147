"""The equations of the losses, on numbers worked out by hand; the projection on both libraries."""

import math

import numpy as np
import pytest
from agent_rig import library
from hypothesis import given
from hypothesis import strategies as st

from robot_hil.data.specs import Array
from robot_hil.policies import losses
from robot_hil.policies.losses import Support
from robot_hil.policies.ops import Ops

SUPPORT = Support(low=0.0, high=1.0, bins=21)


def projected(nn: Ops, support: Support, target: list[float]) -> Array:
    return np.asarray(support.project(nn, nn.array(np.float32(target))))


def test_centers_and_edges_of_a_support() -> None:
    support = Support(low=-1.0, high=1.0, bins=5)
    assert support.width == 0.5
    assert support.centers().tolist() == [-1.0, -0.5, 0.0, 0.5, 1.0]
    assert support.edges().tolist() == [-1.25, -0.75, -0.25, 0.25, 0.75, 1.25]


@given(st.sampled_from(["torch", "jax"]), st.floats(-0.5, 1.5))
def test_projection_is_a_distribution_about_the_target(backend: str, target: float) -> None:
    probs = projected(library(backend), SUPPORT, [target])
    assert probs.shape == (1, 21)
    assert (probs >= 0).all()
    assert float(probs.sum()) == pytest.approx(1.0, abs=1e-5)
    inside = min(max(target, 0.0), 1.0)
    expected = float((probs @ SUPPORT.centers())[0])
    assert expected == pytest.approx(inside, abs=0.6 * SUPPORT.width)  # the Gaussian is cut off at both ends
    if 0.2 <= target <= 0.8:
        assert expected == pytest.approx(target, abs=0.02 * SUPPORT.width)


def test_projection_by_hand(nn: Ops) -> None:
    """Three bins of width 0.5; in the middle, the share of the middle bin is erf(0.25 / (sigma sqrt 2)), normalised."""
    support = Support(low=0.0, high=1.0, bins=3, sigma_bins=1.0)
    middle, whole = math.erf(0.5 / math.sqrt(2)), math.erf(1.5 / math.sqrt(2))
    side = (whole - middle) / 2 / whole
    assert projected(nn, support, [0.5])[0].tolist() == pytest.approx([side, middle / whole, side], abs=1e-6)


def test_temporal_difference_target() -> None:
    reward, discount, value = np.array([0.0, 1.0, 1.0]), np.array([0.9, 0.0, 0.5]), np.array([0.5, 7.0, 1.0])
    assert losses.td_target(reward, discount, value).tolist() == [0.45, 1.0, 1.5]


def test_categorical_loss_is_the_weighted_cross_entropy() -> None:
    log_probs = np.log(np.array([[[0.5, 0.5], [0.25, 0.75]], [[0.1, 0.9], [0.2, 0.8]]]))  # (E, B, bins)
    target, weight = np.array([[1.0, 0.0], [0.5, 0.5]]), np.array([1.0, 2.0])
    first = (-math.log(0.5) - (math.log(0.25) + math.log(0.75))) / 2
    second = (-math.log(0.1) - (math.log(0.2) + math.log(0.8))) / 2
    assert losses.categorical_critic_loss(log_probs, target, weight) == pytest.approx(first + second)


def test_squared_loss_sums_members_and_averages_rows() -> None:
    q, target, weight = np.array([[1.0, 2.0], [0.0, 0.0]]), np.array([0.0, 1.0]), np.array([1.0, 3.0])
    assert losses.squared_critic_loss(q, target, weight) == pytest.approx((1 + 3) / 2 + (0 + 3) / 2)


def test_policy_loss_is_minus_the_weighted_value() -> None:
    assert losses.policy_loss(np.array([1.0, 3.0]), np.array([1.0, 0.5])) == pytest.approx(-1.25)


def test_actor_and_temperature_losses() -> None:
    q, log_prob, weight = np.array([1.0, 2.0]), np.array([-1.0, 3.0]), np.array([1.0, 0.5])
    assert losses.actor_loss(q, log_prob, 0.1, weight) == pytest.approx(((-0.1 - 1.0) + 0.5 * (0.3 - 2.0)) / 2)
    # more entropy than wanted: the gradient lowers the temperature
    assert losses.temperature_loss(0.5, 2.0, -1.0) == pytest.approx(1.5)


def test_anchor_counts_marked_rows_and_fades_with_their_share() -> None:
    mean, human = np.array([[0.0, 1.0], [0.5, 0.5]]), np.array([[1.0, 1.0], [0.0, 0.0]])
    assert losses.anchor_loss(mean, human, np.array([1.0, 0.0])) == pytest.approx(0.5)
    assert losses.anchor_loss(mean, human, np.array([1.0, 2.0])) == pytest.approx((1.0 + 2 * 0.5) / 2)


def test_q_filter_keeps_what_the_critic_prefers_by_the_margin() -> None:
    human, policy = np.array([1.0, 1.0, 0.5]), np.array([0.5, 0.95, 0.5])
    assert losses.q_filter(human, policy, 0.0).tolist() == [True, True, False]
    assert losses.q_filter(human, policy, 0.1).tolist() == [True, False, False]


def test_projection_and_cross_entropy_in_double_precision(nn: Ops) -> None:
    rng = np.random.default_rng(0)
    target = rng.uniform(-0.2, 1.2, 32).astype(np.float32)
    edges = np.linspace(-0.025, 1.025, 22)
    cdf = np.vectorize(math.erf)((edges - np.clip(target, 0, 1)[:, None]) / (0.75 * 0.05 * math.sqrt(2)))
    expected = np.diff(cdf, axis=1) / (cdf[:, -1:] - cdf[:, :1])
    found = SUPPORT.project(nn, nn.array(target))
    assert np.allclose(np.asarray(found), expected, atol=1e-5)
    logits = rng.standard_normal((3, 32, 21))
    log_probs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    weight = rng.random(32)
    loss = losses.categorical_critic_loss(nn.array(log_probs), found, nn.array(weight))
    assert float(loss) == pytest.approx(-((expected * log_probs).sum(-1) * weight).mean(-1).sum(), rel=1e-5)
