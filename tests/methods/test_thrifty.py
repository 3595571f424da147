"""ThriftyDAgger's view: success alone is rewarded, and only people are imitated."""

import numpy as np
from methods.made import columns

from robot_hil.methods.thrifty import Thrifty


def test_success_is_worth_one_whatever_the_task_gives() -> None:
    facts = columns("d.h.", **{"reward/env": np.float32([-0.1, 0, 7, 0])})
    assert Thrifty().reward(facts)[0].tolist() == [0, 0, 1, 0]
    assert "imitate" not in Thrifty().aux(facts)
