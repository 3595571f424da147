"""Cal-QL's view: the return that was reached from each row."""

import numpy as np
import pytest
from methods.made import log

from robot_hil.methods.cal_ql import CalQl


def test_the_return_is_that_of_the_rest_of_the_episode() -> None:
    reward = {"reward/env": np.float32([0, 0, 1, 0, 0.5, 0])}
    found = CalQl().survey(log("ddd|.h.", gamma=0.5, **reward))["mc_return"]
    assert found.tolist() == pytest.approx([0.25, 0.5, 1, 0.25, 0.5, 0])
    assert found.dtype == np.float32
