"""Means over seeds with bootstrap intervals (Efron 1979): seeds are drawn with replacement, and trials within each."""

from collections.abc import Sequence

import numpy as np

from robot_hil.data.specs import Array

Counted = tuple[int, int]
"""Successes, trials."""
RESAMPLES = 2000
_SEED = 0
"""Of the resampling, so that equal results give equal tables."""


def success_interval(successes: Sequence[int], trials: Sequence[int]) -> tuple[float, float]:
    """Return the 95 % interval of the mean success rate, given successes and trials of each seed.

    Drawn are the seeds, then the trials of each drawn seed. One seed gives the spread of its trials alone.
    """
    rng = np.random.default_rng(_SEED)
    good, tried = np.asarray(successes), np.asarray(trials)
    drawn = rng.integers(len(good), size=(RESAMPLES, len(good)))
    rates = rng.binomial(tried[drawn], good[drawn] / tried[drawn]) / tried[drawn]
    return _interval(rates.mean(axis=1))


def gap_interval(ours: Sequence[Sequence[Counted]], theirs: Sequence[Sequence[Counted]]) -> tuple[float, float]:
    """Return the 95 % interval of the mean success of `ours` less that of `theirs`.

    Entry i of both is of the same seed and holds what was counted; every seed has as many entries. Drawn are the
    seeds, the same for both, then the trials: two seeds alone would tell apart whatever differs twice in one direction.
    """
    rng = np.random.default_rng(_SEED)
    drawn = rng.integers(len(ours), size=(RESAMPLES, len(ours)))
    means = []
    for good, tried in (np.moveaxis(np.asarray(each), -1, 0)[:, drawn] for each in (ours, theirs)):
        means.append((rng.binomial(tried, good / tried) / tried).mean(axis=(1, 2)))
    return _interval(means[0] - means[1])


def mean_interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the 95 % interval of the mean of one value for each seed, e.g. of paired differences."""
    drawn = _draw(values)
    return _interval(drawn.mean(axis=1))


def ratio_interval(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, float]:
    """Return the 95 % interval of mean(ours) / mean(theirs), where entry i of both is of the same seed.

    Infinite where a resample of `theirs` has the mean 0 and that of `ours` has not.
    """
    drawn = _draw(list(zip(ours, theirs, strict=True)))
    mine, other = drawn.mean(axis=1).T
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.where(mine == other, 1.0, mine / other)
    return _interval(ratios)


def _draw(values: Sequence[object]) -> Array:
    """Return `RESAMPLES` draws of as many values with replacement, (R, n, ...)."""
    known = np.asarray(values, np.float64)
    rng = np.random.default_rng(_SEED)
    return known[rng.integers(len(known), size=(RESAMPLES, len(known)))]


def _interval(means: Array) -> tuple[float, float]:
    low, high = np.quantile(means, (0.025, 0.975), method="nearest")  # of what was drawn: infinities stay apart
    return float(low), float(high)
