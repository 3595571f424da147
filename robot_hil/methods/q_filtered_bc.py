"""Q-filtered behaviour cloning beside reinforcement learning (Nair et al. 2018, arXiv 1709.10089)."""

from dataclasses import dataclass

from robot_hil.methods.base import Method
from robot_hil.methods.published import Published


@dataclass(frozen=True, slots=True, kw_only=True)
class QFilteredBc(Method):
    """Actor: min E[-Q(s, pi(s))] + weight E[1(Q(s, a_h) > Q(s, pi(s))) |pi(s) - a_h|^2] over what people did.

    The pull towards people lasts, and holds only where the critics think that they did better than the policy would.
    """


METHOD = Published(
    title="pulled towards what people did, only where the critics rate that above the policy's own action",
    source="Nair et al. 2018, arXiv 1709.10089",
    family="reinforcement",
    view=QFilteredBc(),
    algorithm="anchored",
    agent={"anchor_filter": "all", "anchor_half_life": 0, "caution": 0.0},
    needs=("rewards",),
)
