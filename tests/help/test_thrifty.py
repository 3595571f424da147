"""When a robot asks: thresholds within a budget, and no flicker between the two who may drive."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_hil.errors import ConfigError
from robot_hil.help.thrifty import Thresholds, ThriftyGate, ThriftyReliability, doubt_at_take_overs

LIMITS = Thresholds(doubt=1.0, unsafe=0.2, safe=0.5, agreement=0.1)


def test_doubt_is_judged_by_the_last_quarter_of_the_take_overs() -> None:
    assert doubt_at_take_overs(np.array([9.0, 9, 9, 9, 9, 9, 1, 2])) == 1.5
    assert doubt_at_take_overs(np.array([9.0, 3.0])) == 3.0
    assert doubt_at_take_overs(np.array([7.0])) == 7.0
    assert doubt_at_take_overs(np.zeros(0)) == float("inf")


@given(st.floats(0.01, 0.5), st.integers(0, 10**6))
def test_each_reason_alone_keeps_to_the_budget(budget: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    doubts, successes = rng.random(200), rng.random(200)
    limits = Thresholds.of(doubts, successes, rng.random(9), budget)
    assert np.mean(doubts > limits.doubt) <= budget + 1 / 200
    assert np.mean(successes < limits.unsafe) <= budget + 1 / 200
    assert limits.unsafe <= limits.safe


@pytest.mark.parametrize(("doubt", "success", "asks"), [(0.9, 0.3, False), (1.1, 0.9, True), (0.0, 0.1, True)])
def test_it_asks_by_either_reason(doubt: float, success: float, asks: bool) -> None:
    assert ThriftyGate(LIMITS).update(doubt, success) == asks


def test_it_takes_over_again_only_where_it_agrees_and_is_safe() -> None:
    gate = ThriftyGate(LIMITS)
    assert gate.update(2.0, 0.9)
    assert gate.update(0.0, 0.9)  # nobody has come yet
    assert gate.update(0.0, 0.9, distance=0.2)
    assert gate.update(0.0, 0.4, distance=0.05)
    assert not gate.update(5.0, 0.6, distance=0.05)
    assert gate.update(5.0, 0.6)
    gate.begin_episode()
    assert not gate.asking


def test_reliability_falls_while_it_asks_and_says_why() -> None:
    foreseen = iter([(0.0, 0.9), (2.0, 0.9), (0.0, 0.1), (0.0, 0.9), (0.0, 0.9)])
    robot = ThriftyReliability(lambda obs: (np.full(2, 0.3, np.float32), *next(foreseen)), LIMITS)
    robot.begin_episode()
    far, near = np.float32([-1, 0]), np.float32([0.3, 0.2])
    said = [robot.reliability({}, executed) for executed in (None, near, far, far, near)]
    assert [p for p, _ in said] == [1.0, 0.0, 0.0, 0.0, 1.0]
    assert (said[1][1], said[2][1]) == ("the imitators disagree on what to do", "success is unlikely")


@pytest.mark.parametrize("budget", [0.0, 0.6])
def test_budgets_that_cannot_be_are_refused(budget: float) -> None:
    with pytest.raises(ConfigError, match=f"budget is {budget}"):
        Thresholds.of(np.ones(1), np.ones(1), np.ones(1), budget)


def test_thresholds_of_nothing_are_refused() -> None:
    with pytest.raises(ConfigError, match="there are none"):
        Thresholds.of(np.ones(1), np.ones(1), np.zeros(0), 0.1)
