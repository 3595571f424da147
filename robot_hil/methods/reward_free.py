"""What methods share to which nobody tells a reward, and that learn from what a person overrode."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from robot_hil.data.specs import Array
from robot_hil.errors import ConfigError
from robot_hil.methods.base import Columns, Method
from robot_hil.methods.proposals import proposals


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardFree(Method):
    """Nothing is rewarded, and every row says what the policy proposed there (`robot_hil.methods.proposals`).

    That an episode ended is no news either: who is told of no success cannot tell it from a failure, and 0 for the end
    would stand below the value of going on for ever. Such rows teach nothing by TD (`followed` is 0).

    A proposal that was about what the person did was not overridden by it (`least_difference`): two labels for one
    action are a slope between them that leads anywhere.
    """

    least_difference: float = 0.3
    """Distance between proposed and human action from which on the one was overridden, in units of the action."""

    def __post_init__(self) -> None:
        Method.__post_init__(self)
        if self.least_difference < 0:
            raise ConfigError(f"least_difference is {self.least_difference}; it must be >= 0.")

    def reward(self, columns: Columns) -> tuple[Array, Array, Array]:
        """See the class."""
        reward, mask, cut = Method.reward(self, columns)
        return np.zeros_like(reward), mask, cut

    def aux(self, columns: Columns) -> Mapping[str, Array]:
        """Add what the policy proposed, where it was overridden, and what TD may learn from."""
        found = proposals(columns)
        away = np.linalg.norm(found["action_policy"] - columns["action_executed"], axis=-1)
        overridden = found["overridden"] * (away >= self.least_difference)
        followed = 1.0 - columns["terminated"].astype(np.float32)
        return {**found, "overridden": overridden, "followed": followed}

    def weights(self, batch: Mapping[str, Array]) -> tuple[Array, Array]:
        """See the class."""
        critic, actor = Method.weights(self, batch)
        return critic * batch["followed"], actor
