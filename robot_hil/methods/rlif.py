"""RLIF (Luo et al. 2023, arXiv 2311.12996): being taken over is what costs, and nothing else need be known."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from robot_hil.data.specs import Array
from robot_hil.data.step import Segment
from robot_hil.errors import ConfigError
from robot_hil.methods.base import Columns, Method
from robot_hil.methods.executed import executed
from robot_hil.methods.pooled import Pooled
from robot_hil.methods.published import Published


@dataclass(frozen=True, slots=True, kw_only=True)
class Rlif(Pooled):
    """r(s, a) = -1 where the policy acted and the person took over next, else 0; demonstrations and corrections have 0.

    An intervention ends nothing, so returns lie in [-1 / (1 - gamma), 0]. Whoever corrects badly is not imitated: the
    policy only learns to be interrupted seldom; of people it imitates the demonstrations alone. Every executed step is
    there once, the last of an episode too; all rows are drawn alike.

    A person needs time to react: `window_steps` spreads the cost evenly over as many policy steps before the
    take-over, as far as there are any. With `alone` off it is added to the task's own reward.
    """

    cost: float = 1.0
    """Of one take-over."""
    window_steps: int = 1
    alone: bool = True

    def __post_init__(self) -> None:
        Method.__post_init__(self)
        if self.cost < 0 or self.window_steps < 1:
            raise ConfigError(f"cost is {self.cost}, must be >= 0; window_steps is {self.window_steps}, must be >= 1.")

    def reward(self, columns: Columns) -> tuple[Array, Array, Array]:
        """See the class."""
        reward, mask, cut = Method.reward(self, columns)
        guilty = (columns["steps_to_onset"] <= self.window_steps) & ~columns["is_human"]
        price = guilty * np.float32(self.cost / self.window_steps)
        return (-price if self.alone else reward - price), mask, cut

    def aux(self, columns: Columns) -> Mapping[str, Array]:
        """Imitate demonstrations alone."""
        return {"imitate": executed(columns) * (columns["segment"] == Segment.DEMO)}


METHOD = Published(
    title="being taken over is the only reward, -1; people who correct badly are not imitated",
    source="Luo et al. 2023, arXiv 2311.12996",
    family="reinforcement",
    view=Rlif(),
    algorithm="anchored",
    agent={"anchor_filter": "none", "anchor_half_life": 0, "value_range": (-100.0, 1.0)},
    learner={"gamma": 0.99},
    needs=("interventions",),
)
