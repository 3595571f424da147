"""RECAP's view: what a step costs, what an episode came to."""

import numpy as np
import pytest
from methods.made import columns, log

from robot_hil.errors import ConfigError
from robot_hil.methods.recap import Recap

METHOD = Recap(horizon_steps=10)


def test_a_step_costs_its_part_and_failure_everything() -> None:
    made = columns("...|..|..", success=[0, 0, 1, 0, 0, 0, 0], terminated=[0, 0, 1, 0, 0, 0, 1])
    reward, mask, cut = METHOD.reward(
        {**made, "success": made["success"].astype(bool), "terminated": made["terminated"].astype(bool)}
    )
    assert reward == pytest.approx([-0.1, -0.1, -0.1, -0.1, -1.0, -0.1, -1.0])  # a time-out and a failure alike
    assert mask.tolist() == [1, 1, 0, 1, 0, 1, 0]
    assert not cut.any()


def test_a_reward_is_a_success_too() -> None:
    said = np.float32([np.nan, 1.0])
    assert METHOD.reward(columns("..", **{"reward/human": said}))[0] == pytest.approx([-0.1, -0.1])


def test_returns_of_episodes_as_they_went() -> None:
    truncated = np.array([False, False, True, False, True, False, False])
    made = log("d..|..|..", gamma=1.0, success=np.array([0, 0, 1, 0, 0, 0, 0], bool), truncated=truncated)
    said = METHOD.survey(made)
    assert said["return"] == pytest.approx([-0.3, -0.2, -0.1, -1.0, -1.0, 0.0, 0.0])
    assert said["returned"].tolist() == [1, 1, 1, 1, 1, 0, 0]  # the last one is still going on


def test_a_horizon_is_needed() -> None:
    with pytest.raises(ConfigError, match="horizon_steps is 0"):
        Recap(horizon_steps=0)
