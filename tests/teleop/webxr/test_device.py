"""Clutch, heading, gripper, buttons, arms and feedback of the headset's device, in virtual time."""

import math
import threading

import numpy as np
import pytest
from contracts import TeleopContract
from hypothesis import given
from hypothesis import strategies as st

from robot_hil.data.operator_input import Hand, Pose
from robot_hil.data.robot import ActionScale
from robot_hil.data.rotation import difference, from_rotvec
from robot_hil.data.teleop import EventKind, SampleStatus
from robot_hil.errors import ConfigError
from robot_hil.protocols import Feedback, Monitored
from robot_hil.teleop.webxr.config import WebXRConfig
from robot_hil.teleop.webxr.device import WebXR

OK, LOST, DISCONNECTED = SampleStatus.OK, SampleStatus.LOST, SampleStatus.DISCONNECTED
XYZ = ActionScale(axes=("x", "y", "z", "gripper"), linear_m=0.005, gripper_m=0.01, period_s=0.02)


class TestWebXRContract(TeleopContract):
    action_dim = 7

    @pytest.fixture(autouse=True)
    def _headset(self, make_headset):
        self.worn = make_headset

    def make_device(self):
        headset = self.worn()
        device = headset.device
        device.stop()
        start = device.start

        def start_and_wear():
            start()
            headset.send()

        device.start = start_and_wear
        self.headset = headset
        return device

    def advance(self, device):
        self.headset.right.squeeze = 0.0 if self.headset.seq % 7 == 0 else 1.0
        self.headset.right.pos = tuple(p + 0.001 for p in self.headset.right.pos)
        self.headset.run(0.02)


# -- clutch ---------------------------------------------------------------------------------------------------------


def test_protocols(headset):
    assert isinstance(headset.device, Monitored)
    assert isinstance(headset.device, Feedback)


def test_only_a_held_clutch_moves_the_arm(headset):
    tool = headset.tools[""]
    start = tool.pos.copy()
    headset.push()
    assert np.array_equal(tool.pos, start)
    assert all(sample.status is OK and not sample.engaged and sample.action is None for sample in headset.samples)
    sample = headset.squeeze()
    assert sample.engaged
    assert sample.operator == "Kim"
    headset.push()
    headset.run(0.3)
    assert tool.pos - start == pytest.approx([0.05, 0, 0], abs=5e-4)
    headset.right.squeeze = 0.4
    headset.push()
    assert not headset.samples[-1].engaged
    assert tool.pos - start == pytest.approx([0.05, 0, 0], abs=2e-3)


def test_first_command_is_zero_also_when_the_robot_moved_by_itself(headset):
    tool = headset.tools[""]
    for _ in range(2):
        sample = headset.squeeze()
        assert np.abs(sample.action[:6]).max() == 0.0
        headset.push()
        headset.right.squeeze = 0.0
        headset.run(0.1)
        tool.pos = tool.pos + np.array([0.1, 0, 0])  # the policy drove meanwhile
        tool.quat = (1.0, 0.0, 0.0, 0.0)
        headset.right.quat = from_rotvec((0.4, 0, 0))


def test_clutch_has_hysteresis(headset):
    headset.squeeze()
    headset.right.squeeze = 0.6
    assert headset.run(0.1).engaged
    headset.right.squeeze = 0.45
    assert not headset.run(0.1).engaged
    headset.right.squeeze = 0.8
    assert not headset.run(0.1).engaged
    headset.right.squeeze = 0.95
    assert headset.run(0.1).engaged


def test_a_clutch_that_was_held_before_the_headset_came_does_not_count(make_headset):
    headset = make_headset()
    headset.device.stop()
    headset.device.start()
    headset.right.squeeze = 1.0
    assert not headset.run(0.5).engaged
    assert headset.squeeze().engaged


@given(st.floats(-3.0, 3.0), st.floats(-3.0, 3.0))
def test_away_from_me_is_the_robots_forward_wherever_i_stand(make_headset, heading, facing):
    headset = make_headset(config=WebXRConfig(facing=facing), heading=heading)
    tool = headset.tools[""]
    start = tool.pos.copy()
    headset.squeeze()
    headset.push()
    headset.run(0.3)
    assert tool.pos - start == pytest.approx([0.05 * math.cos(facing), 0.05 * math.sin(facing), 0], abs=1e-3)


def test_turning_the_wrist_turns_the_tool(headset):
    tool = headset.tools[""]
    start = tool.quat
    headset.squeeze()
    for i in range(1, 91):
        headset.right.quat = from_rotvec((0.0, 0.3 * i / 90, 0.0))  # about the vertical, to the left
        headset.run(1 / 90)
    headset.run(0.5)
    assert difference(tool.quat, start) == pytest.approx([0, 0, 0.3], abs=5e-3)


# -- heading ------------------------------------------------------------------------------------------------------


def test_heading_is_taken_at_the_squeeze_and_on_a_stick_click(headset):
    tool = headset.tools[""]
    headset.squeeze()
    headset.heading = math.pi / 2  # looks aside while driving: nothing changes
    start = tool.pos.copy()
    headset.right.pos = (0.2, 1.1, -0.3)
    for i in range(45):
        headset.right.pos = (0.2, 1.1, -0.3 - 0.001 * i)
        headset.run(1 / 90)
    headset.run(0.3)
    assert tool.pos - start == pytest.approx([0.044, 0, 0], abs=1e-3)
    before = tool.pos.copy()
    headset.right.stick = 1.0
    headset.run(0.1)
    headset.right.stick = 0.0
    headset.run(0.1)
    assert tool.pos == pytest.approx(before, abs=2e-4)
    headset.push()  # along -x of the headset's space now, which is where the operator looks
    headset.run(0.3)
    assert tool.pos - before == pytest.approx([0.05, 0, 0], abs=1e-3)


def test_heading_can_be_kept_for_who_looks_at_a_screen(make_headset):
    headset = make_headset(config=WebXRConfig(keep_heading=True))
    tool = headset.tools[""]
    headset.squeeze()
    headset.right.squeeze = 0.0
    headset.run(0.1)
    headset.heading = 1.0
    headset.squeeze()
    start = tool.pos.copy()
    for i in range(45):
        headset.right.pos = (0.2, 1.1, -0.3 - 0.001 * i)
        headset.run(1 / 90)
    headset.run(0.3)
    assert tool.pos - start == pytest.approx([0.044, 0, 0], abs=1e-3)


# -- gripper --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "kept"), [(0.0, -1.0), (0.08, 1.0), (0.04, 0.0)])
def test_taking_over_goes_on_with_what_the_gripper_does(make_headset, width, kept):
    headset = make_headset()
    headset.tools[""].width = width
    headset.right.trigger = 1.0  # pressed before: no edge
    assert headset.squeeze().action[-1] == kept
    headset.right.trigger = 0.0
    assert headset.run(0.05).action[-1] == 1.0
    headset.right.trigger = 0.5
    assert headset.run(0.05).action[-1] == 1.0
    headset.right.trigger = 0.7
    assert headset.run(0.05).action[-1] == -1.0
    headset.right.trigger = 0.5
    assert headset.run(0.05).action[-1] == -1.0
    headset.right.trigger = 0.3
    assert headset.run(0.05).action[-1] == 1.0


def test_a_tap_of_the_trigger_between_two_periods_is_seen_and_one_before_the_squeeze_is_not(headset):
    headset.right.trigger = 1.0
    headset.run(0.05)
    headset.squeeze()
    headset.tools[""].width = 0.04
    for value in (0.0, 1.0, 0.0, 1.0):
        headset.right.trigger = value
        headset.clock.advance(0.002)
        headset.send()
    assert headset.look().action[-1] == -1.0


# -- buttons --------------------------------------------------------------------------------------------------------


def test_buttons_are_edges_and_each_comes_once(headset):
    headset.device.drain_events()
    for name, kind in (("a", EventKind.SUCCESS), ("b", EventKind.FAIL)):
        for side in ("left", "right"):
            hand = getattr(headset, side)
            for value in (1.0, 0.5, 1.0, 0.0):  # wobbles on its way
                setattr(hand, name, value)
                headset.run(0.03)
            events = headset.device.drain_events()
            assert [event.kind for event in events] == [kind]
            assert "Kim" in events[0].source


def test_edges_survive_bursts_losses_and_invalid_poses(headset):
    headset.squeeze()
    headset.run(0.5, frames=False)
    headset.right.seen = False
    for value in (1.0, 0.0, 1.0, 0.0):
        headset.right.a = value
        headset.send()
    assert headset.look().status is LOST
    assert [event.kind for event in headset.device.drain_events()] == [EventKind.SUCCESS] * 2


def test_both_sticks_are_the_emergency_stop(headset):
    headset.left.stick = 1.0
    headset.run(0.1)
    assert headset.device.drain_events() == []
    headset.right.stick = 1.0
    headset.run(0.1)
    assert [event.kind for event in headset.device.drain_events()] == [EventKind.ESTOP]


def test_a_button_held_while_the_page_reconnects_is_no_edge_but_the_emergency_stop_is(headset):
    headset.left.stick = headset.right.stick = headset.right.a = 1.0
    headset.client = "page-2"
    headset.send()
    assert [event.kind for event in headset.device.drain_events()] == [EventKind.ESTOP]


# -- hands and arms --------------------------------------------------------------------------------------------------


def test_whichever_squeezes_first_drives_one_arm(headset):
    headset.squeeze("left")
    headset.right.squeeze = 1.0
    headset.run(0.1)
    start = headset.tools[""].pos.copy()
    headset.push(side="right")
    assert headset.tools[""].pos == pytest.approx(start, abs=1e-9)
    headset.left.squeeze = 0.0
    assert not headset.run(0.1).engaged  # the other one must be pressed afresh
    assert headset.squeeze("right").engaged


def test_a_configured_hand_is_the_only_one(make_headset):
    headset = make_headset(config=WebXRConfig(hand="left"))
    assert not headset.squeeze("right").engaged
    headset.right.squeeze = 0.0
    assert headset.squeeze("left").engaged


def test_two_arms_are_driven_by_a_hand_each(make_headset):
    headset = make_headset({"left": XYZ, "right": XYZ})
    left, right = headset.tools.values()
    starts = left.pos.copy(), right.pos.copy()
    sample = headset.squeeze("left")
    assert sample.action.shape == (8,)
    assert sample.mask.tolist() == [True] * 4 + [False] * 4
    headset.push(0.2, side="left")
    headset.run(0.2)
    assert left.pos - starts[0] == pytest.approx([0.02, 0, 0], abs=1e-3)
    assert np.array_equal(right.pos, starts[1])
    headset.right.squeeze = 1.0
    assert headset.run(0.1).mask.all()
    headset.push(0.2, side="right")
    headset.run(0.2)
    assert right.pos - starts[1] == pytest.approx([0.02, 0, 0], abs=1e-3)
    headset.left.seen = False  # losing one loses both
    assert headset.run(0.1).status is LOST
    headset.left.seen = True
    headset.right.squeeze = 0.0
    assert headset.run(0.1).status is LOST
    headset.left.squeeze = 0.0
    assert headset.run(0.1).status is OK


def test_arms_and_tools_must_fit(clock, tool):
    for scale, tools in (
        (XYZ, {"left": tool}), ({"left": XYZ}, tool), ({"left": XYZ}, {"right": tool}), ({}, {}),
        ({"front": XYZ}, {"front": tool}),
    ):  # fmt: skip
        with pytest.raises(ConfigError):
            WebXR(scale, tools, clock)


# -- what a person feels and sees ----------------------------------------------------------------------------------


def test_haptics_go_to_the_page_that_is_worn(make_headset):
    felt = []
    headset = make_headset(send_haptic=lambda *what: felt.append(what))
    headset.device.pulse("left", 2.0, 0.1)
    assert felt == [("page-1", "left", 1.0, 0.1)]
    felt.clear()
    headset.squeeze()
    assert [what[1] for what in felt] == ["right"]
    headset.run(0.2)
    assert len(felt) == 1
    headset.push(0.3, speed=1.5)  # faster than the arm
    assert 1 < len(felt) < 5
    felt.clear()
    headset.right.seen = False
    headset.run(0.5)
    assert felt == [("page-1", "", 1.0, 0.3)]
    headset.device.gone("page-1", "closed")
    headset.device.pulse("", 1.0, 0.1)
    assert len(felt) == 1


def test_info_says_how_it_goes(headset):
    headset.run(1.2)
    info = headset.device.info()
    assert (info.name, info.kind, info.status, info.operator) == ("webxr", "webxr", OK, "Kim")
    assert info.rate_hz == pytest.approx(90, abs=2)
    assert info.age_s < 0.02
    assert info.dropped == 0
    headset.seq += 3
    headset.squeeze()
    info = headset.device.info()
    assert info.engaged
    assert info.dropped == 3
    headset.clock.advance(0.13)  # nobody need ask for samples to see it dying
    assert headset.device.info().status is LOST


def test_a_hand_without_buttons_is_not_a_hand_that_drives(headset):
    frame = headset.message()
    hand = Hand(grip=Pose((0, 1, 0), (0, 0, 0, 1)))
    headset.send(type(frame)(seq=headset.seq + 1, t=frame.t, head=frame.head, left=None, right=hand))
    headset.seq += 1
    assert not headset.look().engaged


def test_a_thread_that_feeds_and_one_that_asks_do_not_disturb_each_other(make_headset):
    headset = make_headset(XYZ)
    stop, errors = threading.Event(), []

    def ask():
        try:
            while not stop.is_set():
                sample = headset.device.latest()
                headset.device.info()
                assert sample.action is None or np.isfinite(sample.action).all()
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    for i in range(2000):
        headset.right.squeeze = float(i % 50 > 10)
        headset.right.trigger = float(i % 7 > 3)
        headset.clock.advance(0.011)
        headset.send()
    stop.set()
    thread.join()
    assert errors == []
