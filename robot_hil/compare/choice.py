"""Which method to use: each one's success by who helps, over all tasks, and which of them the seeds tell apart."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from robot_hil.compare.plan import Plan, Way
from robot_hil.compare.rows import Seeds, family, human_budget
from robot_hil.compare.statistics import Counted, gap_interval
from robot_hil.methods import registry

Row = dict[str, Any]
Finals = Sequence[Sequence[Counted]]
"""For each seed (successes, trials) on every task."""


def choices(plan: Plan, found: Sequence[Seeds]) -> list[Row]:
    """Return a row for each published method that has every task, person and seed of `plan`, best first.

    `by_person` is the mean final success over tasks and seeds; `level_with_best` names the persons with whom the best
    method is not ahead by the 95 % interval of the difference. `from_log` is None where nothing was learnt from a log.
    One method alone leaves no choice, and no rows.
    """
    online, logged = _by_method(plan, found, "online"), _by_method(plan, found, "log")
    if len(online) < 2:
        return []
    finals = {method: _final(plan, cells) for method, cells in online.items()}
    success = {method: {person: _mean(each) for person, each in of.items()} for method, of in finals.items()}
    best = {person: finals[max(finals, key=lambda method: success[method][person])][person] for person in plan.persons}
    rows = [
        {
            "method": method,
            "family": family(method),
            "needs": list(registry.get(method).needs),
            "tasks": list(plan.tasks),
            "seeds": list(plan.seeds),
            "success": fmean(success[method].values()),
            "by_person": success[method],
            "level_with_best": [
                person for person in plan.persons if gap_interval(best[person], finals[method][person])[0] <= 0
            ],
            "area": fmean(m.area(human_budget(plan.tasks[one.task])) for one in cells for m in one.measures()),
            "human_steps": fmean(m.final.human_steps for one in cells for m in one.measures()),
            "from_log": fmean(m.final.success for one in logged[method] for m in one.measures())
            if method in logged
            else None,
        }
        for method, cells in online.items()
    ]
    return sorted(rows, key=lambda row: -row["success"])


def advised(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Say with each person, and from a log, which method is best and which are not told apart from it."""
    said = []
    for person in rows[0]["by_person"]:
        order = sorted(rows, key=lambda row: -row["by_person"][person])
        level = [row["method"] for row in order[1:] if person in row["level_with_best"]]
        others = f"; not told apart by these seeds: {_names(level)}" if level else ""
        said.append(f"With `{person}`: `{order[0]['method']}` ({order[0]['by_person'][person]:.2f}){others}.")
    logged = sorted((row for row in rows if row["from_log"] is not None), key=lambda row: -row["from_log"])
    if logged:
        first = ", ".join(f"`{row['method']}` ({row['from_log']:.2f})" for row in logged[:3])
        said.append(f"From a log that is there already, whoever helped: {first}.")
    return said


def _by_method(plan: Plan, found: Sequence[Seeds], way: Way) -> dict[str, list[Seeds]]:
    """Return the results of each published method that has all of them."""
    kept: dict[str, list[Seeds]] = {}
    for entry in plan.entries:
        cells = [one for one in found if (one.entry, one.way) == (entry, way)]
        whole = len(cells) == len(plan.tasks) * len(plan.persons)
        if family(entry) and whole and all(len(one.results) == len(plan.seeds) for one in cells):
            kept[entry] = cells
    return kept


def _final(plan: Plan, cells: Sequence[Seeds]) -> dict[str, Finals]:
    """Return the last evaluations of a method by person."""
    finals: dict[str, Finals] = {}
    for person in plan.persons:
        tasks = [[(m.final.successes, m.final.trials) for m in one.measures()] for one in cells if one.person == person]
        finals[person] = list(zip(*tasks, strict=True))
    return finals


def _mean(finals: Finals) -> float:
    return fmean(good / tried for of_seed in finals for good, tried in of_seed)


def _names(methods: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in methods)
