"""IQL (Kostrikov et al. 2021): as AWAC, by a critic that never asks what the policy would do."""

from dataclasses import dataclass

from robot_hil.methods.awac import Awac
from robot_hil.methods.published import Published


@dataclass(frozen=True, slots=True, kw_only=True)
class Iql(Awac):
    """All executed steps; the algorithm weighs them, see `robot_hil.policies.algorithms.iql`."""


METHOD = Published(
    title="imitates all that was executed, weighted by advantage over an expectile of what was done; learns offline",
    source="Kostrikov et al. 2021, arXiv 2110.06169",
    family="reinforcement",
    view=Iql(),
    algorithm="iql",
    agent={"ensemble": 2, "subset": 2},
    needs=("rewards",),
)
