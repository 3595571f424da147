"""MILE (Korkmaz & Biyik 2025): learns from corrections, and from steps that nobody corrected."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from robot_hil.data.specs import Array
from robot_hil.errors import ConfigError
from robot_hil.methods.base import Columns
from robot_hil.methods.pooled import Pooled
from robot_hil.methods.proposals import proposals
from robot_hil.methods.published import Published


@dataclass(frozen=True, slots=True, kw_only=True)
class Mile(Pooled):
    """Every step outside demonstrations says whether a person found it worth taking over; see the algorithm.

    The robot's last `window_steps` before a take-over say nothing: that a person had not reacted yet is no approval.
    """

    window_steps: int = 15
    """As long as a person watches a robot that gets nowhere. A shorter one takes hanging in one place for approved."""

    def __post_init__(self) -> None:
        Pooled.__post_init__(self)
        if self.window_steps < 0:
            raise ConfigError(f"window_steps is {self.window_steps}; it must be >= 0.")

    def aux(self, columns: Columns) -> Mapping[str, Array]:
        """Add what the policy proposed, and whether it was overridden."""
        found = proposals(columns)
        tells = columns["is_human"] | (columns["steps_to_onset"] > self.window_steps)
        return {**found, "proposed": found["proposed"] * tells.astype(np.float32)}


METHOD = Published(
    title="imitates people, and explains by their policy when they took over and when they let the robot go on",
    source="Korkmaz & Biyik 2025, arXiv 2502.13519",
    family="imitation",
    view=Mile(),
    algorithm="mile",
    learner={"critic_warmup": 0},
    needs=("interventions", "proposals"),
)
