"""A simulated person who adds to the policy's motion instead of replacing it, as the mode `residual` asks for."""

from collections.abc import Callable

import numpy as np

from robot_hil.clock import Clock
from robot_hil.data.specs import Array
from robot_hil.errors import ConfigError
from robot_hil.teleop.simulated.expert import Expert, World, floats
from robot_hil.teleop.simulated.gates import Gate
from robot_hil.teleop.simulated.person import SimulatedPerson
from robot_hil.teleop.simulated.profile import Profile

_ALIKE = 0.1
"""Difference of two commands that nobody minds, share of full scale."""


class AddingPerson(SimulatedPerson):
    """Pulls by what is missing: (what the expert would do - what the policy is about to do) / gain, at most fully.

    Only what is wrong is put right. A policy that could repeat its action for `foresight` steps without trouble, and
    come nearer by them, is left alone, if that holds for a goal `margin` tolerances to either side of the true one,
    too. Of one that is in the way of trouble those axes are left alone that go the right way, however slowly, and those
    that are off by less than a tenth of full scale. Without a proposal, in a demonstration, it drives as anybody does.
    """

    def __init__(
        self, expert: Expert, gate: Gate, profile: Profile, world: Callable[[], World], clock: Clock,
        *, gain: float, margin: float = 0.3, foresight: int = 10, name: str = "simulated",
        operator: str = "simulated person",
    ) -> None:  # fmt: skip
        if not gain > 0:
            raise ConfigError(f"gain is {gain}; give the share of a command that is added, above 0.")
        if margin < 0 or foresight < 1:
            raise ConfigError(f"margin is {margin}, foresight {foresight}; give a margin >= 0, and at least 1 step.")
        self._gain, self._margin, self._foresight = gain, margin, foresight
        super().__init__(expert, gate, profile, world, clock, name=name, operator=operator)

    def begin_episode(self, seed: int) -> None:
        super().begin_episode(seed)
        self._offered: Array | None = None

    def observe_proposal(self, action: Array) -> None:
        super().observe_proposal(action)
        self._offered = action

    def _aim(self, seen: World) -> Array:
        wanted = super()._aim(seen)
        if self._offered is None:
            return wanted
        if not any(self._troubles(self._with_goal_off(seen, share), self._offered) for share in (-1.0, 1.0)):
            return np.zeros_like(wanted)
        offered = np.asarray(self._offered, np.float32)
        only_slow = (wanted * offered > 0) & (np.abs(offered) <= np.abs(wanted))
        missing = np.where(only_slow | (np.abs(wanted - offered) < _ALIKE), 0.0, wanted - offered)
        pull: Array = np.clip(missing / self._gain, -1.0, 1.0).astype(np.float32)
        return pull

    def _with_goal_off(self, world: World, share: float) -> World:
        """Return `world` with its goal as far off as is to be safe, times `share`."""
        goal = floats(world[self._expert.goal_key])
        goal[self._expert.misjudged[0]] += share * self._margin * self._expert.tolerance
        return {**world, self._expert.goal_key: goal}

    def _troubles(self, world: World, action: Array) -> bool:
        """Return whether `action`, repeated, would do what is hard to undo, or come no step nearer."""
        before = after = self._expert.cost_to_go(world)
        for _ in range(self._foresight):
            if self._expert.hazard(world, action):
                return True
            world = self._expert.predict(world, action)
            after = self._expert.cost_to_go(world)
            if after <= 0.0:
                return False
        return after > before - 1.0
