"""SiLRI's view: its reward."""

import numpy as np
import pytest
from methods.made import columns

from robot_hil.methods.silri import Silri


def test_a_success_is_worth_ten_and_a_step_costs() -> None:
    reward, _, _ = Silri().reward(columns("d.h", **{"reward/env": np.float32([0, 0, 1])}))
    assert reward.tolist() == pytest.approx([-0.05, -0.05, 9.95])
    assert reward.dtype == np.float32
