"""The folder of a comparison keeps results and failures, and refuses to mix what was made differently."""

from dataclasses import replace
from pathlib import Path

import pytest
from compare.results import PLAN, measures

from robot_hil.compare.store import PLAN_FILE, RESULT_FILE, Store
from robot_hil.errors import ConfigError, StorageError

CELL = PLAN.cells()[0]


def test_results_and_failures_are_found_again(tmp_path: Path) -> None:
    store, other = Store(tmp_path), PLAN.cells()[1]
    assert not store.is_over(CELL)
    assert store.measures(CELL) is None
    assert store.failure(CELL) == ""
    store.finish(CELL, measures([(3, 9)], first=None))
    store.fail(other, "it broke")
    again = Store(tmp_path)
    assert again.measures(CELL) == measures([(3, 9)], first=None)
    assert again.failure(other) == "it broke"
    assert again.is_over(CELL)
    assert again.is_over(other)


def test_a_failure_does_not_count_once_it_is_forgotten(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.fail(CELL, "it broke")
    store.forget_failures(PLAN.cells())
    assert not store.is_over(CELL)


def test_the_same_plan_goes_on_and_a_new_method_joins(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.begin(PLAN)
    store.begin(PLAN)
    more = replace(PLAN, entries={**PLAN.entries, "rlpd": ("--method", "rlpd")}, seeds=(0, 1, 2), minutes=3.0)
    store.begin(more)
    store.begin(replace(PLAN, persons=("poor",)))


@pytest.mark.parametrize(
    "change",
    [
        {"options": ("--demos", "3")},
        {"task_options": {"peg_slot": ("--demos", "3")}},
        {"trials": 7},
        {"rounds": 9},
        {"tasks": {"peg_slot": 400}},
        {"entries": {"anchored": ("--method", "anchored", "--agent.anchor", "0")}},
    ],
)
def test_another_plan_of_the_same_name_is_refused_and_changes_nothing(
    change: dict[str, object], tmp_path: Path
) -> None:
    store = Store(tmp_path)
    store.begin(PLAN)
    before = (tmp_path / PLAN_FILE).read_bytes()
    with pytest.raises(ConfigError, match=next(iter(change))):
        store.begin(replace(PLAN, **change))  # type: ignore[arg-type]
    assert (tmp_path / PLAN_FILE).read_bytes() == before


@pytest.mark.parametrize("text", ["{", "[]", "{}"])
def test_a_broken_result_is_refused(text: str, tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.folder(CELL).mkdir()
    (store.folder(CELL) / RESULT_FILE).write_text(text)
    with pytest.raises(StorageError, match="emove"):
        store.measures(CELL)


def test_processor_time_of_all_parts_is_summed(tmp_path: Path) -> None:
    store, other = Store(tmp_path), PLAN.cells()[1]
    store.folder(CELL).mkdir()
    store.folder(other).mkdir()
    assert store.spend(CELL, 2.5) == 2.5
    assert store.spend(other, 1.0) == 1.0
    assert Store(tmp_path).spend(CELL, 0.5) == 3.0


def test_the_processes_of_the_last_call_are_known(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.processes == 0
    store.note_processes(8)
    store.note_processes(2)
    assert Store(tmp_path).processes == 2
