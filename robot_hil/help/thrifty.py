"""When a robot asks for a person, and when it takes over again: by doubt and foreseen success, within a budget.

ThriftyDAgger (Hoque et al. 2021, arXiv 2109.08273); the threshold of doubt alone is HG-DAgger's (Kelly et al. 2019,
arXiv 1810.02890). Pure: numbers in, decisions out.

`ThriftyReliability` lets a `SupervisedPolicy` ask by it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from robot_hil.data.specs import Array, Observation
from robot_hil.errors import ConfigError


def doubt_at_take_overs(doubts: Array) -> float:
    """Return HG-DAgger's threshold: the mean of the last quarter of the doubts (n,) at which people took over.

    They are in order of time: at first people take over everywhere. Infinite without any.
    """
    last = np.asarray(doubts, np.float64)[3 * len(doubts) // 4 :]
    return float(last.mean()) if len(last) else float("inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """Where the robot asks, and where it takes over again."""

    doubt: float
    """It asks above this."""
    unsafe: float
    """It asks where the success foreseen is below this,"""
    safe: float
    """and takes over again only above this."""
    agreement: float
    """It takes over again only where its action is as close to the person's, squared distance."""

    @staticmethod
    def of(doubts: Array, successes: Array, distances: Array, budget: float) -> "Thresholds":
        """Return those with which the robot would have asked by either reason in a share `budget` of the steps.

        `doubts` and `successes` are of states that the robot was in, `distances` of its actions to people's. They are
        quantiles, 1 - budget and budget; `safe` is the median of what it foresaw, `agreement` the mean distance.
        """
        if not 0 < budget <= 0.5:
            raise ConfigError(f"budget is {budget}; it must lie in (0, 0.5].")
        if not (len(doubts) and len(successes) and len(distances)):
            raise ConfigError("thresholds need steps of the robot and of people; there are none.")
        return Thresholds(
            doubt=float(np.quantile(doubts, 1 - budget)),
            unsafe=float(np.quantile(successes, budget)),
            safe=float(np.median(successes)),
            agreement=float(np.mean(distances)),
        )


class ThriftyGate:
    """Who should drive; one thread uses it."""

    def __init__(self, thresholds: Thresholds) -> None:
        self.thresholds = thresholds
        self.asking = False
        """Whether a person should drive."""

    def begin_episode(self) -> None:
        """The robot drives at first."""
        self.asking = False

    def update(self, doubt: float, success: float, distance: float | None = None) -> bool:
        """Take in this step and return `asking`; `distance` is that to the person's action, None while none drives.

        As long as nobody has come the robot goes on asking.
        """
        t = self.thresholds
        if not self.asking:
            self.asking = doubt > t.doubt or success < t.unsafe
        elif distance is not None:
            self.asking = not (distance < t.agreement and success > t.safe)
        return self.asking


Foresight = Callable[[Observation], tuple[Array, float, float]]
"""What the policy would do (A,), its doubt, and the success that it foresees, e.g. an agent's `foresee`."""


class ThriftyReliability:
    """Reliability 0 while the robot asks for a person, else 1; see `robot_hil.actor.supervised.Reliability`."""

    def __init__(self, foresee: Foresight, thresholds: Thresholds) -> None:
        self.gate = ThriftyGate(thresholds)
        self._foresee = foresee
        self._proposed: Array | None = None

    def begin_episode(self) -> None:
        """The next observation is an episode's first."""
        self.gate.begin_episode()
        self._proposed = None

    def reliability(self, obs: Observation, executed: Array | None) -> tuple[float, str]:
        """Return 0 or 1, and why it asks; what was executed is compared with what was proposed in that step."""
        distance = None
        if executed is not None and self._proposed is not None:
            distance = float(((executed - self._proposed) ** 2).sum())
        self._proposed, doubt, success = self._foresee(obs)
        unsafe = success < self.gate.thresholds.unsafe
        asks = self.gate.update(doubt, success, distance)
        return (0.0 if asks else 1.0), "success is unlikely" if unsafe else "the imitators disagree on what to do"
