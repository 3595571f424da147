"""When a robot asks: thresholds within a budget, and no flicker between the two who may drive."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_hil.errors import ConfigError
from robot_hil.help.thrifty import Thresholds, ThriftyGate, ThriftyReliability

LIMITS = Thresholds(doubt=1.0, unsafe=0.2, safe=0.5, agreement=0.1)


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


class Robot:
    """A policy whose doubt and foresight the test tells."""

    def __init__(self, budget: float = 0.1) -> None:
        self.doubt, self.success = 0.0, 0.9
        self.asks = ThriftyReliability(lambda obs: (np.full(2, 0.3, np.float32), self.doubt, self.success), budget)

    def live(self, episodes: int, steps: int = 30) -> None:
        """Act by itself for a while; doubt is 0 to 0.29 in turn, success the other way round."""
        for _ in range(episodes):
            self.asks.begin_episode()
            for step in range(steps):
                self.doubt, self.success = step / 100, 1 - step / 100
                self.asks.reliability({}, None)


def test_it_asks_for_nobody_before_it_knows_itself() -> None:
    robot = Robot()
    robot.live(1)
    robot.asks.begin_episode()
    robot.doubt, robot.success = 99.0, 0.0
    assert robot.asks.reliability({}, None)[0] == 1.0


def test_thresholds_are_those_of_its_newest_steps() -> None:
    robot = Robot(budget=0.1)
    robot.live(3)
    robot.asks.begin_episode()
    limits = robot.asks.gate.thresholds
    assert limits.doubt == pytest.approx(0.26, abs=0.011)
    assert limits.unsafe == pytest.approx(0.74, abs=0.011)
    assert limits.agreement == float("inf")


def test_reliability_falls_while_it_asks_and_says_why() -> None:
    robot = Robot()
    robot.live(3)
    robot.asks.begin_episode()
    far, near = np.float32([-1, 0]), np.float32([0.3, 0.2])
    course = [(0.0, 0.9, None, False), (2.0, 0.9, near, False), (0.0, 0.1, far, False), (0.0, 0.9, far, True)]
    said = []
    for robot.doubt, robot.success, executed, driven in course:
        said.append(robot.asks.reliability({}, executed, driven))
    assert [p for p, _ in said] == [1.0, 0.0, 0.0, 1.0]  # how far is too far nobody has shown yet
    assert (said[1][1], said[2][1]) == ("the imitators disagree on what to do", "success is unlikely")


def test_who_stands_about_does_not_agree_with_a_person() -> None:
    robot = Robot()
    robot.live(3)
    for _ in range(2):  # a person drives as the robot would, by and large
        robot.asks.reliability({}, np.float32([0.3, 0.2]), True)
    robot.asks.begin_episode()
    robot.doubt, robot.success = 9.0, 0.95
    assert robot.asks.reliability({}, None)[0] == 0.0
    robot.doubt = 0.0
    assert robot.asks.reliability({}, np.zeros(2, np.float32), False)[0] == 0.0
    assert robot.asks.reliability({}, np.zeros(2, np.float32), True)[0] == 0.0
    assert robot.asks.reliability({}, np.float32([0.3, 0.3]), True)[0] == 1.0


@pytest.mark.parametrize("budget", [0.0, 0.6])
def test_budgets_that_cannot_be_are_refused(budget: float) -> None:
    with pytest.raises(ConfigError, match=f"budget is {budget}"):
        Thresholds.of(np.ones(1), np.ones(1), np.ones(1), budget)
    with pytest.raises(ConfigError, match=f"budget is {budget}"):
        Robot(budget)


def test_thresholds_of_nothing_are_refused() -> None:
    with pytest.raises(ConfigError, match="there are none"):
        Thresholds.of(np.ones(1), np.ones(1), np.zeros(0), 0.1)
