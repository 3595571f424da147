"""Writes what a comparison came to: rows, tables of a page, pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from robot_hil.compare import claims, exchange, pictures, verdicts
from robot_hil.compare.choice import choices
from robot_hil.compare.crossover import crossover
from robot_hil.compare.plan import Plan
from robot_hil.compare.rows import Seeds, collect, effort_of, row_of, write_rows
from robot_hil.compare.store import Store
from robot_hil.compare.table import tables
from robot_hil.compare.terms import plot_terms
from robot_hil.report.benchmarks import BEGIN, fill_in
from robot_hil.report.machine import read_results

RESULTS, PAGE, IMAGES = Path("benchmarks/results/compare.json"), Path("docs/methods.md"), Path("docs/images")
"""Where a checkout keeps what was measured on test seeds, below its root."""
CELLS = Path("benchmarks/results/compare")
"""Where it keeps the trainings that these rows are made of: <plan>.json."""
MARK = "compare "
"""A table of a page is called that and the plan."""
_TEXTS = {
    "effort": verdicts.effort_text,
    "choice": verdicts.choice_text,
    "crossover": verdicts.crossover_text,
    "baseline": verdicts.baseline_text,
    "degradation": verdicts.degradation_text,
    "ablation": verdicts.ablation_text,
}


def rows_of(plan: Plan, found: Sequence[Seeds], processes: int, planned: int) -> list[dict[str, Any]]:
    """Return all rows of a comparison: `kind` is `effort` (one), `cells`, or the claim that they are about."""
    rows = [{"kind": "effort", **effort_of(plan, found, processes, planned)}]
    rows += [{"kind": "cells", **row_of(plan, seeds)} for seeds in found]
    entries = list(plan.entries)
    made: dict[str, list[dict[str, Any]]] = {"choice": choices(plan, found), "crossover": crossover(plan, found)}
    if entries == ["default", "hil_serl"]:
        made["baseline"] = claims.against_baseline(found, *entries)
        made["degradation"] = [
            row for entry in entries for row in claims.degradation(found, entry, plan.persons[0], plan.persons[-1])
        ]
    elif entries[0] == "default":
        made["ablation"] = claims.ablations(found, "default")
    return rows + [{"kind": kind, "plan": plan.name, **row} for kind, some in made.items() for row in some]


def text_of(rows: Sequence[Mapping[str, Any]], images: str = "") -> str:
    """Return what a page shows of one comparison's rows; its pictures lie in the folder `images` beside it."""
    by_kind: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        by_kind.setdefault(row["kind"], []).append(row)
    claimed = [write(by_kind[kind]) for kind, write in _TEXTS.items() if kind in by_kind]
    cells = by_kind.get("cells", [])
    if "ablation" in by_kind:
        shown = [f"![what each term gains]({images}{_picture(by_kind['ablation'][0]['plan'], 'terms')})"]
    else:
        named = dict.fromkeys((row["plan"], row["task"]) for row in cells if row["way"] == "online" and row["seeds"])
        shown = [f"![{task}: success against human steps]({images}{_picture(plan, task)})" for plan, task in named]
    shown += [f"![crossover]({images}{_picture(row['plan'], 'crossover')})" for row in by_kind.get("crossover", [])[:1]]
    return "\n\n".join(filter(None, [*claimed, *shown, tables(cells)]))


def update_page(path: Path, results: Path) -> None:
    """Write the table of every comparison that the page at `path` has a place for anew, from `results`."""
    page = path.read_text()
    begin = BEGIN.partition("{}")[0] + MARK
    names = [part.partition(" -->")[0] for part in page.split(begin)[1:]]
    rows = read_results(results)
    images = f"{IMAGES.name}/"
    texts = {f"{MARK}{name}": text_of([row for row in rows if row["plan"] == name], images) for name in names}
    path.write_text(fill_in(page, texts))


def publish(plan: Plan, store: Store, checkout: Path | None) -> tuple[list[Path], str]:
    """Write rows, text, pictures and finished cells into the comparison's folder; return the files and why no more.

    Seeds of which everything is over go into `checkout`, too, if that is one: a part of a seed would compare unequals,
    and what is tuned on proves nothing. Fewer seeds than stand there do not take their place; the reason is returned,
    as it is where there is nothing to publish; it is empty otherwise.
    """
    found = collect(plan, plan.cells(), store)
    rows = rows_of(plan, found, store.processes, len(plan.seeds))
    written = [store.root / "compare.json", store.root / "compare.md", store.root / exchange.FILE]
    write_rows(written[0], plan.name, rows)
    written[1].write_text(text_of(read_results(written[0])) + "\n")
    exchange.give(written[2], plan, plan.cells(), store)
    written += _draw(plan, found, rows, store.root)
    if checkout is None or not _has_place(checkout, plan):
        return written, ""
    complete = tuple(seed for seed in plan.seeds if all(store.is_over(cell) for cell in plan.cells_of(seed)))
    lost = [seed for seed in _published(checkout, plan) if seed not in complete]
    if not complete or lost:
        return written, _why_not(complete, lost, CELLS / f"{plan.name}.json")
    return written + _publish(replace(plan, seeds=complete), store, checkout, len(plan.seeds)), ""


def _publish(plan: Plan, store: Store, checkout: Path, planned: int) -> list[Path]:
    found = collect(plan, plan.cells(), store)
    rows = rows_of(plan, found, store.processes, planned)
    write_rows(checkout / RESULTS, plan.name, rows)
    update_page(checkout / PAGE, checkout / RESULTS)
    cells = checkout / CELLS / f"{plan.name}.json"
    exchange.give(cells, plan, plan.cells(), store)
    return [checkout / RESULTS, checkout / PAGE, cells, *_draw(plan, found, rows, checkout / IMAGES)]


def _published(checkout: Path, plan: Plan) -> list[int]:
    """Return the seeds whose results stand in `checkout`."""
    rows = read_results(checkout / RESULTS)
    return [seed for row in rows if (row["plan"], row["kind"]) == (plan.name, "effort") for seed in row["seeds"]]


def _why_not(complete: Sequence[int], lost: Sequence[int], cells: Path) -> str:
    if not complete:
        return "not published: no seed is complete"
    return (
        f"not published: seeds {', '.join(map(str, complete))} are complete, but of those published "
        f"{', '.join(map(str, lost))} would be lost; --take {cells} adds them"
    )


def _has_place(checkout: Path, plan: Plan) -> bool:
    page = checkout / PAGE
    return plan.published and page.exists() and BEGIN.format(MARK + plan.name) in page.read_text()


def _picture(plan: str, what: str) -> str:
    return f"compare_{plan}_{what}.png"


def _draw(plan: Plan, found: Sequence[Seeds], rows: Sequence[Mapping[str, Any]], folder: Path) -> list[Path]:
    terms = [row for row in rows if row["kind"] == "ablation"]
    if terms:  # so many lines cannot be told apart in a picture of curves
        path = folder / _picture(plan.name, "terms")
        plot_terms(path, terms, f"Terms of the default ({plan.name})")
        return [path]
    paths = []
    for task in plan.tasks:
        if any(one.task == task and one.way == "online" and one.results for one in found):
            paths.append(folder / _picture(plan.name, task))
            pictures.plot_costs(paths[-1], found, task, f"{task} ({plan.name})")
    crossing = [row for row in rows if row["kind"] == "crossover"]
    if crossing:
        paths.append(folder / _picture(plan.name, "crossover"))
        pictures.plot_crossover(paths[-1], crossing, found, f"Imitation and RL, by person ({plan.name})")
    return paths
