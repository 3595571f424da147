"""HACO's view: no reward, and what take-overs cost."""

import numpy as np
import pytest
from methods.made import columns

from robot_hil.methods.haco import Haco


def test_only_the_first_step_of_an_intervention_costs_by_the_angle_between_the_actions() -> None:
    human = np.float32([[1, 0]] * 6)
    policy = np.float32([[-1, 0], [-1, 0], [0, 0.5], [-1, 0], [-0.3, 0], [1, 1]])
    facts = columns("d.hh.h", action_executed=human, action_policy=policy)
    assert Haco().aux(facts)["takeover_cost"].tolist() == pytest.approx([0, 0, 1, 0, 0, 1 - 0.5**0.5])


def test_a_policy_that_stands_still_costs_one() -> None:
    facts = columns(".h", action_executed=np.ones((2, 2), np.float32), action_policy=np.zeros((2, 2), np.float32))
    assert Haco().aux(facts)["takeover_cost"].tolist() == [0, 1]


def test_nothing_is_rewarded() -> None:
    assert not Haco().reward(columns("d.h", **{"reward/env": np.ones(3, np.float32)}))[0].any()


def test_that_an_episode_ended_is_no_value() -> None:
    facts = columns("d.h", terminated=np.array([False, False, True]))
    critic, actor = Haco().weights({**Haco().aux(facts), "reward": np.zeros(3)})
    assert critic.tolist() == [1, 1, 0]
    assert actor.tolist() == [1, 1, 1]
