"""Levels of autonomy: they fall when the robot is unreliable for long enough, and rise one at a time."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_hil.errors import ConfigError
from robot_hil.help.autonomy import Autonomy, AutonomyConfig, Level

PERIOD = 0.1
PLAIN = AutonomyConfig(smooth_s=0.0)
APPROVING = replace(PLAIN, approve_s=1.0)


def follow(values: list[float], config: AutonomyConfig = PLAIN, start: float = 0.0) -> tuple[Autonomy, list[Level]]:
    autonomy = Autonomy(config, PERIOD)
    levels = []
    for i, value in enumerate(values):
        autonomy.update(start + i * PERIOD, value, "cause")
        levels.append(autonomy.level)
    return autonomy, levels


def test_three_unreliable_steps_slow_the_robot_and_more_hold_it() -> None:
    autonomy, levels = follow([1.0] * 5 + [0.02] * 12)
    assert levels[6] is Level.FULL
    assert levels[7] is Level.SLOWED
    assert levels[16] is Level.SLOWED
    autonomy.update(1.7, 0.02)
    assert autonomy.level is Level.HELD  # one second after the change before
    assert [change.level for change in autonomy.changes] == [Level.SLOWED, Level.HELD]


def test_a_short_glitch_changes_nothing() -> None:
    assert set(follow([1.0, 0.02, 0.02, 1.0] * 10)[1]) == {Level.FULL}


def test_an_alarm_holds_at_once_and_smoothing_delays_it() -> None:
    assert follow([1.0, 0.001])[1] == [Level.FULL, Level.HELD]
    assert follow([1.0, 0.001], replace(PLAIN, smooth_s=0.2))[1] == [Level.FULL, Level.FULL]


def test_the_level_rises_after_two_good_seconds_but_not_from_standing() -> None:
    autonomy, levels = follow([0.02] * 3 + [0.9] * 25)
    assert levels[2] is Level.SLOWED
    assert levels[22] is Level.SLOWED
    assert levels[23] is Level.FULL
    assert autonomy.changes[-1].cause == "reliable again"
    assert follow([0.001] + [0.9] * 100)[1][-1] is Level.HELD


def test_who_was_pardoned_is_slowed_but_not_held_again_for_a_while() -> None:
    autonomy, _ = follow([0.001])
    change = autonomy.pardon(1.0, "a person drives")
    assert change is not None
    assert change.level is Level.SLOWED
    for i in range(49):
        autonomy.update(1.0 + (i + 1) * PERIOD, 0.001)
    assert autonomy.level is Level.SLOWED
    autonomy.update(6.1, 0.001)
    assert autonomy.level is Level.HELD
    assert autonomy.pardon(6.2, "") is not None
    assert autonomy.pardon(6.3, "") is None


def test_driving_pardons_once_it_was_reliable_for_three_steps() -> None:
    autonomy, _ = follow([0.001])
    said = []
    for i, value in enumerate([0.02, 0.5, 0.5, 0.01, 0.5, 0.5, 0.5]):
        autonomy.update(1.0 + i * PERIOD, value)
        said.append(autonomy.driven(1.0 + i * PERIOD))
    assert [change is not None for change in said] == [False] * 6 + [True]
    assert autonomy.level is Level.SLOWED


def test_an_episode_begins_with_full_autonomy() -> None:
    autonomy, _ = follow([0.001])
    autonomy.begin_episode()
    assert (autonomy.level, autonomy.changes, autonomy.reliability) == (Level.FULL, [], 1.0)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=120), st.sampled_from([0.0, 0.2]))
def test_changes_without_alarm_keep_their_distance(values: list[float], smooth: float) -> None:
    autonomy, levels = follow(values, replace(PLAIN, alarm=0.0, smooth_s=smooth))
    times = [change.t for change in autonomy.changes]
    assert all(np.diff(times) >= PLAIN.dwell_s - 1e-6)
    ladder = [Level.HELD, Level.SLOWED, Level.FULL]
    rungs = [ladder.index(level) for level in (Level.FULL, *levels)]
    assert all(abs(np.diff(rungs)) <= 1)


@pytest.mark.parametrize(
    "wrong",
    [{"low": 0.3}, {"alarm": 0.1}, {"slow": 0.0}, {"patience": 0}, {"dwell_s": -1.0}, {"approve_s": -1.0},
     {"per_minute": -1}],
)  # fmt: skip
def test_numbers_that_cannot_work_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        replace(PLAIN, **wrong)


def test_with_approval_a_level_lies_between_slow_and_held() -> None:
    autonomy, levels = follow([0.02] * 25, APPROVING)
    assert [change.level for change in autonomy.changes] == [Level.SLOWED, Level.APPROVED, Level.HELD]
    assert levels[12] is Level.APPROVED
    assert follow([0.02] * 25)[0].changes[1].level is Level.HELD


def test_it_moves_while_a_person_approves_and_stands_a_second_later() -> None:
    autonomy, _ = follow([0.02] * 13, APPROVING)
    assert autonomy.level is Level.APPROVED
    assert autonomy.calling
    assert autonomy.stands(1.3)
    assert autonomy.approve(1.3, "") is None
    assert [autonomy.stands(t) for t in (1.3, 2.2, 2.3)] == [False, False, True]
    for i in range(59):  # having been approved of it asks again, and is not held
        autonomy.update(1.3 + i * PERIOD, 0.001)
        assert autonomy.level is Level.APPROVED
    autonomy.update(7.4, 0.001)
    assert autonomy.level is Level.HELD


def test_what_stands_unapproved_never_rises_by_itself() -> None:
    autonomy, _ = follow([0.001] + [0.9] * 50, APPROVING)
    assert autonomy.level is Level.HELD
    change = autonomy.approve(5.1, "a person approves")
    assert change is not None
    assert change.level is Level.APPROVED
    for i in range(45):
        autonomy.update(5.1 + i * PERIOD, 0.9)
        autonomy.approve(5.1 + i * PERIOD, "")
    assert [one.level for one in autonomy.changes] == [Level.HELD, Level.APPROVED, Level.SLOWED, Level.FULL]
    for i in range(100):  # at the lowest level but one without approval
        autonomy.update(10.0 + i * PERIOD, 0.02 if i < 15 else 0.9)
    assert autonomy.level is Level.APPROVED


def test_calls_are_limited_per_minute_and_over_episodes() -> None:
    autonomy = Autonomy(replace(PLAIN, per_minute=2), PERIOD)
    found = []
    for t in (0.0, 10.0, 20.0, 61.0, 62.0, 71.0):
        autonomy.begin_episode()
        autonomy.update(t, 0.001, "all is strange")
        found.append(autonomy.level)
    assert found == [Level.HELD, Level.HELD, Level.SLOWED, Level.HELD, Level.SLOWED, Level.HELD]


@given(st.lists(st.tuples(st.floats(0, 1), st.sampled_from(["", "approve", "pardon"])), max_size=150))
def test_calls_keep_to_their_budget_and_nothing_held_moves(course: list[tuple[float, str]]) -> None:
    autonomy = Autonomy(replace(PLAIN, approve_s=0.5, per_minute=3), PERIOD)
    calls, before = 0, False
    for i, (value, word) in enumerate(course):
        t = i * PERIOD
        if word == "approve":
            autonomy.approve(t, "")
        elif word == "pardon":
            autonomy.pardon(t, "")
        autonomy.update(t, value)
        calls += autonomy.calling and not before
        before = autonomy.calling
        assert autonomy.stands(t) or autonomy.level is not Level.HELD
    assert calls <= 3  # fifteen seconds at most
