"""A worker of a comparison: every cell once, failures apart, and a stop that costs nothing."""

from dataclasses import replace
from pathlib import Path

import pytest

from robot_hil.cli import options
from robot_hil.cli.compare_work import Agents, work
from robot_hil.cli.runfolder import RunFolder
from robot_hil.cli.signals import StopRequest
from robot_hil.compare.measures import Measures
from robot_hil.compare.plan import Cell, Plan
from robot_hil.compare.store import RESULT_FILE, Store
from robot_hil.experiments.base import Experiment
from robot_hil.replay.step_log import StepLog

TINY = Plan(
    name="tiny",
    purpose="for tests",
    entries={"anchored": ("--method", "anchored"), "bc": ("--method", "bc")},
    persons=("competent",),
    tasks={"peg_slot": 300},
    seeds=(100,),
    options=(
        "--backend", "torch", "--agent.hidden", "8", "--learner.batch-size", "8", "--learner.clone-updates", "2",
        "--learner.start-after", "40", "--learner.rounds-per-step", "0.1", "--demos", "2",
    ),
    points=2,
    trials=1,
    final_trials=2,
    rounds=3,
    log_by="anchored",
)  # fmt: skip


class StopAfter(StopRequest):
    """Asks for a stop when it has been looked at so many times."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self._looks = looks

    def __bool__(self) -> bool:
        self._looks -= 1
        if self._looks == 0:
            self._request()
        return self.requested


def begun(plan: Plan, folder: Path) -> Store:
    store = Store(folder)
    store.begin(plan)
    return store


def outcome(measures: Measures | None) -> Measures:
    """Return what must repeat: all but the time it took."""
    assert measures is not None
    assert measures.cpu_s > 0
    return replace(measures, wall_s=0.0, cpu_s=0.0)


def cell_of(plan: Plan, entry: str, way: str) -> Cell:
    return next(cell for cell in plan.cells() if (cell.entry, cell.way) == (entry, way))


def test_every_cell_is_run_once_and_one_log_teaches_all(tmp_path: Path) -> None:
    store, told = begun(TINY, tmp_path), []
    work(TINY, TINY.cells(), store, StopRequest(), told.append)
    work(TINY, TINY.cells(), store, StopRequest(), told.append)
    assert told == TINY.cells()
    assert [store.failure(cell) for cell in TINY.cells()] == [""] * 4
    online, logged = (store.measures(cell_of(TINY, "bc", way)) for way in ("online", "log"))
    assert online is not None
    assert [point.trials for point in online.points] == [1, 1, 2]
    assert online.final.env_steps >= 300
    assert online.demo_steps > 0
    assert logged is not None
    assert [(point.env_steps, point.trials) for point in logged.points] == [(0, 2)]
    for way in ("online", "log"):
        assert (store.folder(cell_of(TINY, "bc", way)) / "steps").exists() == (way == "online")
    with StepLog(RunFolder(store.folder(cell_of(TINY, "anchored", "online"))).steps) as log:
        assert log.info().steps >= 300


@pytest.mark.parametrize("looks", [3, 9, 15])
def test_a_stopped_cell_is_gone_on_with_as_if_nothing_had_been(looks: int, tmp_path: Path) -> None:
    plan = replace(TINY, rounds=0)
    cells = [cell_of(plan, "anchored", "online")]
    whole, parts = begun(plan, tmp_path / "whole"), begun(plan, tmp_path / "parts")
    work(plan, cells, whole, StopRequest())
    work(plan, cells, parts, StopAfter(looks))
    assert not parts.is_over(cells[0])
    assert parts.folder(cells[0]).is_dir()
    work(plan, cells, parts, StopRequest())
    assert outcome(parts.measures(cells[0])) == outcome(whole.measures(cells[0]))


def test_a_cell_that_fails_is_noted_and_the_others_go_on(tmp_path: Path) -> None:
    entries = {"broken": ("--no-such-option",), **TINY.entries}
    plan = replace(TINY, entries=entries, log_by="broken", tasks={"peg_slot": 60}, points=1)
    store = begun(plan, tmp_path)
    cells = [cell_of(plan, "broken", "online"), cell_of(plan, "bc", "online"), cell_of(plan, "bc", "log")]
    work(plan, cells, store, StopRequest())
    assert "options are refused" in store.failure(cells[0])
    assert "--no-such-option" in store.failure(cells[0])
    assert store.measures(cells[1]) is not None
    assert f"there is no log to learn from: {cells[0].name} failed" in store.failure(cells[2])


def test_a_run_folder_of_another_making_fails_and_is_left_alone(tmp_path: Path) -> None:
    store, cell = begun(TINY, tmp_path), cell_of(TINY, "bc", "online")
    store.folder(cell).mkdir()
    (store.folder(cell) / "mine").write_text("precious")
    work(TINY, [cell], store, StopRequest())
    assert "is not empty" in store.failure(cell)
    assert (store.folder(cell) / "mine").read_text() == "precious"
    assert not (store.folder(cell) / RESULT_FILE).exists()


def test_a_cell_that_another_worker_is_at_is_passed_over_until_it_lets_go(tmp_path: Path) -> None:
    plan = replace(TINY, tasks={"peg_slot": 60}, points=1, rounds=0)
    store, told = begun(plan, tmp_path), []
    taken, free = plan.cells()
    other = RunFolder(tmp_path / "locks")
    other.path.mkdir()
    other.lock(taken.name)

    def begins(cell: Cell) -> None:
        told.append(cell)
        other.unlock()

    work(plan, [taken, free], store, StopRequest(), begins)
    assert told == [free, taken]


def test_an_agent_is_made_once_for_its_numbers_and_task() -> None:
    agents, first = Agents(), parsed("peg_slot")
    assert agents.of(first) is agents.of(replace(parsed("peg_slot"), eval_episodes=3))
    assert agents.of(first) is not agents.of(parsed("reach_pillar"))
    assert agents.of(first) is not agents.of(parsed("peg_slot", "--agent.anchor", "0"))


def parsed(task: str, *more: str) -> Experiment:
    return options.parse("train", options.Train, [task, *TINY.options, *more]).experiment
