"""Practice without resets: a task and its way back in turn, and a person asked to reset only when the robot is stuck.

After RoboFuME (Yang et al. 2023, arXiv 2310.15145). Pure: outcomes in, plans out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from robot_hil.data.specs import FloatArray
from robot_hil.errors import ConfigError, StorageError


@dataclass(frozen=True, slots=True, kw_only=True)
class PracticeConfig:
    """When goals change, and when the robot counts as stuck."""

    swap_after: int = 3
    """Failures running after which the other goal is tried all the same."""
    give_up_after: int = 8
    """Failures running, of whatever goal, after which a person is asked to reset."""
    idle_steps: int = 5
    """A success within so many steps was there before anything was done, and says nothing about being stuck: a robot
    in a corner from where no task succeeds may be where its way back ends, again and again."""
    still_steps: int = 20
    """The robot is stuck when an episode fails at whose end nothing has moved for so many steps. Then the other goal is
    tried, which often leads out; when that ends so, too, a person is asked to reset."""
    still: float = 0.01
    """Largest change of any number of the observation that counts as none."""

    def __post_init__(self) -> None:
        least = min(self.swap_after, self.give_up_after)
        if least < 1 or self.still_steps < 2 or min(self.still, self.idle_steps) < 0:
            raise ConfigError(
                f"swap_after {self.swap_after} and give_up_after {self.give_up_after} must be at least 1, still_steps "
                f"{self.still_steps} at least 2, still {self.still} and idle_steps {self.idle_steps} not negative."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """How the next episode begins."""

    goal: str
    reset: bool
    """From a fresh start, which a person has to make on a real robot; else where the last one ended."""
    reason: str = ""
    """Why a reset is asked for."""


class Practice:
    """Plans one episode after the other: `plan`, then `ended`. `goals` are the task and its way back."""

    def __init__(self, goals: Sequence[str], config: PracticeConfig | None = None) -> None:
        if len(goals) != 2 or goals[0] == goals[1]:
            raise ConfigError(f"practice without resets needs two goals, a task and its way back; got {list(goals)}.")
        self.config = config or PracticeConfig()
        self.resets = 0
        """Asked of a person so far, the first start included."""
        self.episodes = 0
        self._goals = tuple(goals)
        self._goal = 0
        self._failures = self._of_goal = 0
        self._stuck = False
        """Whether nothing moved any more at the end of the last episode."""
        self._reason = "the first start"

    def plan(self) -> Turn:
        """Return how the next episode begins."""
        return Turn(goal=self._goals[self._goal], reset=bool(self._reason), reason=self._reason)

    def ended(self, *, success: bool, seen: FloatArray) -> None:
        """Take in how it went; `seen` (n, D) are its observations as numbers, in order, the last one included."""
        self.resets += bool(self._reason)
        self.episodes += 1
        self._reason = ""
        config, before = self.config, self._stuck
        if success:
            if len(seen) - 1 > config.idle_steps:
                self._failures, self._stuck = 0, False
            self._swap()
            return
        self._stuck = stands_still(seen, config.still_steps, config.still)
        self._failures += 1
        self._of_goal += 1
        if self._stuck and before:
            self._ask("stuck: nothing moves any more, towards neither goal")
        elif self._failures >= config.give_up_after:
            self._ask(f"stuck: {self._failures} failures running")
        elif self._stuck or self._of_goal >= config.swap_after:
            self._swap()

    def interrupted(self) -> None:
        """The episode was cut by whatever: nobody knows where things are."""
        self.resets += bool(self._reason)
        self._ask("the last episode was cut")

    def _swap(self) -> None:
        self._goal, self._of_goal = 1 - self._goal, 0

    def _ask(self, reason: str) -> None:
        self._reason, self._goal = reason, 0
        self._failures = self._of_goal = 0
        self._stuck = False

    def export(self) -> dict[str, Any]:
        """Return what outlives a process; where the robot then stands nobody knows, so that it begins by a reset."""
        return {"resets": self.resets, "episodes": self.episodes}

    def load(self, saved: Mapping[str, Any]) -> None:
        """Go on from `export`; raises `StorageError` for anything else."""
        try:
            self.resets, self.episodes = int(saved["resets"]), int(saved["episodes"])
        except (KeyError, TypeError, ValueError) as error:
            raise StorageError(f"practice cannot be gone on with: {error!r}.") from error
        self._reason = "the program was started again"


def stands_still(seen: FloatArray, steps: int, still: float) -> bool:
    """Return whether no number of the last `steps` observations of `seen` (n, D) has changed by more than `still`."""
    if len(seen) < steps:
        return False
    last = seen[-steps:]
    return bool((np.ptp(last, axis=0) <= still).all())
