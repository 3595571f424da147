"""PVP (Peng et al. 2023): people's actions are worth +1, what they overrode -1, and nothing is rewarded."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from robot_hil.data.specs import Array
from robot_hil.methods.base import Columns, Method
from robot_hil.methods.proposals import proposals
from robot_hil.methods.published import Published


@dataclass(frozen=True, slots=True, kw_only=True)
class Pvp(Method):
    """No reward at all: the proxy values that the algorithm gives to what people did are passed on by TD learning.

    Nothing is learnt by TD from the step at which control passes between policy and person, as published. Half of each
    batch are interventions; demonstrations stand in while there are none. With `task_reward` the task's own reward is
    kept; returns then reach above the proxy value.
    """

    task_reward: bool = False

    def share(self, pools: Mapping[str, int], step: int) -> Mapping[str, float]:
        """See the class."""
        return {"demo": 0.0, "intervention": 1.0 - self.online_share, "online": self.online_share}

    def reward(self, columns: Columns) -> tuple[Array, Array, Array]:
        """See the class."""
        reward, mask, cut = Method.reward(self, columns)
        return (reward if self.task_reward else np.zeros_like(reward)), mask, cut

    def aux(self, columns: Columns) -> Mapping[str, Array]:
        """Add what the policy proposed, and where control passes on."""
        return {**proposals(columns), "switch": columns["handover"].astype(np.float32)}

    def weights(self, batch: Mapping[str, Array]) -> tuple[Array, Array]:
        """See the class."""
        critic, actor = Method.weights(self, batch)
        return critic - batch["switch"], actor


METHOD = Published(
    title="no reward: human actions are worth +1, overridden ones -1, and TD learning passes that on",
    source="Peng et al. 2023, arXiv 2502.03369",
    family="reinforcement",
    view=Pvp(),
    algorithm="pvp",
    agent={"anchor": 0.0, "caution": 0.0, "value_range": (-1.0, 1.0)},
    learner={"gamma": 0.99},
    needs=("interventions", "proposals"),
)
