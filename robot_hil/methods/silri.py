"""SiLRI (Zhao et al. 2025): as HIL-SERL, with imitation as a constraint that is as tight as people are sure."""

from dataclasses import dataclass

from robot_hil.data.specs import Array
from robot_hil.methods.base import Columns, Method
from robot_hil.methods.published import Published


@dataclass(frozen=True, slots=True, kw_only=True)
class Silri(Method):
    """HIL-SERL's batches; a success is worth 10, and each step costs 0.05, as published."""

    success: float = 10.0
    """What the task's own reward is multiplied by."""
    step_cost: float = 0.05

    def reward(self, columns: Columns) -> tuple[Array, Array, Array]:
        """See the class."""
        reward, mask, cut = Method.reward(self, columns)
        return (self.success * reward - self.step_cost).astype(reward.dtype), mask, cut


METHOD = Published(
    title="imitation as a constraint in each state, as tight as people were sure there; a learnt multiplier holds it",
    source="Zhao et al. 2025, arXiv 2512.24288",
    family="reinforcement",
    view=Silri(),
    algorithm="silri",
    agent={
        "ensemble": 2,
        "subset": 2,
        "utd": 2,
        "exploration": 0.05,
        "value_range": (-2.0, 10.0),
        "clip_norm": 40.0,
    },
    learner={"gamma": 0.97},
    needs=("demonstrations", "rewards"),
)
