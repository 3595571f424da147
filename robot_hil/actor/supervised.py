"""A policy that knows how reliable it is: it slows down and calls a person before it does what it cannot judge."""

from collections.abc import Callable
from typing import Protocol

import numpy as np

from robot_hil.actor.arbiter import ArbiterState, Decision
from robot_hil.data.specs import Array, Observation
from robot_hil.help.autonomy import Autonomy, Change, Level
from robot_hil.protocols import EpisodeAware, Policy

_DRIVING = (ArbiterState.HUMAN, ArbiterState.RELEASING)


class Reliability(Protocol):
    """Says how reliable acting is, e.g. by the doubt of a committee."""

    def begin_episode(self) -> None:
        """The next observation is an episode's first."""
        ...

    def reliability(self, obs: Observation, executed: Array | None, driven: bool = False) -> tuple[float, str]:
        """Return the reliability in [0, 1] of acting on `obs`, to which `executed` led, and what is unusual.

        `driven` says that a person drove then. `executed` is None for an episode's first observation.
        """
        ...


class SupervisedPolicy:
    """Implements `Policy` and `EpisodeAware` around another policy; asked once per period, in the loop's thread.

    While slowed it moves `AutonomyConfig.slow` as fast, grippers excepted; while held it proposes to stand still, and
    `calling` is true until somebody has driven to where it is reliable again. At the level between, where there is one,
    it also stands, but goes on slowly while somebody approves: `approves` is shown what it would do (A,), each step,
    and says whether to.

    `hold`, where given, is asked to hold the robot itself instead: a person then resumes it, which counts as approval
    where that is a level, and else lets it go on slowly. `decided` returns the newest decision, `now` the robot's time
    [s]. `on_change` is told of every change of the level. A deterministic policy, which is being tested, is not
    supervised.
    """

    def __init__(
        self, policy: Policy, reliability: Reliability, autonomy: Autonomy, slowed: Array, *,
        decided: Callable[[], Decision | None], now: Callable[[], float],
        hold: Callable[[str], object] | None = None, approves: Callable[[Array], bool] | None = None,
        on_change: Callable[[Change], object] = lambda change: None,
    ) -> None:  # fmt: skip
        self.autonomy = autonomy
        self._policy, self._reliability, self._slowed = policy, reliability, slowed
        self._decided, self._now, self._hold, self._on_change = decided, now, hold, on_change
        self._approves = approves
        self._first = True
        self._held = False

    @property
    def version(self) -> int:
        """See `Policy.version`."""
        return self._policy.version

    @property
    def calling(self) -> bool:
        """Whether a person is called to drive."""
        return self.autonomy.stands(self._now())

    def begin_episode(self, seed: int) -> None:
        """See `EpisodeAware`."""
        if isinstance(self._policy, EpisodeAware):
            self._policy.begin_episode(seed)
        self._reliability.begin_episode()
        self.autonomy.begin_episode()
        self._first, self._held = True, False

    def act(self, obs: Observation, deterministic: bool = False) -> Array:
        """See `Policy.act`."""
        proposal = self._policy.act(obs, deterministic)
        if deterministic:
            return proposal
        now, decision = self._now(), None if self._first else self._decided()
        driven = decision is not None and decision.state in _DRIVING
        self._heed(now, proposal, driven)
        p, unusual = self._reliability.reliability(obs, None if decision is None else decision.action, driven)
        self._first = False
        self._told(self.autonomy.update(now, p, unusual))
        if driven:
            self._told(self.autonomy.driven(now))
        if self.autonomy.stands(now):
            if self._hold is not None and not driven:
                self._held = True
                approves = self.autonomy.config.approve_s > 0
                more = f"each resume approves {self.autonomy.config.approve_s:g} s" if approves else "it goes on slowly"
                self._hold(f"the robot asks for help: {unusual}; resume, then drive; left alone {more}")
            return np.zeros_like(proposal)
        if self.autonomy.level < Level.FULL:
            return np.where(self._slowed, proposal * np.float32(self.autonomy.config.slow), proposal)
        return proposal

    def _heed(self, now: float, proposal: Array, driven: bool) -> None:
        """Take in what a person said since the step before."""
        resumed, self._held = self._held, False
        approvable = self.autonomy.config.approve_s > 0
        if driven:
            return
        if resumed and approvable:
            self._told(self.autonomy.approve(now, "a person approves"))
        elif resumed:
            self._told(self.autonomy.pardon(now, "a person said to go on"))
        elif self.autonomy.level is Level.APPROVED and self._approves is not None and self._approves(proposal):
            self.autonomy.approve(now, "")

    def _told(self, change: Change | None) -> None:
        if change is not None:
            self._on_change(change)
