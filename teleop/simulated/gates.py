"""Gates: when a person wants to take over. One class each; all decisions are seeded and repeatable."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from robot_hil.data.specs import Array
from robot_hil.errors import ConfigError
from robot_hil.teleop.simulated.expert import Expert, World


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What a gate judges, once per control step while the policy drives."""

    world: World
    cost: float
    """Expert's cost-to-go now [steps]."""
    proposal: Array | None
    """What the policy is about to do, (A,); None when nobody told."""


class Gate(Protocol):
    """Decides when to take over. `alarm` is a level: it stays up until its reason is gone or `restart`."""

    @property
    def always(self) -> bool:
        """True: take over at once, without reaction delay, and never let go (demonstrations)."""
        ...

    def reset(self, rng: np.random.Generator) -> None:
        """Forget everything; `rng` serves the coming episode."""
        ...

    def restart(self) -> None:
        """Begin to watch afresh: the policy has just been given control."""
        ...

    def alarm(self, situation: Situation) -> bool:
        """Return whether the person wants to take over now; called once per step."""
        ...


class _Plain:
    """A gate without memory or chance."""

    def reset(self, rng: np.random.Generator) -> None:
        del rng

    def restart(self) -> None:
        return


class NeverGate(_Plain):
    """Never takes over: a robot on its own."""

    always = False

    def alarm(self, situation: Situation) -> bool:
        del situation
        return False


class AlwaysGate(_Plain):
    """Drives all the time: demonstrations."""

    always = True

    def alarm(self, situation: Situation) -> bool:
        del situation
        return True


class ProgressGate:
    """Takes over when the cost has not improved by `margin` steps for `patience` steps.

    A slow policy that progresses is left alone; so is a good one, always.
    """

    always = False

    def __init__(self, *, patience: int = 12, margin: float = 1.0) -> None:
        if patience < 1 or margin < 0:
            raise ConfigError(f"a progress gate cannot have patience={patience}, margin={margin}. Give >= 1 and >= 0.")
        self._patience, self._margin = patience, margin
        self.restart()

    def reset(self, rng: np.random.Generator) -> None:
        del rng
        self.restart()

    def restart(self) -> None:
        self._best = np.inf
        self._waited = 0

    def alarm(self, situation: Situation) -> bool:
        if situation.cost <= self._best - self._margin:
            self._best, self._waited = situation.cost, 0
        else:
            self._waited += 1
        return self._waited >= self._patience


class PredictedFailureGate:
    """Takes over when `bad` of the last `window` proposals led away from success, or `hazards` in a row into trouble.

    A step is bad when the action that the policy proposes raises the predicted cost by more than `tolerance`.
    Where proposals are not told, a step is bad when the cost did rise by as much. Like a `ProgressGate` with twice its
    usual patience it also answers a standstill.
    """

    always = False

    def __init__(
        self, expert: Expert, *, bad: int = 6, window: int = 8, tolerance: float = 0.2, hazards: int = 2
    ) -> None:
        if not (1 <= bad <= window and hazards >= 1 and tolerance >= 0):
            given = f"bad={bad}, window={window}, hazards={hazards}, tolerance={tolerance}"
            raise ConfigError(
                f"a predicted-failure gate cannot have {given}. Give 1 <= bad <= window, hazards >= 1, tolerance >= 0."
            )
        self._expert, self._bad, self._tolerance, self._hazards = expert, bad, tolerance, hazards
        self._recent: deque[bool] = deque(maxlen=window)
        self._standstill = ProgressGate(patience=24)
        self.restart()

    def reset(self, rng: np.random.Generator) -> None:
        del rng
        self.restart()

    def restart(self) -> None:
        self._recent.clear()
        self._standstill.restart()
        self._hazards_seen = 0
        self._last_cost = np.inf

    def alarm(self, situation: Situation) -> bool:
        if situation.proposal is None:
            rise = situation.cost - self._last_cost
            self._hazards_seen = 0
        else:
            rise = self._expert.cost_to_go(self._expert.predict(situation.world, situation.proposal)) - situation.cost
            danger = self._expert.hazard(situation.world, situation.proposal)
            self._hazards_seen = self._hazards_seen + 1 if danger else 0
        self._recent.append(rise > self._tolerance)
        self._last_cost = situation.cost
        stands_still = self._standstill.alarm(situation)
        return stands_still or sum(self._recent) >= self._bad or self._hazards_seen >= self._hazards


class ImminentGate:
    """Takes over when the proposal, repeated for `horizon` steps, would do what is hard to undo, or nothing improves.

    Nothing improves: the cost has not fallen by 1 step for `patience` steps. Where proposals are not told that alone
    counts.
    """

    always = False

    def __init__(self, expert: Expert, *, horizon: int = 5, patience: int = 10) -> None:
        if horizon < 1:
            raise ConfigError(f"an imminent gate cannot have horizon={horizon}. Give at least 1 step.")
        self._expert, self._horizon = expert, horizon
        self._standstill = ProgressGate(patience=patience)

    def reset(self, rng: np.random.Generator) -> None:
        self._standstill.reset(rng)

    def restart(self) -> None:
        self._standstill.restart()

    def alarm(self, situation: Situation) -> bool:
        stands_still = self._standstill.alarm(situation)
        return stands_still or (situation.proposal is not None and self._leads_to_hazard(situation, situation.proposal))

    def _leads_to_hazard(self, situation: Situation, action: Array) -> bool:
        world = situation.world
        for _ in range(self._horizon):
            if self._expert.hazard(world, action):
                return True
            world = self._expert.predict(world, action)
            if self._expert.cost_to_go(world) <= 0.0:
                return False
        return False


ActionValue = Callable[[World, Array], float]
"""Cost-to-go after an action, in steps; smaller is better."""


class ValueGate:
    """Takes over when the policy's action costs more than `delta` steps compared with the expert's at `speed`.

    The decision is flipped with probability `flip`: people err in both directions. `cost_after` replaces the
    kinematic one-step prediction, e.g. by a learnt critic. Without proposals it only errs.

    Where the expert itself waits or takes care, a robot that does nothing loses nothing by one step: with `patience`,
    as many steps without progress are a reason, too, see `ProgressGate`; 0 has all the time.
    """

    always = False

    def __init__(
        self, expert: Expert, *, delta: float = 1.0, flip: float = 0.05, speed: float = 0.35, patience: int = 0,
        cost_after: ActionValue | None = None,
    ) -> None:  # fmt: skip
        if not 0.0 <= flip <= 1.0 or delta < 0 or patience < 0:
            raise ConfigError(
                f"a value gate cannot have flip={flip}, delta={delta}, patience={patience}. Give flip in [0, 1], "
                f"delta >= 0, patience >= 0."
            )
        self._expert, self._delta, self._flip, self._speed = expert, delta, flip, speed
        self._cost_after = cost_after or (lambda world, action: expert.cost_to_go(expert.predict(world, action)))
        self._standstill = ProgressGate(patience=patience) if patience else None
        self._rng = np.random.default_rng(0)
        self._decided = False

    def reset(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self.restart()

    def restart(self) -> None:
        self._decided = False
        if self._standstill:
            self._standstill.restart()

    def alarm(self, situation: Situation) -> bool:
        regret = 0.0
        if situation.proposal is not None:
            best = self._cost_after(situation.world, self._expert.action(situation.world, self._speed))
            regret = self._cost_after(situation.world, situation.proposal) - best
        flipped = self._rng.random() < self._flip
        self._decided = self._decided or ((regret > self._delta) != flipped)
        stands_still = self._standstill is not None and self._standstill.alarm(situation)
        return self._decided or stands_still


class RandomGate:
    """Takes over with probability `p` at every step, whatever the policy does."""

    always = False

    def __init__(self, p: float) -> None:
        if not 0.0 <= p <= 1.0:
            raise ConfigError(f"a random gate cannot have p={p}. Give a probability in [0, 1].")
        self._p = p
        self._rng = np.random.default_rng(0)
        self._decided = False

    def reset(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self.restart()

    def restart(self) -> None:
        self._decided = False

    def alarm(self, situation: Situation) -> bool:
        del situation
        self._decided = bool(self._rng.random() < self._p) or self._decided
        return self._decided
