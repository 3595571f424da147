"""Finished cells go from one machine's folder to another's, and nothing is mixed with what was made differently."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from compare.results import PLAN, measures
from hypothesis import given
from hypothesis import strategies as st

from robot_hil.compare.exchange import give, read, take
from robot_hil.compare.measures import Cost, Measures, Point
from robot_hil.compare.plan import Cell
from robot_hil.compare.store import Store
from robot_hil.errors import ConfigError, StorageError

THERE = {"machine": "a fast one", "date": "2026-01-02", "commit": "abc"}
COUNT = st.integers(0, 10**6)
POINT = st.builds(
    Point, env_steps=COUNT, human_steps=COUNT, interventions=COUNT, successes=COUNT, trials=st.integers(1, 50)
)
FINITE = st.floats(0, 1e9)
MEASURES = st.builds(
    Measures,
    points=st.lists(POINT, min_size=1, max_size=4).map(tuple),
    first_alone=st.none() | st.builds(Cost, env_steps=COUNT, human_steps=COUNT, interventions=COUNT),
    cycle_steps=st.none() | FINITE,
    demo_steps=COUNT,
    wall_s=FINITE,
    cpu_s=FINITE,
)


def cells_of(seed: int) -> list[Cell]:
    return PLAN.cells_of(seed)


def file_of(folder: Path, cells: list[Cell]) -> Path:
    """Return a file with results of `cells`, measured on another machine."""
    store = Store(folder / "there")
    for number, cell in enumerate(cells):
        store.finish(cell, measures([(number, 7)]), THERE)
    give(folder / "cells.json", PLAN, PLAN.cells(), store)
    return folder / "cells.json"


@given(found=MEASURES)
def test_every_result_comes_back_as_it_was(found: Measures, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder, [cell, *_] = tmp_path_factory.mktemp("exchange"), PLAN.cells()
    there, here = Store(folder / "there"), Store(folder / "here")
    there.finish(cell, found, THERE)
    plan = replace(PLAN, rounds=0)
    give(folder / "cells.json", plan, [cell], there)
    assert take(read(folder / "cells.json", plan), plan, plan.cells(), here) == 1
    assert here.measures(cell) == found
    assert here.origin(cell) == THERE


def test_what_is_over_here_stays_and_the_rest_joins_it(tmp_path: Path) -> None:
    path, here = file_of(tmp_path, cells_of(0)), Store(tmp_path / "here")
    first, failed, *others = cells_of(0)
    here.finish(first, measures([(99, 1)]))
    here.fail(failed, "it broke")
    assert take(read(path, PLAN), PLAN, PLAN.cells(), here) == len(others)
    assert here.measures(first) == measures([(99, 1)])
    assert here.origin(first)["machine"] not in ("", THERE["machine"])
    assert here.failure(failed) == "it broke"
    assert all(here.origin(cell) == THERE for cell in others)
    assert not any(here.is_over(cell) for cell in cells_of(1))
    assert take(read(path, PLAN), PLAN, PLAN.cells(), here) == 0


def test_only_what_was_chosen_is_taken(tmp_path: Path) -> None:
    """E.g. a baseline's cells, where the other entries of the file are of an older program."""
    path, here = file_of(tmp_path, cells_of(0)), Store(tmp_path / "here")
    chosen = [cell for cell in cells_of(0) if cell.entry == "bc"]
    assert take(read(path, PLAN), PLAN, chosen, here) == len(chosen)
    assert [cell for cell in PLAN.cells() if here.is_over(cell)] == chosen


def test_a_training_whose_log_is_still_needed_is_made_again(tmp_path: Path) -> None:
    lacking = next(cell for cell in cells_of(0) if cell.way == "log")
    path = file_of(tmp_path, [cell for cell in cells_of(0) if cell != lacking])
    here = Store(tmp_path / "here")
    assert take(read(path, PLAN), PLAN, PLAN.cells(), here) == 14
    recorder = PLAN.recorder(lacking)
    assert recorder is not None
    assert not here.is_over(recorder)


@pytest.mark.parametrize("change", [{"trials": 3}, {"name": "other"}, {"tasks": {"peg_slot": 9}}])
def test_cells_made_in_another_way_are_refused_by_name(change: dict[str, object], tmp_path: Path) -> None:
    path = file_of(tmp_path, cells_of(0))
    with pytest.raises(ConfigError, match=f"(?s)cells.json was made by another plan.*{next(iter(change))}"):
        read(path, replace(PLAN, **change))  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"plan": 1, "cells": []}', '{"plan": {}, "cells": [1]}'])
def test_anything_else_is_refused_by_name(text: str, tmp_path: Path) -> None:
    (tmp_path / "notes.json").write_text(text)
    with pytest.raises(StorageError, match=r"notes.json .*Give"):
        read(tmp_path / "notes.json", PLAN)
    with pytest.raises(StorageError, match="nowhere"):
        read(tmp_path / "nowhere.json", PLAN)


def test_a_broken_row_is_refused(tmp_path: Path) -> None:
    path = file_of(tmp_path, cells_of(0))
    content = json.loads(path.read_text())
    del content["cells"][-1]["points"]
    path.write_text(json.dumps(content))
    with pytest.raises(StorageError, match="points"):
        read(path, PLAN)
