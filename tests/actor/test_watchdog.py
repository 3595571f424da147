"""The watchdog thread holds an arm whose commander went silent."""

import time

import pytest
from actor.parts import PointArm, cartesian, limits

from robot_hil.actor.safety import GateState, SafetyGate
from robot_hil.actor.watchdog import Watchdog
from robot_hil.clock import MonotonicClock
from robot_hil.errors import ConfigError


def test_hung_commander_is_noticed_by_the_thread():
    clock = MonotonicClock()
    arm = PointArm(clock)
    gate = SafetyGate(arm, limits(max_command_age=0.05), clock)
    gate.connect()
    watchdog = Watchdog(gate, period_s=0.005)
    watchdog.start()
    watchdog.start()
    gate.command(cartesian((0.5, 0, 0.3)))
    deadline = time.monotonic() + 20
    while gate.mode is GateState.RUN and time.monotonic() < deadline:
        time.sleep(0.005)
    watchdog.stop()
    watchdog.stop()
    assert gate.mode is GateState.HOLD
    assert arm.stops == 1


def test_period_must_be_a_time():
    clock = MonotonicClock()
    with pytest.raises(ConfigError):
        Watchdog(SafetyGate(PointArm(clock), limits(), clock), period_s=0.0)
