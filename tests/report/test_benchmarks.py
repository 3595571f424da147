"""Tables in pages say what was measured, and the committed page says what the committed results say."""

import shutil
from pathlib import Path

import pytest

from robot_hil.errors import StorageError
from robot_hil.report.benchmarks import BEGIN, END, fill_in, table, update_page
from robot_hil.report.machine import Result, read_results, write_results

ROOT = Path(__file__).resolve().parents[2]
ROW = {"machine": "a machine", "date": "2026-11-21", "commit": "0123456789abcdef-dirty", "unit": "1/s"}


def test_row_shows_value_target_floor_and_others(tmp_path: Path) -> None:
    path = tmp_path / "speed.json"
    fast = Result(
        name="updates", value=2.0, unit="1/s", higher_is_better=True, target=1.0, floor=4.0, others="published: 1.5"
    )
    slow = Result(name="latency | p99", value=3.0, unit="ms", higher_is_better=False, target=2.0, floor=1.5)
    write_results(path, [fast, slow])
    lines = table(read_results(path)).splitlines()
    assert lines[0] == "| what | measured | target | reached | floor | ratio | other systems |"
    assert lines[2] == "| updates | 2 1/s | >= 1 | yes | 4 | 50% | published: 1.5 |"
    assert lines[3] == "| latency / p99 | 3 ms | <= 2 | **no** | 1.5 | 50% |  |"
    assert "commit" in lines[-1]


def test_columns_that_no_row_fills_are_left_out() -> None:
    lines = table([ROW | {"name": "a", "value": 1234.5, "target": None}]).splitlines()
    assert lines[:3] == ["| what | measured |", "| --- | --: |", "| a | 1,234 1/s |"]


def test_a_goal_that_was_never_reached_and_a_target_in_words() -> None:
    text = table([ROW | {"name": "a", "value": None, "target": "about 1", "reached": False}])
    assert "| a | never | about 1 | **no** |" in text


def test_rows_of_several_runs_name_theirs() -> None:
    rows = [ROW | {"name": "a", "value": 1}, ROW | {"name": "b", "value": 1, "date": "2026-11-22"}]
    lines = table(rows).splitlines()
    assert lines[2:4] == ["| a | 1 1/s | a |", "| b | 1 1/s | b |"]
    assert [line.rstrip() for line in lines[-2:]] == [
        "a: a machine; 2026-11-21; commit 012345678-dirty",
        "b: a machine; 2026-11-22; commit 012345678-dirty",
    ]


def test_page_keeps_everything_but_its_tables(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    one, two = BEGIN.format("one"), BEGIN.format("two")
    page.write_text(f"above\n{one}\nold\n{END}\nbetween\n{two}\n{END}\nbelow\n")
    write_results(tmp_path / "one.json", [Result(name="x", value=1.0, unit="", higher_is_better=True)])
    update_page(page, tmp_path)
    text = page.read_text()
    assert text.startswith(f"above\n{one}\n| what |")
    assert f"between\n{two}\nNot measured yet.\n{END}\nbelow\n" in text
    assert "old" not in text
    update_page(page, tmp_path)
    assert page.read_text() == text


@pytest.mark.parametrize("page", ["nothing", BEGIN.format("one"), f"{END} {BEGIN.format('one')}"])
def test_page_without_room_is_refused(page: str) -> None:
    with pytest.raises(StorageError, match="no place for the table of 'one'"):
        fill_in(page, {"one": "text"})


@pytest.mark.parametrize("name", ["acceptance.md", "performance.md", "simulated_person.md", "suites.md"])
def test_committed_page_shows_the_committed_results(name: str, tmp_path: Path) -> None:
    page = tmp_path / name
    shutil.copy(ROOT / "docs" / name, page)
    update_page(page, ROOT / "benchmarks" / "results")
    assert page.read_text() == (ROOT / "docs" / name).read_text(), "run python benchmarks/speed.py --table"
