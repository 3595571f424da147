"""MILE (Korkmaz & Biyik 2025): learns from corrections, and from steps that nobody corrected."""

from collections.abc import Mapping
from dataclasses import dataclass

from robot_hil.data.specs import Array
from robot_hil.methods.base import Columns
from robot_hil.methods.pooled import Pooled
from robot_hil.methods.proposals import proposals
from robot_hil.methods.published import Published


@dataclass(frozen=True, slots=True, kw_only=True)
class Mile(Pooled):
    """Every step outside demonstrations says whether a person found it worth taking over; see the algorithm."""

    def aux(self, columns: Columns) -> Mapping[str, Array]:
        """Add what the policy proposed, and whether it was overridden."""
        return proposals(columns)


METHOD = Published(
    title="imitates people, and explains by their policy when they took over and when they let the robot go on",
    source="Korkmaz & Biyik 2025, arXiv 2502.13519",
    family="imitation",
    view=Mile(),
    algorithm="mile",
    learner={"critic_warmup": 0},
    needs=("interventions", "proposals"),
)
