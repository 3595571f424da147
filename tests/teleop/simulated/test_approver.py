"""Who approves looks first, and lets the robot do what goes the right way."""

import numpy as np
import pytest

from robot_hil.clock import VirtualClock
from robot_hil.envs.toy.peg_slot import make_env
from robot_hil.teleop.simulated import experts
from robot_hil.teleop.simulated.approver import Approver


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def approver(clock: VirtualClock) -> Approver:
    env = make_env()
    env.reset(seed=3)
    return Approver(experts.make("peg_slot"), env.privileged, clock, delay_s=0.2)


def wanted() -> np.ndarray:
    env = make_env()
    env.reset(seed=3)
    return experts.make("peg_slot").action(env.privileged(), 1.0)


def asked(approver: Approver, clock: VirtualClock, proposal: np.ndarray, times: int) -> list[bool]:
    found = []
    for _ in range(times):
        found.append(approver(proposal))
        clock.sleep_until(clock.now() + 0.1)
    return found


def test_what_goes_the_right_way_is_approved_after_a_look(approver: Approver, clock: VirtualClock) -> None:
    assert asked(approver, clock, 0.3 * wanted(), 4) == [False, False, True, True]
    clock.sleep_until(clock.now() + 1.0)
    assert asked(approver, clock, wanted(), 3) == [False, False, True]


@pytest.mark.parametrize("proposal", [-wanted(), np.zeros(2), wanted()[::-1] * [1.0, -1.0]])
def test_what_goes_another_way_is_not(approver: Approver, clock: VirtualClock, proposal: np.ndarray) -> None:
    assert asked(approver, clock, proposal, 5) == [False] * 5
