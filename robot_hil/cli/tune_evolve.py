"""Few seeds for most, all for the best, and better numbers from good ones: successive halving with evolution.

After DEHB (Awad et al. 2021, arXiv 2105.09821), of which two parts are here. Halving: numbers are trained with a few
tuning seeds first, and only those of the best third get more, asynchronously (Li et al. 2020, arXiv 1810.05934). So the
fidelity is the number of seeds, not of steps: a short training says little of a long one, a seed as much as any other.
Differential evolution (Storn and Price 1997), rand/1/bin with F = CR = 0.5: of three of the better ones a, b and c the
mutant is a + F (b - c), and a fourth keeps each of its own numbers with probability 1 - CR. Pure.
"""

from collections.abc import Mapping, Sequence
from math import ceil

import numpy as np

from robot_hil.cli.tune_space import Dimension, Value

ETA = 3
"""One in so many goes on."""
SCALE, CROSSOVER = 0.5, 0.5
BY_CHANCE = 8
"""Sets that are drawn by chance before any is bred."""

Tried = tuple[Mapping[str, Value], Sequence[float]]
"""Numbers, and their scores with the first of the tuning seeds, in order."""


def rungs(seeds: int) -> tuple[int, ...]:
    """Return after how many tuning seeds it is judged whether numbers go on, e.g. (1, 3) of 5."""
    found = [1]
    while found[-1] * ETA < seeds:
        found.append(found[-1] * ETA)
    return tuple(one for one in found if one < seeds)


def goes_on(scores: Sequence[float], others: Sequence[Sequence[float]], seeds: int) -> bool:
    """Return whether numbers with `scores` so far deserve another seed.

    Between rungs they do; at a rung when their mean over its seeds is among the best third, rounded up, of all that
    came as far. `others` are the scores of those.
    """
    count = len(scores)
    if count not in rungs(seeds):
        return count < seeds
    rivals = [float(np.mean(one[:count])) for one in others if len(one) >= count]
    own = float(np.mean(scores))
    return sum(rival > own for rival in rivals) < ceil((len(rivals) + 1) / ETA)


def bred(space: Sequence[Dimension], tried: Sequence[Tried], rng: np.random.Generator) -> dict[str, Value]:
    """Return the next numbers to try: by chance at first, then bred from the better half of those tried."""
    if len(tried) < BY_CHANCE:
        return {one.name: one.at(float(rng.random())) for one in space}
    ranked = sorted(tried, key=lambda one: -float(np.mean(one[1])))
    better = ranked[: max(BY_CHANCE, ceil(len(ranked) / 2))]
    points = np.array([[one.where(numbers[one.name]) for one in space] for numbers, _ in better])
    a, b, c, parent = points[rng.choice(len(points), 4, replace=False)]
    crossed = rng.random(len(space)) < CROSSOVER
    crossed[rng.integers(len(space))] = True
    mutant = a + SCALE * (b - c)
    # What left the space is drawn anew within it.
    inside = np.where((mutant < 0.0) | (mutant > 1.0), rng.random(len(space)), mutant)
    child = np.where(crossed, inside, parent)
    return {one.name: one.at(float(place)) for one, place in zip(space, child, strict=True)}
