"""From deflection to command: dead-zone, gripper, tail; and what all devices share."""

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_hil.data.robot import ActionScale, ToolState
from robot_hil.data.teleop import EventKind, SampleStatus, TeleopEvent
from robot_hil.errors import ConfigError
from robot_hil.teleop.base import TWIST_AXES, Grip, GripLatch, Mailbox, RateMeter, to_action
from robot_hil.teleop.deflection import FACING_ROBOT, IDENTITY, Deflection, DeflectionConfig

ALL = ActionScale(axes=(*TWIST_AXES, "gripper"), linear_m=0.01, angular_rad=0.05, gripper_m=0.01)
STILL = (0.0,) * 6
QUARTER = ((0.0, -1.0, 0.0), (1.0, 0.0, 0.0), (0.0, 0.0, 1.0))
DEFLECTIONS = st.tuples(*[st.floats(-1.5, 1.5)] * 6)


def tool(width: float = 0.04) -> ToolState:
    return ToolState(
        pos_base=np.zeros(3), quat_base=np.array([1.0, 0, 0, 0]), gripper_width=width, joint_pos=np.zeros(6)
    )


class Stick:
    """A `Deflection` whose time goes on by 10 ms per sample."""

    def __init__(self, config: DeflectionConfig | None = None, width: float = 0.04, scale: ActionScale = ALL) -> None:
        self.width = width
        self.now = 5.0
        self.deflection = Deflection(scale, lambda: tool(self.width), config or DeflectionConfig())

    def __call__(self, raw=STILL, *, pressed=None, held=False, dt=0.01):
        self.now += dt
        return self.deflection.sample(self.now - 0.001, self.now, raw, device="stick", pressed=pressed, held=held)


def along(axis: int, value: float) -> tuple[float, ...]:
    return tuple(value if i == axis else 0.0 for i in range(6))


# -- dead-zone ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", range(6))
@pytest.mark.parametrize("sign", [1, -1])
def test_engages_beyond_enter_and_lets_go_within_leave(axis, sign):
    stick = Stick()
    engaged = [stick(along(axis, sign * v)).engaged for v in (0.0, 0.08, 0.081, 0.05, 0.041, 0.04, 0.07, 0.09)]
    assert engaged == [False, False, True, True, True, False, False, True]


def test_output_begins_at_zero_and_ends_at_full():
    stick = Stick()
    values = [0.5, 1.0, 1.4, 0.0400001]
    out = [float(stick(along(0, v)).action[0]) for v in values]
    assert out == pytest.approx([(0.5 - 0.04) / 0.96, 1.0, 1.0, 0.0], abs=1e-6)


def test_nothing_is_commanded_while_nobody_pulls():
    sample = Stick()((0.07, -0.07, 0.0, 0.08, 0.0, 0.0))
    assert sample.status is SampleStatus.OK
    assert not sample.engaged
    assert sample.action is None
    assert sample.tail_s == 0.3


def test_a_weak_axis_adds_nothing_beside_a_strong_one():
    action = Stick()((1.0, 0.039, -0.03, 0.0, 0.04, 0.0)).action
    assert action.tolist() == [1.0, 0, 0, 0, 0, 0, 0]


@given(raw=DEFLECTIONS, speed=st.floats(0.01, 1.0))
def test_commands_are_float32_within_the_share_of_the_speed(raw, speed):
    sample = Stick(DeflectionConfig(speed=speed))(raw)
    assert sample.engaged == (max(map(abs, raw)) > 0.08)
    if sample.engaged:
        assert sample.action.dtype == np.float32
        assert sample.action.shape == (7,)
        assert (abs(sample.action[:6]) <= np.float32(speed) * 1.000001).all()


@given(raw=DEFLECTIONS)
def test_commands_have_the_sign_of_the_deflection(raw):
    sample = Stick()(raw)
    if sample.engaged:
        assert (sample.action[:6] * np.sign(raw) >= 0).all()


@given(a=st.floats(0.0, 1.0), b=st.floats(0.0, 1.0))
def test_more_deflection_is_never_less_speed(a, b):
    low, high = sorted((a, b))
    one, other = Stick()(along(2, low)), Stick()(along(2, high))
    if one.engaged:
        assert one.action[2] <= other.action[2]


@given(sequence=st.lists(DEFLECTIONS, max_size=30))
def test_engagement_is_hysteresis_whatever_comes(sequence):
    stick, expected = Stick(), False
    for raw in sequence:
        expected = max(map(abs, raw)) > (0.04 if expected else 0.08)
        assert stick(raw).engaged is expected


@given(raw=st.tuples(*[st.floats(-1, 1)] * 6), i=st.integers(0, 5), bad=st.sampled_from([np.nan, np.inf, -np.inf]))
def test_what_is_not_finite_is_lost_and_lets_go(raw, i, bad):
    stick = Stick()
    stick(along(0, 1.0))
    sample = stick((*raw[:i], bad, *raw[i + 1 :]))
    assert sample.status is SampleStatus.LOST
    assert not sample.engaged
    assert sample.action is None
    assert "stick" in sample.problem
    assert not stick(along(0, 0.06)).engaged  # hysteresis begins anew


def test_a_wrong_number_of_axes_is_lost():
    assert Stick()((0.0,) * 5).status is SampleStatus.LOST


def test_reset_lets_go():
    stick = Stick()
    assert stick(along(0, 0.5)).engaged
    stick.deflection.reset()
    assert not stick(along(0, 0.06)).engaged


# -- frames ------------------------------------------------------------------------------------------------------------


def test_rotation_leads_from_the_operator_to_the_base():
    action = Stick(DeflectionConfig(rotation=QUARTER, enter=0.01, leave=0.0))((0.5, 0.0, 0.2, 0.0, 0.3, 0.1)).action
    assert action[:6] == pytest.approx([0.0, 0.5, 0.2, -0.3, 0.0, 0.1], abs=1e-6)


def test_facing_the_robot_turns_about_the_vertical():
    config = DeflectionConfig(rotation=FACING_ROBOT, enter=0.01, leave=0.0)
    action = Stick(config)((0.5, -0.4, 0.3, 0.2, -0.1, 0.6)).action
    assert action[:6] == pytest.approx([-0.5, 0.4, 0.3, -0.2, 0.1, 0.6], abs=1e-6)
    assert np.linalg.det(np.array(FACING_ROBOT)) == pytest.approx(1.0)


@given(angles=st.tuples(*[st.floats(-3.2, 3.2)] * 3), raw=st.tuples(*[st.floats(-0.5, 0.5)] * 6))
def test_rotations_keep_lengths_and_handedness(angles, raw):
    a, b, c = angles
    turn_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    turn_y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    turn_z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    matrix = turn_z @ turn_y @ turn_x
    rotation = tuple(tuple(row) for row in matrix.tolist())
    sample = Stick(DeflectionConfig(rotation=rotation, enter=1e-9, leave=0.0))(raw)
    if sample.engaged:
        assert sample.action[:3] == pytest.approx(matrix @ raw[:3], abs=1e-6)
        assert sample.action[3:6] == pytest.approx(matrix @ raw[3:], abs=1e-6)


def test_axes_that_the_task_lacks_are_dropped():
    scale = ActionScale(axes=("y", "rz"), linear_m=0.01, angular_rad=0.05)
    action = Stick(scale=scale)((1.0, -1.0, 1.0, 1.0, 1.0, 1.0)).action
    assert action.tolist() == [-1.0, 1.0]


@pytest.mark.parametrize(
    "wrong",
    [
        {"enter": 0.04, "leave": 0.04},
        {"enter": 1.0},
        {"leave": -0.01},
        {"enter": float("nan")},
        {"speed": 0.0},
        {"speed": 1.1},
        {"tail_s": -0.1},
        {"tail_s": float("inf")},
        {"rotation": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, -1.0))},
        {"rotation": ((2.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))},
        {"rotation": ((1.0, 0.0), (0.0, 1.0))},
        {"rotation": ((1.0, 0.0, 0.0), (0.0, 1.0), (0.0, 0.0, 1.0))},
        {"rotation": ((float("nan"),) * 3,) * 3},
    ],
    ids=str,
)
def test_configurations_that_cannot_work_are_refused(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        DeflectionConfig(**wrong)


# -- gripper -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "command"), [(0.0, -1.0), (0.001, -1.0), (0.04, 0.0), (0.0795, 1.0), (0.08, 1.0)])
def test_taking_over_goes_on_with_what_the_gripper_is_told(width, command):
    assert Stick(width=width)(along(0, 0.5)).action[6] == command


def test_a_tap_drives_the_gripper_alone_for_half_a_second():
    stick = Stick()
    assert not stick().engaged
    tapped = stick(pressed=Grip.CLOSE)
    assert tapped.engaged
    assert tapped.action.tolist() == [0, 0, 0, 0, 0, 0, -1.0]
    assert stick(dt=0.49).engaged
    after = stick(dt=0.02)
    assert not after.engaged
    assert after.action is None


def test_the_gripper_stays_told_while_the_person_drives_and_is_forgotten_after():
    stick = Stick()
    stick(along(0, 0.5))
    stick(along(0, 0.5), pressed=Grip.CLOSE)
    assert stick(along(0, 0.5), dt=2.0).action[6] == -1.0
    assert stick(along(0, 0.5), pressed=Grip.OPEN).action[6] == 1.0
    assert not stick(dt=2.0).engaged
    assert stick(along(0, 0.5)).action[6] == 0.0


def test_a_dead_man_holds_on_without_deflection():
    stick = Stick()
    sample = stick(held=True)
    assert sample.engaged
    assert sample.action.tolist() == [0.0] * 7
    assert not stick().engaged


def test_a_toggle_turns_round_what_the_gripper_does():
    stick = Stick(width=0.0)
    assert stick.deflection.closing()
    stick.width = 0.08
    assert not stick.deflection.closing()
    stick(pressed=Grip.CLOSE)
    assert stick.deflection.closing()


def test_a_tool_that_cannot_be_asked_leaves_the_gripper_as_it_is():
    def broken() -> ToolState:
        raise RuntimeError("no arm")

    deflection = Deflection(ALL, broken, DeflectionConfig())
    sample = deflection.sample(0.0, 0.0, along(0, 1.0), device="stick")
    assert sample.engaged
    assert sample.action.tolist() == [1.0, 0, 0, 0, 0, 0, 0]
    assert not deflection.closing()


@given(presses=st.lists(st.sampled_from([Grip.OPEN, Grip.CLOSE]), max_size=10), width=st.floats(0, 0.08))
def test_the_latch_says_the_last_thing_it_was_told(presses, width):
    latch = GripLatch(ALL)
    latch.engage(width)
    expected = latch.command
    for press in presses:
        latch.press(press, 1.0)
        expected = press
    assert latch.command is expected
    assert latch.driving(1.4) == bool(presses)
    assert not latch.driving(1.5)
    latch.release()
    assert latch.command is Grip.KEEP
    assert not latch.driving(1.0)


# -- shared parts ------------------------------------------------------------------------------------------------------


@given(twist=st.tuples(*[st.floats(-10, 10)] * 6), grip=st.floats(-2, 2), axes=st.sets(st.integers(0, 6), min_size=1))
def test_actions_are_named_by_the_scale_and_clipped(twist, grip, axes):
    names = tuple(name for i, name in enumerate((*TWIST_AXES, "gripper")) if i in axes)
    action = to_action(ActionScale(axes=names, linear_m=0.01), twist, grip)
    values = dict(zip((*TWIST_AXES, "gripper"), (*twist, grip), strict=True))
    assert action.dtype == np.float32
    assert action.tolist() == [np.float32(np.clip(values[name], -1, 1)) for name in names]


def test_an_action_needs_six_deflections():
    with pytest.raises(ValueError, match="zip"):
        to_action(ALL, (1.0, 2.0), 0.0)


def test_edges_are_never_lost_and_taken_once():
    box: Mailbox[int] = Mailbox(0)
    taken: list[TeleopEvent] = []
    done = threading.Event()

    def post(source: str) -> None:
        for i in range(2000):
            box.value = i
            box.post(TeleopEvent(kind=EventKind.SUCCESS, t=float(i), source=source))

    def take() -> None:
        while not done.is_set():
            taken.extend(box.drain())

    posters = [threading.Thread(target=post, args=(name,)) for name in "abc"]
    taker = threading.Thread(target=take)
    for thread in (*posters, taker):
        thread.start()
    for thread in posters:
        thread.join()
    done.set()
    taker.join()
    taken += box.drain()
    assert box.drain() == []
    for name in "abc":
        assert [event.t for event in taken if event.source == name] == list(map(float, range(2000)))


def test_the_rate_counts_the_last_second():
    meter = RateMeter()
    for i in range(300):
        meter.count(i * 0.01)
    assert meter.total == 300
    assert meter.rate(3.0) == pytest.approx(100, abs=1.5)
    assert meter.rate(3.5) == pytest.approx(50, abs=1.5)
    assert meter.rate(10.0) == 0.0


def test_the_rate_may_be_asked_while_another_thread_counts():
    meter, done = RateMeter(), threading.Event()

    def count() -> None:
        while not done.is_set():
            meter.count(0.0)

    thread = threading.Thread(target=count)
    thread.start()
    rates = [meter.rate(0.5) for _ in range(2000)]
    done.set()
    thread.join()
    assert all(0 <= rate <= 4096 for rate in rates)


def test_the_default_frame_is_the_robots():
    assert DeflectionConfig().rotation == IDENTITY
