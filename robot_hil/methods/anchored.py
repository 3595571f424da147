"""Anchored RLPD, the default: three pools, n-step sums within one controller, human actions as anchor."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from robot_hil.data.specs import Array
from robot_hil.errors import ConfigError
from robot_hil.methods.base import Columns, Method
from robot_hil.methods.published import Published


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchored(Method):
    """Demonstrations, interventions and online steps at 25 / 25 / 50 %, demonstrations fading to 10 %.

    Only what a person did is imitated (the batch's `imitate`): neither release tails nor the policy's steps that
    made the person take over.
    """

    n_step: int = 3
    cut_at_handover: bool = True
    demo_share: float = 0.25
    """Share of demonstrations at the start."""
    demo_share_end: float = 0.1
    """Share of demonstrations after `anneal_steps`; what they give up goes to the online pool."""
    anneal_steps: int = 5_000
    """Environment steps over which the demonstrations' share falls."""
    intervention_share: float = 0.25
    reaction_steps: int = 3
    """Policy steps just before an intervention that led to it: a person needs that long to react."""
    reaction_cost: float = 0.0
    """Taken from the rewards of the reaction window in total, spread evenly, when > 0 (as RLIF does). Returns then fall
    below 0: let the agent's `value_range` reach there, or its targets are clipped at the old end."""

    def __post_init__(self) -> None:
        Method.__post_init__(self)
        if not 0 <= self.demo_share_end <= self.demo_share or self.demo_share + self.intervention_share > 1:
            raise ConfigError(
                f"shares are demo {self.demo_share} falling to {self.demo_share_end}, intervention "
                f"{self.intervention_share}; they must be >= 0, not rise, and leave the rest to online."
            )
        if self.reaction_steps < 0 or self.anneal_steps < 1:
            raise ConfigError(
                f"reaction_steps is {self.reaction_steps}, must be >= 0; "
                f"anneal_steps is {self.anneal_steps}, must be > 0."
            )

    def share(self, pools: Mapping[str, int], step: int) -> Mapping[str, float]:
        """See the class; the demonstrations take over the interventions' share while there are none."""
        fade = min(1.0, step / self.anneal_steps)
        demo = self.demo_share + fade * (self.demo_share_end - self.demo_share)
        return {
            "demo": demo,
            "intervention": self.intervention_share,
            "online": 1.0 - demo - self.intervention_share,
        }

    def reward(self, columns: Columns) -> tuple[Array, Array, Array]:
        """As the default, less the reaction cost."""
        reward, mask, cut = Method.reward(self, columns)
        if self.reaction_cost and self.reaction_steps:
            reacting = columns["steps_to_onset"] <= self.reaction_steps
            reward = reward - reacting * np.float32(self.reaction_cost / self.reaction_steps)
        return reward, mask, cut


METHOD = Published(
    title="the default: three pools, n-step sums within one controller, a fading pull towards human actions",
    source="this project, after RLPD",
    family="reinforcement",
    view=Anchored(n_step=5),
    algorithm="anchored",
    needs=("rewards",),
)
