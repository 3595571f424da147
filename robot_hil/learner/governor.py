"""Holds the ratio of updates to environment steps: neither side runs away from the other."""

import math
import threading
from collections.abc import Mapping
from fractions import Fraction

from robot_hil.errors import ConfigError, StorageError


class UpdateGovernor:
    """After `start_after` environment steps, exactly `utd` updates are due per further step.

    * The learner makes `updates_due()` updates and then idles until steps arrive.
    * A simulated actor makes at most `step_budget()` steps and then waits: before each step, all updates owed for the
      steps up to `slack` steps earlier have been made. It never happens that both wait.
    * A real robot does not wait (`real_time`); the learner catches up. It owes at most `max_backlog` updates then; what
      goes beyond is dropped and counted in `deficit`, since the data of an hour ago is not worth a standstill later.

    Steps before `start_after` and updates of an offline phase, which are not reported here, count for nothing.
    Safe to call from several threads.
    """

    def __init__(
        self, utd: float, start_after: int, slack: int, real_time: bool = False, max_backlog: int = 1_000
    ) -> None:
        if not (math.isfinite(utd) and utd > 0):
            raise ConfigError(f"updates per step are {utd}; give a number > 0, e.g. 4 or 0.5.")
        if start_after < 0 or slack < 0 or max_backlog < 1:
            raise ConfigError(
                f"start_after is {start_after} and slack {slack}, both must be >= 0; "
                f"max_backlog is {max_backlog}, it must be >= 1."
            )
        self._utd = Fraction(utd).limit_denominator(10**6)  # exact: 100 x 0.29 are 29, not 28.999...
        if self._utd == 0:
            raise ConfigError(f"updates per step are {utd}; give at least 0.000001.")
        self._start_after = start_after
        self._slack = slack
        self._real_time = real_time
        self._max_backlog = max_backlog
        self._steps = 0
        self._updates = 0
        self._written_off = 0
        self._deficit = 0
        self._lock = threading.Lock()

    @property
    def steps(self) -> int:
        """Environment steps reported, warm-up included."""
        return self._steps

    @property
    def updates(self) -> int:
        """Updates reported."""
        return self._updates

    @property
    def deficit(self) -> int:
        """Updates that were due and dropped because the learner could not keep up with a real robot."""
        return self._deficit

    @property
    def ratio(self) -> float:
        """Updates made per counted step so far; 0 before the first."""
        counted = self._counted()
        return self._updates / counted if counted else 0.0

    def record_steps(self, count: int = 1) -> None:
        """Report `count` environment steps that can be learnt from, or that were executed."""
        self._require_count(count)
        with self._lock:
            self._steps += count
            excess = self._due() - self._max_backlog
            if self._real_time and excess > 0:
                self._written_off += excess
                self._deficit += excess

    def record_updates(self, count: int = 1) -> None:
        """Report `count` updates made."""
        self._require_count(count)
        with self._lock:
            self._updates += count

    def updates_due(self) -> int:
        """Return how many updates the learner may make now; 0 means idle."""
        with self._lock:
            return max(0, self._due())

    def step_budget(self) -> int | None:
        """Return how many further steps a simulated actor may make now; None (no limit) for a real robot."""
        limit = self.step_limit()
        return None if limit is None else max(0, limit - self._steps)

    def step_limit(self) -> int | None:
        """Return how many steps in all, warm-up included, may have been made before more updates; None for no limit."""
        if self._real_time:
            return None
        with self._lock:
            # Counted step c + 1 may begin while floor(utd * (c - slack)) <= settled: solved for the largest c + 1.
            settled = self._updates + self._written_off
            return self._start_after + self._slack + math.ceil((settled + 1) / self._utd)

    def state(self) -> dict[str, int | str]:
        """Return what a checkpoint needs."""
        with self._lock:
            return {
                "utd": str(self._utd),
                "start_after": self._start_after,
                "steps": self._steps,
                "updates": self._updates,
                "written_off": self._written_off,
                "deficit": self._deficit,
            }

    def load(self, state: Mapping[str, int | str]) -> None:
        """Continue from `state`. With another ratio or start than there, nothing is owed for the steps up to here."""
        try:
            numbers = {key: int(state[key]) for key in ("steps", "updates", "written_off", "deficit")}
            same = str(state["utd"]) == str(self._utd) and state["start_after"] == self._start_after
        except (KeyError, ValueError) as error:
            raise StorageError(f"not the state of an update governor: {dict(state)} ({error!r}).") from error
        with self._lock:
            self._steps, self._updates = numbers["steps"], numbers["updates"]
            self._written_off, self._deficit = numbers["written_off"], numbers["deficit"]
            if not same:
                self._written_off += self._due()

    def _counted(self) -> int:
        return max(0, self._steps - self._start_after)

    def _due(self) -> int:
        """Updates owed; negative when more were made than were due."""
        return math.floor(self._utd * self._counted()) - self._updates - self._written_off

    @staticmethod
    def _require_count(count: int) -> None:
        if count < 0:
            raise ConfigError(f"cannot report {count} of something; give a number >= 0.")
