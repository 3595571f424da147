"""Fixtures of the actor's tests."""

import pytest
from actor.parts import PointArm

from robot_hil.clock import VirtualClock


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(start=100.0)


@pytest.fixture
def arm(clock: VirtualClock) -> PointArm:
    return PointArm(clock)
