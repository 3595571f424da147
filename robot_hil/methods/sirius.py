"""Sirius (Liu et al. 2023, arXiv 2211.08416): imitation in which every step weighs what its class is trusted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

import numpy as np

from robot_hil.data.specs import Array
from robot_hil.data.step import Segment
from robot_hil.errors import ConfigError
from robot_hil.methods.base import Columns, Method
from robot_hil.methods.executed import executed
from robot_hil.methods.log import Log
from robot_hil.methods.pooled import Pooled
from robot_hil.methods.published import Published

Keep = Literal["most_intervened", "least_intervened", "newest", "oldest", "uniform"]


class Trust(IntEnum):
    """The four classes of steps."""

    DEMO = 0
    ROLLOUT = 1
    INTERVENTION = 2
    PRE_INTERVENTION = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Sirius(Pooled):
    """Weighted behaviour cloning, E[w(c) |pi(s) - a|^2], with w(c) = P*(c) / P(c) of a step's class c.

    Interventions are to count for half, steps that led to one for nearly nothing, demonstrations for as much as there
    are, the robot's own steps for the rest. Where that rest would be negative (many demonstrations) it keeps
    `least_rollout`; a class without steps leaves its part to the robot's own; sum_c P(c) w(c) = 1 in any case.

    With `memory` above 0 only so many of the robot's episodes are learnt from. Paper and release contradict each
    other in which to keep; recommended, and the default, are those with the most intervention.
    """

    surveys = True

    window_steps: int = 8
    """Policy steps before an intervention that led to it: 0.75 s at 10 Hz, as the published 15 at 20 Hz."""
    intervention_part: float = 0.5
    pre_intervention_part: float = 0.002
    least_rollout: float = 0.05
    memory: int = 0
    """Episodes kept beside demonstrations; 0 keeps all."""
    keep: Keep = "most_intervened"

    def __post_init__(self) -> None:
        Method.__post_init__(self)
        parts = (self.intervention_part, self.pre_intervention_part, self.least_rollout)
        if min(parts) < 0 or sum(parts) > 1 or self.window_steps < 0 or self.memory < 0:
            raise ConfigError(
                f"parts are {parts}, must be >= 0 and sum to at most 1; window_steps is {self.window_steps} and memory "
                f"{self.memory}, both must be >= 0."
            )

    def classes(self, columns: Columns) -> Array:
        """Return the `Trust` of each row, uint8 (n,)."""
        classes = np.full(len(columns["is_human"]), Trust.ROLLOUT, np.uint8)
        classes[columns["steps_to_onset"] <= self.window_steps] = Trust.PRE_INTERVENTION
        classes[columns["is_human"]] = Trust.INTERVENTION
        classes[columns["segment"] == Segment.DEMO] = Trust.DEMO
        return classes

    def targets(self, parts: Sequence[float]) -> Array:
        """Return P*(c) for the parts P(c) that there are, float64 (4,), both by `Trust`; 0 where P(c) is."""
        there = np.asarray(parts) > 0
        wanted = np.zeros(len(Trust))
        wanted[Trust.INTERVENTION], wanted[Trust.PRE_INTERVENTION] = self.intervention_part, self.pre_intervention_part
        wanted *= there
        left = 1.0 - wanted.sum()
        wanted[Trust.DEMO] = min(parts[Trust.DEMO], left - self.least_rollout * there[Trust.ROLLOUT])
        heir = next((c for c in (Trust.ROLLOUT, Trust.DEMO, Trust.INTERVENTION, Trust.PRE_INTERVENTION) if there[c]), 0)
        wanted[heir] += 1.0 - wanted.sum()
        return wanted

    def survey(self, log: Log) -> Mapping[str, Array]:
        """`trust`, the weight of each row, and which are drawn at all."""
        if not log.size:
            return {"trust": np.zeros(0, np.float32)}
        classes, kept = self.classes(log.columns), log.spread(self.kept(log))
        demo = log.is_demo
        parts = np.bincount(classes[kept], minlength=len(Trust)) / kept.sum()
        drawn = parts.copy()  # the pools are drawn from by their sizes, whatever is kept of them
        drawn[Trust.DEMO] = demo.mean()
        others = np.arange(len(Trust)) != Trust.DEMO
        drawn[others] *= (1 - demo.mean()) / max(parts[others].sum(), 1e-12)
        weights = np.divide(self.targets(parts.tolist()), drawn, out=np.zeros(len(Trust)), where=drawn > 0)
        return {"trust": (weights[classes] * kept).astype(np.float32), "draw": kept.astype(np.float32)}

    def kept(self, log: Log) -> Array:
        """Return which episodes are kept, bool (E,): demonstrations, and of the others as many as `memory` says."""
        demo = log.mean(log.is_demo) > 0
        others = np.flatnonzero(~demo)
        kept = np.ones(len(demo), bool)
        if not self.memory or len(others) <= self.memory:
            return kept
        intervened = log.mean(log.is_intervention)[others]
        age = -log.columns["episode_id"][log.begins][others].astype(np.float64)
        worth = {
            "most_intervened": intervened,
            "least_intervened": -intervened,
            "newest": -age,
            "oldest": age,
            "uniform": np.random.default_rng(0).random(len(others)),
        }[self.keep]
        kept[others[np.argsort(-worth, kind="stable")[self.memory :]]] = False
        return kept

    def aux(self, columns: Columns) -> Mapping[str, Array]:
        """Imitate whoever drove."""
        return {"imitate": executed(columns)}

    def weights(self, batch: Mapping[str, Array]) -> tuple[Array, Array]:
        """The trust in each row is its weight in imitation."""
        return np.ones_like(batch["trust"]), batch["trust"]


METHOD = Published(
    title="imitates all that was executed, weighted by class: corrections half, what led to them nearly nothing",
    source="Liu et al. 2023, arXiv 2211.08416",
    family="imitation",
    view=Sirius(),
    algorithm="bc",
    learner={"critic_warmup": 0},
    needs=("interventions",),
)
