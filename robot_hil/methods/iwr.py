"""IWR (Mandlekar et al. 2020): imitation of everything that was executed, with interventions as half of it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from robot_hil.data.specs import Array
from robot_hil.methods.base import Columns, Method
from robot_hil.methods.executed import executed
from robot_hil.methods.log import Log
from robot_hil.methods.published import Published


@dataclass(frozen=True, slots=True, kw_only=True)
class Iwr(Method):
    """Intervention-weighted regression: rows are drawn such that P(intervention) = 1/2.

    Of N rows, n of them interventions, an intervention is drawn (N - n) / n times as often as another row
    (arXiv 2012.06733, section IV): what a person found worth correcting weighs as much as all the rest, and
    the rest, the robot's own steps among them, keeps the policy from leaving what went well.
    """

    surveys = True

    def share(self, pools: Mapping[str, int], step: int) -> Mapping[str, float]:
        """By the weights of the rows in the pools; the online pool has the interventions in it."""
        demo, online, corrected = pools["demo"], pools["online"], pools["intervention"]
        others = demo + online - corrected
        part = demo / max(1, others) / (2.0 if corrected and others else 1.0)
        return {"demo": part, "intervention": 0.0, "online": 1.0 - part}

    def survey(self, log: Log) -> Mapping[str, Array]:
        """How often each row is drawn."""
        corrected = log.is_intervention
        count = max(1, int(corrected.sum()))
        often = (log.size - count) / count
        return {"draw": np.where(corrected, often if often > 0 else 1.0, 1.0).astype(np.float32)}

    def aux(self, columns: Columns) -> Mapping[str, Array]:
        """Imitate whoever drove."""
        return {"imitate": executed(columns)}


METHOD = Published(
    title="imitates all that was executed; interventions are half of every batch",
    source="Mandlekar et al. 2020, arXiv 2012.06733",
    family="imitation",
    view=Iwr(),
    algorithm="bc",
    learner={"critic_warmup": 0},
    needs=("interventions",),
)
