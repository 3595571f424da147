"""ThriftyDAgger (Hoque et al. 2021): as HG-DAgger, with a critic that foresees success, for a robot that asks."""

from dataclasses import dataclass

from robot_hil.data.specs import Array
from robot_hil.methods.base import Columns
from robot_hil.methods.pooled import Pooled
from robot_hil.methods.published import Published


@dataclass(frozen=True, slots=True, kw_only=True)
class Thrifty(Pooled):
    """All steps, of which only those of people are imitated: the critic must see the robot's own failures, too.

    The critic's reward is 1 where the task succeeded and else 0, whatever the task itself gives.
    """

    def reward(self, columns: Columns) -> tuple[Array, Array, Array]:
        """See the class."""
        reward, mask, cut = Pooled.reward(self, columns)
        return (reward > 0).astype(reward.dtype), mask, cut


METHOD = Published(
    title="as hg_dagger; a critic foresees success, and low values or much doubt call a person",
    source="Hoque et al. 2021, arXiv 2109.08273",
    family="imitation",
    view=Thrifty(),
    algorithm="thrifty",
    learner={"critic_warmup": 0, "gamma": 0.99},
    needs=("demonstrations", "interventions", "rewards"),
)
