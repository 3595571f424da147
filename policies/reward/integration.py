"""From deltas of progress to values and rewards, and what they say about the quality of data: in numpy.

The critic's delta c(i, j) in (-1, 1) is progress from frame i to frame j as a share of what remained at i; c < 0 is a
step back, as a share of what remains at j (Zhai et al. 2025, VLAC, arXiv 2509.15937). Here everything is in shares,
where that system counts to 100.
"""

import numpy as np

from robot_hil.data.specs import Array

LARGEST = 0.99
"""Deltas are clipped to +-this: a single pair never says that all is done, or all lost."""


def log_remaining(delta: Array) -> Array:
    """Return by how much a delta changes log(1 - v): an odd function, so that deltas cancel.

    A step ahead takes its share of what remains, v' = v + (1 - v) c, and a step back, c < 0, undoes the step ahead by
    the same share, 1 - v' = (1 - v) / (1 + c): i -> j -> i ends where it began, so a round trip earns nothing. The
    logarithm, not v, is what adds up: log(1 - c) for a step ahead, -log(1 + c) for a step back.
    """
    clipped = np.clip(delta, -LARGEST, LARGEST)
    change: Array = np.sign(clipped) * np.log1p(-np.abs(clipped))
    return change


def potential(remaining: Array) -> Array:
    """Return the value of log(1 - v), clipped to [0, 1]: being worse off than at the start is worth nothing more."""
    value: Array = np.clip(-np.expm1(remaining), 0.0, 1.0)
    return value


def rewards(values: Array, discount: float = 1.0) -> Array:
    """Return discount * v' - v for values (T + 1,), (T,): shaping by a potential (Ng, Harada & Russell 1999).

    With discount 1 they telescope: any way from a to b earns v(b) - v(a), a round trip nothing, an episode at most 1.
    """
    shaped: Array = discount * values[1:] - values[:-1]
    return shaped


def value_order_correlation(values: Array) -> float:
    """Return VOC, the rank correlation of value and time, in [-1, 1]; 0 for values that are all alike."""
    count = len(values)
    if count < 2:
        return 0.0
    ranks, times = _ranks(np.asarray(values)), np.arange(count, dtype=np.float64)
    ranks, times = ranks - ranks.mean(), times - times.mean()
    scale = np.sqrt((ranks**2).sum() * (times**2).sum())
    return float((ranks * times).sum() / scale) if scale > 0 else 0.0


def negative_rate(deltas: Array) -> float:
    """Return NR, the share of steps that went back, in [0, 1]; 0 without steps."""
    return float((np.asarray(deltas) < 0).mean()) if len(deltas) else 0.0


def _ranks(values: Array) -> Array:
    """Return ranks from 0, equal values sharing their mean rank."""
    _, group, counts = np.unique(values, return_inverse=True, return_counts=True)
    mean = np.cumsum(counts) - 0.5 * (counts + 1)
    ranks: Array = mean[group]
    return ranks
