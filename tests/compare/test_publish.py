"""What is published is what was measured on test seeds: rows, page and pictures agree."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from compare.results import PLAN, measures
from PIL import Image

from robot_hil.compare import plans
from robot_hil.compare.exchange import read, take
from robot_hil.compare.plan import for_tuning, quick
from robot_hil.compare.publish import CELLS, PAGE, RESULTS, publish, text_of, update_page
from robot_hil.compare.store import RESULT_FILE, Store
from robot_hil.report.benchmarks import BEGIN, END
from robot_hil.report.machine import origin, read_results

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose page has a place for the plan's table."""
    page = tmp_path / "checkout" / PAGE
    page.parent.mkdir(parents=True)
    page.write_text(f"above\n{BEGIN.format('compare small')}\n{END}\nbelow\n")
    return tmp_path / "checkout"


def filled(plan: Any, folder: Path) -> Store:
    """Return a store in which all cells are over, one of them with a failure."""
    store = Store(folder)
    store.begin(plan)
    for number, cell in enumerate(plan.cells()):
        if number == 3:
            store.fail(cell, "it broke")
        else:
            store.finish(cell, measures([(2, number % 5), (10 + number, 5 + number % 5)]))
    return store


def test_rows_page_and_pictures_are_written(checkout: Path, tmp_path: Path) -> None:
    written, _ = publish(PLAN, filled(PLAN, tmp_path / "runs"), checkout)
    rows = read_results(checkout / RESULTS)
    assert {row["plan"] for row in rows} == {"small"}
    assert sum(row["kind"] == "cells" for row in rows) == 16
    page = (checkout / PAGE).read_text()
    assert page.startswith("above\n")
    assert page.endswith("\nbelow\n")
    assert text_of(rows, "images/") in page
    assert "](images/compare_small_crossover.png)" in page
    assert "**failed**, seed 0: it broke" in page
    pictures = [path for path in written if path.suffix == ".png"]
    assert len(pictures) == 6  # two tasks and the crossover, in both folders
    for path in pictures:
        with Image.open(path) as picture:
            assert picture.size[0] > 500
            assert len(picture.convert("RGB").getcolors(1 << 20) or []) > 20


@pytest.mark.parametrize("change", [for_tuning, quick])
def test_what_proves_nothing_stays_in_its_folder(change: Any, checkout: Path, tmp_path: Path) -> None:
    plan = replace(change(PLAN), name="small")
    before = (checkout / PAGE).read_text()
    publish(plan, filled(plan, tmp_path / "runs"), checkout)
    assert (checkout / PAGE).read_text() == before
    assert not (checkout / RESULTS).exists()
    assert "| method |" in (tmp_path / "runs" / "compare.md").read_text()


@pytest.mark.parametrize("somewhere", [True, False])
def test_without_a_checkout_only_the_folder_is_written(somewhere: bool, tmp_path: Path) -> None:
    written, _ = publish(PLAN, filled(PLAN, tmp_path / "runs"), tmp_path if somewhere else None)
    assert all(path.is_relative_to(tmp_path / "runs") for path in written)
    assert all(path.exists() for path in written)


def test_what_it_took_is_told_with_seeds_and_processes(checkout: Path, tmp_path: Path) -> None:
    store = filled(PLAN, tmp_path / "runs")
    store.note_processes(2)
    for cell in PLAN.cells():
        if (known := store.measures(cell)) is not None:
            store.finish(cell, replace(known, cpu_s=720.0))
    publish(PLAN, store, checkout)
    [row] = [row for row in read_results(checkout / RESULTS) if row["kind"] == "effort"]
    assert (row["cells"], row["failures"], row["missing"], row["seeds"], row["processes"]) == (31, 1, 0, [0, 1], 2)
    assert row["cpu_s"] == 31 * 720.0
    assert row["machine"]
    assert row["date"]
    told = "**In all**: 31 trainings, seeds 0, 1; 6.2 h of processor time; 2 at once; 1 failed."
    assert told in (checkout / PAGE).read_text()


def test_complete_seeds_are_published_and_said_to_be_some(checkout: Path, tmp_path: Path) -> None:
    store = filled(PLAN, tmp_path / "runs")
    last = PLAN.cells()[-1]
    (store.folder(last) / RESULT_FILE).unlink()
    _, why_not = publish(PLAN, store, checkout)
    assert why_not == ""
    page = (checkout / PAGE).read_text()
    assert "15 trainings, seeds 0 (of 2 planned)" in page
    assert "not run" not in page
    assert last.name in {cell.name for cell in PLAN.cells_of(1)}
    cells = json.loads((checkout / CELLS / "small.json").read_text())["cells"]
    assert {row["cell"] for row in cells} < {cell.name for cell in PLAN.cells_of(0)}


def test_fewer_seeds_take_no_place_of_more_until_they_are_taken_over(checkout: Path, tmp_path: Path) -> None:
    publish(PLAN, filled(PLAN, tmp_path / "runs"), checkout)
    before = (checkout / PAGE).read_text()
    new = Store(tmp_path / "new")
    for cell in PLAN.cells_of(0):
        new.finish(cell, measures([(1, 5)]))
    written, why_not = publish(PLAN, new, checkout)
    assert why_not.startswith("not published: seeds 0 are complete, but of those published 1 would be lost; --take ")
    assert all(path.is_relative_to(tmp_path / "new") for path in written)
    assert (checkout / PAGE).read_text() == before
    assert str(CELLS / "small.json") in why_not
    take(read(checkout / CELLS / "small.json", PLAN), PLAN, PLAN.cells(), new)
    assert publish(PLAN, new, checkout)[1] == ""


def test_origins_of_the_trainings_stand_below_the_table(checkout: Path, tmp_path: Path) -> None:
    store = filled(PLAN, tmp_path / "runs")
    store.finish(PLAN.cells()[0], measures([(2, 3)]), {"machine": "one far away", "date": "2026-01-02", "commit": "a"})
    publish(PLAN, store, checkout)
    page = (checkout / PAGE).read_text()
    assert "one far away; 2026-01-02; commit a" in page
    assert f"{origin()['machine']}; {origin()['date']}" in page


def test_a_comparison_of_which_nothing_is_there_replaces_nothing(checkout: Path, tmp_path: Path) -> None:
    before = (checkout / PAGE).read_text()
    assert publish(PLAN, Store(tmp_path), checkout)[1] == "not published: no seed is complete"
    assert "32 trainings have yet to be made." in (tmp_path / "compare.md").read_text()
    assert (checkout / PAGE).read_text() == before


def test_special_comparisons_say_what_they_are_for(tmp_path: Path) -> None:
    default = replace(plans.get("default"), tasks={"peg_slot": 100}, seeds=(0, 1))
    publish(default, filled(default, tmp_path / "default"), tmp_path)
    text = (tmp_path / "default" / "compare.md").read_text()
    assert "**Against the baseline**" in text
    assert "**A bad person**" in text
    terms = {"default": (), "no_anchor": ("--agent.anchor", "0")}
    ablation = replace(plans.get("ablation"), entries=terms, tasks={"peg_slot": 100}, seeds=(0, 1))
    publish(ablation, filled(ablation, tmp_path / "ablation"), tmp_path)
    assert "| `no_anchor` | `peg_slot` |" in (tmp_path / "ablation" / "compare.md").read_text()


@pytest.mark.parametrize("tasks", [("peg_slot",), ("peg_slot", "peg_grip", "reach_pillar")])
def test_an_ablation_has_one_picture_of_all_its_terms(tmp_path: Path, tasks: tuple[str, ...]) -> None:
    terms = {"default": (), "no_anchor": ("--agent.anchor", "0"), "no_caution": ("--agent.caution", "0")}
    plan = replace(plans.get("ablation"), entries=terms, tasks=dict.fromkeys(tasks, 100), seeds=(0, 1))
    written, _ = publish(plan, filled(plan, tmp_path / "runs"), None)
    [picture] = [path for path in written if path.suffix == ".png"]
    assert picture.name == "compare_ablation_terms.png"
    with Image.open(picture) as image:
        assert len(image.convert("RGB").getcolors(1 << 20) or []) > 20
    text = (tmp_path / "runs" / "compare.md").read_text()
    assert text.count("![") == 1
    assert f"![what each term gains]({picture.name})" in text


def test_committed_page_shows_the_committed_results(tmp_path: Path) -> None:
    page = tmp_path / "methods.md"
    shutil.copy(ROOT / PAGE, page)
    update_page(page, ROOT / RESULTS)
    assert page.read_text() == (ROOT / PAGE).read_text(), "run robot-hil compare --smoke --table"


@pytest.mark.parametrize("name", plans.PLANS)
def test_the_page_has_a_place_for_every_comparison(name: str) -> None:
    assert BEGIN.format(f"compare {name}") in (ROOT / PAGE).read_text()
