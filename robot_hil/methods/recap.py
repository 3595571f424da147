"""RECAP, small (Physical Intelligence 2025): what to do is told by whether it was better than expected."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from robot_hil.data.specs import Array
from robot_hil.errors import ConfigError
from robot_hil.methods.base import Columns
from robot_hil.methods.executed import executed
from robot_hil.methods.log import Log
from robot_hil.methods.pooled import Pooled
from robot_hil.methods.published import Published


@dataclass(frozen=True, slots=True, kw_only=True)
class Recap(Pooled):
    """Every step costs 1, a failure more, success nothing further, over `horizon_steps`: returns lie in [-1, 0].

    The return of a row is that of its episode as it went, which a value is fitted to. Everything executed is imitated,
    told whether it was good: A = sum of `n_step` rewards + V afterwards - V before, above a threshold; what a person
    did is good (`is_human`). See `robot_hil.policies.algorithms.recap`.
    """

    surveys = True

    n_step: int = 10
    cut_at_handover: bool = True
    horizon_steps: int = 160
    """Steps of the longest episode, about; failure costs as many, so that the return of a failed one is -1."""

    def __post_init__(self) -> None:
        Pooled.__post_init__(self)
        if self.horizon_steps < 1:
            raise ConfigError(f"horizon_steps is {self.horizon_steps}; it must be at least 1.")

    def reward(self, columns: Columns) -> tuple[Array, Array, Array]:
        """-1 / horizon per step; what ended, ended: nothing follows a failure, a time-out included."""
        said, mask, cut = Pooled.reward(self, columns)
        ended = columns["terminated"] | columns["truncated"]
        failed = ended & ~(columns["success"] | (said > 0))
        reward = np.where(failed, -1.0, -1.0 / self.horizon_steps).astype(np.float32)
        return reward, np.where(ended, 0.0, mask).astype(np.float32), cut

    def survey(self, log: Log) -> Mapping[str, Array]:
        """`return` of each row in [-1, 0], and `returned`, 1 where its episode has ended."""
        reward, _, _ = self.reward(log.columns)
        ended = log.spread((log.columns["terminated"] | log.columns["truncated"])[log.ends])
        total = np.clip(log.discounted(reward), -1.0, 0.0)
        return {"return": (total * ended).astype(np.float32), "returned": ended.astype(np.float32)}

    def aux(self, columns: Columns) -> Mapping[str, Array]:
        """Imitate whoever drove."""
        return {"imitate": executed(columns)}


METHOD = Published(
    title="imitates all that was executed, told which of it was better than expected; asked for the better",
    source="Physical Intelligence 2025, arXiv 2511.14759",
    family="imitation",
    view=Recap(),
    algorithm="recap",
    learner={"gamma": 1.0, "critic_warmup": 0},
    needs=("rewards",),
)
