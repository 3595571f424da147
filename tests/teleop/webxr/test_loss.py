"""Whatever is lost while driving stays lost until the clutch was released; in virtual time."""

import math

import numpy as np
import pytest

from robot_hil.data.rotation import from_rotvec
from robot_hil.data.teleop import SampleStatus
from robot_hil.errors import SpecError
from robot_hil.teleop.webxr.device import WebXR

OK, LOST, DISCONNECTED = SampleStatus.OK, SampleStatus.LOST, SampleStatus.DISCONNECTED


def lose(headset, how):
    """Break something while the clutch is held."""
    hand = headset.right
    match how:
        case "null pose":
            hand.seen = False
        case "guessed":
            hand.emulated = True
        case "nan":
            hand.pos = (0.2, math.nan, 0.0)
        case "quaternion":
            hand.quat = (0.5, 0.0, 0.0, 0.0)
        case "jump":
            hand.pos = (0.2, 1.1, -1.03)
        case "spin":
            hand.quat = from_rotvec((0.0, 2.0, 0.0))
        case "far":
            hand.pos = (0.2, 1e3, 0.0)
        case "blur flag":
            headset.visible = False
        case "old":
            headset.delay = 0.3
        case "order":
            headset.seq -= 20
        case "blurred" | "hidden" | "end" | "recentre":
            headset.happen(how)
        case "gone":
            headset.device.gone(headset.client, "its page is closed")
        case "other page":
            headset.client = "page-2"
        case "silence":
            headset.run(0.2, frames=False)
    if how not in ("silence", "gone", "end"):
        headset.send()


WAYS = [
    "null pose", "guessed", "nan", "quaternion", "jump", "spin", "far", "blur flag", "old", "order", "blurred",
    "hidden", "end", "recentre", "gone", "other page", "silence",
]  # fmt: skip


@pytest.mark.parametrize("how", WAYS)
def test_loss_while_driving_stays_until_the_clutch_was_released(headset, how):
    tool = headset.tools[""]
    headset.squeeze()
    headset.push(0.2)
    headset.run(0.3)
    lose(headset, how)
    at = tool.pos.copy()
    sample = headset.look()
    assert sample.status is LOST
    assert not sample.engaged
    assert sample.action is None
    assert sample.problem
    assert headset.device.info().status is LOST
    # Everything comes back, the hand elsewhere, the clutch still held.
    right = headset.right
    right.pos, right.quat, right.seen, right.emulated = (0.3, 1.4, -0.9), (1.0, 0.0, 0.0, 0.0), True, False
    headset.visible, headset.delay = True, 0.0
    headset.seq += 100
    headset.client = "page-2" if how in ("gone", "other page") else headset.client
    assert headset.run(1.0).status is LOST
    right.squeeze = 0.3
    sample = headset.run(0.1)
    assert sample.status is OK
    assert not sample.engaged
    assert np.array_equal(tool.pos, at)
    right.squeeze = 1.0
    sample = headset.run(0.012)
    headset.run(0.5)
    assert headset.samples[-1].engaged
    assert tool.pos == pytest.approx(at, abs=1e-9)


def test_going_away_at_rest_is_disconnection_and_coming_back_is_all_it_takes(headset):
    assert headset.run(0.3, frames=False).status is DISCONNECTED
    assert headset.run(0.1).status is OK
    headset.device.gone(headset.client, "its page is closed")
    sample = headset.look()
    assert sample.status is DISCONNECTED
    assert "its page is closed" in sample.problem
    headset.client = "page-2"
    assert headset.run(0.1).status is OK
    headset.happen("hidden")
    assert headset.look().status is DISCONNECTED
    headset.happen("visible")
    assert headset.run(0.1).status is OK
    assert headset.squeeze().engaged


def test_a_controller_laid_aside_does_not_matter_while_nobody_drives_or_the_other_one_does(headset):
    headset.left.seen = False
    assert headset.run(0.2).status is OK
    assert headset.squeeze("right").engaged
    assert headset.run(0.2).engaged
    headset.right.seen = False
    assert headset.run(0.1).status is LOST


def test_a_burst_after_a_stall_moves_nothing(headset):
    tool = headset.tools[""]
    headset.squeeze()
    headset.push(0.2)
    headset.run(0.3)
    at = tool.pos.copy()
    late = []
    for _ in range(45):  # half a second in which the hand goes on and nothing arrives
        headset.clock.advance(1 / 90)
        x, y, z = headset.right.pos
        headset.right.pos = (x, y, z - 0.002)
        late.append((headset.message(), headset.clock.now()))
    for message, made in late:
        headset.device.feed(message, client="page-1", operator="Kim", t_recv=headset.clock.now(), t_page=made)
    assert headset.look().status is LOST
    headset.run(0.5)
    assert np.array_equal(tool.pos, at)


def test_a_burst_of_frames_that_are_not_too_old_keeps_driving_with_the_newest(headset):
    tool = headset.tools[""]
    headset.squeeze()
    start = tool.pos.copy()
    late = []
    for _ in range(6):
        headset.clock.advance(1 / 90)
        x, y, z = headset.right.pos
        headset.right.pos = (x, y, z - 0.002)
        late.append((headset.message(), headset.clock.now()))
    for message, made in late:
        headset.device.feed(message, client="page-1", operator="Kim", t_recv=headset.clock.now(), t_page=made)
    assert headset.run(0.5).engaged
    assert tool.pos - start == pytest.approx([0.012, 0, 0], abs=1e-3)


def test_noise_in_frame_times_is_no_jump(headset):
    headset.squeeze()
    rng = np.random.default_rng(1)
    for _ in range(300):
        headset.right.pos = tuple((np.array([0.2, 1.1, -0.3]) + 0.0005 * rng.standard_normal(3)).tolist())
        headset.clock.advance(float(rng.uniform(0.001, 0.03)))
        headset.send()
        assert headset.look().engaged


def test_a_tool_that_is_not_known_yet_is_not_driven(headset):
    def unknown():
        raise SpecError("call reset() first")

    headset.device = WebXR(headset.tools[""].scale, unknown, headset.clock)
    headset.device.start()
    headset.run(0.1)
    sample = headset.squeeze()
    assert sample.status is OK
    assert not sample.engaged
    assert "reset" in sample.problem
