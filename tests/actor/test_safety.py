"""The gate: nothing malformed, outside, too fast, too old or against resistance reaches the driver; latches hold."""

import threading

import numpy as np
import pytest
from actor.parts import PointArm, cartesian, joint, limits
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_hil.actor.safety import GateState, SafetyGate
from robot_hil.clock import VirtualClock
from robot_hil.errors import ConfigError, SafetyError

PERIOD = 0.05
BAD = [float("nan"), float("inf"), float("-inf")]


@pytest.fixture
def gate(arm, clock):
    gate = SafetyGate(arm, limits(), clock, period_s=PERIOD)
    gate.connect()
    return gate


def steps_to(gate, clock, target, count=60):
    for _ in range(count):
        gate.command(target)
        clock.advance(PERIOD)


def test_allowed_command_arrives_unchanged(gate, arm):
    target = cartesian((0.405, 0.0, 0.3))
    gate.command(target)
    assert arm.sent == [target]
    info = gate.info()
    assert (info.sent, info.limited_box, info.limited_rate, info.refused) == (1, 0, 0, 0)


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("place", range(8))
def test_non_finite_cartesian_command_latches_stop(arm, clock, bad, place):
    gate = SafetyGate(arm, limits(), clock)
    gate.connect()
    values = [0.4, 0.0, 0.3, 1.0, 0.0, 0.0, 0.0, 0.04]
    values[place] = bad
    with pytest.raises(SafetyError, match="NaN or infinity"):
        gate.command(cartesian(values[:3], values[3:7], values[7]))
    assert arm.sent == []
    assert arm.stops == 1
    assert gate.mode is GateState.STOP
    with pytest.raises(SafetyError, match=r"STOP.*recover\(reason\)"):
        gate.command(cartesian())


@pytest.mark.parametrize("bad", BAD)
def test_non_finite_joint_command_latches_stop(gate, arm, bad):
    with pytest.raises(SafetyError, match="NaN or infinity"):
        gate.command(joint([0, 0, 0, bad, 0, 0, 0]))
    assert arm.sent == []
    assert gate.mode is GateState.STOP


@pytest.mark.parametrize(
    "target",
    [
        cartesian(quat=(0, 0, 0, 0)),
        cartesian(quat=(1, 1, 0, 0)),
        cartesian(quat=(1, 0, 0)),
        cartesian(pos=(0.4, 0.0)),
        cartesian(pos=((0.4, 0.0, 0.3),)),
        joint([0.0] * 6),
        joint([[0.0] * 7]),
        "home",
        None,
    ],
)
def test_what_is_no_command_latches_stop(gate, arm, target):
    with pytest.raises(SafetyError, match="refused"):
        gate.command(target)
    assert arm.sent == []
    assert gate.mode is GateState.STOP


def test_old_command_holds_until_resumed_with_a_reason(gate, arm, clock):
    gate.command(cartesian(), stamp=clock.now() - 0.19)
    with pytest.raises(SafetyError, match=r"0.210 s old.*0.2 s"):
        gate.command(cartesian(), stamp=clock.now() - 0.21)
    assert gate.mode is GateState.HOLD
    with pytest.raises(SafetyError, match="HOLD"):
        gate.command(cartesian())
    with pytest.raises(SafetyError, match="reason"):
        gate.resume("  ")
    gate.resume("looked at it")
    gate.command(cartesian())
    assert len(arm.sent) == 2


def test_nan_stamp_is_not_young(gate):
    with pytest.raises(SafetyError):
        gate.command(cartesian(), stamp=float("nan"))


def test_targets_outside_are_limited_to_the_box_and_counted(gate, arm, clock):
    steps_to(gate, clock, cartesian((2.0, 0.0, -1.0), width=1.0))
    assert np.allclose(arm.pos, [0.7, 0.0, 0.0])
    assert arm.width == 0.08
    assert gate.info().limited_box == 60
    assert gate.mode is GateState.RUN


def test_speed_turn_and_joints_are_limited(gate, arm, clock):
    gate.command(cartesian((0.6, 0.0, 0.3), quat=(0, 1, 0, 0)))
    assert arm.pos[0] == pytest.approx(0.4 + 0.25 * PERIOD)
    assert 2 * np.arccos(arm.quat[0]) == pytest.approx(1.0 * PERIOD)
    assert np.linalg.norm(arm.quat) == pytest.approx(1.0)
    clock.advance(PERIOD)
    gate.command(joint([1, -0.5, 0, 0, 0, 0, 0]))
    assert arm.joints == pytest.approx([PERIOD, -PERIOD / 2, 0, 0, 0, 0, 0])
    assert gate.info().limited_rate == 2


def test_late_command_gets_one_period_and_a_burst_gets_none(gate, arm, clock):
    far = cartesian((0.7, 0.0, 0.3))
    gate.command(far)
    first = arm.pos[0]
    for _ in range(10):
        gate.command(far)  # no time passed
    assert arm.pos[0] == first
    clock.advance(0.15)
    gate.command(far)
    assert arm.pos[0] - first == pytest.approx(0.25 * PERIOD)


def test_acceleration_limits_the_rise_of_speed_and_never_slowing_down(arm, clock):
    gate = SafetyGate(arm, limits(max_linear_acceleration=1.0), clock, period_s=PERIOD)
    gate.connect()
    places = [arm.pos[0]]
    for k in range(8):
        gate.command(cartesian((0.7 if k < 6 else places[-1], 0.0, 0.3)))
        places.append(arm.pos[0])
        clock.advance(PERIOD)
    speeds = np.diff(places) / PERIOD
    assert speeds == pytest.approx([0.05, 0.1, 0.15, 0.2, 0.25, 0.25, 0.0, 0.0])


def test_short_way_round_for_opposite_quaternions(gate, arm):
    half = 0.01
    gate.command(cartesian(quat=(-np.cos(half), -np.sin(half), 0, 0)))
    assert gate.info().limited_rate == 0


@pytest.mark.parametrize(
    ("wrench", "words"), [([0, 0, 41, 0, 0, 0], "force"), ([0, 0, 0, 0, 11, 0], "torque"), ([np.nan] * 6, "force")]
)
def test_measured_force_stops(gate, arm, clock, wrench, words):
    gate.command(cartesian())
    clock.advance(PERIOD)
    arm.wrench = np.array(wrench, float)
    with pytest.raises(SafetyError, match=words):
        gate.command(cartesian((0.401, 0, 0.3)))
    record = gate.info().last_stop
    assert record is not None
    assert words in record.reason
    assert record.arm_state is not None
    assert np.array_equal(record.arm_state.wrench_tcp, arm.wrench, equal_nan=True)
    assert len(arm.sent) == 1
    with pytest.raises(SafetyError, match="not recovered"):
        gate.recover("try again")
    arm.wrench = np.zeros(6)
    gate.recover("freed the gripper")
    gate.command(cartesian())


def test_force_is_noticed_when_only_looking(gate, arm):
    arm.wrench = np.array([50.0, 0, 0, 0, 0, 0])
    gate.state()
    assert gate.mode is GateState.STOP
    gate.state()
    assert gate.info().stops == 1


def test_driver_fault_stops_and_is_never_cleared_by_itself(gate, arm, clock):
    clock.advance(PERIOD)
    arm.fault = "reflex"
    with pytest.raises(SafetyError, match="reflex"):
        gate.command(cartesian())
    arm.fault = ""
    clock.advance(3600)
    with pytest.raises(SafetyError, match="STOP"):
        gate.command(cartesian())
    assert arm.recoveries == []
    with pytest.raises(SafetyError, match="reason"):
        gate.recover("")
    with pytest.raises(SafetyError, match="does not clear STOP"):
        gate.resume("please")
    gate.recover("power was back")
    assert arm.recoveries == ["power was back"]
    assert arm.sent == []  # a reset does not restart
    gate.command(cartesian())


def test_recover_fails_while_the_arm_still_has_the_fault(gate, arm):
    arm.fault, arm.clears = "brake", False
    gate.state()
    with pytest.raises(SafetyError, match="brake"):
        gate.recover("hope")
    assert gate.mode is GateState.STOP


def test_driver_that_raises_stops(gate, arm):
    arm.broken = True
    with pytest.raises(SafetyError, match="driver refused"):
        gate.command(cartesian())
    assert gate.mode is GateState.STOP
    assert gate.info().sent == 0


def test_driver_that_cannot_stop_is_latched_all_the_same(gate, arm):
    def fail():
        raise OSError("cable")

    arm.stop = fail
    gate.emergency_stop("button")
    assert gate.mode is GateState.STOP
    del arm.stop


def test_watchdog_holds_a_moving_arm_only(gate, arm, clock):
    clock.advance(10)
    assert gate.check() is GateState.RUN  # never commanded
    gate.command(cartesian())
    clock.advance(10)
    assert gate.check(clock.now()) is GateState.RUN  # told to stand still
    gate.command(cartesian((0.5, 0, 0.3)))
    clock.advance(0.19)
    assert gate.check() is GateState.RUN
    clock.advance(0.02)
    assert gate.check() is GateState.HOLD
    assert arm.stops == 1
    assert "no command for 0.210 s" in gate.info().last_stop.reason


def test_watchdog_sees_measured_motion(gate, arm, clock):
    clock.advance(PERIOD)
    arm.velocity = np.array([0.1, 0, 0, 0, 0, 0])
    gate.command(cartesian())
    clock.advance(0.3)
    assert gate.check() is GateState.HOLD


def test_stop_is_not_latched_and_motion_restarts_from_the_measured_pose(gate, arm, clock):
    gate.command(cartesian((0.5, 0, 0.3)))
    gate.stop()
    clock.advance(10)
    assert gate.check() is GateState.RUN
    arm.pos = np.array([0.3, 0.1, 0.2])  # pushed by hand
    gate.command(cartesian((0.5, 0.1, 0.2)))
    assert arm.pos == pytest.approx([0.3 + 0.25 * PERIOD, 0.1, 0.2])


def test_sync_after_a_simulated_reset(gate, arm, clock):
    gate.command(cartesian((0.5, 0, 0.3)))
    arm.pos = np.array([0.6, 0.2, 0.1])
    gate.sync()
    gate.command(cartesian((0.6, 0.2, 0.1)))
    assert gate.info().limited_rate == 1  # the first command only
    assert arm.pos == pytest.approx([0.6, 0.2, 0.1])


def test_arm_outside_the_box_is_led_back_slowly(gate, arm, clock):
    arm.pos = np.array([0.8, 0.0, 0.3])
    gate.sync()
    places = []
    for _ in range(20):
        gate.command(cartesian((0.9, 0, 0.3)))
        places.append(arm.pos[0])
        clock.advance(PERIOD)
    assert places[0] == pytest.approx(0.8 - 0.25 * PERIOD)
    assert all(np.diff(places) <= 0)
    assert places[-1] == pytest.approx(0.7)


def test_hold_does_not_lower_stop(gate):
    gate.emergency_stop("button")
    gate.hold("late")
    assert gate.mode is GateState.STOP


def test_stop_during_recover_wins(gate, arm):
    gate.emergency_stop("first")
    arm.recover = gate.emergency_stop
    with pytest.raises(SafetyError, match="thought it was over"):
        gate.recover("thought it was over")
    assert gate.mode is GateState.STOP


def test_stop_from_another_thread_during_send_comes_last(gate, arm):
    order = []
    send, stop = arm.command, arm.stop

    def slow_command(target):
        thread = threading.Thread(target=gate.emergency_stop, args=("button",))
        thread.start()
        thread.join()
        send(target)
        order.append("sent")

    def noted_stop():
        stop()
        order.append("stopped")

    arm.command, arm.stop = slow_command, noted_stop
    gate.command(cartesian())
    assert order == ["stopped", "sent", "stopped"]
    with pytest.raises(SafetyError, match="STOP"):
        gate.command(cartesian())


@pytest.mark.parametrize(
    "changes",
    [
        {"max_linear_speed": 0.0},
        {"max_force": float("nan")},
        {"max_command_age": -1.0},
        {"workspace_low": np.array([0.9, 0, 0])},
        {"workspace_low": np.array([np.nan, 0, 0])},
        {"workspace_low": np.zeros(2)},
        {"joint_low": np.zeros(6)},
        {"gripper_range": (0.08, 0.0)},
    ],
)
def test_limits_that_limit_nothing_are_refused(arm, clock, changes):
    with pytest.raises(ConfigError):
        SafetyGate(arm, limits(**changes), clock)


@pytest.mark.parametrize("period", [0.0, -1.0, float("nan"), float("inf")])
def test_period_must_be_a_time(arm, clock, period):
    with pytest.raises(ConfigError, match="period_s"):
        SafetyGate(arm, limits(), clock, period_s=period)


number = st.floats(allow_nan=True, allow_infinity=True, width=64) | st.floats(-1, 1)
quaternion = (
    st.tuples(*[st.floats(-1, 1)] * 4)
    .map(np.array)
    .filter(lambda q: np.linalg.norm(q) > 1e-3)
    .map(lambda q: q / np.linalg.norm(q))
)
targets = (
    st.builds(cartesian, st.tuples(number, number, number), quaternion, number)
    | st.builds(cartesian, *[st.tuples(*[st.floats(-1, 1)] * 3), quaternion, st.floats(0, 1)])
    | st.builds(joint, st.lists(st.floats(-4, 4), min_size=7, max_size=7))
)


@settings(max_examples=150)
@given(st.lists(st.tuples(targets, st.floats(0, 0.3)), max_size=30))
def test_whatever_is_commanded_the_driver_sees_only_allowed_motion(commands):
    clock = VirtualClock()
    arm = PointArm(clock)
    bounds = limits(max_linear_acceleration=2.0)
    gate = SafetyGate(arm, bounds, clock, period_s=PERIOD)
    gate.connect()
    for target, wait in commands:
        pos, quat, joints = arm.pos.copy(), arm.quat.copy(), arm.joints.copy()
        sent = len(arm.sent)
        try:
            gate.command(target)
        except SafetyError:
            assert len(arm.sent) == sent
            assert gate.mode is GateState.STOP
            gate.recover("the test goes on")
        assert np.isfinite(arm.pos).all()
        assert (arm.pos >= bounds.workspace_low - 1e-12).all()
        assert (arm.pos <= bounds.workspace_high + 1e-12).all()
        assert (np.abs(arm.joints) <= 2).all()
        assert 0 <= arm.width <= 0.08
        assert np.linalg.norm(arm.pos - pos) <= 0.25 * PERIOD * (1 + 1e-5)
        turn = 2 * np.arccos(min(1.0, abs(float(quat @ arm.quat))))
        assert turn <= PERIOD * (1 + 1e-5) + 1e-7
        assert np.abs(arm.joints - joints).max() <= PERIOD * (1 + 1e-5)
        clock.advance(wait)
