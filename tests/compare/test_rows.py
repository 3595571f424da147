"""Rows say what the seeds came to, what failed and what has yet to be made."""

from pathlib import Path

from compare.results import PLAN, measures, seeds

from robot_hil.compare.plan import Cell
from robot_hil.compare.rows import collect, family, human_budget, row_of, typical, write_rows
from robot_hil.compare.store import Store
from robot_hil.report.machine import read_results


def test_row_holds_means_and_medians_over_seeds() -> None:
    row = row_of(PLAN, seeds("bc", [(10, 5), (40, 9)], [(20, 8), (60, 10)], [(30, 2), (70, 5)]))
    assert (row["method"], row["family"], row["way"], row["steps"]) == ("bc", "imitation", "online", 300)
    assert row["seeds"] == [0, 1, 2]
    assert abs(row["success"] - 0.8) < 1e-12
    low, high = row["success_ci95"]
    assert low <= 0.8 <= high
    assert row["reached"] == 2
    assert (row["human_steps_to_80"], row["interventions_to_80"], row["env_steps_to_80"]) == (40, 2, 200)
    assert (row["human_steps_to_first"], row["interventions_to_first"]) == (50, 1)
    areas = [
        measures(curve).area(human_budget(300))
        for curve in ([(10, 5), (40, 9)], [(20, 8), (60, 10)], [(30, 2), (70, 5)])
    ]
    assert abs(row["area"] - sum(areas) / 3) < 1e-12


def test_cost_that_most_seeds_never_reached_is_none() -> None:
    never, reached = measures([(5, 1)]).until(0.8), measures([(5, 9)]).until(0.8)
    assert typical([reached, never, never], "human_steps") is None
    assert typical([reached, reached, never], "human_steps") == 5
    assert typical([reached, never], "human_steps") is None
    assert typical([], "human_steps") is None


def test_failed_seeds_are_told_and_do_not_count() -> None:
    row = row_of(PLAN, seeds("bc", None, [(5, 10)]))
    assert row["failures"] == ["seed 0: it broke\nin detail"]
    assert (row["seeds"], row["success"]) == ([1], 1.0)


def test_row_without_any_result_holds_no_numbers() -> None:
    row = row_of(PLAN, seeds("bc", None))
    assert all(row[name] is None for name in ("success", "success_ci95", "area", "cycle_steps", "human_steps_to_80"))


def test_what_learnt_from_a_log_has_no_costs_of_its_own() -> None:
    row = row_of(PLAN, seeds("bc", [(0, 7)], way="log"))
    assert (row["steps"], row["success"], row["area"]) == (PLAN.rounds, 0.7, None)


def test_results_are_collected_entry_by_entry(tmp_path: Path) -> None:
    store = Store(tmp_path)
    done, failed = PLAN.cells()[0], PLAN.cells()[-1]
    store.finish(done, measures([(5, 10)]))
    store.fail(failed, "it broke")
    found = collect(PLAN, PLAN.cells(), store)
    assert len(found) == len(PLAN.cells()) // len(PLAN.seeds)
    first = next(one for one in found if _is(one, done))
    assert first.results == ((0, measures([(5, 10)])),)
    assert first.missing == (1,)
    assert next(one for one in found if _is(one, failed)).failures == ((1, "it broke"),)


def _is(one: object, cell: Cell) -> bool:
    return all(getattr(one, name) == getattr(cell, name) for name in ("task", "person", "entry", "way"))


def test_rows_of_other_comparisons_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "compare.json"
    write_rows(path, "one", [{"plan": "one", "x": 1}, {"plan": "one", "x": 2}])
    write_rows(path, "two", [{"plan": "two", "x": 3}])
    write_rows(path, "one", [{"plan": "one", "x": 4}])
    rows = read_results(path)
    assert [(row["plan"], row["x"]) for row in rows] == [("two", 3), ("one", 4)]
    assert all(row["machine"] and row["date"] for row in rows)


def test_family_is_that_of_the_method() -> None:
    assert (family("bc"), family("rlpd"), family("no_anchor")) == ("imitation", "reinforcement", "")
