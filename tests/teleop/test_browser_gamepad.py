"""The gamepad of the page: dead-man, sticks, triggers, and what happens when it is unplugged."""

import pytest
from contracts import TeleopContract
from page_rig import SCALE, TURNING, Page, tool

from robot_hil.clock import VirtualClock
from robot_hil.data.operator_input import Keys
from robot_hil.data.teleop import SampleStatus
from robot_hil.errors import ConfigError
from robot_hil.teleop.browser_gamepad import BrowserGamepad, BrowserGamepadConfig

OK, LOST, DISCONNECTED = SampleStatus.OK, SampleStatus.LOST, SampleStatus.DISCONNECTED
RB, LB, LT, RT, UP, RIGHT = 5, 4, 6, 7, 12, 15


class TestContract(TeleopContract):
    action_dim = 4

    def make_device(self):
        self.clock = VirtualClock(100.0)
        device = BrowserGamepad(SCALE, tool, self.clock)
        self.page = Page(device, self.clock)
        self.page.tell(connected=True, axes=[0.0, -1.0, 0.0, 0.0], buttons=[0.0] * 17)
        return device

    def advance(self, device):
        self.page.hold(0.1)


class Rig:
    def __init__(self, scale=SCALE, **config):
        self.clock = VirtualClock(100.0)
        self.pad = BrowserGamepad(scale, tool, self.clock, BrowserGamepadConfig(**config))
        self.pad.start()
        self.page = Page(self.pad, self.clock)
        self.press()

    def press(self, *buttons, axes=(0.0, 0.0, 0.0, 0.0), connected=True):
        values = [1.0 if i in buttons else 0.0 for i in range(17)]
        self.page.tell(connected=connected, axes=list(axes), buttons=values, id="Test Pad")

    def action(self):
        return self.page.action()


@pytest.fixture
def rig():
    return Rig()


def test_nothing_moves_without_the_dead_mans_button(rig):
    rig.press(RT, axes=(1, -1, 0, 1))
    assert rig.action() is None
    rig.press(RB, axes=(1, -1, 0, 1))
    assert rig.action() == [1, -1, -1, 1]
    rig.press(axes=(1, -1, 0, 1))
    sample = rig.page.period()
    assert (sample.engaged, sample.action, sample.tail_s) == (False, None, 0.0)


def test_holding_it_with_the_sticks_at_rest_holds_the_robot(rig):
    rig.press(RB, axes=(0.1, -0.11, 0.05, 0.0))
    sample = rig.page.period()
    assert sample.engaged
    assert sample.action.tolist() == [0, 0, 0, 1]


@pytest.mark.parametrize(
    ("axes", "buttons", "wanted"),
    [
        ((0, -1, 0, 0), (), (1, 0, 0, 0, 0, 0)),
        ((-1, 0, 0, 0), (), (0, 1, 0, 0, 0, 0)),
        ((0, 0, 0, -1), (), (0, 0, 1, 0, 0, 0)),
        ((0, 0, -1, 0), (), (0, 0, 0, 0, 0, 1)),
        ((0, 0, 0, 0), (UP,), (0, 0, 0, 0, 1, 0)),
        ((0, 0, 0, 0), (RIGHT,), (0, 0, 0, 1, 0, 0)),
    ],
)
def test_sticks_and_cross_move_their_axes(axes, buttons, wanted):
    rig = Rig(TURNING)
    rig.press(RB, *buttons, axes=axes)
    assert tuple(rig.action()[:6]) == wanted


def test_commands_begin_at_nothing_beyond_the_dead_zone(rig):
    rig.press(RB, axes=(0, -0.14, 0, 0))
    assert rig.action()[0] == pytest.approx(0.02 / 0.88)
    rig.press(RB, axes=(0, -0.56, 0, 0))
    assert rig.action()[0] == pytest.approx(0.5)
    rig.press(RB, LB, axes=(0, -0.56, 0, 0))
    assert rig.action()[0] == pytest.approx(0.15)


def test_the_triggers_move_the_gripper_while_the_dead_man_is_held(rig):
    rig.press(RB, RT)
    assert rig.action() == [0, 0, 0, -1]
    rig.press(RB)
    assert [rig.action() for _ in range(8)] == [[0, 0, 0, -1]] * 8  # latched as long as it is held
    rig.press(RB, LT)
    assert rig.action() == [0, 0, 0, 1]
    rig.press(LT)
    assert rig.action() is None


def test_a_tap_on_a_trigger_between_two_periods_is_not_lost(rig):
    rig.press(RB)
    rig.page.period()
    rig.press(RB, RT)
    rig.press(RB)
    assert rig.action() == [0, 0, 0, -1]


def test_unplugged_while_driving_is_lost_and_needs_a_fresh_press(rig):
    rig.press(RB, axes=(1, 0, 0, 0))
    assert rig.action() is not None
    rig.press(connected=False)
    sample = rig.pad.latest()
    assert (sample.status, sample.engaged, sample.action) == (LOST, False, None)
    assert "unplugged" in sample.problem
    rig.press(RB, axes=(1, 0, 0, 0))
    assert rig.page.period().status is LOST
    rig.press()
    assert rig.action() is None
    rig.press(RB, axes=(1, 0, 0, 0))
    assert rig.action() is not None


def test_unplugged_at_rest_is_disconnected_at_once(rig):
    rig.page.period()
    rig.press(connected=False)
    sample = rig.pad.latest()
    assert sample.status is DISCONNECTED
    assert rig.pad.info().status is DISCONNECTED
    assert "unplugged" in rig.pad.info().problem
    rig.press()
    assert rig.pad.latest().status is OK


def test_silence_while_it_is_held_is_lost_even_at_rest(rig):
    rig.press(RB)
    assert rig.action() is not None
    rig.clock.advance(0.13)
    assert rig.pad.latest().status is LOST


def test_a_button_held_when_the_page_comes_does_not_count(rig):
    Page(rig.pad, rig.clock, "two").tell(connected=True, axes=[1.0], buttons=[0.0] * 5 + [1.0])
    sample = rig.pad.latest()
    assert (sample.status, sample.engaged) == (OK, False)


def test_a_small_pad_has_zeros_where_it_has_nothing(rig):
    rig.page.tell(connected=True, axes=[0.0, -1.0], buttons=[0.0] * 5 + [1.0])
    assert rig.action() == [1, 0, 0, 1]


def test_messages_for_other_devices_are_not_for_this_one(rig):
    rig.pad.feed(Keys(seq=0, t=0, down=["KeyW"]), client="x", operator="Bo", t_recv=1.0, t_page=1.0)
    assert rig.page.period().operator == "Anna"


@pytest.mark.parametrize("wrong", [{"dead_zone": 1.0}, {"slow": 0.0}, {"tap_s": -1.0}])
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ConfigError):
        BrowserGamepadConfig(**wrong)


def test_the_left_stick_pressed_in_leads_back_with_the_dead_man_only(rig):
    rig.press(10)
    assert not rig.page.period().engaged
    rig.press(RB, 10)
    sample = rig.page.period()
    assert (sample.status, sample.engaged, sample.rewind, sample.action) == (OK, True, True, None)
    rig.press(RB)
    sample = rig.page.period()
    assert (sample.engaged, sample.rewind) == (True, False)
