"""Gaussians over actions: means within (-1, 1), standard deviations by dimension; parts of several algorithms."""

import math

from robot_hil.policies.ops import A, Ops

LOG_STD = (math.log(0.05), math.log(1.0))
"""Range of the log standard deviation, in units of the action."""


def normal(nn: Ops, raw: A) -> tuple[A, A]:
    """Return mean and log standard deviation (..., A) each of raw (..., 2A)."""
    size = raw.shape[-1] // 2
    low, high = LOG_STD
    mid, half = (high + low) / 2, (high - low) / 2
    # Not clipped: beyond a clip nothing leads back.
    return nn.tanh(raw[..., :size]), mid + half * nn.tanh(raw[..., size:])


def surprise(nn: Ops, action: A, mean: A, log_std: A) -> A:
    """Return -log N(action; mean, exp(log_std)^2) summed over dimensions, (...)."""
    far = (action - mean) / nn.exp(log_std)
    return nn.sum(0.5 * far**2 + log_std + 0.5 * math.log(2 * math.pi), -1)
