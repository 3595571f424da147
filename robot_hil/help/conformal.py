"""How unusual a number is, as a probability that holds: conformal p-values (Vovk et al. 2005).

Of n calibration scores and a new one, drawn alike, the new one's rank is equally likely to be any: so
p = (1 + number of scores at least as large) / (n + 1) is at most alpha with probability at most alpha. Steps of one
episode are alike, so that this holds over episodes, not within one: calibration leaves out whole episodes.
"""

from collections.abc import Sequence

import numpy as np

from robot_hil.data.specs import Array
from robot_hil.errors import ConfigError

LEVELS = (0.02, 0.05, 0.1, 0.2)
"""Levels at which a calibration is checked."""


def p_value(score: Array | float, sorted_scores: Array) -> Array:
    """Return the conformal p-value of each score; `sorted_scores` (n,) ascend. Large scores are unusual."""
    above = len(sorted_scores) - np.searchsorted(sorted_scores, score, side="left")
    return np.asarray((1.0 + above) / (len(sorted_scores) + 1.0))


def combined(doubt: Array, distance: Array, doubts: Array, distances: Array) -> Array:
    """Return one score of two signals: the more unusual of the two by rank, in [0, 1)."""
    unusual: Array = 1.0 - np.minimum(p_value(doubt, doubts), p_value(distance, distances))
    return unusual


def left_out(episodes: Sequence[tuple[Array, Array]]) -> list[Array]:
    """Return each step's p-value by episode, calibrated on the other episodes; (doubts (n,), distances (n,)) are given.

    Raises `ConfigError` for fewer than two episodes.
    """
    if len(episodes) < 2:
        raise ConfigError(f"calibration needs at least 2 withheld episodes; there are {len(episodes)}.")
    found = []
    for i, (doubt, distance) in enumerate(episodes):
        others = [episode for j, episode in enumerate(episodes) if j != i]
        found.append(Calibration(others).p(doubt, distance))
    return found


class Calibration:
    """P-values of doubt and distance together, from nominal episodes."""

    def __init__(self, episodes: Sequence[tuple[Array, Array]]) -> None:
        self.doubts = np.sort(np.concatenate([doubt for doubt, _ in episodes]))
        self.distances = np.sort(np.concatenate([distance for _, distance in episodes]))
        every = [combined(u, d, self.doubts, self.distances) for u, d in episodes]
        self.scores = np.sort(np.concatenate(every))

    def p(self, doubt: Array | float, distance: Array | float) -> Array:
        """Return the reliability of each step: the probability that a nominal one looks as unusual."""
        score = combined(np.asarray(doubt), np.asarray(distance), self.doubts, self.distances)
        return p_value(score, self.scores)


def calibration_error(p: Array, levels: Sequence[float] = LEVELS) -> float:
    """Return the mean |share of nominal p-values at most alpha - alpha| over `levels`; 0 is perfect."""
    if not len(p):
        raise ConfigError("a calibration error needs p-values of nominal steps.")
    return float(np.mean([abs(float(np.mean(p <= level)) - level) for level in levels]))
