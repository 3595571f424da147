"""The SpaceMouse with everything real: devices served to it over a HID library of our own, threads, time, arbiter."""

import threading
import time
from dataclasses import replace

import fake_hidapi
import numpy as np
import pytest
from contracts import TeleopContract
from fake_hidapi import COMPACT, REST, WIRELESS, FakePuck, motion
from puck_rig import DISCONNECTED, FORWARD, OK, PATIENT, SCALE, button, counts, tool, wait_until

from robot_hil.actor.arbiter import Arbiter, ArbiterConfig, ArbiterState
from robot_hil.clock import MonotonicClock
from robot_hil.data.teleop import EventKind, TeleopEvent
from robot_hil.errors import ConfigError
from robot_hil.teleop.spacemouse import SpaceMouse


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return fake_hidapi.build(tmp_path_factory.mktemp("hidapi"))


@pytest.fixture
def served(library, tmp_path):
    """Return a function that plugs in a device."""
    folder = tmp_path / "d"
    folder.mkdir()
    made: list[FakePuck] = []

    def plug(name: str, ids: tuple[int, int] = COMPACT) -> FakePuck:
        made.append(FakePuck(folder, name, ids))
        return made[-1]

    with fake_hidapi.installed(library, folder):
        yield plug
    for device in made:
        device.unplug()


def rested(device: SpaceMouse, puck: FakePuck) -> None:
    """Wait until it may drive."""
    wait_until(lambda: puck.opened == 1)
    still = motion(REST, combined=puck.ids == WIRELESS)
    puck.send(*still)
    wait_until(lambda: device.reports == len(still) and device.latest().status is OK)


def test_two_devices_by_path_drive_two_arms(served):
    pucks = [served("left"), served("right", WIRELESS)]
    clock = MonotonicClock()
    devices = [
        SpaceMouse(SCALE, tool, clock, path=str(puck.path), config=replace(PATIENT, name=puck.path.name))
        for puck in pucks
    ]
    for device, puck in zip(devices, pucks, strict=True):
        device.start()
        rested(device, puck)
    keep = threading.Event()

    def hold() -> None:
        while not keep.is_set():
            pucks[0].send(*motion(FORWARD))
            pucks[1].send(*motion(counts(-1.0, 0), combined=True))
            time.sleep(0.004)

    pushing = threading.Thread(target=hold)
    pushing.start()
    wait_until(lambda: all(device.latest().engaged for device in devices))
    left, right = (device.latest().action.tolist() for device in devices)
    keep.set()
    pushing.join()
    assert left == [1.0, 0, 0, 0, 0, 0, 0]
    assert right == [0, 1.0, 0, 0, 0, 0, 0]
    pucks[0].unplug()
    wait_until(lambda: devices[0].latest().status is DISCONNECTED)
    assert devices[1].latest().status is not DISCONNECTED
    with pytest.raises(ConfigError, match=r"several|left"):
        SpaceMouse(SCALE, tool, clock, path=str(pucks[0].path)).start()
    for device in devices:
        device.stop()


def test_unplugged_while_driving_holds_the_arm_until_a_person_resumes(served):
    puck, clock = served("left"), MonotonicClock()
    device = SpaceMouse(SCALE, tool, clock, config=PATIENT)
    arbiter, policy = Arbiter(ArbiterConfig(action_dim=7)), np.full(7, 0.25, np.float32)

    def step(*events: TeleopEvent):
        return arbiter.update(clock.now(), policy, device.latest(), (*device.drain_events(), *events))

    device.start()
    rested(device, puck)
    assert step().state is ArbiterState.POLICY
    puck.send(*motion(FORWARD))
    wait_until(lambda: step().state is ArbiterState.HUMAN)
    puck.unplug()
    wait_until(lambda: step().state is ArbiterState.HOLD)
    assert not step().action.any()
    puck.plug()
    wait_until(lambda: device.latest().status is OK)
    puck.send(*motion(FORWARD))
    wait_until(lambda: device.reports > 2)
    assert step().state is ArbiterState.HOLD
    puck.send(*motion(REST))
    wait_until(lambda: device._reader.reading.t_rest > 0)
    resume = TeleopEvent(kind=EventKind.RESUME, t=clock.now(), source="console")
    assert step(resume).state is ArbiterState.POLICY
    device.stop()


def test_many_reports_in_many_threads_are_all_heard(served):
    puck, clock = served("left"), MonotonicClock()
    device = SpaceMouse(SCALE, tool, clock, config=replace(PATIENT, buttons={"LEFT": "success"}))
    device.start()
    rested(device, puck)
    before = device.reports
    for i in range(500):
        puck.send(*motion(counts((i % 100) / 100)), button(1), button(0))
    wait_until(lambda: device.reports == before + 2000)
    device.stop()
    assert len(device.drain_events()) == 500


class TestContract(TeleopContract):
    action_dim = 7

    @pytest.fixture(autouse=True)
    def puck(self, served):
        self.served = served("left")

    def make_device(self):
        return SpaceMouse(SCALE, tool, MonotonicClock(), config=PATIENT)
