"""What a published method is: its view of the facts, the algorithm that it needs, and what must have been recorded."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from robot_hil.data.specs import Array
from robot_hil.data.step import Segment
from robot_hil.methods.base import Columns, Method

Need = Literal["demonstrations", "interventions", "proposals", "rewards"]

NEEDS: Mapping[Need, str] = {
    "demonstrations": "demonstrations (record some: robot-hil record EXPERIMENT, or train with --demos above 0)",
    "interventions": "interventions (train with a person: a device, or a simulated one that takes over)",
    "proposals": "what the policy proposed while a person drove (this log is of actors that did not ask it then)",
    "rewards": "a success or another reward above 0 (let the task succeed, or label episodes on the console)",
}
"""What a log may have to hold, in words for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A method under its published name; a file in `robot_hil.methods` offers one as `METHOD`."""

    title: str
    """One line: what it does."""
    source: str
    """Authors, year, where."""
    family: Literal["imitation", "reinforcement"]
    """What trains the policy: what was done, or a critic of what it would do; one that only asks for help does not."""
    view: Method
    """What it makes of the facts."""
    algorithm: str
    """Who learns from that: a file in `robot_hil.policies.algorithms`."""
    agent: Mapping[str, Any] = field(default_factory=dict)
    """Numbers of the algorithm that belong to the method; all others are the experiment's, or defaults."""
    learner: Mapping[str, Any] = field(default_factory=dict)
    """Numbers of `LearnerConfig` that belong to it, e.g. `gamma`."""
    needs: tuple[Need, ...] = ()
    """Without what in the log it cannot learn anything, or not what it is named for."""

    def lacks(self, facts: Columns) -> list[str]:
        """Return what of `needs` none of the rows have, in words; empty where it can learn."""
        return [NEEDS[need] for need in self.needs if not _has(need, facts).any()]


def _has(need: Need, facts: Columns) -> Array:
    """Return which rows have it, bool (n,)."""
    demo: Array = facts["segment"] == Segment.DEMO
    if need == "demonstrations":
        return demo
    if need == "rewards":
        said = [facts[name] > 0 for name in facts if name.startswith("reward/")]
        said.append(facts["success"])
        good: Array = np.maximum.reduce(said)
        return good
    helped: Array = facts["is_human"] & ~demo
    return helped if need == "interventions" else helped & np.isfinite(facts["action_policy"]).all(-1)
