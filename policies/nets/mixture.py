"""A mixture of Gaussians over actions: as robomimic's policies end (Mandlekar et al. 2021, arXiv 2108.03298)."""

import math

from robot_hil.policies.ops import A, Ops


def mixture(nn: Ops, raw: A, modes: int, actions: int, least_std: float) -> tuple[A, A, A]:
    """Read raw (B, K (1 + 2 A)) as log-weights (B, K), means in [-1, 1] and standard deviations, (B, K, A) each."""
    rows = raw.shape[0]
    end = modes * (1 + actions)
    means = nn.tanh(raw[:, modes:end].reshape(rows, modes, actions))
    std = nn.softplus(raw[:, end:].reshape(rows, modes, actions)) + least_std
    return nn.log_softmax(raw[:, :modes], -1), means, std


def mixture_log_prob(nn: Ops, log_weights: A, means: A, std: A, action: A) -> A:
    """Return log sum_k w_k prod_a N(action_a; mean_ka, std_ka^2) for action (B, A), (B,)."""
    apart = (action[:, None, :] - means) / std
    each = nn.sum(-0.5 * apart**2 - nn.log(std) - 0.5 * math.log(2 * math.pi), -1)
    return nn.logsumexp(log_weights + each, -1)
