"""Finished cells in one file: what one machine has measured joins what another has, and tables are made of both."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from robot_hil.compare.measures import parse
from robot_hil.compare.plan import Cell, Plan
from robot_hil.compare.store import Store, refuse_another_plan
from robot_hil.errors import StorageError
from robot_hil.report.metrics import plain, write_text

FILE = "cells.json"
_ORIGIN = ("machine", "date", "commit")


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


def take(path: Path, plan: Plan, store: Store) -> tuple[int, int]:
    """Keep the results of the file at `path` in `store`; return how many, and how many were left out.

    Left out is what is over here already, what the plan does not have, and a training whose log others still have to
    learn from: a file has no logs. Raises `StorageError` for a file that `give` did not write, `ConfigError` for one of
    another plan; then nothing is taken.
    """
    content = _read(path)
    refuse_another_plan(content["plan"], plan, str(path))
    rows = {row["cell"]: row for row in content["cells"]}
    results = {name: parse(row) for name, row in rows.items()}
    cells = plan.cells()
    to_learn = [cell for cell in cells if cell.name not in rows and not store.is_over(cell)]
    recorders = {plan.recorder(cell) for cell in to_learn}
    taken = [cell for cell in cells if cell.name in rows and cell not in recorders and not store.is_over(cell)]
    for cell in taken:
        store.finish(cell, results[cell.name], {name: str(rows[cell.name].get(name, "")) for name in _ORIGIN})
    return len(taken), len(rows) - len(taken)


def _read(path: Path) -> dict[str, Any]:
    try:
        content: Any = json.loads(path.read_text())
        known = isinstance(content["plan"], dict) and all(isinstance(row["cell"], str) for row in content["cells"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StorageError(f"{path} cannot be read as cells of a comparison: {error!r}. Give a {FILE}.") from error
    if not known:
        raise StorageError(f"{path} holds no cells of a comparison. Give the {FILE} of a comparison's folder.")
    return dict(content)
