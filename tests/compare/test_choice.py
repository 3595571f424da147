"""Which method to use follows from the rows of those that have everything, and from nothing else."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from compare.results import PLAN as SMALL
from compare.results import seeds

from robot_hil.compare.choice import advised, choices
from robot_hil.compare.plan import Way
from robot_hil.compare.rows import Seeds
from robot_hil.compare.verdicts import choice_text

PERSONS, TASKS = ("competent", "poor"), ("peg_slot", "reach_pillar")
PLAN = replace(SMALL, entries={name: ("--method", name) for name in ("bc", "iwr", "rlpd")}, rounds=0, log_by="")
Successes = Sequence[tuple[int, int]]
"""Of two seeds: with each person on the first task, then on the second."""


def results(way: Way = "online", **of: Successes) -> list[Seeds]:
    where = [(task, person) for task in TASKS for person in PERSONS]
    return [
        seeds(method, *([(5, good)] for good in each), way=way, task=task, person=person)
        for method, every in of.items()
        for (task, person), each in zip(where, every, strict=True)
    ]


FOUND = results(
    bc=[(9, 9), (3, 3), (7, 7), (1, 1)],
    iwr=[(9, 7), (4, 4), (6, 8), (4, 2)],
    rlpd=[(2, 2), (6, 6), (2, 2), (6, 8)],
)


def test_success_by_person_is_the_mean_over_tasks_and_seeds_and_the_best_come_first() -> None:
    rows = choices(PLAN, FOUND)
    assert [row["method"] for row in rows] == ["iwr", "bc", "rlpd"]
    assert [row["by_person"]["competent"] for row in rows] == pytest.approx([0.75, 0.8, 0.2])
    assert [row["by_person"]["poor"] for row in rows] == pytest.approx([0.35, 0.2, 0.65])
    assert rows[2]["success"] == pytest.approx(0.425)
    assert rows[2]["needs"] == ["rewards"]


def test_what_the_seeds_do_not_tell_apart_from_the_best_is_named() -> None:
    rows = choices(PLAN, FOUND)
    level = {row["method"]: row["level_with_best"] for row in rows}
    assert level == {"bc": ["competent"], "iwr": ["competent"], "rlpd": ["poor"]}
    assert advised(rows) == [
        "With `competent`: `bc` (0.80); not told apart by these seeds: `iwr`.",
        "With `poor`: `rlpd` (0.65).",
    ]


def test_what_was_learnt_from_a_log_is_a_column_and_an_advice() -> None:
    flat = [(4, 4)] * 4
    rows = choices(PLAN, [*FOUND, *results("log", bc=flat, rlpd=[(1, 1)] * 4)])
    assert {row["method"]: row["from_log"] for row in rows} == {"bc": 0.4, "iwr": None, "rlpd": 0.1}
    assert advised(rows)[-1] == "From a log that is there already, whoever helped: `bc` (0.40), `rlpd` (0.10)."
    text = choice_text(rows)
    assert "| method | family | needs | `competent` | `poor` | all | area | human steps | from one log |" in text
    assert "| `bc` | imitation | demonstrations | **0.80** | 0.20 | 0.50 |" in text


def test_a_method_that_lacks_a_seed_a_task_or_a_person_takes_no_part() -> None:
    broken = [replace(one, results=one.results[:1]) if one.entry == "bc" else one for one in FOUND]
    assert [row["method"] for row in choices(PLAN, broken)] == ["iwr", "rlpd"]
    assert [row["method"] for row in choices(PLAN, FOUND[:-1])] == ["iwr", "bc"]
    assert choices(PLAN, []) == []
    assert choices(PLAN, [one for one in FOUND if one.entry == "bc"]) == []
    assert choices(replace(PLAN, seeds=(0, 1, 2)), FOUND) == []


def test_what_is_no_published_method_is_no_choice() -> None:
    plan = replace(PLAN, entries={**PLAN.entries, "default": ()})
    every = [*FOUND, *results(default=[(9, 9)] * 4)]
    assert "default" not in [row["method"] for row in choices(plan, every)]
