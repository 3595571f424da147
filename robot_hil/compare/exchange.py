"""Finished cells in one file: what one machine has measured joins what another has, and tables are made of both."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from robot_hil.compare.measures import Measures, parse
from robot_hil.compare.plan import Cell, Plan
from robot_hil.compare.store import Store, refuse_another_plan
from robot_hil.errors import StorageError
from robot_hil.report.machine import origin_in
from robot_hil.report.metrics import plain, write_text

FILE = "cells.json"

Results = dict[str, tuple[Measures, dict[str, str]]]
"""Name of a cell -> what it came to, and where it was measured."""


def give(path: Path, plan: Plan, cells: Sequence[Cell], store: Store) -> None:
    """Write the results of `cells` and the plan they belong to; what failed or is not over stays out.

    One cell on a line, so that versions of the file can be compared.
    """
    rows = [
        {"cell": cell.name, **store.origin(cell), **plain(found)}
        for cell in cells
        if (found := store.measures(cell)) is not None
    ]
    lines = ",\n".join(json.dumps(row, allow_nan=False) for row in rows)
    write_text(path, f'{{"plan": {json.dumps(plain(plan))}, "cells": [\n{lines}\n]}}\n')


def read(path: Path, plan: Plan) -> Results:
    """Return what `give` wrote at `path`.

    Raises `StorageError` for any other file, `ConfigError` for one whose cells were made by another plan.
    """
    try:
        content: Any = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise StorageError(f"{path} cannot be read: {error}. Give the {FILE} of a comparison's folder.") from error
    try:
        known, rows = dict(content["plan"]), {str(row["cell"]): dict(row) for row in content["cells"]}
    except (KeyError, TypeError, ValueError) as error:
        raise StorageError(
            f"{path} holds no cells of a comparison. Give the {FILE} of a comparison's folder."
        ) from error
    refuse_another_plan(known, plan, str(path))
    return {name: (parse(row), origin_in(row)) for name, row in rows.items()}


def take(results: Results, plan: Plan, chosen: Sequence[Cell], store: Store) -> int:
    """Keep those `results` that are of `chosen` cells of `plan` in `store`; return how many.

    Left out is what is over here already, what was not chosen, and a training whose log others still have to
    learn from: a file has no logs.
    """
    to_learn = [cell for cell in plan.cells() if cell.name not in results and not store.is_over(cell)]
    recorders = {plan.recorder(cell) for cell in to_learn}
    taken = [cell for cell in chosen if cell.name in results and cell not in recorders and not store.is_over(cell)]
    for cell in taken:
        store.finish(cell, *results[cell.name])
    return len(taken)
