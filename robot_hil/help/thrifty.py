"""When a robot asks for a person, and when it takes over again: by doubt and foreseen success, within a budget.

ThriftyDAgger (Hoque et al. 2021, arXiv 2109.08273). Pure: numbers in, decisions out. `ThriftyReliability` lets a
`SupervisedPolicy` ask by it.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from robot_hil.data.specs import Array, Observation
from robot_hil.errors import ConfigError


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


NEVER = Thresholds(doubt=float("inf"), unsafe=0.0, safe=0.0, agreement=float("inf"))
"""Those of a robot that knows too little of itself to ask."""


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


WINDOW, LEAST = 500, 50
"""Steps by which the thresholds are set, and how many there must be."""
Foresight = Callable[[Observation], tuple[Array, float, float]]
"""What the policy would do (A,), its doubt, and the success that it foresees, e.g. an agent's `foresee`."""


class ThriftyReliability:
    """Reliability 0 while the robot asks for a person, else 1; see `robot_hil.actor.supervised.Reliability`.

    The thresholds follow the policy as it learns: at each episode's begin they are taken anew from the newest `WINDOW`
    steps, with what was thought of them then. Before `LEAST` steps of its own the robot asks for nobody.
    """

    def __init__(self, foresee: Foresight, budget: float) -> None:
        if not 0 < budget <= 0.5:
            raise ConfigError(f"budget is {budget}; it must lie in (0, 0.5].")
        self.gate = ThriftyGate(NEVER)
        self._foresee, self._budget = foresee, budget
        self._proposed: Array | None = None
        self._own: deque[tuple[float, float]] = deque(maxlen=WINDOW)
        self._apart: deque[float] = deque(maxlen=WINDOW)

    def begin_episode(self) -> None:
        """The next observation is an episode's first."""
        self.gate.begin_episode()
        self._proposed = None
        if len(self._own) >= LEAST:
            doubts, successes = np.array(self._own).T
            # Nobody has driven yet: then only what it foresees says when to go on.
            apart = np.array(self._apart or [float("inf")])
            self.gate.thresholds = Thresholds.of(doubts, successes, apart, self._budget)

    def reliability(self, obs: Observation, executed: Array | None, driven: bool = False) -> tuple[float, str]:
        """Return 0 or 1, and why it asks; what a person drove is compared with what was proposed in that step."""
        distance = None
        if driven and executed is not None and self._proposed is not None:
            distance = float(((executed - self._proposed) ** 2).sum())
            self._apart.append(distance)
        self._proposed, doubt, success = self._foresee(obs)
        if not (driven or self.gate.asking):  # standing about, it would see the same state again and again
            self._own.append((doubt, success))
        unsafe = success < self.gate.thresholds.unsafe
        asks = self.gate.update(doubt, success, distance)
        return (0.0 if asks else 1.0), "success is unlikely" if unsafe else "the imitators disagree on what to do"
