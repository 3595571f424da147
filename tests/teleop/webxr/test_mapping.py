"""From a hand's motion to the tool's: frames, tracking, limits, filter."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from robot_hil.data.robot import ActionScale, ToolState
from robot_hil.data.rotation import difference, from_rotvec, multiply, rotate, to_rotvec
from robot_hil.errors import ConfigError
from robot_hil.teleop.webxr.config import WebXRConfig
from robot_hil.teleop.webxr.filter import FilterConfig, PoseFilter
from robot_hil.teleop.webxr.mapping import HandMapping, base_from_headset
from robot_hil.teleop.webxr.pose import HandPose, heading_of

AXES = ("x", "y", "z", "rx", "ry", "rz", "gripper")
SCALE = ActionScale(axes=AXES, linear_m=0.005, angular_rad=0.02, period_s=0.02)
angles = st.floats(-math.pi, math.pi)
small = st.floats(-1.0, 1.0)
vectors = st.tuples(small, small, small)
quats = (
    st.tuples(small, small, small, small)
    .filter(lambda q: np.linalg.norm(q) > 0.1)
    .map(lambda q: tuple((np.array(q) / np.linalg.norm(q)).tolist()))
)


def scipy_of(q) -> Rotation:
    return Rotation.from_quat([*q[1:], q[0]])


def tool_at(pos, quat) -> ToolState:
    return ToolState(
        pos_base=np.array(pos, float), quat_base=np.array(quat, float), gripper_width=0.0, joint_pos=np.zeros(7)
    )


def moved(tool: ToolState, action, scale: ActionScale = SCALE) -> ToolState:
    turn = tuple(scale.angular_rad * a for a in action[3:])
    return tool_at(
        tool.pos_base + scale.linear_m * np.array(action[:3]), multiply(from_rotvec(turn), tool.quat_base.tolist())
    )


# -- quaternions --------------------------------------------------------------------------------------------------


@given(quats, quats, vectors)
def test_quaternions_agree_with_scipy(a, b, v):
    product = scipy_of(a) * scipy_of(b)
    assert np.allclose(scipy_of(multiply(a, b)).as_matrix(), product.as_matrix(), atol=1e-9)
    assert np.allclose(rotate(a, v), scipy_of(a).apply(v), atol=1e-9)
    assert np.allclose(scipy_of(from_rotvec(v)).as_matrix(), Rotation.from_rotvec(v).as_matrix(), atol=1e-9)
    back = scipy_of(from_rotvec(to_rotvec(a)))
    assert np.allclose(back.as_matrix(), scipy_of(a).as_matrix(), atol=1e-7)


@given(angles, st.floats(-1.2, 1.2), st.floats(-1.2, 1.2))
def test_heading_is_the_yaw_whatever_pitch_and_roll(yaw, pitch, roll):
    head = Rotation.from_euler("YXZ", [yaw, pitch, roll])
    w, x, y, z = np.roll(head.as_quat(), 1)
    assert math.remainder(heading_of((w, x, y, z)) - yaw, math.tau) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("pitch", [-math.pi / 2, math.pi / 2])
def test_heading_of_who_looks_straight_down_or_up(pitch):
    head = Rotation.from_euler("YXZ", [0.7, pitch, 0.0])
    assert heading_of(tuple(np.roll(head.as_quat(), 1).tolist())) == pytest.approx(0.7, abs=1e-6)


# -- frames ---------------------------------------------------------------------------------------------------------


def test_axes_of_an_operator_behind_the_robot():
    q = base_from_headset(0.0, 0.0)
    assert np.allclose(rotate(q, (0, 0, -1)), (1, 0, 0))  # away from me is away from the robot's base
    assert np.allclose(rotate(q, (-1, 0, 0)), (0, 1, 0))  # my left is the robot's left
    assert np.allclose(rotate(q, (0, 1, 0)), (0, 0, 1))


@given(angles, angles)
def test_frames_are_rotations_that_keep_up_and_turn_forward(heading, facing):
    q = base_from_headset(heading, facing)
    matrix = np.array([rotate(q, axis) for axis in np.eye(3)]).T
    assert np.linalg.det(matrix) == pytest.approx(1.0)
    assert np.allclose(matrix @ matrix.T, np.eye(3), atol=1e-9)
    assert np.allclose(rotate(q, (0, 1, 0)), (0, 0, 1), atol=1e-9)
    forward = (-math.sin(heading), 0.0, -math.cos(heading))  # where the operator looks, in the headset's space
    assert np.allclose(rotate(q, forward), (math.cos(facing), math.sin(facing), 0.0), atol=1e-9)


# -- following ------------------------------------------------------------------------------------------------------


@given(vectors, quats, angles, vectors, quats)
def test_first_command_is_no_motion(pos, quat, heading, tool_pos, tool_quat):
    mapping = HandMapping(SCALE, WebXRConfig())
    hand, tool = HandPose(pos, quat), tool_at(tool_pos, tool_quat)
    mapping.engage(hand, heading, tool)
    assert mapping.follow(hand, tool) == pytest.approx([0.0] * 6, abs=1e-9)
    assert not mapping.behind


@given(quats, angles, angles, vectors, vectors, quats, st.floats(0.3, 3.0))
def test_tool_repeats_the_hands_motion(hand_quat, heading, facing, translation, turn, tool_quat, scale):
    """However the hand goes there within the limits, the tool ends displaced and turned as the hand was."""
    mapping = HandMapping(SCALE, WebXRConfig(facing=facing, scale=scale))
    start, tool = HandPose((0.1, 1.2, -0.3), hand_quat), tool_at((0.4, 0.0, 0.3), tool_quat)
    mapping.engage(start, heading, tool)
    translation = 0.1 * np.array(translation)
    first = tool
    ticks = 1 + math.ceil(max(scale * np.linalg.norm(translation) / 0.005, np.linalg.norm(turn) / 0.02))
    for i in range(1, ticks + 1):
        share = i / ticks
        now = HandPose(
            tuple((start.pos + share * translation).tolist()),
            multiply(from_rotvec(tuple(share * t for t in turn)), hand_quat),
        )
        tool = moved(tool, mapping.follow(now, tool))
        assert not mapping.behind
    to_base = base_from_headset(heading, facing)
    assert np.allclose(tool.pos_base - first.pos_base, scale * np.array(rotate(to_base, translation)), atol=1e-7)
    assert np.allclose(difference(tool.quat_base.tolist(), tool_quat), rotate(to_base, turn), atol=1e-5)


def test_commands_never_leave_their_limits_and_a_runaway_hand_leaves_no_backlog():
    mapping, tool = HandMapping(SCALE, WebXRConfig()), tool_at((0.4, 0, 0.3), (1, 0, 0, 0))
    mapping.engage(HandPose((0, 1, 0), (1, 0, 0, 0)), 0.0, tool)
    far = HandPose((0.0, 1.0, -1.0), from_rotvec((0.0, 1.5, 0.0)))
    path = [tool]
    for _ in range(100):
        action = mapping.follow(far, path[-1])
        assert max(map(abs, action)) <= 1.0
        path.append(moved(path[-1], action))
    went = path[-1].pos_base - tool.pos_base
    assert went == pytest.approx([0.1 * 0.25, 0, 0], abs=1e-9)  # lead_s at full speed, not the metre of the hand
    assert difference(path[-1].quat_base.tolist(), (1, 0, 0, 0)) == pytest.approx([0, 0, 0.1], abs=1e-9)
    back = HandPose((0.0, 1.0, -0.99), far.quat)
    assert mapping.follow(back, path[-1])[0] == pytest.approx(-1.0)  # it answers at once when the hand turns


def test_an_arm_moved_by_others_is_not_dragged_back():
    mapping = HandMapping(SCALE, WebXRConfig())
    hand = HandPose((0, 1, 0), (1, 0, 0, 0))
    mapping.engage(hand, 0.0, tool_at((0.4, 0, 0.3), (1, 0, 0, 0)))
    tool = tool_at((0.5, 0, 0.3), (1, 0, 0, 0))
    for _ in range(50):
        tool = moved(tool, mapping.follow(hand, tool))
    assert tool.pos_base[0] == pytest.approx(0.5 - 0.025)


@given(vectors, st.sampled_from([("x", "y", "z", "gripper"), ("x", "y", "z", "rx", "ry", "rz"), ("y", "rz")]))
def test_missing_axes_are_left_out_and_disturb_nothing(turn, axes):
    scale = ActionScale(axes=axes, linear_m=0.005, angular_rad=0.0 if "rz" not in axes else 0.02, period_s=0.02)
    assume(np.linalg.norm(turn) > 0.01)
    mapping, tool = HandMapping(scale, WebXRConfig()), tool_at((0.4, 0, 0.3), (0, 1, 0, 0))
    mapping.engage(HandPose((0, 1, 0), (1, 0, 0, 0)), 0.0, tool)
    for i in range(1, 101):
        hand = HandPose((-0.0003 * i, 1.0, 0.0), from_rotvec(tuple(0.01 * i * t for t in turn)))
        action = mapping.follow(hand, tool)
        for name, value in zip(AXES, action, strict=False):
            assert name in axes or value == 0.0
        tool = moved(tool, action, scale)
    assert tool.pos_base == pytest.approx([0.4, 0.03, 0.3], abs=1e-9)


def test_a_slow_control_loop_leads_by_one_period():
    scale = ActionScale(axes=("x", "y", "z"), linear_m=0.05, period_s=0.2)
    mapping, tool = HandMapping(scale, WebXRConfig()), tool_at((0.4, 0, 0.3), (1, 0, 0, 0))
    mapping.engage(HandPose((0, 1, 0), (1, 0, 0, 0)), 0.0, tool)
    assert mapping.follow(HandPose((0, 1, -0.04), (1, 0, 0, 0)), tool)[0] == pytest.approx(0.8)


# -- settings and filter -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "values",
    [
        {"hand": "middle"}, {"facing": math.nan}, {"scale": 0.0}, {"lead_s": 0.0}, {"silence_s": -1.0},
        {"max_age_s": math.inf}, {"max_hand_speed": 0.0}, {"filter": FilterConfig(min_cutoff=0.0)},
        {"filter": FilterConfig(beta=-1.0)},
    ],
)  # fmt: skip
def test_settings_that_cannot_work_are_refused(values):
    with pytest.raises(ConfigError):
        WebXRConfig(**values)


def test_filter_lets_the_first_pose_through_and_follows_motion():
    keep = PoseFilter(FilterConfig())
    first = HandPose((0.1, 1.2, 0.3), from_rotvec((0.3, 0.2, 0.1)))
    assert keep(0.0, first) == first
    for i in range(1, 181):  # 0.1 m/s and 0.5 rad/s for two seconds
        t = i / 90
        out = keep(t, HandPose((0.1 + 0.1 * t, 1.2, 0.3), from_rotvec((0.0, 0.5 * t, 0.0))))
    assert out.pos[0] == pytest.approx(0.3, abs=0.0025)
    assert difference(out.quat, from_rotvec((0.0, 1.0, 0.0)))[1] == pytest.approx(0.0, abs=0.015)
    keep.reset()
    assert keep(9.0, first) == first


def test_filter_calms_a_resting_hand():
    rng = np.random.default_rng(0)
    keep, raw, out = PoseFilter(FilterConfig()), [], []
    for i in range(900):
        noisy = HandPose(
            tuple((0.0005 * rng.standard_normal(3)).tolist()), from_rotvec((0.002 * rng.standard_normal(3)).tolist())
        )
        smooth = keep(i / 90, noisy)
        raw.append([*noisy.pos, *to_rotvec(noisy.quat)])
        out.append([*smooth.pos, *to_rotvec(smooth.quat)])
    ratio = np.std(out[90:], axis=0) / np.std(raw[90:], axis=0)
    assert (ratio < 0.5).all()


def test_filter_can_be_turned_off():
    keep = PoseFilter(FilterConfig(min_cutoff=math.inf))
    keep(0.0, HandPose((0, 0, 0), (1, 0, 0, 0)))
    out = keep(0.01, HandPose((1, 0, 0), from_rotvec((0, 1, 0))))
    assert out.pos == pytest.approx((1, 0, 0))
    assert to_rotvec(out.quat) == pytest.approx((0, 1, 0))
