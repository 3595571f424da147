"""Losses of off-policy actor-critics, written once for every array library.

Functions take arrays of one library (torch, numpy or jax) and use only operators and methods that all of them share,
or the operations passed in. Noise and network outputs come from the caller; nothing here knows parameters.
"""

from dataclasses import dataclass

import numpy as np

from robot_hil.data.specs import Array
from robot_hil.policies.ops import A, Ops


@dataclass(frozen=True, slots=True, kw_only=True)
class Support:
    """Bins of a categorical value distribution (HL-Gauss, Farebrother et al. 2024, arXiv 2403.03950).

    A scalar target y becomes the probabilities that N(y, sigma^2) gives to each bin; the critic is trained by
    cross-entropy. Sparse success with termination has returns in [0, 1]: the support cannot be left, so
    over-estimation is bounded.
    """

    low: float = 0.0
    high: float = 1.0
    bins: int = 51
    sigma_bins: float = 0.75
    """Width of the Gaussian in bins."""

    @property
    def width(self) -> float:
        """Width of one bin."""
        return (self.high - self.low) / (self.bins - 1)

    def centers(self) -> Array:
        """Bin centres, float32 (bins,); the first and last are `low` and `high`."""
        return np.linspace(self.low, self.high, self.bins, dtype=np.float32)

    def edges(self) -> Array:
        """Bin edges, float32 (bins + 1,)."""
        return np.linspace(self.low - self.width / 2, self.high + self.width / 2, self.bins + 1, dtype=np.float32)

    def project(self, nn: Ops, target: A) -> A:
        """Turn targets (B,) into probabilities (B, bins)."""
        clipped = nn.clip(target, self.low, self.high)
        cdf = nn.erf((nn.array(self.edges()) - clipped[:, None]) / (self.sigma_bins * self.width * 2.0**0.5))
        mass = cdf[:, 1:] - cdf[:, :-1]
        return mass / (cdf[:, -1:] - cdf[:, :1])


def td_target(reward: A, discount: A, next_value: A) -> A:
    """Return r + discount * V(s'), all (B,); `discount` is gamma^n, and 0 where the episode terminated."""
    return reward + discount * next_value


def categorical_critic_loss(log_probs: A, target_probs: A, weight: A) -> A:
    """Cross-entropy summed over members: log_probs (E, B, bins), target_probs (B, bins), weight (B,)."""
    return -((target_probs * log_probs).sum(-1) * weight).mean(-1).sum()


def squared_critic_loss(q: A, target: A, weight: A) -> A:
    """Mean squared TD error summed over members: q (E, B), target (B,), weight (B,)."""
    return (((q - target) ** 2) * weight).mean(-1).sum()


def actor_loss(q_mean: A, log_prob: A, temperature: A, weight: A) -> A:
    """Soft actor loss E[alpha log pi - Q], all (B,) (Haarnoja et al. 2018, arXiv 1812.05905, eq. 7)."""
    return ((temperature * log_prob - q_mean) * weight).mean()


def policy_loss(q: A, weight: A) -> A:
    """Deterministic policy gradient E[-Q], (B,) and (B,) (Lillicrap et al. 2016, arXiv 1509.02971)."""
    return -(q * weight).mean()


def temperature_loss(temperature: A, entropy: A, target_entropy: float) -> A:
    """Dual loss alpha * (H - H_target) with the policy's mean entropy H held fixed (same paper, eq. 18)."""
    return temperature * (entropy - target_entropy)


def anchor_loss(mean_action: A, human_action: A, weight: A) -> A:
    """Weighted squared distance of the policy's mean to the human action: (B, A), (B, A), (B,).

    Normalised by the batch size, not by the sum of weights, so the pull fades as human data become rare.
    """
    return (((mean_action - human_action) ** 2).sum(-1) * weight).mean()


def distance_loss(estimate: A, actual: A, weight: A) -> A:
    """Weighted absolute error, (B, G), (B, G), (B,): unlike the square it does not mind the far ones most."""
    return (abs(estimate - actual).sum(-1) * weight).mean()


def q_filter(q_human: A, q_policy: A, margin: float) -> A:
    """1 where the critic rates the human action at least `margin` above the policy's own, else 0 (Nair et al. 2018)."""
    return q_human > q_policy + margin
