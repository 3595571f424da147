"""The squashed Gaussian, on both libraries."""

import numpy as np
import pytest
import torch
from torch.distributions import Normal, TanhTransform, TransformedDistribution

from robot_hil.policies.nets.gaussian import gaussian
from robot_hil.policies.ops import Ops


def sampled(nn: Ops, raw, noise, low: float, high: float):
    """Return action and log-density as numpy arrays."""
    made = gaussian(nn, nn.array(np.float32(raw)), nn.array(np.float32(noise)), low, high)
    return tuple(np.asarray(array) for array in made)


def test_density_of_the_squashed_gaussian(nn: Ops) -> None:
    rng = np.random.default_rng(0)
    raw, noise = rng.standard_normal((50, 6)), rng.standard_normal((50, 3))
    action, log_prob = sampled(nn, raw, noise, -5.0, 0.5)
    loc, log_std = torch.from_numpy(np.float32(raw)).double().chunk(2, dim=-1)
    std = log_std.clamp(-5.0, 0.5).exp()
    reference = TransformedDistribution(Normal(loc, std), [TanhTransform(cache_size=1)])
    expected = torch.tanh(loc + std * torch.from_numpy(np.float32(noise)))
    assert np.allclose(action, expected.numpy(), atol=1e-6)
    assert np.allclose(log_prob, reference.log_prob(expected).sum(-1).numpy(), atol=1e-4)
    still, _ = sampled(nn, raw, np.zeros_like(noise), -5.0, 0.5)
    assert np.allclose(still, np.tanh(raw[:, :3]), atol=1e-6)  # without noise the squashed mean


def test_density_integrates_to_one(nn: Ops) -> None:
    noise = np.linspace(-8, 8, 20_001)[:, None]
    action, log_prob = sampled(nn, np.tile([0.3, -0.7], (len(noise), 1)), noise, -5.0, 2.0)
    whole = np.trapezoid(np.exp(log_prob.astype(np.float64)), action[:, 0].astype(np.float64))
    assert whole == pytest.approx(1.0, abs=1e-4)


def test_density_is_finite_far_out(nn: Ops) -> None:
    action, log_prob = sampled(nn, [[60.0, 0.0], [-60.0, 0.0]], np.zeros((2, 1)), -5.0, 0.5)
    assert np.isfinite(log_prob).all()
    assert (np.abs(action) <= 1).all()


def test_deviation_stays_within_its_range(nn: Ops) -> None:
    action, _ = sampled(nn, [[0.0, 9.0], [0.0, -9.0]], np.ones((2, 1)), -1.0, 0.5)
    assert action[:, 0] == pytest.approx(np.tanh(np.exp([0.5, -1.0])), abs=1e-6)
