"""The leader arm as a device: real library, real thread, servos at a pseudo-terminal, time that stands still."""

import time
from collections.abc import Callable, Iterator

import gymnasium
import numpy as np
import pytest
from contracts import TeleopContract
from servo_bus import ServoRig

import robot_hil.envs  # noqa: F401 - registers the ids
from robot_hil.clock import VirtualClock
from robot_hil.data.robot import ActionScale, ToolState
from robot_hil.data.rotation import angle_between
from robot_hil.data.teleop import EventKind, SampleStatus, TeleopSample
from robot_hil.envs.base import scale_of, tool_of
from robot_hil.errors import ConfigError
from robot_hil.protocols import EpisodeAware, Monitored
from robot_hil.teleop.leader.bus import BusError, DynamixelBus
from robot_hil.teleop.leader.calibration import RAD_PER_TICK, Calibration, GripperServo, JointServo
from robot_hil.teleop.leader.device import LeaderArm, LeaderConfig

AXES = ("x", "y", "z", "rx", "ry", "rz", "gripper")
SCALE = ActionScale(axes=AXES, linear_m=0.01, angular_rad=0.05, gripper_m=0.01)
IDS = tuple(range(1, 9))
CALIBRATION = Calibration(
    joints=tuple(JointServo(id=i, zero_tick=2048, sign=1 if i % 2 else -1) for i in IDS[:7]),
    gripper=GripperServo(id=8, open_tick=1000, closed_tick=2000),
)


def forward(joints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return 0.1 * joints[:3], np.array([1.0, 0.0, 0.0, 0.0])


class Bench:
    """A leader arm with all joints at 0 and an open trigger, beside a robot that stands still unless told."""

    period_s = 0.05

    def __init__(
        self, forward: Callable = forward, scale: ActionScale = SCALE, tool: Callable | None = None, **config: float
    ) -> None:
        self.rig = ServoRig(IDS)
        self.rig.move({8: 1000})
        self.clock = VirtualClock(10.0)
        self.robot = self.leader = np.zeros(7)
        self.width = 0.08
        settings = LeaderConfig(calibration=CALIBRATION, **config)
        self.bus = DynamixelBus(self.rig.port, ids=CALIBRATION.ids)
        self.device = LeaderArm(scale, tool or self.tool, self.clock, self.bus, settings, forward)

    def tool(self) -> ToolState:
        pos, quat = forward(self.robot)
        return ToolState(pos_base=pos, quat_base=quat, gripper_width=self.width, joint_pos=self.robot.copy())

    def start(self) -> None:
        """Start, and again where a busy machine kept the servos from answering in time."""
        end = time.monotonic() + 30
        while True:
            try:
                self.device.start()
                return
            except BusError:
                assert time.monotonic() < end

    def jump(self, *joints: float) -> None:
        """Put the leader somewhere at once; joints that are not named go to 0."""
        self.leader = np.array([*joints, *[0.0] * (7 - len(joints))])
        for joint, angle in zip(CALIBRATION.joints, self.leader, strict=True):
            self.rig.move({joint.id: round(2048 + joint.sign * angle / RAD_PER_TICK)})

    def pose(self, *joints: float) -> None:
        """Move the leader there so slowly that the reader sees it on its way."""
        begin, end = self.leader, np.array([*joints, *[0.0] * (7 - len(joints))])
        for share in np.linspace(0.0, 1.0, 2 + int(np.abs(end - begin).max() / 0.3)):
            self.jump(*(begin + share * (end - begin)))
            self.until(lambda: np.allclose(self.device._reader.latest.joint_pos, self.leader, atol=RAD_PER_TICK))

    def until(self, done: Callable[[], bool]) -> None:
        """Wait for the reader, which has its own pace."""
        end = time.monotonic() + 30
        while not done():
            assert time.monotonic() < end, self.device.info()
            time.sleep(0.001)

    def read(self) -> None:
        """Return once the reader has asked for and got everything that was done so far."""
        now = self.clock.now()
        self.until(lambda: self.device._reader.latest.t >= now)

    def step(self) -> TeleopSample:
        """Return the sample one control period on."""
        self.clock.advance(self.period_s)
        self.read()
        return self.device.latest()

    def engage(self) -> TeleopSample:
        self.step()
        self.device.request_engage()
        return self.step()

    def close(self) -> None:
        self.device.stop()
        self.rig.close()


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    bench.start()
    yield bench
    bench.close()


class TestContract(TeleopContract):
    action_dim = len(AXES)

    @pytest.fixture(autouse=True)
    def _release(self) -> Iterator[None]:
        yield
        self.bench.close()

    def make_device(self) -> LeaderArm:
        self.bench = Bench()
        return self.bench.device

    def advance(self, device: LeaderArm) -> None:
        self.bench.device.request_engage()
        self.bench.clock.advance(0.05)
        self.bench.read()


def test_it_can_be_watched_and_knows_episodes(bench: Bench) -> None:
    assert isinstance(bench.device, Monitored)
    assert isinstance(bench.device, EpisodeAware)
    info = bench.device.info()
    assert (info.kind, info.status, info.problem) == ("leader arm", SampleStatus.OK, "")


def test_nothing_moves_before_it_is_engaged(bench: Bench) -> None:
    bench.pose(0.5)
    for _ in range(5):
        sample = bench.step()
        assert sample.status is SampleStatus.OK
        assert not sample.engaged
        assert sample.action is None


def test_engaging_far_from_the_robot_is_refused_with_the_joint(bench: Bench) -> None:
    bench.pose(0.0, 0.9)
    assert not bench.engage().engaged
    assert "joint 2 by 0.90 rad" in bench.device.info().problem
    (event,) = bench.device.drain_events()
    assert event.kind is EventKind.DISENGAGE
    assert "joint 2" in event.reason
    bench.pose(0.0, 0.7)
    bench.step()
    assert bench.engage().engaged
    assert bench.device.info().problem == ""


def test_the_first_command_is_no_motion_and_then_it_starts_softly(bench: Bench) -> None:
    bench.pose(0.7)
    bench.step()
    first = bench.engage()
    assert first.engaged
    assert first.action is not None
    assert not first.action.any()
    targets = [0.0]
    while not bench.device._follower.caught_up:
        assert bench.step().engaged
        targets.append(float(bench.device._follower.target[0]))
    assert 0 < np.diff(targets).max() <= 0.05
    assert targets[-1] == pytest.approx(0.7, abs=RAD_PER_TICK)
    bench.pose(0.75)
    bench.step()
    assert bench.device._follower.target[0] == pytest.approx(0.75, abs=RAD_PER_TICK)


def test_release_lets_go_at_once(bench: Bench) -> None:
    assert bench.engage().engaged
    bench.device.request_release()
    assert not bench.step().engaged
    assert [event.kind for event in bench.device.drain_events()] == [EventKind.ENGAGE, EventKind.DISENGAGE]


def test_a_dead_bus_is_lost_by_age_and_never_a_position(bench: Bench) -> None:
    bench.pose(0.1)
    bench.engage()
    for _ in range(10):
        bench.step()
    target = bench.device._follower.target.copy()
    bench.rig.silent = True
    dropped = bench.device.info().dropped
    bench.until(lambda: bench.device.info().dropped >= dropped + 2)
    bench.clock.advance(0.11)
    assert bench.device.latest().engaged  # as long as it may have been a short disturbance
    bench.clock.advance(0.02)
    sample = bench.device.latest()
    assert sample.status is SampleStatus.LOST
    assert sample.action is None
    assert "no status packet" in sample.problem
    assert bench.device.info().status is SampleStatus.LOST
    assert np.array_equal(bench.device._follower.target, target)

    bench.rig.silent = False
    assert bench.step().status is SampleStatus.LOST  # says at least once that it was away
    assert bench.step().status is SampleStatus.OK
    assert not bench.step().engaged
    assert bench.engage().engaged


def test_a_silence_between_two_looks_is_told_and_lets_go(bench: Bench) -> None:
    bench.engage()
    bench.rig.silent = True
    dropped = bench.device.info().dropped
    bench.until(lambda: bench.device.info().dropped >= dropped + 2)
    bench.clock.advance(0.3)
    bench.rig.silent = False
    bench.read()
    assert bench.device.latest().status is SampleStatus.LOST
    sample = bench.step()
    assert sample.status is SampleStatus.OK
    assert not sample.engaged


def test_a_pulled_cable_is_lost(bench: Bench) -> None:
    bench.engage()
    bench.rig.close()
    dropped = bench.device.info().dropped
    bench.until(lambda: bench.device.info().dropped >= dropped + 2)
    bench.clock.advance(0.13)
    assert bench.device.latest().status is SampleStatus.LOST


@pytest.mark.parametrize("how", ["crc", "cut", "noise", "empty"])
def test_a_damaged_answer_is_counted_and_changes_nothing(bench: Bench, how: str) -> None:
    bench.engage()
    dropped, asked = bench.device.info().dropped, bench.rig.asked
    bench.rig.spoil(how)
    bench.until(lambda: bench.rig.asked > asked + 1)
    sample = bench.step()
    assert sample.status is SampleStatus.OK
    assert sample.engaged
    assert sample.action is not None
    assert not sample.action.any()
    assert how == "noise" or bench.device.info().dropped > dropped


def test_a_joint_that_jumps_is_refused_and_then_lost(bench: Bench) -> None:
    bench.engage()
    bench.jump(0.0, 0.0, 1.0)
    bench.until(lambda: "joint 3 jumped by 1.00 rad" in bench.device._reader.problem)
    assert np.array_equal(bench.device._follower.target, np.zeros(7))
    bench.clock.advance(0.13)
    assert bench.device.latest().status is SampleStatus.LOST


def test_a_servo_that_passes_the_end_of_its_scale_goes_on(bench: Bench) -> None:
    bench.robot = np.array([np.pi - 0.2, *[0.0] * 6])
    bench.pose(np.pi - 0.2)
    assert bench.engage().engaged
    for tick in range(3966, 4300, 60):  # 4095 is followed by 0
        bench.rig.move({1: tick % 4096})
        bench.step()
        bench.step()
    assert bench.device._follower.target[0] == pytest.approx((4266 - 2048) * RAD_PER_TICK)


def test_the_squeezed_trigger_engages_once_per_squeeze() -> None:
    bench = Bench(squeeze_s=0.5)
    bench.start()
    bench.rig.move({8: 2000})
    engaged = [bench.step().engaged for _ in range(15)]
    assert engaged == sorted(engaged)
    assert 9 <= engaged.index(True) <= 12
    bench.device.request_release()
    assert not any(bench.step().engaged for _ in range(15))
    bench.rig.move({8: 1000})
    bench.step()
    bench.rig.move({8: 2000})
    assert [bench.step().engaged for _ in range(15)][-1]
    bench.close()


def test_a_reset_and_a_loop_that_stood_still_let_go(bench: Bench) -> None:
    assert bench.engage().engaged
    bench.device.begin_episode(3)
    assert not bench.step().engaged
    assert bench.engage().engaged
    for _ in range(11):
        bench.clock.advance(0.05)
        bench.read()
    assert not bench.step().engaged


def test_an_unknown_robot_is_lost_and_no_reason_to_raise() -> None:
    def lost(joints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        raise ConfigError("no kinematics today")

    bench = Bench(lost)
    bench.start()
    sample = bench.engage()
    assert sample.status is SampleStatus.LOST
    assert "no kinematics today" in sample.problem
    assert bench.step().status is SampleStatus.OK
    bench.close()


def test_start_says_what_is_wrong() -> None:
    bench = Bench()
    bench.rig.silent = True
    with pytest.raises(BusError, match="do not answer"):
        bench.device.start()
    assert bench.device.latest().status is SampleStatus.DISCONNECTED
    bench.close()


@pytest.mark.parametrize("wrong", [{"rate_hz": 0.0}, {"match_rad": -1.0}, {"squeeze_s": float("nan")}])
def test_settings_that_cannot_work_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        LeaderConfig(calibration=CALIBRATION, **wrong)


def test_a_squeeze_needs_a_trigger() -> None:
    with pytest.raises(ConfigError, match="gripper servo"):
        LeaderConfig(calibration=Calibration(joints=CALIBRATION.joints), squeeze_s=0.5)


def test_the_simulated_arm_goes_where_the_leader_is() -> None:
    """Through a task's own actions, gate and impedance: the commanded tool ends where the leader's joints put it."""
    env = gymnasium.make("robot_hil/PegInsertion-v0", obs_type="state", disable_env_checker=True).unwrapped
    env.reset(seed=1)
    arm, state = env.gate._driver, env.gate.state()
    pos, quat = arm.forward_kinematics(state.joint_pos)
    assert pos == pytest.approx(state.tcp_pos_base, abs=1e-9)
    assert angle_between(quat, state.tcp_quat_base) < 1e-6

    bench = Bench(arm.forward_kinematics, scale_of(env), tool_of(env))
    bench.start()
    begin, target = env.tool().joint_pos, env.tool().pos_base
    bench.pose(*begin)
    goal = begin + np.array([0.1, 0.02, 0.05, 0.06, 0.1, -0.05, 0.2])
    bench.pose(*goal)
    first = bench.engage().action
    assert first == pytest.approx(np.zeros(6), abs=1e-6)
    for _ in range(60):
        env.step(bench.step().action)
    wanted, turned = arm.forward_kinematics(bench.device._follower.target)
    wanted = wanted + bench.device._follower._lead_pos
    assert np.linalg.norm(wanted - target) > 0.03  # it was a motion
    assert bench.device._follower.target == pytest.approx(goal, abs=2 * RAD_PER_TICK)
    assert env.tool().pos_base == pytest.approx(wanted, abs=1e-4)
    assert env.gate.state().tcp_pos_base == pytest.approx(wanted, abs=0.005)
    assert angle_between(env.gate.state().tcp_quat_base, turned) < 0.05
    bench.close()
    env.close()
