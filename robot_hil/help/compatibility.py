"""Whether a new demonstration fits what is imitated already (Gandhi et al. 2022, arXiv 2210.08073).

A committee of imitators has learnt from earlier data. Where its members disagree a state is new to them, and any
action is welcome; where they agree the demonstrated action should be near theirs. With l = |a - mean of the
members|^2, the error, and u, the mean over the action's dimensions of the members' standard deviation, the doubt,

    M = 1                           if u > eta
    M = 1 - min(l, lambda) / lambda   else

and a demonstration is compatible when the mean of M over its steps is at least tau.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from robot_hil.data.specs import Array
from robot_hil.errors import ConfigError, SpecError

PERCENTILE = 95.0
ERROR_SCALE = 2.0
"""lambda is so many times the percentile of the errors: an ordinary step of the base data loses at most half."""
MIN_SCORE = 0.8
"""tau."""
AROUND = 5
"""Steps shown before and after one that fits badly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Yardstick:
    """What is usual in data like that which the committee learnt from, but withheld from it."""

    doubt: float
    """eta: members that disagree more are in a new state."""
    error: float
    """lambda: squared error at which an action counts as wholly different."""

    def __post_init__(self) -> None:
        if not (np.isfinite(self.doubt) and self.doubt >= 0 and np.isfinite(self.error) and self.error > 0):
            raise ConfigError(f"a yardstick needs a finite doubt >= 0 and error > 0; this is {self}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Compatibility:
    """How well one demonstration fits."""

    score: float
    """Mean of M, in [0, 1]."""
    accepted: bool
    novel: float
    """Share of steps in states that are new to the committee."""
    worst: tuple[tuple[int, int], ...]
    """Stretches of steps (first, last) around those that fit worst, the worst first: what to look at again."""


def opinions(actions: Array) -> tuple[Array, Array]:
    """Return mean (n, A) and doubt (n,) of what the members would do, (K, n, A)."""
    if actions.ndim != 3 or len(actions) < 2:
        raise SpecError(f"members' actions are {actions.shape}; needed are (K, n, A) of at least 2 members.")
    return actions.mean(0), actions.std(0).mean(-1)


def errors(mean: Array, executed: Array) -> Array:
    """Return l (n,) for actions (n, A)."""
    squares: Array = np.square(np.asarray(executed, np.float64) - mean).sum(-1)
    return squares


def measure(error: Array, doubt: Array) -> Yardstick:
    """Return the yardstick from l and u (n,) of withheld data; raises `ConfigError` without any."""
    if not len(error):
        raise ConfigError("there are no withheld steps to measure by; record more demonstrations.")
    return Yardstick(
        doubt=float(np.percentile(doubt, PERCENTILE)),
        error=max(float(np.percentile(error, PERCENTILE)) * ERROR_SCALE, 1e-6),
    )


def fit(error: Array, doubt: Array, usual: Yardstick) -> Array:
    """Return M (n,), in [0, 1]."""
    known = 1.0 - np.minimum(error, usual.error) / usual.error
    return np.where(doubt > usual.doubt, 1.0, known)


def judge(error: Array, doubt: Array, usual: Yardstick, least: float = MIN_SCORE) -> Compatibility:
    """Judge a demonstration by l and u (n,) of its steps; `least` is tau. Raises `ConfigError` where there are none."""
    if not len(error):
        raise ConfigError("a demonstration without steps cannot be judged.")
    fits = fit(error, doubt, usual)
    score = float(fits.mean())
    return Compatibility(
        score=score,
        accepted=score >= least,
        novel=float(np.mean(doubt > usual.doubt)),
        worst=worst_stretches(fits),
    )


def worst_stretches(fits: Array, most: int = 3) -> tuple[tuple[int, int], ...]:
    """Return up to `most` stretches of +-`AROUND` steps about those of the least M below one half, the worst first."""
    found: list[tuple[int, int]] = []
    for step in np.argsort(fits, kind="stable").tolist():
        if fits[step] >= 0.5 or len(found) == most:
            break
        if all(not first <= step <= last for first, last in found):
            found.append((max(0, step - AROUND), min(len(fits) - 1, step + AROUND)))
    return tuple(found)


def ranking(good: Sequence[float], other: Sequence[float]) -> float:
    """Return the area under the ROC curve: how often one of `good` scores above one of `other`, ties half."""
    if not good or not other:
        raise ConfigError("ranking needs scores of both kinds.")
    one, two = np.asarray(good)[:, None], np.asarray(other)[None, :]
    return float(np.mean((one > two) + 0.5 * (one == two)))
