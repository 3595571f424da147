"""A simulated person who recovers before correcting, says so, and is done with the sub-task (RaC's two rules)."""

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol, runtime_checkable

from robot_hil.clock import Clock
from robot_hil.data.specs import Array
from robot_hil.data.teleop import EventKind, TeleopEvent, TeleopSample
from robot_hil.errors import ConfigError
from robot_hil.teleop.simulated.expert import Expert, World
from robot_hil.teleop.simulated.gates import Gate, Situation
from robot_hil.teleop.simulated.person import SimulatedPerson
from robot_hil.teleop.simulated.profile import Profile


@runtime_checkable
class KnowsWayBack(Expert, Protocol):
    """An expert that also knows how to get back to where the task can be gone on with."""

    def retreat(self, world: World, speed: float) -> Array:
        """Return float32 (A,) in [-1, 1] that leads back; `speed` in (0, 1] bounds the deflection."""
        ...

    def recovered(self, world: World) -> bool:
        """Return whether a demonstration may well have been here: nothing is wrong any more."""
        ...

    def parts_left(self, world: World) -> int:
        """Return how many parts of the task are still to be done, the one under way included."""
        ...


class RecoveringPerson(SimulatedPerson):
    """Takes over as `SimulatedPerson` does; then leads back until recovered, presses NEXT, and drives on.

    Another part of the task done, or all patience gone, it presses NEXT again. With `rewinds` it leads back by
    holding the button for it, else by hand. Needs an arm that `recovery` keeps for who has taken over.
    """

    def __init__(
        self, expert: Expert, gate: Gate, profile: Profile, world: Callable[[], World], clock: Clock,
        *, name: str = "simulated", operator: str = "simulated person", rewinds: bool = False,
    ) -> None:  # fmt: skip
        if not isinstance(expert, KnowsWayBack):
            raise ConfigError(
                f"{type(expert).__name__} knows no way back, so its person cannot recover; use an expert with retreat, "
                "recovered and parts_left, e.g. peg_slot."
            )
        self._way_back: KnowsWayBack = expert
        self._rewinds = rewinds
        super().__init__(expert, gate, profile, world, clock, name=name, operator=operator)

    def begin_episode(self, seed: int) -> None:
        super().begin_episode(seed)
        self._recovering = False
        self._parts = 0
        self._pressed: list[TeleopEvent] = []

    def latest(self) -> TeleopSample:
        sample = super().latest()
        if sample.engaged and self._recovering and self._rewinds:
            return replace(sample, action=None, rewind=True)
        return sample

    def drain_events(self) -> list[TeleopEvent]:
        pressed, self._pressed = self._pressed, []
        return pressed

    def _take_over(self, now: Situation) -> None:
        super()._take_over(now)
        self._recovering = True
        self._parts = self._way_back.parts_left(now.world)

    def _lets_go(self, now: Situation) -> bool:
        if self._recovering:
            if self._way_back.recovered(now.world):
                self._recovering = False
                self._held = 0  # patience begins anew
                self._press()
            return False
        done = self._way_back.parts_left(now.world) < self._parts
        if done or self._held >= self._profile.max_hold_steps:
            self._press()
            return True
        return False

    def _aim(self, seen: World) -> Array:
        return self._way_back.retreat(seen, self._profile.speed) if self._recovering else super()._aim(seen)

    def _press(self) -> None:
        self._pressed.append(TeleopEvent(kind=EventKind.NEXT, t=self._clock.now(), source=self._operator))
