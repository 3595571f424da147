"""A gate of a person who also comes when the robot calls."""

from collections.abc import Callable

import numpy as np

from robot_hil.teleop.simulated.gates import Gate, Situation


class OnCall:
    """As `gate`, and takes over while `called` says so; how fast is the profile's reaction."""

    def __init__(self, gate: Gate, called: Callable[[], bool]) -> None:
        self._gate, self._called = gate, called

    @property
    def always(self) -> bool:
        """See `Gate.always`."""
        return self._gate.always

    def reset(self, rng: np.random.Generator) -> None:
        """See `Gate.reset`."""
        self._gate.reset(rng)

    def restart(self) -> None:
        """See `Gate.restart`."""
        self._gate.restart()

    def alarm(self, situation: Situation) -> bool:
        """See `Gate.alarm`."""
        seen = self._gate.alarm(situation)  # asked in any case: it remembers
        return seen or self._called()
