"""Where imitation loses its lead follows from the rows, whatever is missing, and so does what is said about it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from compare.results import PLAN as SMALL
from compare.results import seeds
from hypothesis import given
from hypothesis import strategies as st

from robot_hil.compare.crossover import crossover, explained
from robot_hil.compare.rows import Seeds
from robot_hil.compare.verdicts import crossover_text

PERSONS = ("competent", "sixty_percent", "thirty_percent")
METHODS = ("bc", "iwr", "rlpd")
PLAN = replace(
    SMALL, entries={name: ("--method", name) for name in METHODS}, persons=PERSONS, tasks={"peg_slot": 300},
    rounds=0, log_by="",
)  # fmt: skip


def results(**successes: Sequence[Sequence[int | None]]) -> list[Seeds]:
    """Return results of ten trials from method -> for each person, best first, the successes of each seed."""
    return [
        seeds(method, *(None if good is None else [(5, good)] for good in each), person=person)
        for method, all_of in successes.items()
        for person, each in zip(PERSONS, all_of, strict=False)
    ]


def said(found: Sequence[Seeds]) -> str:
    [text] = explained(crossover(PLAN, found))
    return text


def flat(*successes: int) -> list[tuple[int, int]]:
    """Return two equal seeds for each person."""
    return [(good, good) for good in successes]


def test_it_is_told_between_whom_they_cross_what_a_bad_person_costs_and_who_is_best() -> None:
    found = results(bc=flat(9, 6, 2), iwr=flat(7, 6, 2), rlpd=flat(5, 5, 4))
    rows = crossover(PLAN, found)
    assert [row["gain"] for row in rows] == pytest.approx([0.3, 0.1, -0.2])
    assert explained(rows) == [
        "`peg_slot`: they cross: imitation is ahead with `sixty_percent` (+0.10) and behind with `thirty_percent` "
        "(-0.20). From `competent` to `thirty_percent` the mean of imitation changes by -0.60, that of reinforcement "
        "learning by -0.10: imitation suffers more from a bad person, and loses its lead by that. The best of each: "
        "with `competent`, imitation by `bc` (0.90) and reinforcement by `rlpd` (0.50); with `thirty_percent`, "
        "imitation by `bc`, `iwr` (0.20) and reinforcement by `rlpd` (0.40)."
    ]
    text = crossover_text(rows)
    assert "| `peg_slot` | `thirty_percent` | 0.20 | 0.40 | -0.20 [-0.20, -0.20] |" in text
    assert "every person and seed (2 and 1)" in text


def test_a_tie_lies_between_the_persons_that_they_cross_between() -> None:
    text = said(results(bc=flat(8, 5, 2), rlpd=flat(5, 5, 5)))
    assert (
        "they cross: imitation is ahead with `competent` (+0.30), level with `sixty_percent` (+0.00) and behind with "
        "`thirty_percent` (-0.30)." in text
    )


def test_a_tie_at_the_end_is_no_crossover() -> None:
    text = said(results(bc=flat(8, 7, 5), rlpd=flat(5, 5, 5)))
    assert "no crossover: imitation is ahead with every person that makes a difference (+0.00 to +0.30)." in text
    assert "imitation suffers more from a bad person, but less than its lead of 0.30." in text


def test_all_level_is_said() -> None:
    text = said(results(bc=flat(5, 5, 5), rlpd=flat(5, 5, 5)))
    assert "no crossover: imitation is level with every person (+0.00 to +0.00)." in text
    assert "who helps makes no difference between them." in text


def test_imitation_that_never_leads_has_nothing_to_lose() -> None:
    text = said(results(bc=flat(4, 3, 1), rlpd=flat(5, 5, 5)))
    assert "no crossover: imitation is behind with every person (-0.40 to -0.10)." in text
    assert "but has no lead with a good one that it could lose." in text


def test_the_other_way_round_is_said() -> None:
    text = said(results(bc=flat(4, 4, 4), rlpd=flat(9, 5, 1)))
    assert "they cross the other way round: imitation is behind with `sixty_percent` (-0.10) and ahead" in text
    assert "here imitation suffers less from a bad person." in text


def test_every_turn_is_told_and_that_seeds_differ() -> None:
    text = said(results(bc=[(9, 4), (2, 2), (9, 9)], rlpd=flat(5, 5, 5)))
    assert "ahead with `competent` (+0.15) and behind with `sixty_percent` (-0.30); imitation is behind" in text
    assert text.count("imitation is") == 2
    assert "though not with every seed." in text


def test_a_method_that_lacks_a_person_counts_nowhere() -> None:
    found = results(bc=flat(8, 8, 8), iwr=flat(0, 0), rlpd=flat(5, 5, 5))
    assert [row["imitation"] for row in crossover(PLAN, found)] == pytest.approx([0.8] * 3)


@pytest.mark.parametrize(("broken", "used"), [(("iwr",), [0, 1]), (("bc", "iwr", "rlpd"), [0])])
def test_the_largest_complete_block_is_taken(broken: tuple[str, ...], used: list[int]) -> None:
    """One method without a second seed leaves itself out; a second seed that hardly anybody has is left out."""
    whole: dict[str, list[tuple[int, int | None]]] = {name: [(6, 6)] * 3 for name in METHODS}
    for name in broken:
        whole[name] = [(6, 6), (6, 6), (6, None)]
    rows = crossover(PLAN, results(**whole))
    assert {tuple(row["seeds"]) for row in rows} == {tuple(used)}
    assert rows[0]["imitation_methods"] == (2 if used == [0] else 1)


def test_a_task_that_lacks_a_family_or_everything_has_no_rows() -> None:
    assert crossover(PLAN, results(bc=flat(8, 8, 8))) == []
    assert crossover(PLAN, results(bc=flat(8, 8, 8), rlpd=[(None, None)] * 3)) == []
    assert crossover(PLAN, []) == []


def test_one_person_alone_is_only_compared() -> None:
    text = said(results(bc=flat(8), rlpd=flat(5)))
    assert "imitation is ahead with `competent` (+0.30), the only person here. The best of each:" in text
    assert "From" not in text


def test_what_is_no_published_method_belongs_to_no_family() -> None:
    found = results(bc=flat(8, 8, 8), no_anchor=flat(1, 1, 1), rlpd=flat(5, 5, 5))
    assert crossover(replace(PLAN, entries={**PLAN.entries, "no_anchor": ()}), found)[0]["gain"] == pytest.approx(0.3)


successes = st.one_of(st.none(), st.integers(0, 10))
cells = st.lists(st.tuples(successes, successes), min_size=3, max_size=3)


@given(table=st.fixed_dictionaries(dict.fromkeys(METHODS, cells)))
def test_whatever_is_missing_means_and_gains_agree_and_something_is_said(
    table: Mapping[str, Sequence[tuple[int | None, int | None]]],
) -> None:
    rows = crossover(PLAN, results(**table))
    for row in rows:
        assert row["gain"] == pytest.approx(row["imitation"] - row["reinforcement"])
        assert row["gain_ci95"][0] - 1e-9 <= row["gain"] <= row["gain_ci95"][1] + 1e-9
        assert row["best_imitation"]["success"] >= row["imitation"] - 1e-9
    assert len({(tuple(row["seeds"]), row["imitation_methods"], row["reinforcement_methods"]) for row in rows}) < 2
    assert len(explained(rows)) == bool(rows)
    if rows:
        assert all("nan" not in text for text in (*explained(rows), crossover_text(rows)))
