"""The folder of a comparison: a run folder for each cell, its result in it, and why cells failed."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from robot_hil.compare.measures import Measures, parse
from robot_hil.compare.plan import Cell, Plan
from robot_hil.data.fingerprint import differences
from robot_hil.errors import ConfigError, StorageError
from robot_hil.report import machine
from robot_hil.report.metrics import plain, write_json

PLAN_FILE = "plan.json"
RESULT_FILE = "measures.json"
SPENT_FILE = "spent.json"
PROCESSES_FILE = "processes.json"
_DECIDES = ("name", "options", "points", "trials", "final_trials", "rounds", "log_by")
"""What every cell depends on."""


class Store:
    """Files of one comparison; making the object touches nothing."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def begin(self, plan: Plan) -> None:
        """Make the folder, or take the one there; refuses one whose cells were made in another way.

        What is new in a plan, e.g. a method, joins what was done before.
        """
        path = self.root / PLAN_FILE
        known = _read(path)
        if known is not None:
            refuse_another_plan(known, plan, str(self.root), "\nChoose another --out, or remove the folder.")
        write_json(path, plan)

    def folder(self, cell: Cell) -> Path:
        """Return the run folder of `cell`."""
        return self.root / cell.name

    def is_over(self, cell: Cell) -> bool:
        """Whether `cell` has a result or has failed."""
        return (self.folder(cell) / RESULT_FILE).exists() or self._failure(cell).exists()

    def finish(self, cell: Cell, measures: Measures, origin: Mapping[str, str] | None = None) -> None:
        """Keep the result of `cell`, and where it was measured; without `origin` here, now and by this program."""
        write_json(self.folder(cell) / RESULT_FILE, plain(measures) | dict(origin or machine.origin()))

    def spend(self, cell: Cell, cpu_s: float) -> float:
        """Add processor time [s] to what `cell` has taken; return the sum."""
        path = self.folder(cell) / SPENT_FILE
        total = cpu_s + float((_read(path) or {}).get("cpu_s", 0.0))
        write_json(path, {"cpu_s": total})
        return total

    @property
    def processes(self) -> int:
        """Processes that were at work at once in the last call; 0 where none ever was."""
        return int((_read(self.root / PROCESSES_FILE) or {}).get("processes", 0))

    def note_processes(self, count: int) -> None:
        """Keep how many processes are at work."""
        write_json(self.root / PROCESSES_FILE, {"processes": count})

    def fail(self, cell: Cell, why: str) -> None:
        """Note that `cell` failed, so that nobody tries again before `forget_failures`."""
        write_json(self._failure(cell), {"why": why})

    def measures(self, cell: Cell) -> Measures | None:
        """Return the result of `cell`, None while there is none."""
        content = _read(self.folder(cell) / RESULT_FILE)
        return None if content is None else parse(content)

    def origin(self, cell: Cell) -> dict[str, str]:
        """Return `machine`, `date` and `commit` of the result of `cell`; empty strings where nobody noted them."""
        return machine.origin_in(_read(self.folder(cell) / RESULT_FILE) or {})

    def failure(self, cell: Cell) -> str:
        """Return why `cell` failed; empty where it has not."""
        content = _read(self._failure(cell))
        return "" if content is None else str(content.get("why", ""))

    def forget_failures(self, cells: Iterable[Cell]) -> None:
        """Let cells that failed be tried again."""
        for cell in cells:
            self._failure(cell).unlink(missing_ok=True)

    def _failure(self, cell: Cell) -> Path:
        return self.root / "failures" / f"{cell.name}.json"


def refuse_another_plan(known: Mapping[str, Any], plan: Plan, where: str, advice: str = "") -> None:
    """Raise `ConfigError` where cells of `plan` would be others by `known`, the stored plan of `where`."""
    ours = plain(plan)
    lines = differences(_made_by(known, ours), _made_by(ours, known), "there", "this program")
    if lines:
        raise ConfigError(f"{where} was made by another plan:\n  " + "\n  ".join(lines) + advice)


def _made_by(content: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a stored plan decides over the cells that it shares with `other`."""
    shared: dict[str, Any] = {name: content.get(name) for name in _DECIDES}
    for name in ("entries", "tasks"):
        known = content.get(name, {})
        shared[name] = {key: value for key, value in known.items() if key in other.get(name, {})}
    shared["task_options"] = {task: content.get("task_options", {}).get(task, []) for task in shared["tasks"]}
    return shared


def _read(path: Path) -> dict[str, Any] | None:
    try:
        content: Any = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise StorageError(f"{path} cannot be read: {error}. Remove it.") from error
    if not isinstance(content, dict):
        raise StorageError(f"{path} holds a {type(content).__name__}, not what was written. Remove it.")
    return content
