"""What the special comparisons ask: the default against the baseline, and a term against its absence."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from robot_hil.compare.measures import Measures
from robot_hil.compare.rows import Seeds
from robot_hil.compare.statistics import mean_interval, ratio_interval
from robot_hil.report.metrics import plain

LEVEL = 0.9
"""Success whose cost is compared."""
HALF = 0.5
"""Largest share of the baseline's cost that the default may have ..."""
TASKS_OF_SIX = 4
"""... on so many tasks."""
DEGRADATION = 0.25
"""Largest loss of success with a bad person, as a share of that with a good one."""

ALL = "all"
"""In place of a task: the pairs of all tasks together."""

Row = dict[str, Any]
Gain = tuple[float, float]
"""Of one seed: success, area."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """Cost of one side divided by that of the other, over the seeds that both have."""

    value: float
    interval: tuple[float, float]
    censored: int
    """Seeds where the other side never got there: it counts with all its steps, so that the ratio is an upper bound."""


def cost(measures: Measures, what: str) -> tuple[float, bool]:
    """Return what was spent until `LEVEL` and whether it was reached; all that was spent where it never was."""
    until = measures.until(LEVEL)
    return float(getattr(measures.final if until is None else until, what)), until is not None


def ratio(ours: Seeds, theirs: Seeds, what: str) -> Ratio | None:
    """Return the ratio of `what` (env_steps, human_steps) spent until `LEVEL`; None where ours never got there."""
    other = dict(theirs.results)
    pairs = [(measures, other[seed]) for seed, measures in ours.results if seed in other]
    mine = [cost(one, what) for one, _ in pairs]
    if not pairs or not all(reached for _, reached in mine):
        return None
    its = [cost(two, what) for _, two in pairs]
    a, b = [value for value, _ in mine], [value for value, _ in its]
    total, base = sum(a), sum(b)
    value = 1.0 if total == base else total / base if base else float("inf")
    return Ratio(value=value, interval=ratio_interval(a, b), censored=sum(not reached for _, reached in its))


def against_baseline(found: Sequence[Seeds], ours: str, theirs: str) -> list[Row]:
    """Return for each task and person the ratios of env and human steps, and whether both are at most `HALF`."""
    rows = []
    for mine, other in _pairs(found, ours, theirs):
        ratios = {what: ratio(mine, other, what) for what in ("env_steps", "human_steps")}
        rows.append(
            {
                "task": mine.task,
                "person": mine.person,
                "success": _success(mine),
                "their_success": _success(other),
                **{what: None if found is None else plain(found) for what, found in ratios.items()},
                "reached": all(found is not None and found.value <= HALF for found in ratios.values()),
            }
        )
    return rows


def degradation(found: Sequence[Seeds], entry: str, good: str, bad: str) -> list[Row]:
    """Return for each task the share of the success with `good` that is lost with `bad`."""
    rows = []
    by_person = {(one.task, one.person): one for one in found if one.entry == entry and one.way == "online"}
    for (task, person), one in by_person.items():
        other = by_person.get((task, bad))
        best = _success(one)
        if person != good or other is None or not best:
            continue
        worse = _success(other)
        if worse is not None:
            lost = 1.0 - worse / best
            rows.append({"task": task, "entry": entry, "lost": lost, "reached": lost <= DEGRADATION})
    return rows


def ablations(found: Sequence[Seeds], whole: str) -> list[Row]:
    """Return for each entry but `whole` what the whole gains over it, by task and person: success and area, paired.

    A term earns its place where the interval of either gain lies above 0, and costs where one lies below. With several
    tasks, a last row of each entry and person (task `ALL`) takes the pairs of all of them together.
    """
    rows = []
    for entry in dict.fromkeys(one.entry for one in found if one.entry != whole):
        by_person: dict[str, list[list[Gain]]] = {}
        for mine, other in _pairs(found, whole, entry):
            if gains := _gains(mine, other):
                rows.append(_gained(mine.task, mine.person, entry, gains))
                by_person.setdefault(mine.person, []).append(gains)
        rows += [
            _gained(ALL, person, entry, [gain for gains in tasks for gain in gains])
            for person, tasks in by_person.items()
            if len(tasks) > 1
        ]
    return rows


def _gains(mine: Seeds, other: Seeds) -> list[Gain]:
    """Return for each seed that both have by how much success and area of `mine` are larger."""
    rest = dict(other.results)
    pairs = [(measures, rest[seed]) for seed, measures in mine.results if seed in rest]
    budget = max((m.final.human_steps for pair in pairs for m in pair), default=1) or 1
    return [(a.final.success - b.final.success, a.area(budget) - b.area(budget)) for a, b in pairs]


def _gained(task: str, person: str, entry: str, gains: Sequence[Gain]) -> Row:
    values = dict(zip(("success", "area"), zip(*gains, strict=True), strict=True))
    intervals = {name: mean_interval(found) for name, found in values.items()}
    better = any(low > 0 for low, _ in intervals.values())
    worse = any(high < 0 for _, high in intervals.values())
    return {
        "task": task,
        "person": person,
        "entry": entry,
        **{name: sum(found) / len(found) for name, found in values.items()},
        **{f"{name}_ci95": list(interval) for name, interval in intervals.items()},
        "verdict": "mixed" if better and worse else "earns" if better else "costs" if worse else "unclear",
    }


def _pairs(found: Sequence[Seeds], ours: str, theirs: str) -> list[tuple[Seeds, Seeds]]:
    online = {(one.task, one.person, one.entry): one for one in found if one.way == "online"}
    return [
        (one, online[task, person, theirs])
        for (task, person, entry), one in online.items()
        if entry == ours and (task, person, theirs) in online
    ]


def _success(seeds: Seeds) -> float | None:
    values = [measures.final.success for measures in seeds.measures()]
    return sum(values) / len(values) if values else None
