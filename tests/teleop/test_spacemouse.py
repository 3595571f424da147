"""The SpaceMouse as a device, over reports in virtual time: what hands and buttons do, and how it begins and ends."""

import os
import sys
import threading

import numpy as np
import pytest
from fake_hidapi import COMPACT, PRO, REST, WIRELESS, motion
from puck_rig import DISCONNECTED, FORWARD, OK, SCALE, button, counts, rigs, tool

from robot_hil.clock import VirtualClock
from robot_hil.data.teleop import EventKind
from robot_hil.errors import ConfigError, DependencyError
from robot_hil.protocols import Monitored
from robot_hil.teleop.deflection import FACING_ROBOT, DeflectionConfig
from robot_hil.teleop.spacemouse import SpaceMouse, SpaceMouseConfig, default_buttons
from robot_hil.teleop.spacemouse_reader import ReaderConfig, Rest


@pytest.fixture
def rig():
    with rigs() as make:
        yield make


# -- driving -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ids", [COMPACT, WIRELESS], ids=["two reports", "one report"])
def test_each_axis_moves_the_robot_the_way_the_hand_goes(rig, ids):
    one = rig(ids).begin()
    directions = []
    for axis in range(6):
        one.push(counts(1.0, axis))
        directions.append(one.latest().action[:6].tolist())
        one.push(REST)
        assert not one.latest().engaged
    # Device: x right, y towards the operator, z down. Robot: x away, y left, z up.
    expected = np.zeros((6, 6))
    for axis, out in ((0, 1), (1, 0), (2, 2), (3, 4), (4, 3), (5, 5)):
        expected[axis, out] = -1.0
    assert directions == expected.tolist()


def test_an_operator_who_faces_the_robot(rig):
    one = rig(deflection=DeflectionConfig(rotation=FACING_ROBOT)).begin()
    one.push(FORWARD)
    assert one.latest().action[0] == -1.0


def test_nobody_touches_it(rig):
    one = rig().begin()
    for _ in range(50):
        one.wait(0.01)
        sample = one.latest()
        assert (sample.status, sample.engaged, sample.action) == (OK, False, None)
        assert sample.t == one.clock.now()
    assert one.device.info().problem == ""


def test_the_sample_says_when_the_reader_was_alive_not_when_the_hand_moved(rig):
    one = rig().begin()
    one.push(counts(0.5))
    one.wait(0.1)
    sample = one.latest()
    assert (sample.status, sample.engaged, sample.t) == (OK, True, one.clock.now())


def test_all_reports_are_taken_and_the_newest_counts(rig):
    one = rig().begin()
    before = one.device.reports
    one.bench.send(*(report for i in range(300) for report in motion(counts(i / 299))))
    assert one.device.reports == before + 600
    assert one.latest().action[0] == -1.0


# -- rest and bias -----------------------------------------------------------------------------------------------------


def test_it_does_not_drive_before_it_is_known_to_be_at_rest(rig):
    one = rig()
    one.device.start()
    one.bench.send(motion(FORWARD)[0])
    assert not one.latest().engaged
    one.push(FORWARD)
    assert not one.latest().engaged  # held while it was plugged in
    assert "let go" in one.device.info().problem
    one.push(REST)
    assert not one.latest().engaged
    one.push(FORWARD)
    assert one.latest().engaged
    assert one.device.info().problem == ""


def test_a_bias_at_rest_is_taken_away(rig):
    one = rig(deflection=DeflectionConfig(leave=0.005, enter=0.01))
    one.device.start()
    for _ in range(50):
        one.push(counts(0.04))
        one.wait(0.01)
    one.wait(0.05)
    assert not one.latest().engaged
    one.push(counts(0.54))
    assert one.latest().action[0] == pytest.approx(-0.5, abs=0.004)


@pytest.mark.parametrize("held", [0.06, 0.2, 1.0])
def test_a_hand_on_it_is_no_bias(rig, held):
    one = rig()
    one.device.start()
    for _ in range(150):
        one.push(counts(held))
        one.wait(0.01)
        assert not one.latest().engaged
    one.push(REST)
    assert not one.latest().engaged
    one.push(counts(-0.5))
    assert one.latest().action[0] == pytest.approx((0.5 - 0.04) / 0.96, abs=0.002)


def test_a_tap_during_the_look_is_no_bias():
    rest = Rest(ReaderConfig(), 0.08, 0.0)
    for i in range(100):
        rest.hear((0.3 if 40 <= i < 45 else 0.0,) * 6)
    rest.tick(0.5, (0.0,) * 6)
    assert not rest.known
    for _ in range(100):
        rest.hear((0.02,) * 6)
    rest.tick(0.9, (0.02,) * 6)
    assert not rest.known  # the second look is not over
    rest.tick(1.0, (0.02,) * 6)
    assert rest.known
    assert rest.bias == pytest.approx((0.02,) * 6)


def test_a_few_reports_of_a_passing_touch_are_no_bias():
    rest = Rest(ReaderConfig(), 0.08, 0.0)
    for _ in range(5):
        rest.hear((0.04,) * 6)
    rest.tick(0.5, (0.0,) * 6)
    assert rest.known
    assert rest.bias == (0.0,) * 6


def test_a_puck_that_fell_silent_while_deflected_is_not_at_rest():
    rest = Rest(ReaderConfig(), 0.08, 0.0)
    for t in (0.5, 1.0, 1.5):
        rest.tick(t, (0.2,) * 6)
        assert not rest.known


def test_noise_at_rest_never_takes_over(rig):
    one = rig(silent_s=10.0)
    one.device.start()
    rng = np.random.default_rng(3)
    for _ in range(400):
        one.push(rng.integers(-20, 21, 6).tolist())
        one.wait(0.004)
        assert not one.latest().engaged


# -- buttons -----------------------------------------------------------------------------------------------------------


def test_left_closes_and_right_opens(rig):
    one = rig().begin()
    one.bench.send(button(1))
    sample = one.latest()
    assert sample.engaged
    assert sample.action.tolist() == [0, 0, 0, 0, 0, 0, -1.0]
    one.bench.send(button(0), button(2))
    assert one.latest().action[6] == 1.0
    one.wait(0.6)
    assert not one.latest().engaged


def test_of_two_presses_in_one_period_the_last_counts(rig):
    one = rig().begin()
    one.bench.send(button(1), button(0), button(2), button(0))
    assert one.latest().action[6] == 1.0


def test_a_held_button_is_one_edge(rig):
    one = rig(buttons={"LEFT": "success"}).begin()
    one.bench.send(button(1), button(1), button(3), button(1))
    one.push(FORWARD)
    assert [event.kind for event in one.device.drain_events()] == [EventKind.SUCCESS]
    one.bench.send(button(0), button(1))
    assert [event.kind for event in one.device.drain_events()] == [EventKind.SUCCESS]


def test_edges_are_kept_until_they_are_taken(rig):
    one = rig(buttons={0: "success", "RIGHT": "fail"}).begin()
    for _ in range(100):
        one.bench.send(button(1), button(0), button(2), button(0))
    one.device.stop()
    events = one.device.drain_events()
    assert [event.kind for event in events] == [EventKind.SUCCESS, EventKind.FAIL] * 100
    assert {(event.source, event.t) for event in events} == {("spacemouse", one.clock.now())}
    assert one.device.drain_events() == []


def test_toggle_begins_with_what_the_gripper_does(rig):
    one = rig(width=0.0, buttons={"LEFT": "toggle"}).begin()
    for expected in (1.0, -1.0, 1.0):
        one.bench.send(button(1), button(0))
        assert one.latest().action[6] == expected
    one.bench.send(button(1), button(0), button(1), button(0))  # twice within a period: as before
    assert one.latest().action[6] == 1.0


def test_models_with_many_keys_have_functions_for_them(rig):
    one = rig(PRO).begin()
    keys = {"MENU": (1, 0, 0, 0), "BTN_1": (0, 16, 0, 0), "BTN_2": (0, 32, 0, 0), "ESC": (0, 0, 64, 0)}
    for pressed in keys.values():
        one.bench.send(button(*pressed), button(0))
    assert one.latest().action[6] == -1.0
    kinds = [event.kind for event in one.device.drain_events()]
    assert kinds == [EventKind.SUCCESS, EventKind.FAIL, EventKind.ESTOP]


def test_every_model_has_sensible_default_buttons():
    import pyspacemouse

    for name, spec in pyspacemouse.get_device_specs().items():
        functions = default_buttons(spec.button_names)
        assert set(functions) <= set(spec.button_names)
        grip = sorted(function for function in functions.values() if function in ("open", "close"))
        assert grip == ([] if name == "SpaceMouseUSB" else ["close", "open"]), name
        assert len(set(functions.values())) == len(functions)
    enterprise = default_buttons(pyspacemouse.get_device_specs()["SpaceMouseEnterprise"].button_names)
    assert enterprise["FIT"] == "open"  # and not the key RIGHT, which is a view


@pytest.mark.parametrize("wanted", [{"MIDDLE": "success"}, {2: "success"}, {-1: "success"}])
def test_a_button_that_is_not_there_is_refused_with_those_that_are(rig, wanted):
    one = rig(buttons=wanted)
    with pytest.raises(ConfigError, match=r"no button.*LEFT, RIGHT"):
        one.device.start()
    assert one.bench.closed == 1
    assert one.latest().status is DISCONNECTED


# -- start, stop, info -------------------------------------------------------------------------------------------------


def test_nothing_is_touched_before_start(rig):
    one = rig()
    assert one.bench.waits == 0
    info = one.device.info()
    assert (info.name, info.kind, info.status, info.age_s) == ("spacemouse", "spacemouse", DISCONNECTED, np.inf)
    assert "not started" in info.problem
    assert isinstance(one.device, Monitored)


def test_info_tells_rate_and_engagement(rig):
    one = rig().begin()
    for _ in range(30):
        one.push(FORWARD)
        one.wait(0.01)
        one.latest()
    info = one.device.info()
    assert (info.status, info.engaged, info.age_s) == (OK, True, 0.0)
    assert info.rate_hz == 60.0
    assert info.battery is None


def test_the_light_shows_that_it_is_in_use(rig):
    one = rig().begin()
    one.device.stop()
    assert one.bench.written == [b"\x04\x01", b"\x04\x00"]
    dark = rig(reader=ReaderConfig(led=False)).begin()
    dark.device.stop()
    assert dark.bench.written == []


@pytest.mark.parametrize("permitted", [True, False])
def test_its_thread_is_urgent_where_permitted(rig, monkeypatch, permitted):
    asked = []

    def schedule(pid: int, policy: int, parameter: os.sched_param) -> None:
        asked.append((threading.current_thread().name, pid, policy & os.SCHED_RESET_ON_FORK != 0))
        if not permitted:
            raise PermissionError("no")

    monkeypatch.setattr(os, "sched_setscheduler", schedule)
    one = rig().begin()
    assert one.latest().status is OK
    assert asked == [("spacemouse", 0, True)]
    rig(reader=ReaderConfig(urgent=False)).begin()
    assert len(asked) == 1


def test_what_is_not_there_is_refused_at_start(rig):
    one = rig(index=3)
    with pytest.raises(ConfigError, match=r"number 3.*0: /dev/hidraw1 SpaceMouseCompact"):
        one.device.start()
    one.bench.plugged = False
    any_one = SpaceMouse(SCALE, tool, one.clock, hid=one.bench)
    with pytest.raises(ConfigError, match="plug it in"):
        any_one.start()
    one.bench.plugged = one.bench.refuses = True
    with pytest.raises(ConfigError, match="cannot be opened"):
        any_one.start()
    with pytest.raises(ConfigError, match="hidraw9"):
        SpaceMouse(SCALE, tool, one.clock, path="/dev/hidraw9", hid=one.bench).start()


def test_without_libraries_start_says_what_to_install(monkeypatch):
    for name in ("easyhid", "hidraw", "hid"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(DependencyError, match=r"robot_hil\[spacemouse\]"):
        SpaceMouse(SCALE, tool, VirtualClock()).start()


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"name": ""}, "name"),
        ({"convention": "left-handed"}, "hid_z_up"),
        ({"max_age_s": 0.0}, "max_age_s"),
        ({"max_age_s": float("nan")}, "max_age_s"),
        ({"max_age_s": 0.2}, "idle_age_s"),
        ({"idle_age_s": float("inf")}, "idle_age_s"),
        ({"silent_s": -1.0}, "silent_s"),
        ({"buttons": {"LEFT": "explode"}}, "success"),
        ({"buttons": {"LEFT": "clear"}}, "clear"),
    ],
    ids=str,
)
def test_configurations_that_cannot_work_are_refused(wrong, match):
    with pytest.raises(ConfigError, match=match):
        SpaceMouseConfig(**wrong)


@pytest.mark.parametrize(
    "wrong", [{"rest_s": -1.0}, {"max_bias": 1.0}, {"poll_s": 0.0}, {"poll_s": 0.06}, {"retry_s": 0.0}], ids=str
)
def test_reader_times_that_cannot_work_are_refused(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        ReaderConfig(**wrong)
