"""Hi-ORS (Lu et al. 2025): imitation of whole episodes, whoever drove, if they succeeded."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from robot_hil.data.specs import Array
from robot_hil.errors import ConfigError
from robot_hil.methods.base import Method
from robot_hil.methods.log import Log
from robot_hil.methods.pooled import Pooled
from robot_hil.methods.published import Published


@dataclass(frozen=True, slots=True, kw_only=True)
class HiOrs(Pooled):
    """An episode is kept if the reward of its last step lies above `threshold` and it is not too short.

    All its actions then count alike: 1[R(tau) > threshold] log pi(a | s), summed over its steps (arXiv 2510.26406),
    except the steps at its beginning in which nothing moved yet, and release tails. A mistake that a person put right
    is imitated with the correction that followed. Episodes that go on or that failed teach nothing.
    """

    surveys = True
    threshold: float = 0.0
    least_steps: int = 5
    """Episodes with fewer steps are not kept."""
    still: float = 0.02
    """Largest element of an action that is no movement."""

    def __post_init__(self) -> None:
        Method.__post_init__(self)
        if self.least_steps < 1 or self.still < 0:
            raise ConfigError(f"least_steps is {self.least_steps}, must be >= 1; still is {self.still}, must be >= 0.")

    def survey(self, log: Log) -> Mapping[str, Array]:
        """Which rows to `imitate`, whoever drove, 1 or 0; no others are drawn."""
        columns, ends = log.columns, log.ends
        reward, _, _ = self.reward(columns)
        over = columns["terminated"][ends] | columns["truncated"][ends]
        good = over & (reward[ends] > self.threshold) & (log.lengths >= self.least_steps)
        moved = np.abs(columns["action_executed"]).max(-1) > self.still
        before = np.cumsum(moved) - moved  # movements before this row, in all episodes
        begun = moved | (before > log.spread(before[log.begins]))
        kept = (log.spread(good) & begun & ~columns["release_tail"]).astype(np.float32)
        return {"imitate": kept, "draw": kept}


METHOD = Published(
    title="imitates all of the episodes that succeeded, the robot's own steps and corrections alike",
    source="Lu et al. 2025, arXiv 2510.26406",
    family="imitation",
    view=HiOrs(),
    algorithm="bc",
    learner={"critic_warmup": 0},
    needs=("rewards",),
)
