"""Episodes and results made by hand."""

from collections.abc import Sequence
from typing import Any

from robot_hil.compare.measures import Cost, Measures, Point
from robot_hil.compare.plan import Plan, Way
from robot_hil.compare.rows import Seeds
from robot_hil.report.metrics import EpisodeRow, Phase

Curve = Sequence[tuple[int, int]]
"""(human steps, successes of ten) of each evaluation."""

PLAN = Plan(
    name="small",
    purpose="for tests",
    entries={"anchored": ("--method", "anchored"), "bc": ("--method", "bc")},
    persons=("competent", "poor"),
    tasks={"peg_slot": 300, "reach_pillar": 200},
    seeds=(0, 1),
    points=2,
    rounds=5,
    log_by="anchored",
)
"""Two methods, online and from a log."""


def episode(
    phase: Phase, env_steps: int = 0, *, success: bool = False, human: int = 0, takeovers: int = 0, steps: int = 10
) -> EpisodeRow:
    """Return one finished episode."""
    return EpisodeRow(
        t_wall_s=0.0, env_steps=env_steps, episode_id=0, steps=steps, success=success, human_steps=human,
        interventions=takeovers, phase=phase,
    )  # fmt: skip


def measures(curve: Curve, first: int | None = 100) -> Measures:
    """Return the results of a run; its evaluations are 100 env steps and one takeover apart."""
    return Measures(
        points=tuple(
            Point(env_steps=100 * number, human_steps=human, interventions=number, successes=good, trials=10)
            for number, (human, good) in enumerate(curve, 1)
        ),
        first_alone=None if first is None else Cost(env_steps=first, human_steps=first // 2, interventions=1),
        cycle_steps=20.0,
        demo_steps=200,
        wall_s=1.0,
    )


def seeds(entry: str, *curves: Curve | None, way: Way = "online", **which: Any) -> Seeds:
    """Return the results of one entry from the curve of each seed, None for a seed that failed."""
    return Seeds(
        task=which.get("task", "peg_slot"), person=which.get("person", "competent"), entry=entry, way=way,
        results=tuple((seed, measures(curve)) for seed, curve in enumerate(curves) if curve is not None),
        failures=tuple((seed, "it broke\nin detail") for seed, curve in enumerate(curves) if curve is None),
    )  # fmt: skip
