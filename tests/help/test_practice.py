"""Practice without resets: the goals alternate, and a person is asked only when the robot is stuck."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_hil.errors import ConfigError, StorageError
from robot_hil.help.practice import Practice, PracticeConfig, Turn, stands_still

MOVING = np.arange(60.0)[:, None] * np.ones(3)
STILL = np.concatenate([MOVING[:30], np.full((30, 3), 29.0)])
CONFIG = PracticeConfig(swap_after=2, give_up_after=5)


def turns(outcomes: list[bool], config: PracticeConfig = CONFIG) -> list[Turn]:
    practice, found = Practice(("insert", "return"), config), []
    for success in outcomes:
        found.append(practice.plan())
        practice.ended(success=success, seen=MOVING)
    return [*found, practice.plan()]


def test_it_begins_with_a_reset_and_then_goes_there_and_back_without() -> None:
    found = turns([True, True, True])
    assert [turn.goal for turn in found] == ["insert", "return", "insert", "return"]
    assert [turn.reset for turn in found] == [True, False, False, False]


def test_a_goal_is_tried_again_and_after_some_failures_the_other_one() -> None:
    assert [turn.goal for turn in turns([False, False, False, True])] == [
        "insert", "insert", "return", "return", "insert",
    ]  # fmt: skip


def test_many_failures_running_ask_for_a_reset_and_for_the_task_itself() -> None:
    found = turns([True] + [False] * 5)
    assert [turn.reset for turn in found] == [True, False, False, False, False, False, True]
    assert found[-1].goal == "insert"
    assert found[-1].reason == "stuck: 5 failures running"


def test_where_nothing_moves_any_more_the_other_goal_is_tried_before_anybody_is_asked() -> None:
    practice = Practice(("insert", "return"))
    practice.ended(success=False, seen=STILL)
    assert practice.plan() == Turn(goal="return", reset=False)
    practice.ended(success=False, seen=MOVING)
    practice.ended(success=False, seen=STILL)  # the first of a row again
    assert practice.plan() == Turn(goal="insert", reset=False)
    practice.ended(success=False, seen=STILL)
    reason = "stuck: nothing moves any more, towards neither goal"
    assert practice.plan() == Turn(goal="insert", reset=True, reason=reason)
    practice.ended(success=True, seen=STILL)  # a success may stand still
    assert not practice.plan().reset
    assert practice.resets == 2


def test_a_way_back_that_was_made_before_it_began_is_no_way_out() -> None:
    practice, there = Practice(("insert", "return")), MOVING[:2]
    practice.ended(success=False, seen=STILL)
    practice.ended(success=True, seen=there)
    assert practice.plan() == Turn(goal="insert", reset=False)
    practice.ended(success=False, seen=STILL)
    assert practice.plan().reason == "stuck: nothing moves any more, towards neither goal"


def test_failures_go_on_counting_over_a_way_back_that_was_made_before_it_began() -> None:
    outcomes = [(False, 60), (True, 6), (False, 60), (True, 5), (False, 60)]  # five steps, four
    for longer, reset in ((0, True), (1, False)):
        practice = Practice(("insert", "return"), PracticeConfig(swap_after=1, give_up_after=3))
        for success, count in outcomes:
            practice.ended(success=success, seen=MOVING[: count + longer])
        assert practice.plan().reset == reset
    assert practice.resets == 1  # the first start


def test_standing_still_is_seen_in_the_last_steps_only() -> None:
    assert stands_still(STILL, 30, 0.01)
    assert not stands_still(STILL, 32, 0.01)
    assert not stands_still(STILL[-5:], 20, 0.01)  # too short to say
    assert stands_still(STILL + np.linspace(0, 0.009, 60)[:, None], 20, 0.01)


def test_after_a_cut_nobody_knows_where_things_are() -> None:
    practice = Practice(("insert", "return"))
    practice.ended(success=True, seen=MOVING)
    practice.interrupted()
    assert practice.plan().reset
    again = Practice(("insert", "return"))
    again.load(practice.export())
    assert (again.resets, again.episodes) == (practice.resets, 1)
    assert again.plan().reason == "the program was started again"


@given(st.lists(st.booleans(), max_size=60))
def test_resets_are_counted_once_each_and_only_failures_lead_to_them(outcomes: list[bool]) -> None:
    practice, asked = Practice(("insert", "return"), CONFIG), 0
    for i, success in enumerate(outcomes):
        turn = practice.plan()
        assert practice.plan() == turn  # asking changes nothing
        asked += turn.reset
        if i and turn.reset:
            assert not outcomes[i - 1]
        practice.ended(success=success, seen=MOVING)
    assert practice.resets == asked
    assert practice.episodes == len(outcomes)


def test_what_cannot_work_is_refused() -> None:
    with pytest.raises(ConfigError, match="needs two goals"):
        Practice(("insert",))
    with pytest.raises(ConfigError, match="still_steps 1"):
        PracticeConfig(still_steps=1)
    with pytest.raises(StorageError, match="cannot be gone on with"):
        Practice(("a", "b")).load({"resets": 1})
