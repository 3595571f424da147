"""AWAC (Nair et al. 2020): imitation of everything, weighted by how much better it was than what the policy does."""

from collections.abc import Mapping
from dataclasses import dataclass

from robot_hil.data.specs import Array
from robot_hil.methods.base import Columns
from robot_hil.methods.executed import executed
from robot_hil.methods.pooled import Pooled
from robot_hil.methods.published import Published


@dataclass(frozen=True, slots=True, kw_only=True)
class Awac(Pooled):
    """All executed steps; the algorithm weighs them, see `robot_hil.policies.algorithms.awac`."""

    def aux(self, columns: Columns) -> Mapping[str, Array]:
        """Imitate whoever drove."""
        return {"imitate": executed(columns)}


METHOD = Published(
    title="imitates all that was executed, weighted by exp(advantage / temperature) of a critic",
    source="Nair et al. 2020, arXiv 2006.09359",
    family="reinforcement",
    view=Awac(),
    algorithm="awac",
    needs=("rewards",),
)
