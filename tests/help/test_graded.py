"""Graded help: when hard states are returned to, when a person guides, and when it is over."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_hil.errors import ConfigError, StorageError
from robot_hil.help.graded import Grade, GradedConfig, GradedSchedule, Moment, Plan, arrival

CONFIG = GradedConfig(patience=3, tries=2, successes=2, fresh_every=3)


def at(x: float) -> Moment:
    return Moment(place=(x, 0.0), state={"x": x})


def end(
    schedule: GradedSchedule, plan: Plan, success: bool, *, helped: bool = False, hard: float | None = None
) -> None:
    schedule.ended(plan, success=success, helped=helped, visited=[at(0.0)], hard=None if hard is None else at(hard))


def failing(episodes: int = 3, config: GradedConfig = CONFIG) -> GradedSchedule:
    """A robot that has failed since it began, at x = 1 and x = 5."""
    schedule = GradedSchedule(config)
    for i in range(episodes):
        end(schedule, schedule.plan(), success=False, hard=1.0 if i else 5.0)
    return schedule


def test_help_begins_with_fresh_starts_and_waits_before_it_decides() -> None:
    schedule = failing(2)
    assert schedule.plan() == Plan(grade=Grade.REPLAY)
    assert schedule.grade is Grade.REPLAY


def test_a_robot_that_fails_returns_to_a_hard_place_and_every_third_episode_is_fresh() -> None:
    schedule = failing()
    grades = []
    for _ in range(6):
        plan = schedule.plan()
        grades.append(plan.grade)
        end(schedule, plan, success=False)
        if plan.grade is not Grade.REPLAY:
            assert plan.state in ({"x": 1.0}, {"x": 5.0})
    assert grades[:3] == [Grade.RETURN, Grade.RETURN, Grade.REPLAY]
    assert grades[3] is Grade.GUIDED  # two tries of one place without a success


def test_the_worst_place_is_chosen_and_kept_until_the_robot_succeeds_from_it() -> None:
    schedule = failing()
    schedule.places[0].failure = 0.4
    first = schedule.plan()
    assert first.state == {"x": 1.0}
    schedule.places[0].failure = 1.0
    schedule.places[1].failure = 0.5
    end(schedule, first, success=False)
    assert schedule.plan().place == first.place
    end(schedule, schedule.plan(), success=True)
    end(schedule, schedule.plan(), success=False)  # a fresh one
    assert schedule.plan().state == {"x": 5.0}


def test_guiding_is_rationed_and_starts_the_tries_anew() -> None:
    schedule = failing(config=replace(CONFIG, guided_of_ten=1, fresh_every=100))
    grades = []
    for _ in range(9):
        plan = schedule.plan()
        grades.append(plan.grade)
        end(schedule, plan, success=plan.guided, helped=plan.guided)
    assert grades == [2, 2, 3, 2, 2, 2, 2, 2, 2]


def test_successes_running_end_the_help_but_helped_ones_do_not_count() -> None:
    schedule = failing()
    end(schedule, schedule.plan(), success=True, helped=True)
    assert schedule.grade is Grade.RETURN
    for _ in range(2):
        end(schedule, schedule.plan(), success=True)
    assert schedule.grade is Grade.REPLAY


def test_a_robot_that_gets_better_is_left_alone() -> None:
    schedule = GradedSchedule(replace(CONFIG, window=4))
    for success in (False, False, False, True):
        end(schedule, Plan(grade=Grade.REPLAY), success=success, hard=1.0)
    assert schedule.success == pytest.approx(0.4)
    better = GradedSchedule(replace(CONFIG, window=20))
    for success in (False, False, False, True):
        end(better, Plan(grade=Grade.REPLAY), success=success, hard=1.0)
    assert better.success == pytest.approx(0.25)
    assert better.success < CONFIG.low
    assert better.plan().grade is Grade.REPLAY  # it rises


def test_success_that_is_low_from_the_start_does_not_rise() -> None:
    schedule = GradedSchedule(replace(CONFIG, window=20))
    for success in (True, False, False, False, False):
        end(schedule, Plan(grade=Grade.REPLAY), success=success, hard=1.0)
    assert schedule.success == pytest.approx(0.2)
    assert schedule.plan().grade is Grade.RETURN


def test_a_failure_arrives_where_it_then_stays_until_its_time_is_over() -> None:
    way = np.array([[4.0], [3.0], [2.0], [1.0], [0.0], [0.3], [0.0], [0.1]])
    assert arrival(way, 0.5) == 4
    assert arrival(way, 5.0) == 0
    assert arrival(way, 0.05) == 7


def test_places_near_one_another_are_one_and_the_least_hard_gives_way() -> None:
    schedule = GradedSchedule(replace(CONFIG, capacity=2))
    for x in (1.0, 1.2, 3.0):
        end(schedule, Plan(grade=Grade.REPLAY), success=False, hard=x)
    assert [place.moment.place[0] for place in schedule.places] == [1.0, 3.0]
    schedule.places[0].failure = 0.1
    end(schedule, Plan(grade=Grade.REPLAY), success=False, hard=9.0)
    assert [place.moment.place[0] for place in schedule.places] == [3.0, 9.0]


def test_a_place_that_is_passed_well_becomes_less_hard() -> None:
    schedule = failing()
    schedule.ended(Plan(grade=Grade.REPLAY), success=True, helped=False, visited=[at(5.1), at(4.9)], hard=None)
    failure = {place.moment.place[0]: place.failure for place in schedule.places}
    assert failure[5.0] == pytest.approx(1 - 2 / 21)
    assert failure[1.0] == 1.0


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(0, 4)), max_size=40))
def test_it_goes_on_elsewhere_as_it_would_have_here(outcomes: list[tuple[bool, bool, int]]) -> None:
    here = GradedSchedule(CONFIG)
    for i, (success, helped, hard) in enumerate(outcomes):
        if i % 5 == 4:
            there = GradedSchedule(CONFIG)
            there.load(json.loads(json.dumps(here.export())))
            assert there.plan() == here.plan()
            here = there
        plan = here.plan()
        assert (plan.state is None) == (plan.grade is Grade.REPLAY)
        end(here, plan, success=success, helped=helped, hard=float(hard))
        assert all(0 <= place.failure <= 1 for place in here.places)


def test_what_cannot_work_is_refused() -> None:
    with pytest.raises(ConfigError, match="tries is 0"):
        replace(CONFIG, tries=0)
    with pytest.raises(ConfigError, match="radius 0"):
        replace(CONFIG, radius=0.0)
    with pytest.raises(StorageError, match="cannot be gone on with"):
        GradedSchedule().load({"places": []})
