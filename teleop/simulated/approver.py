"""Somebody who looks at what a robot proposes, and lets it do so where that leads the way."""

from collections.abc import Callable

import numpy as np

from robot_hil.clock import Clock
from robot_hil.data.specs import Array
from robot_hil.teleop.simulated.expert import Expert, World

_AFRESH_S = 0.5
"""After so long without being asked the person has to look anew."""
_LEAST_COSINE = 0.7
"""Of what is proposed and what the expert would do: within 45 degrees."""


class Approver:
    """Approves of a proposal that goes the expert's way, after having looked for `delay_s`."""

    def __init__(self, expert: Expert, world: Callable[[], World], clock: Clock, delay_s: float) -> None:
        self._expert, self._world, self._clock, self._delay = expert, world, clock, delay_s
        self._since = self._last = -float("inf")

    def __call__(self, proposal: Array) -> bool:
        """Return whether the robot may do what it proposes (A,); asked once per step as long as it waits."""
        now = self._clock.now()
        if now - self._last > _AFRESH_S:
            self._since = now
        self._last = now
        if now - self._since < self._delay - 1e-9:
            return False
        wanted = self._expert.action(self._world(), 1.0)
        sizes = float(np.linalg.norm(wanted) * np.linalg.norm(proposal))
        return sizes > 0 and float(wanted @ proposal) >= _LEAST_COSINE * sizes
