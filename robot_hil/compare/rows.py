"""Results of a comparison as rows, one for each entry, person, task and way: what is stored, and what tables show."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

from robot_hil.compare.measures import Cost, Measures
from robot_hil.compare.plan import WAYS, Cell, Plan, Way
from robot_hil.compare.statistics import success_interval
from robot_hil.compare.store import Store
from robot_hil.errors import UnknownNameError
from robot_hil.methods import registry
from robot_hil.report import machine
from robot_hil.report.machine import read_results
from robot_hil.report.metrics import plain, write_json

LEVEL = 0.8
"""Success whose cost is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seeds:
    """The results of one entry with one person on one task, in the order of the seeds."""

    task: str
    person: str
    entry: str
    way: Way
    results: tuple[tuple[int, Measures], ...]
    """(seed, what it came to)."""
    failures: tuple[tuple[int, str], ...] = ()
    """(seed, why)."""
    missing: tuple[int, ...] = ()
    """Seeds that are not over."""
    origins: tuple[dict[str, str], ...] = ()
    """Where the results were measured: different `machine`, `date`, `commit`."""

    def measures(self) -> list[Measures]:
        """Return what the seeds came to."""
        return [measures for _, measures in self.results]


def collect(plan: Plan, cells: Sequence[Cell], store: Store) -> list[Seeds]:
    """Return the results of `cells`, entry by entry, in the plan's order."""
    groups: dict[tuple[str, str, str, Way], list[Cell]] = {}
    for cell in cells:
        groups.setdefault((cell.task, cell.person, cell.entry, cell.way), []).append(cell)
    order = product(plan.tasks, plan.persons, plan.entries, WAYS)
    return [_seeds(groups[key], store) for key in order if key in groups]


def _seeds(group: Sequence[Cell], store: Store) -> Seeds:
    results, failures, missing = [], [], []
    origins: list[dict[str, str]] = []
    for cell in group:
        measures, why = store.measures(cell), store.failure(cell)
        if measures is not None:
            results.append((cell.seed, measures))
            if (origin := store.origin(cell)) not in origins:
                origins.append(origin)
        elif why:
            failures.append((cell.seed, why))
        else:
            missing.append(cell.seed)
    one = group[0]
    return Seeds(
        task=one.task, person=one.person, entry=one.entry, way=one.way,
        results=tuple(results), failures=tuple(failures), missing=tuple(missing), origins=tuple(origins),
    )  # fmt: skip


def family(entry: str) -> str:
    """Return `imitation` or `reinforcement` of a published method; empty for anything else that is compared."""
    try:
        return registry.get(entry).family
    except UnknownNameError:
        return ""


def typical(costs: Sequence[Cost | None], what: str) -> float | None:
    """Return the median over seeds of what was spent; None where half of them or more never got there."""
    values = [float("inf") if cost is None else float(getattr(cost, what)) for cost in costs]
    middle = median(values) if values else float("inf")
    return None if middle == float("inf") else middle


def human_budget(steps: int) -> int:
    """Return the human steps over which the area under the human-cost curve is taken: half of the online steps."""
    return max(1, steps // 2)


def row_of(plan: Plan, seeds: Seeds) -> dict[str, Any]:
    """Return one row; a value is None where no seed has one. Costs are medians over seeds, others means."""
    every = seeds.measures()
    finals = [measures.final for measures in every]
    to_level, first = [m.until(LEVEL) for m in every], [m.first_alone for m in every]
    cycles = [m.cycle_steps for m in every if m.cycle_steps is not None]
    online = seeds.way == "online"
    area = [m.area(human_budget(plan.tasks[seeds.task])) for m in every] if online else []
    row: dict[str, Any] = plain(
        {
            "plan": plan.name, "task": seeds.task, "person": seeds.person, "method": seeds.entry,
            "family": family(seeds.entry), "way": seeds.way,
            "steps": plan.tasks[seeds.task] if online else plan.rounds,
            "seeds": [seed for seed, _ in seeds.results],
            "failures": [f"seed {seed}: {why}" for seed, why in seeds.failures],
            "missing": list(seeds.missing),
            "success": _mean([point.success for point in finals]),
            "success_ci95": success_interval([p.successes for p in finals], [p.trials for p in finals])
            if finals else None,
            "reached": sum(cost is not None for cost in to_level),
            "human_steps_to_80": typical(to_level, "human_steps"),
            "interventions_to_80": typical(to_level, "interventions"),
            "env_steps_to_80": typical(to_level, "env_steps"),
            "human_steps_to_first": typical(first, "human_steps"),
            "interventions_to_first": typical(first, "interventions"),
            "cycle_steps": _mean(cycles),
            "area": _mean(area),
            "human_steps": _mean([float(point.human_steps) for point in finals]),
            "demo_steps": _mean([float(m.demo_steps) for m in every]),
            "wall_s": _mean([m.wall_s for m in every]),
            "cpu_s": _mean([m.cpu_s for m in every]),
            "origins": list(seeds.origins),
        }
    )  # fmt: skip
    return row


def effort_of(plan: Plan, found: Sequence[Seeds], processes: int, planned: int) -> dict[str, Any]:
    """Return one row about the comparison as a whole: what was run, of how many seeds, and what it took."""
    every = [measures for seeds in found for measures in seeds.measures()]
    return {
        "plan": plan.name,
        "cells": len(every),
        "failures": sum(len(seeds.failures) for seeds in found),
        "missing": sum(len(seeds.missing) for seeds in found),
        "seeds": sorted({seed for seeds in found for seed, _ in seeds.results}),
        "planned_seeds": planned,
        "processes": processes,
        "cpu_s": sum(measures.cpu_s for measures in every),
    }


def write_rows(path: Path, name: str, rows: Sequence[dict[str, Any]]) -> None:
    """Write the rows of comparison `name` in place of its former ones; others stay.

    `machine`, `date` and `commit` are those of this computation; `origins` in a row are those of the trainings.
    """
    here = machine.origin()
    others = [row for row in read_results(path) if row.get("plan") != name]
    write_json(path, [*others, *({**row, **here} for row in rows)])


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
