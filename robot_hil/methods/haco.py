"""HACO (Li et al. 2022): no reward; human actions stand above overridden ones, and take-overs cost."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from robot_hil.data.specs import Array
from robot_hil.methods.base import Columns
from robot_hil.methods.published import Published
from robot_hil.methods.reward_free import RewardFree


@dataclass(frozen=True, slots=True, kw_only=True)
class Haco(RewardFree):
    """No reward at all; the first step of an intervention costs 1 - cos(a_pi, a_h): turning round is worst."""

    def aux(self, columns: Columns) -> Mapping[str, Array]:
        """As `RewardFree`, and what take-overs cost, in [0, 2]; where either stands still it is 1."""
        found = RewardFree.aux(self, columns)
        policy, human = found["action_policy"], columns["action_executed"]
        sizes = np.linalg.norm(policy, axis=1) * np.linalg.norm(human, axis=1)
        alike = (policy * human).sum(1) / np.maximum(sizes, 1e-6)
        cost = found["overridden"] * columns["onset"] * (1.0 - alike)
        return {**found, "takeover_cost": cost.astype(np.float32)}


METHOD = Published(
    title="no reward: human actions stand above overridden ones; a second critic foresees the cost of take-overs",
    source="Li et al. 2022, arXiv 2202.10341",
    family="reinforcement",
    view=Haco(),
    algorithm="haco",
    agent={"anchor": 30.0, "anchor_filter": "none", "anchor_half_life": 0, "value_range": (-10.0, 10.0)},
    learner={"gamma": 0.9},
    needs=("interventions", "proposals"),
)
