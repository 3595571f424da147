"""PVP (Peng et al. 2023): people's actions are worth +1, what they overrode -1, and nothing is rewarded."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from robot_hil.data.specs import Array
from robot_hil.methods.base import Columns, Method
from robot_hil.methods.published import Published
from robot_hil.methods.reward_free import RewardFree


@dataclass(frozen=True, slots=True, kw_only=True)
class Pvp(RewardFree):
    """No reward at all: the proxy values that the algorithm gives to what people did are passed on by TD learning.

    Nothing is learnt by TD from the step at which control passes between policy and person, as published. Half of each
    batch are people's, demonstrations among them. With `task_reward` the task's own reward is kept, and its ends count;
    returns then reach above the proxy value.
    """

    task_reward: bool = False

    def reward(self, columns: Columns) -> tuple[Array, Array, Array]:
        """See the class."""
        return Method.reward(self, columns) if self.task_reward else RewardFree.reward(self, columns)

    def aux(self, columns: Columns) -> Mapping[str, Array]:
        """As `RewardFree`; TD does not learn from where control passes on either."""
        found = RewardFree.aux(self, columns)
        followed = np.ones_like(found["followed"]) if self.task_reward else found["followed"]
        return {**found, "followed": followed * ~columns["handover"]}


METHOD = Published(
    title="no reward: human actions are worth +1, overridden ones -1, and TD learning passes that on",
    source="Peng et al. 2023, arXiv 2502.03369",
    family="reinforcement",
    view=Pvp(),
    algorithm="pvp",
    agent={"anchor": 30.0, "anchor_filter": "none", "anchor_half_life": 0, "value_range": (-1.0, 1.0)},
    learner={"gamma": 0.9},
    needs=("interventions", "proposals"),
)
