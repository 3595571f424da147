"""From the members' probabilities to a reward: a cautious score, confirmed over frames, corrected for known errors."""

import numpy as np

from robot_hil.data.specs import Array
from robot_hil.errors import ConfigError
from robot_hil.policies.reward.config import Rule


def combine(probabilities: Array, rule: Rule, caution: float) -> Array:
    """Return one score (n,) in [0, 1] from the members' probabilities of success (K, n).

    A policy finds what fools one network; it rarely fools all. `min` takes the most sceptical member,
    `mean_minus_std` the mean less `caution` standard deviations (Coste et al. 2023, arXiv 2310.02743), `mean` trusts.
    """
    mean: Array = probabilities.mean(0)
    if rule == "mean":
        return mean
    if rule == "min":
        lowest: Array = probabilities.min(0)
        return lowest
    cautious: Array = np.clip(mean - caution * probabilities.std(0), 0.0, 1.0)
    return cautious


def disagreement(probabilities: Array) -> Array:
    """Return how much members (K, n) disagree, (n,) in [0, 1]: 1 when half of them are sure and half sure of not."""
    spread: Array = np.minimum(1.0, 2.0 * probabilities.std(0))
    return spread


class Confirmation:
    """Believes in success when so many frames running were hits; a single miss begins anew."""

    def __init__(self, frames: int) -> None:
        if frames < 1:
            raise ConfigError(f"confirmation over {frames} frames; give at least 1.")
        self._needed, self._running = frames, 0

    def reset(self) -> None:
        """Forget the frames before."""
        self._running = 0

    def see(self, hit: bool) -> bool:
        """Take the next frame; return whether success stands confirmed."""
        self._running = self._running + 1 if hit else 0
        return self._running >= self._needed


def confirmed(hits: Array, frames: int) -> Array:
    """Return where `Confirmation` would say yes in one episode's hits (n,), bool (n,)."""
    judge = Confirmation(frames)
    return np.array([judge.see(bool(hit)) for hit in hits], bool)


def corrected(success: bool, false_positive: float, false_negative: float, clip: bool = False) -> float:
    """Return the reward for a verdict of a judge whose error rates are known: (r - fp) / (1 - fp - fn).

    Backward correction (Natarajan et al. 2013; for verifiers Cai et al. 2025, arXiv 2510.00915): averaged over the
    judge's errors it is 1 where there is success and 0 where there is none, whatever the rates. The price is spread,
    and values a little outside [0, 1]. `clip` cuts those off, and as both values lie outside, what is left is the
    verdict itself: on average fn too low at a success and fp too high elsewhere. Here rewards are bounded or right on
    average, not both.

    Raises `ConfigError` when fp + fn >= 1: such a judge says less than a coin, and nothing can be corrected.
    """
    if not (0.0 <= false_positive <= 1.0 and 0.0 <= false_negative <= 1.0):
        raise ConfigError(f"error rates are {false_positive} and {false_negative}; they must be in [0, 1].")
    rest = 1.0 - false_positive - false_negative
    if rest <= 1e-9:
        raise ConfigError(
            f"false positives {false_positive:.2f} and false negatives {false_negative:.2f} add up to 1 or more: this "
            "classifier says nothing about success. Label more frames, or look at the doubtful ones, and train again."
        )
    value = (float(success) - false_positive) / rest
    return min(1.0, max(0.0, value)) if clip else value


def staged(stage: int, stages: int) -> float:
    """Return how far a confirmed stage is, in [0, 1]; a reward is the difference of it, so that it telescopes."""
    if stages < 2 or not 0 <= stage < stages:
        raise ConfigError(f"stage is {stage} of {stages}; allowed are 0 to {stages - 1}, of at least two.")
    return stage / (stages - 1)
