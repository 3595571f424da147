"""The guard stops an arm between control periods: device lost, e-stop, hung commander."""

import time
from collections.abc import Callable

import numpy as np
import pytest
from actor.parts import PointArm, cartesian, limits

from robot_hil.actor.arbiter import Arbiter, ArbiterConfig, ArbiterState
from robot_hil.actor.guard import Guard
from robot_hil.actor.safety import GateState, SafetyGate
from robot_hil.clock import MonotonicClock, VirtualClock
from robot_hil.data.teleop import EventKind, SampleStatus, TeleopEvent, TeleopSample
from robot_hil.errors import ConfigError


class Desk:
    """An operator's desk whose trouble and edges the test decides."""

    def __init__(self) -> None:
        self.problem = ""
        self.events: list[TeleopEvent] = []

    def trouble(self, now: float) -> str:
        return self.problem

    def pump(self) -> list[TeleopEvent]:
        events, self.events = self.events, []
        return events


class Scene:
    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.arm = PointArm(self.clock)
        self.gate = SafetyGate(self.arm, limits(), self.clock)
        self.gate.connect()
        self.arbiter = Arbiter(ArbiterConfig(action_dim=3))
        self.desk = Desk()
        self.guard = Guard(self.gate, self.arbiter, self.desk, self.clock)

    def drive(self, *, engaged: bool = True) -> ArbiterState:
        sample = TeleopSample(
            status=SampleStatus.OK,
            t=self.clock.now(),
            engaged=engaged,
            action=np.ones(3, np.float32) if engaged else None,
        )
        return self.arbiter.update(self.clock.now(), np.zeros(3, np.float32), sample).state


@pytest.fixture
def scene() -> Scene:
    return Scene()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.005)
    assert condition()


def test_a_device_lost_while_driving_stops_the_arm_before_the_next_period(scene):
    assert scene.drive() is ArbiterState.HUMAN
    scene.gate.command(cartesian((0.5, 0, 0.3)))
    scene.desk.problem = "unplugged"
    scene.guard.look()
    assert scene.arbiter.state is ArbiterState.HOLD
    assert scene.gate.interrupted
    assert scene.gate.mode is GateState.RUN
    assert scene.drive() is ArbiterState.HOLD
    assert "unplugged" in scene.arbiter.reason


def test_a_command_that_was_under_way_is_not_the_last_word(scene):
    scene.drive()
    scene.desk.problem = "unplugged"
    scene.guard.look()
    scene.gate.command(cartesian((0.5, 0, 0.3)))
    assert not scene.gate.interrupted
    scene.guard.look()
    assert scene.gate.interrupted
    scene.drive()
    stops = scene.arm.stops
    scene.guard.look()
    assert scene.arm.stops == stops


def test_an_idle_device_in_trouble_leaves_the_policy_alone(scene):
    scene.drive(engaged=False)
    scene.desk.problem = "unplugged"
    scene.guard.look()
    assert scene.arbiter.state is ArbiterState.POLICY


def test_an_estop_does_not_wait_for_the_loop(scene):
    scene.desk.events.append(TeleopEvent(kind=EventKind.ESTOP, t=0.0, source="pedal"))
    scene.guard.look()
    assert scene.gate.mode is GateState.STOP
    stops = scene.gate.info().stops
    scene.desk.events.append(TeleopEvent(kind=EventKind.ESTOP, t=0.0, source="pedal"))
    scene.guard.look()
    assert scene.gate.info().stops == stops


def test_the_thread_survives_a_broken_desk_and_holds_a_silent_commander():
    clock = MonotonicClock()
    arm = PointArm(clock)
    gate = SafetyGate(arm, limits(max_command_age=0.05), clock)
    gate.connect()

    class Broken(Desk):
        calls = 0

        def pump(self) -> list[TeleopEvent]:
            self.calls += 1
            if self.calls == 1:
                raise RuntimeError("cable torn")
            return []

    guard = Guard(gate, station=Broken(), period_s=0.005)
    guard.start()
    guard.start()
    gate.command(cartesian((0.5, 0, 0.3)))
    until(lambda: gate.mode is GateState.HOLD)
    guard.stop()
    guard.stop()
    assert arm.stops == 1


def test_period_must_be_a_time():
    with pytest.raises(ConfigError):
        Guard(None, period_s=0.0)
