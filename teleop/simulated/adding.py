"""A simulated person who adds to the policy's motion instead of replacing it, as the mode `residual` asks for."""

from collections.abc import Callable

import numpy as np

from robot_hil.clock import Clock
from robot_hil.data.specs import Array
from robot_hil.errors import ConfigError
from robot_hil.teleop.simulated.expert import Expert, World
from robot_hil.teleop.simulated.gates import Gate
from robot_hil.teleop.simulated.person import SimulatedPerson
from robot_hil.teleop.simulated.profile import Profile


class AddingPerson(SimulatedPerson):
    """Pulls by what is missing: (what the expert would do - what the policy is about to do) / gain, at most fully.

    Of a policy that is right it changes nothing. Without a proposal, in a demonstration, it drives as anybody does.
    """

    def __init__(
        self, expert: Expert, gate: Gate, profile: Profile, world: Callable[[], World], clock: Clock,
        *, gain: float, name: str = "simulated", operator: str = "simulated person",
    ) -> None:  # fmt: skip
        if not gain > 0:
            raise ConfigError(f"gain is {gain}; give the share of a command that is added, above 0.")
        self._gain = gain
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
        missing: Array = np.clip((wanted - self._offered) / self._gain, -1.0, 1.0)
        return missing
