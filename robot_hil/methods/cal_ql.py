"""Cal-QL (Nakamoto et al. 2023): critics that are pessimistic, but not below the returns that were reached."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from robot_hil.data.specs import Array
from robot_hil.methods.base import Method
from robot_hil.methods.log import Log
from robot_hil.methods.published import Published


@dataclass(frozen=True, slots=True, kw_only=True)
class CalQl(Method):
    """As RLPD, and every row knows R(s) = sum_k gamma^k r_{t+k} to the end of its episode, see the algorithm.

    Rewards below 0 that would have followed a time-out are not in R: it is a bound from below where rewards are
    >= 0. An episode that goes on counts as far as it goes.
    """

    surveys = True

    def survey(self, log: Log) -> Mapping[str, Array]:
        """The return that was reached from each row."""
        reward, _, _ = self.reward(log.columns)
        return {"mc_return": log.discounted(reward).astype(np.float32)}


METHOD = Published(
    title="pessimistic critics, bounded from below by returns that were reached; learns offline, then online",
    source="Nakamoto et al. 2023, arXiv 2303.05479",
    family="reinforcement",
    view=CalQl(),
    algorithm="cal_ql",
    agent={"caution": 0.0, "ensemble": 2, "subset": 2},
    learner={"critic_warmup": 150},
    needs=("demonstrations", "rewards"),
)
