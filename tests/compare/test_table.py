"""The table shows every method, best first, and what failed or is wanting."""

from typing import Any

from compare.results import PLAN, seeds

from robot_hil.compare.rows import row_of
from robot_hil.compare.table import tables

ORIGIN = {"machine": "a machine", "date": "2026-11-22", "commit": "0123456789abcdef-dirty"}


def text(*found: Any) -> str:
    return tables([{**row_of(PLAN, one), "origins": [ORIGIN]} for one in found])


def test_methods_stand_best_first_with_costs_and_the_log_beside() -> None:
    lines = text(
        seeds("bc", [(10, 5)], [(10, 5)]),
        seeds("bc", [(0, 4)], [(0, 4)], way="log"),
        seeds("rlpd", [(10, 8), (40, 10)], [(10, 8), (42, 10)]),
    ).splitlines()
    assert lines[0].startswith("**`peg_slot`, person `competent`** (seeds 0, 1; 300 online steps; 5 rounds on the log")
    assert lines[2].startswith("| method | family | success alone |")
    assert lines[4].startswith("| `rlpd` | reinforcement | 1.00 [1.00, 1.00] | 10 | 1 | 50 | 1 | 20 | ")
    assert lines[5].startswith("| `bc` | imitation | 0.50 [")
    assert "| never | never |" in lines[5]
    assert "0.40 [" in lines[5]
    assert lines[-1] == "a machine; 2026-11-22; commit 012345678-dirty"


def test_cost_tells_how_many_seeds_got_there() -> None:
    assert "| 10 (2/3) |" in text(seeds("bc", [(10, 9)], [(10, 9)], [(10, 1)]))


def test_failure_is_a_row_that_says_so() -> None:
    found = text(seeds("bc", None, None), seeds("rlpd", [(10, 8)]))
    assert "| `bc` | imitation | **failed**, seed 0: it broke; **failed**, seed 1: it broke |" in found
    assert "in detail" not in found


def test_groups_of_which_nothing_is_there_are_counted_only() -> None:
    waiting = {**row_of(PLAN, seeds("bc", person="poor")), **ORIGIN, "missing": [0, 1]}
    some = {**row_of(PLAN, seeds("bc", [(10, 5)])), **ORIGIN, "missing": [1]}
    found = tables([some, waiting])
    assert "`poor`" not in found
    assert "3 trainings have yet to be made." in found
    assert "; 1 not run |" in found


def test_nothing_measured_is_said() -> None:
    assert tables([]) == "Not measured yet."
