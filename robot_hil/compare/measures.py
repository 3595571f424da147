"""What one training came to, from its episodes: success alone, and what it cost the person."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from robot_hil.errors import StorageError
from robot_hil.report.metrics import EpisodeRow
from robot_hil.report.summary import mean_cycle


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One evaluation with the person off, and what had been spent until then; demonstrations not counted."""

    env_steps: int
    human_steps: int
    interventions: int
    successes: int
    trials: int

    @property
    def success(self) -> float:
        """Share of the trials that succeeded."""
        return self.successes / self.trials


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What had been spent when something was first reached."""

    env_steps: int
    human_steps: int
    interventions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    """The result of one cell."""

    points: tuple[Point, ...]
    """In the order they were made; the last is the final one. One that learnt from a log has that alone."""
    first_alone: Cost | None
    """Until the end of the first online episode that succeeded without any help; None for never."""
    cycle_steps: float | None
    """Mean steps of the successful trials of the last evaluation."""
    demo_steps: int
    """Steps of the demonstrations."""
    wall_s: float
    cpu_s: float = 0.0
    """Processor time that it took, without what an interrupted part lost; 0 where nobody looked."""

    @property
    def final(self) -> Point:
        """The last evaluation."""
        return self.points[-1]

    def until(self, success: float) -> Cost | None:
        """Return what had been spent at the first evaluation with at least that success; None for never."""
        for point in self.points:
            if point.success >= success:
                return Cost(env_steps=point.env_steps, human_steps=point.human_steps, interventions=point.interventions)
        return None

    def area(self, human_steps: int) -> float:
        """Return the mean success over the first `human_steps` of the person's work, in [0, 1].

        The area under success against human steps, divided by `human_steps`: each evaluation counts from the work that
        had been spent until then to that of the next one, the last to the end. Who needs less help is sooner there.
        """
        total = 0.0
        marks = [min(point.human_steps, human_steps) for point in self.points] + [human_steps]
        for point, begin, end in zip(self.points, marks, marks[1:], strict=False):
            total += point.success * (end - begin)
        return total / human_steps


def measure(episodes: Sequence[EpisodeRow], wall_s: float, cpu_s: float = 0.0) -> Measures:
    """Return what the episodes of a run came to; raises `StorageError` where nothing was evaluated."""
    points, first, cycle = [], None, None
    spent = Cost(env_steps=0, human_steps=0, interventions=0)
    trials: list[EpisodeRow] = []
    for row, following in zip(episodes, [*episodes[1:], None], strict=True):
        if row.phase == "train":
            spent = Cost(
                env_steps=row.env_steps,
                human_steps=spent.human_steps + row.human_steps,
                interventions=spent.interventions + row.interventions,
            )
            if first is None and row.success and not row.human_steps:
                first = spent
        elif row.phase == "eval":
            trials.append(row)
            if following is None or following.phase != "eval":
                points.append(_point(spent, trials))
                cycle, trials = mean_cycle(trials), []
    if not points:
        raise StorageError("the run has no evaluation; there is nothing to compare.")
    return Measures(
        points=tuple(points),
        first_alone=first,
        cycle_steps=cycle,
        demo_steps=sum(row.steps for row in episodes if row.phase == "demo"),
        wall_s=wall_s,
        cpu_s=cpu_s,
    )


def parse(content: Mapping[str, Any]) -> Measures:
    """Return what `report.metrics.plain` made of measures; raises `StorageError` for anything else."""
    try:
        known = {entry.name: content[entry.name] for entry in fields(Measures) if entry.name in content}
        known["points"] = tuple(Point(**point) for point in known["points"])
        known["first_alone"] = None if known["first_alone"] is None else Cost(**known["first_alone"])
        return Measures(**known)
    except (KeyError, TypeError) as error:
        raise StorageError(f"no measures of a run: {error}. Remove the file; the cell is run anew.") from error


def _point(spent: Cost, trials: Sequence[EpisodeRow]) -> Point:
    return Point(
        env_steps=spent.env_steps,
        human_steps=spent.human_steps,
        interventions=spent.interventions,
        successes=sum(row.success for row in trials),
        trials=len(trials),
    )
