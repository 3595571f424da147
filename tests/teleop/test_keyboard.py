"""The keyboard of the page: taps, edges, letting go in good order, and loss that stays loss."""

import itertools

import numpy as np
import pytest
from contracts import TeleopContract
from hypothesis import given
from hypothesis import strategies as st
from page_rig import SCALE, TURNING, Page, tool

from robot_hil.clock import VirtualClock
from robot_hil.data.operator_input import Pad
from robot_hil.data.teleop import SampleStatus
from robot_hil.errors import ConfigError
from robot_hil.protocols import Monitored
from robot_hil.teleop.deflection import FACING_ROBOT, DeflectionConfig
from robot_hil.teleop.keyboard import MOTION, Keyboard, KeyboardConfig

OK, LOST, DISCONNECTED = SampleStatus.OK, SampleStatus.LOST, SampleStatus.DISCONNECTED


class TestContract(TeleopContract):
    action_dim = 4

    def make_device(self):
        self.clock = VirtualClock(100.0)
        device = Keyboard(SCALE, tool, self.clock)
        self.page = Page(device, self.clock)
        self.page.tell(down=["KeyW"])
        return device

    def advance(self, device):
        self.page.hold(0.1)


class Rig:
    def __init__(self, scale=SCALE, width=0.08, **config):
        self.clock = VirtualClock(100.0)
        self.keys = Keyboard(scale, lambda: tool(width), self.clock, KeyboardConfig(**config))
        self.keys.start()
        self.page = Page(self.keys, self.clock)
        self.down()

    def down(self, *codes, **more):
        self.page.tell(down=list(codes), **more)

    def action(self):
        return self.page.action()


@pytest.fixture
def rig():
    return Rig()


def test_a_key_is_full_deflection_until_it_is_up(rig):
    assert rig.action() is None
    rig.down("KeyW")
    assert rig.action() == [1, 0, 0, 1]  # the gripper goes on with what it was told: open
    rig.down("KeyW", "KeyD", "KeyQ")
    assert rig.action() == [1, -1, -1, 1]
    rig.down()
    sample = rig.page.period()
    assert (sample.status, sample.engaged, sample.action, sample.tail_s) == (OK, False, None, 0.0)


@pytest.mark.parametrize("key", sorted(MOTION))
def test_every_key_moves_its_axis_of_a_task_with_rotations(key):
    rig = Rig(TURNING)
    axis, sign = MOTION[key]
    rig.down(key)
    wanted = [sign if name == axis else 0.0 for name in TURNING.axes[:6]]
    assert rig.action()[:6] == wanted


def test_keys_of_axes_that_the_task_has_not_do_not_take_over(rig):
    rig.down("KeyI", "KeyJ", "Enter", "KeyZ")
    assert rig.action() is None


def test_opposite_keys_hold_the_robot_still_and_in_hand(rig):
    rig.down("KeyW", "KeyS")
    sample = rig.page.period()
    assert sample.engaged
    assert sample.action.tolist() == [0, 0, 0, 1]


def test_the_operators_view_is_turned_into_the_robots_base():
    rig = Rig(deflection=DeflectionConfig(enter=0.01, leave=0, tail_s=0, rotation=FACING_ROBOT))
    rig.down("KeyW", "KeyA", "KeyE")
    assert rig.action()[:3] == [-1, -1, 1]


def test_shift_and_the_chosen_speed_slow_it_down(rig):
    rig.down("KeyW", "Digit2")
    assert rig.action()[0] == pytest.approx(0.5)
    rig.down("KeyW", "Digit2", "ShiftLeft")
    assert rig.action()[0] == pytest.approx(0.125)
    rig.down("KeyW")
    assert rig.action()[0] == 1


def test_a_tap_between_two_periods_moves_for_one_period(rig):
    rig.down("KeyA")
    rig.clock.advance(0.015)
    rig.down()
    assert rig.action() == [0, 1, 0, 1]
    assert rig.action() is None


def test_no_tap_is_lost_whatever_the_loops_period():
    for period, taps in itertools.product((1, 3, 7), (1, 20)):
        rig, seen = Rig(), 0
        for _ in range(taps):
            rig.down("KeyE")
            rig.clock.advance(0.015)
            rig.down()
            for _ in range(period):
                rig.page.hold(0.02)
            seen += rig.keys.latest().engaged
        assert seen == taps


def test_a_tap_that_the_loop_finds_too_late_moves_nothing(rig):
    rig.down("KeyW")
    rig.down()
    rig.page.hold(0.3)  # the loop was busy elsewhere, e.g. with a reset
    assert rig.keys.latest().action is None


@pytest.mark.parametrize(
    ("width", "keys", "wanted"),
    [
        (0.08, ["KeyC"], -1),
        (0.0, ["KeyV"], 1),
        (0.08, ["KeyG"], -1),
        (0.0, ["KeyG"], 1),
        (0.08, ["KeyG", "KeyG"], 1),
        (0.03, ["KeyC", "KeyG"], 1),
    ],
)
def test_a_tap_on_a_gripper_key_moves_the_gripper_alone(width, keys, wanted):
    rig = Rig(width=width)
    for key in keys:
        rig.down(key)
        rig.down()
    assert rig.action() == [0, 0, 0, wanted]
    for _ in range(5):
        rig.page.period()
    assert rig.action() is None


def test_the_gripper_keeps_its_command_while_the_person_drives(rig):
    rig.down("KeyW", "KeyC")
    assert rig.action() == [1, 0, 0, -1]
    rig.down("KeyW")
    assert [rig.action() for _ in range(8)] == [[1, 0, 0, -1]] * 8
    rig.down("KeyW", "KeyG")
    assert rig.action() == [1, 0, 0, 1]


def test_laying_the_keyboard_aside_releases_in_good_order(rig):
    rig.down("KeyW", "KeyC")
    assert rig.action() is not None
    rig.down("KeyW", armed=False)
    sample = rig.keys.latest()
    assert (sample.status, sample.engaged) == (OK, False)
    rig.clock.advance(1.0)
    sample = rig.keys.latest()
    assert sample.status is DISCONNECTED
    assert "laid aside" in sample.problem


def test_silence_while_driving_is_lost_until_all_keys_are_up(rig):
    rig.down("KeyW")
    assert rig.action() is not None
    rig.clock.advance(0.11)
    assert rig.keys.latest().status is OK
    rig.clock.advance(0.02)
    sample = rig.keys.latest()
    assert (sample.status, sample.engaged, sample.action) == (LOST, False, None)
    assert "no word" in sample.problem
    rig.page.hold(0.1)  # it is back, with the key still down
    assert rig.keys.latest().status is LOST
    rig.down("KeyD")  # another key is no release
    assert rig.keys.latest().status is LOST
    rig.down()
    sample = rig.keys.latest()
    assert (sample.status, sample.engaged) == (OK, False)
    rig.down("KeyD")
    assert rig.action() == [0, -1, 0, 1]


def test_silence_that_nobody_looked_at_is_lost_all_the_same(rig):
    rig.down("KeyW")
    assert rig.action() is not None
    rig.clock.advance(0.15)
    rig.down("KeyW")
    assert rig.keys.latest().status is LOST


def test_a_late_burst_is_as_old_as_its_making(rig):
    rig.down("KeyW")
    assert rig.action() is not None
    rig.clock.advance(0.1)
    rig.down("KeyW", old_s=0.05)
    sample = rig.keys.latest()
    assert sample.t == pytest.approx(rig.clock.now() - 0.05)
    rig.clock.advance(0.3)
    for age in (0.34, 0.32, 0.30):
        rig.down("KeyW", old_s=age)
    assert rig.keys.latest().status is LOST


def test_silence_while_nobody_drives_is_disconnected_and_heals_by_itself(rig):
    assert rig.action() is None
    rig.clock.advance(0.6)
    assert rig.keys.latest().status is DISCONNECTED
    assert rig.keys.info().status is DISCONNECTED
    rig.down()
    assert rig.keys.latest().status is OK


@pytest.mark.parametrize("driving", [True, False])
def test_a_page_that_goes_away_is_lost_only_when_it_drove(rig, driving):
    rig.down(*(["KeyW"] if driving else []))
    rig.page.period()
    rig.keys.gone("another", "closed")
    assert rig.keys.latest().status is OK
    rig.keys.gone("one", "the page was closed")
    sample = rig.keys.latest()
    assert sample.status is (LOST if driving else DISCONNECTED)
    assert sample.problem == "the page was closed"


def test_a_page_that_comes_back_must_press_anew(rig):
    rig.down("KeyW")
    rig.page.period()
    rig.keys.gone("one", "broke off")
    again = Page(rig.keys, rig.clock, "two")
    again.tell(down=["KeyW"])
    assert rig.keys.latest().status is LOST
    again.tell(down=[])
    assert not again.period().engaged
    again.tell(down=["KeyW"])
    assert again.period().engaged


def test_another_page_cannot_pull_at_the_same_time(rig):
    rig.down("KeyW")
    rig.page.period()
    Page(rig.keys, rig.clock, "two").tell(down=["KeyS"])
    sample = rig.keys.latest()
    assert sample.status is LOST
    assert "another page" in sample.problem


def test_a_key_held_since_before_start_does_not_move(rig):
    rig.keys.stop()
    rig.down("KeyW")
    rig.keys.start()
    assert rig.action() is None
    rig.down("KeyW", "KeyD")
    assert rig.action() == [0, -1, 0, 1]
    rig.down()
    rig.down("KeyW")
    assert rig.action() == [1, 0, 0, 1]


def test_messages_for_other_devices_are_not_for_this_one(rig):
    rig.keys.feed(Pad(seq=0, t=0, connected=True), client="x", operator="Bo", t_recv=1.0, t_page=1.0)
    assert rig.page.period().operator == "Anna"


def test_a_gripper_that_cannot_be_read_cannot_be_changed_and_does_not_raise():
    def broken():
        raise OSError("no arm")

    clock = VirtualClock()
    keys = Keyboard(SCALE, broken, clock)
    keys.start()
    page = Page(keys, clock)
    page.tell(down=[])
    page.tell(down=["KeyG"])
    sample = keys.latest()
    assert sample.status is LOST
    assert "no arm" in sample.problem


def test_it_says_how_it_is(rig):
    assert isinstance(rig.keys, Monitored)
    rig.down("KeyW")
    rig.page.seq += 3
    for _ in range(12):
        rig.page.period()
    info = rig.keys.info()
    assert (info.kind, info.status, info.engaged, info.operator, info.dropped) == ("keyboard", OK, True, "Anna", 3)
    assert info.rate_hz == pytest.approx(50, abs=2)
    assert info.age_s == pytest.approx(0)
    assert Keyboard(SCALE, tool, VirtualClock()).info().age_s == np.inf


@given(st.lists(st.sampled_from(["W", "up", "tick", "silence", "aside", "gone"]), max_size=40))
def test_it_never_moves_without_a_key_down_or_tapped(steps):
    rig = Rig()
    tapped = down = False
    for step in steps:
        tapped |= step == "W"
        down = step == "W" or (down and step not in ("up", "aside", "gone"))
        if step in ("W", "up"):
            rig.down(*(["KeyW"] if step == "W" else []))
        elif step == "aside":
            rig.down("KeyW", armed=False)
        elif step == "gone":
            rig.keys.gone("one", "closed")
        elif step == "silence":
            rig.clock.advance(0.2)
        else:
            rig.clock.advance(0.02)
        if step in ("tick", "silence"):
            sample = rig.keys.latest()
            assert (sample.action is not None) == sample.engaged
            assert tapped or down or not sample.engaged
            assert sample.status is OK or not sample.engaged
            tapped = False


def test_times_must_be_times():
    with pytest.raises(ConfigError, match="above 0"):
        KeyboardConfig(silence_s=0.0)


def test_b_leads_back_while_it_is_down_whatever_else_is(rig):
    rig.down("KeyB", "KeyW", "KeyC")
    for _ in range(3):
        sample = rig.page.period()
        assert (sample.status, sample.engaged, sample.rewind, sample.action) == (OK, True, True, None)
    rig.down("KeyW")
    assert rig.action() == [1, 0, 0, 1]  # the gripper as it is by then, not as C wanted it on the way
    rig.down("KeyB")
    assert rig.page.period().rewind
    rig.down()
    sample = rig.page.period()
    assert (sample.engaged, sample.rewind) == (False, False)


def test_a_silent_page_is_lost_on_the_way_back(rig):
    rig.down("KeyB")
    assert rig.page.period().rewind
    rig.clock.advance(0.2)
    sample = rig.keys.latest()
    assert (sample.status, sample.engaged, sample.rewind) == (LOST, False, False)
    assert rig.page.period().status is LOST  # B is still down: let go first
    rig.down()
    assert rig.page.period().status is OK
