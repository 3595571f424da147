"""The adversary: a second role that disturbs the world while somebody works in it, by script or from the console.

Adversarial data collection (Huang et al. 2025, arXiv 2503.11646) gets more out of each episode: who has to answer an
object that moves away shows in one demonstration what else takes many. Here the whole episode is kept, each step says
what was done to it (`Step.perturbation`), and with that it can be played again.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from robot_hil.data.disturbance import Disturbance, Disturbed, read, written
from robot_hil.data.step import Step
from robot_hil.data.teleop import EventKind, TeleopEvent
from robot_hil.errors import ConfigError


@runtime_checkable
class Disturbable(Protocol):
    """A world that can be disturbed between two steps: a simulated one."""

    @property
    def disturbances(self) -> tuple[str, ...]:
        """Kinds of disturbance that `disturb` takes."""
        ...

    def disturb(self, what: Disturbance) -> Disturbed:
        """Do it and return what it did; the next observation shows it."""
        ...


class Script(Protocol):
    """Who decides when what happens."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """What it may do, and people may ask for."""
        ...

    def begin_episode(self, seed: int, episode: int) -> None:
        """Draw all luck of episode number `episode` from `seed`."""
        ...

    def plan(self, step: int) -> Sequence[Disturbance]:
        """Return what happens before step number `step`; asked once for each, in order."""
        ...

    def like(self, kind: str) -> Disturbance:
        """Return a disturbance of `kind` as somebody asks for it now."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How often and how hard; at the start of training less so, if `ramp_episodes` is above 0."""

    kinds: tuple[str, ...]
    """What is done, each as often as the others."""
    rate: float = 0.05
    """Probability per step; 0 leaves it all to the console."""
    most: int = 3
    """Disturbances of an episode: at most 1 to this many, drawn anew for each."""
    first_step: int = 5
    """None happens before it."""
    pause_steps: int = 10
    """Steps between two of them."""
    low_m: float = 0.01
    """Least motion along each axis [m], in either direction..."""
    high_m: float = 0.04
    """...and the largest [m]."""
    ramp_episodes: int = 0
    """Episodes over which rate and largest motion rise from nothing to what is given here: the curriculum."""

    def __post_init__(self) -> None:
        if not 0 <= self.rate <= 1 or self.most < 1 or min(self.first_step, self.pause_steps, self.ramp_episodes) < 0:
            raise ConfigError(
                f"{self}: rate must lie in [0, 1], most be at least 1, first_step, pause_steps and ramp_episodes at "
                "least 0."
            )
        if not 0 <= self.low_m <= self.high_m < float("inf"):
            raise ConfigError(f"low_m is {self.low_m}, high_m {self.high_m}; needed are 0 <= low_m <= high_m [m].")

    def level(self, episode: int) -> float:
        """Return how far the curriculum has come by `episode`, counted from 0, in (0, 1]."""
        return min(1.0, (episode + 1) / self.ramp_episodes) if self.ramp_episodes else 1.0


class Drawn:
    """A script that draws by a schedule; equal seeds and episode numbers give equal scripts."""

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule
        self.begin_episode(0, 0)

    @property
    def kinds(self) -> tuple[str, ...]:
        return self._schedule.kinds

    def begin_episode(self, seed: int, episode: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._asked = np.random.default_rng([seed, 1])  # who presses buttons must not change what the script does
        self._level = self._schedule.level(episode)
        self._left = int(self._rng.integers(1, self._schedule.most + 1))
        self._next = self._schedule.first_step

    def plan(self, step: int) -> Sequence[Disturbance]:
        schedule = self._schedule
        happens = self._rng.random() < schedule.rate * self._level
        if not happens or not self._left or step < self._next or not schedule.kinds:
            return ()
        self._left -= 1
        self._next = step + 1 + schedule.pause_steps
        return (self._draw(schedule.kinds[self._rng.integers(len(schedule.kinds))], self._rng),)

    def like(self, kind: str) -> Disturbance:
        return self._draw(kind, self._asked)

    def _draw(self, kind: str, rng: np.random.Generator) -> Disturbance:
        schedule = self._schedule
        most = schedule.low_m + self._level * (schedule.high_m - schedule.low_m)
        x, y, z = (rng.choice((-1.0, 1.0), 3) * rng.uniform(schedule.low_m, most, 3)).tolist()
        return Disturbance(kind=kind, x=x, y=y, z=z)


class Recorded:
    """What was done in a recorded episode, again; a button adds to it."""

    def __init__(self, steps: Iterable[Step]) -> None:
        self._done: Mapping[int, tuple[Disturbance, ...]] = {s.step_index: read(s.perturbation) for s in steps}

    @property
    def kinds(self) -> tuple[str, ...]:
        return tuple(sorted({one.kind for done in self._done.values() for one in done}))

    def begin_episode(self, seed: int, episode: int) -> None:
        pass

    def plan(self, step: int) -> Sequence[Disturbance]:
        return self._done.get(step, ())

    def like(self, kind: str) -> Disturbance:
        return Disturbance(kind=kind)


class Adversary:
    """Disturbs `world` as `script` and DISTURB events say.

    Without a world, at a real robot, somebody does it by hand: the event is noted in the step, and nothing else
    happens. `on_strike` is told of everything that was done.
    """

    def __init__(
        self, world: Disturbable | None, script: Script, on_strike: Callable[[Disturbed], object] = lambda done: None
    ) -> None:
        self._world, self._script, self._on_strike = world, script, on_strike

    @property
    def kinds(self) -> tuple[str, ...]:
        """What people may ask for by a button."""
        return self._script.kinds

    def begin_episode(self, seed: int, episode: int) -> None:
        """See `Script.begin_episode`."""
        self._script.begin_episode(seed, episode)

    def strike(self, step: int, events: Sequence[TeleopEvent]) -> str:
        """Do what is due before step number `step`; return what the step keeps of it, see `disturbance.written`."""
        if self._world is None:
            by_hand = [event.value for event in events if event.kind is EventKind.DISTURB]
            return written([Disturbance(kind=kind) for kind in by_hand])
        asked = [e.value for e in events if e.kind is EventKind.DISTURB and e.value in self._world.disturbances]
        due = [*self._script.plan(step), *(self._script.like(kind) for kind in asked)]
        for one in due:
            self._on_strike(self._world.disturb(one))
        return written(due)
