"""`robot-hil compare`: every method with every person on every task; table, results and pictures."""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from robot_hil.cli.children import Child
from robot_hil.cli.help import UsageError
from robot_hil.cli.signals import PARENT_VARIABLE, StopRequest
from robot_hil.compare import exchange, plans
from robot_hil.compare.plan import WAYS, Cell, Plan, Selection, Way, for_tuning, quick
from robot_hil.compare.publish import publish
from robot_hil.compare.store import Store
from robot_hil.errors import RobotHilError

_LOOK_S = 1.0
_GRACE_S = 120.0
"""A worker that is asked to stop ends its episode or its round, and saves."""
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false"}
_KEEP_ALL = {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0", "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1"}
"""What jax compiles is kept for the next cell, which else would wait for seconds until it learns."""
ROOT = Path("runs/compare")
_AWAKE, _BEGINS = "worker awake", "cell "
"""What a worker says at its start, and before each cell."""


class WorkerFailedError(RobotHilError):
    """A worker cannot even begin."""


def compare(argv: Sequence[str]) -> int:
    """Run a comparison, or go on with it; return the exit code: 130 when stopped, 1 when cells failed.

    Seeds that are complete are published in the checkout where this is called.
    """
    asked = _parser().parse_args(list(argv))
    if asked.processes < 1:
        raise UsageError(f"--processes is {asked.processes}; give at least 1.")
    plan = plans.get("smoke" if asked.smoke else asked.claim)
    plan = for_tuning(plan) if asked.tuning else plan
    plan = quick(plan) if asked.quick else plan
    cells = _selection(asked).of(plan)
    store = Store(asked.out or ROOT / plan.name)
    if asked.worker is not None:
        return _worker(plan, cells, store)
    found = {path: exchange.read(path, plan) for path in asked.take}
    store.begin(plan)
    for path, results in found.items():
        taken = exchange.take(results, plan, cells, store)
        print(f"taken from {path}: {taken} cells, left out {len(results) - taken}")
    stopped = False
    if not asked.table:
        store.forget_failures(cells)
        store.note_processes(asked.processes)
        minutes = plan.minutes if asked.minutes is None else asked.minutes
        stopped = Comparison(plan, cells, store, list(argv), asked.processes, minutes).run()
    written, why_no_more = publish(plan, store, Path.cwd())
    for path in written:
        print(f"written: {path}")
    if why_no_more:
        print(why_no_more)
    code = _say_what_is_wanting(cells, store)
    return 130 if stopped else code


def _say_what_is_wanting(cells: Sequence[Cell], store: Store) -> int:
    """Print what failed and how much is left; return 1 where something failed, else 0."""
    failed = [cell for cell in cells if store.failure(cell)]
    for cell in failed:
        print(f"failed: {cell.name}: {store.failure(cell).splitlines()[0]}", file=sys.stderr)
    left = sum(not store.is_over(cell) for cell in cells)
    if left:
        print(f"{left} of {len(cells)} cells are left. Go on with the same command.")
    return 1 if failed else 0


@dataclass
class Comparison:
    """Worker processes at the cells of a plan, watched until all is over, the time is, or a stop is asked for."""

    plan: Plan
    cells: Sequence[Cell]
    store: Store
    argv: list[str]
    """This command's options, which the workers are given."""
    processes: int
    minutes: float
    """Time after which the workers are stopped; 0 for none."""
    _workers: dict[int, Child] = field(default_factory=dict)

    def run(self) -> bool:
        """Work; return whether a stop was asked for. What was begun is saved in any case."""
        stop, begin = StopRequest(), time.monotonic()
        with _Bar(self.plan, self.cells, self.store) as bar:
            try:
                for number in range(min(self.processes, self._left())):
                    self._start(number)
                while not stop and self._left() and self._workers:
                    if self.minutes and time.monotonic() - begin > 60 * self.minutes:
                        bar.say(f"{self.minutes:g} minutes are over; what is under way is saved")
                        break
                    self._look_after_workers()
                    bar.show()
                    time.sleep(_LOOK_S)
            finally:
                self._end()
                bar.show()
        return bool(stop)

    def _left(self) -> int:
        return sum(not self.store.is_over(cell) for cell in self.cells)

    def _start(self, number: int) -> None:
        compiled = {"JAX_COMPILATION_CACHE_DIR": str((self.store.root / "compiled").resolve())}
        env = {**_ONE_THREAD, **_KEEP_ALL, **compiled, PARENT_VARIABLE: str(os.getpid()), "PYTHONUNBUFFERED": "1"}
        log = self.store.root / f"worker-{number}.log"
        self._workers[number] = Child("worker", ["compare", *self.argv, "--worker", str(number)], log, env)
        self._workers[number].start()

    def _look_after_workers(self) -> None:
        """Replace a worker that was killed or crashed; the cell that it was at counts as failed."""
        for number, worker in list(self._workers.items()):
            code = worker.code()
            if code is None:
                continue
            del self._workers[number]
            if not code:
                continue
            cell = self._cell_of(worker)
            if cell is None:
                raise WorkerFailedError(f"a worker ended with exit code {code}:\n{worker.last_words()}")
            self.store.fail(cell, f"its process ended with exit code {code}; see {worker.log}")
            self._start(number)

    def _cell_of(self, worker: Child) -> Cell | None:
        """Return the cell that a worker was at, by what it has said since its start; None if it is over."""
        said = worker.log.read_text(errors="replace").rpartition(_AWAKE)[2].splitlines()
        begun = [line for line in said if line.startswith(_BEGINS)]
        name = begun[-1].removeprefix(_BEGINS) if begun else ""
        return next((c for c in self.cells if c.name == name and not self.store.is_over(c)), None)

    def _end(self) -> None:
        """Ask all workers to save and end; wait for them."""
        for worker in self._workers.values():
            if worker.process is not None and worker.process.poll() is None:
                worker.process.terminate()
        for worker in self._workers.values():
            worker.wait(_GRACE_S)


def _worker(plan: Plan, cells: Sequence[Cell], store: Store) -> int:
    from robot_hil.cli.compare_work import work

    print(_AWAKE, flush=True)
    stop = StopRequest()
    work(plan, cells, store, stop, lambda cell: print(f"{_BEGINS}{cell.name}", flush=True))
    return 0


class _Bar:
    """Work done as a bar with the time that is left by it; without a terminal a line now and then."""

    def __init__(self, plan: Plan, cells: Sequence[Cell], store: Store) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        self._plan, self._cells, self._store = plan, cells, store
        self._progress = Progress(
            TextColumn(f"[bold]{plan.name}[/] {{task.description}}"),
            BarColumn(), TextColumn("{task.percentage:.0f} %"), TimeElapsedColumn(),
            TextColumn("left:"), TimeRemainingColumn(),
            speed_estimate_period=1800.0, refresh_per_second=2.0,
        )  # fmt: skip
        total = sum(plan.weight(cell) for cell in cells)
        self._task: Any = self._progress.add_task("", total=total)

    def __enter__(self) -> "_Bar":
        self.show()
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        self._progress.print(text)

    def show(self) -> None:
        """Count again."""
        over = [cell for cell in self._cells if self._store.is_over(cell)]
        done = sum(self._plan.weight(cell) for cell in over)
        text = f"{len(over)} of {len(self._cells)} cells"
        self._progress.update(self._task, completed=done, description=text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="robot-hil compare",
        description="Train every method with every simulated person on every task; write the table of docs/methods.md.",
        epilog="An interrupted comparison goes on with the same command; several processes, also on several machines "
        "that share the folder, may work at it at once.",
    )
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--smoke", action="store_true", help="all methods, small: within an hour on two cores")
    which.add_argument(
        "--claim", nargs="?", const="methods", choices=plans.CLAIMS, metavar="WHICH",
        help="at length: methods (all, unless named), default (against HIL-SERL) or ablation; hours",
    )  # fmt: skip
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="at once, one thread each")
    parser.add_argument("--minutes", type=float, help="stop after that time; 0 for never. --smoke: 57")
    parser.add_argument("--methods", nargs="+", default=[], metavar="NAME", help="only these; a log's recorder, too")
    parser.add_argument("--persons", nargs="+", default=[], metavar="PROFILE", help="only these")
    parser.add_argument("--tasks", nargs="+", default=[], metavar="EXPERIMENT", help="only these")
    parser.add_argument("--seeds", nargs="+", type=int, default=[], metavar="N", help="only these of the plan's")
    parser.add_argument("--ways", nargs="+", default=[], choices=WAYS, help="only online, or from the log only")
    parser.add_argument("--tuning", action="store_true", help="on tuning seeds, 100 and up; proves nothing")
    parser.add_argument("--quick", action="store_true", help="next to nothing of everything, to see that it works")
    parser.add_argument("--out", type=Path, help=f"folder of the comparison; default {ROOT}/<plan>")
    parser.add_argument(
        "--take", nargs="+", type=Path, default=[], metavar="FILE",
        help="finished cells of another machine, the cells.json of its folder, as far as the above choose them; "
        "they are not run again",
    )  # fmt: skip
    parser.add_argument("--table", action="store_true", help="train nothing; write what is there")
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    return parser


def _selection(asked: argparse.Namespace) -> Selection:
    return Selection(
        entries=tuple(asked.methods),
        persons=tuple(asked.persons),
        tasks=tuple(asked.tasks),
        seeds=tuple(asked.seeds),
        ways=cast("tuple[Way, ...]", tuple(asked.ways)),
    )
