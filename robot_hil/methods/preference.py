"""Preference at take-over: a person who takes over says that the action taken is better than the one proposed."""

from collections.abc import Mapping
from dataclasses import dataclass

from robot_hil.data.specs import Array
from robot_hil.methods.anchored import Anchored
from robot_hil.methods.base import Columns
from robot_hil.methods.proposals import proposals
from robot_hil.methods.published import Published


@dataclass(frozen=True, slots=True, kw_only=True)
class Preference(Anchored):
    """The default's data, with what the policy proposed; see `robot_hil.policies.algorithms.preference`.

    Unlike imitation, that says which way to go from the policy's own action also where the person did not act well.
    """

    def aux(self, columns: Columns) -> Mapping[str, Array]:
        """Add what the policy proposed."""
        return proposals(columns)


METHOD = Published(
    title="the default, and critics and actor learn that people prefer their action to the one they overrode",
    source="Christiano et al. 2017, arXiv 1706.03741; Cai et al. 2025, arXiv 2510.01545",
    family="reinforcement",
    view=Preference(n_step=5),
    algorithm="preference",
    needs=("interventions", "proposals", "rewards"),
)
