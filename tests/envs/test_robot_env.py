"""RobotEnv with an arm that is neither MuJoCo nor teleported: resets drive through the gate."""

from typing import Any

import numpy as np
import pytest

from robot_hil.actor.safety import SafetyGate
from robot_hil.clock import VirtualClock
from robot_hil.data.robot import ArmLimits, ArmState, CartesianTarget, Target
from robot_hil.data.specs import ArraySpec
from robot_hil.envs.base import pixels_of
from robot_hil.envs.robot_env import RobotEnv
from robot_hil.envs.task import Motion, ObsType, Reading
from robot_hil.errors import SafetyError, SpecError


class IdealArm:
    """Is at once where it was told to be, unless stuck."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock, self.pos, self.quat, self.width = clock, np.array([0.3, 0.0, 0.3]), np.array([0.0, 1, 0, 0]), 0.08
        self.stuck, self.fault, self.sent = False, "", 0

    def connect(self) -> None: ...

    def state(self) -> ArmState:
        return ArmState(
            t=self.clock.now(), joint_pos=np.zeros(7), joint_vel=np.zeros(7), tcp_pos_base=self.pos,
            tcp_quat_base=self.quat, tcp_vel_base=np.zeros(6), wrench_tcp=np.zeros(6), gripper_width=self.width,
            fault=self.fault,
        )  # fmt: skip

    def command(self, target: Target) -> None:
        assert isinstance(target, CartesianTarget)
        self.sent += 1
        if not self.stuck:
            self.pos, self.quat, self.width = target.pos_base, target.quat_base, target.gripper_width

    def stop(self) -> None: ...

    def recover(self, reason: str) -> None:
        self.fault = ""

    def close(self) -> None: ...


class Reach:
    """Succeeds above 0.45 m."""

    env_id, instruction, max_seconds = "test/Reach-v0", "reach up", 2.0
    motion = Motion(axes=("x", "y", "z", "rz"), linear_speed=0.2, angular_speed=0.5, lead_m=0.03)

    def observation_spec(self, obs_type: ObsType) -> ArraySpec:
        return ArraySpec(shape=(3,), low=-5, high=5)

    def reset(self, rng: np.random.Generator) -> CartesianTarget:
        return CartesianTarget(
            pos_base=np.array([0.5, 0.1, 0.4]), quat_base=np.array([0.0, 1.0, 0.0, 0.0]), gripper_width=0.04
        )

    def observe(self, reading: Reading, obs_type: ObsType) -> list[float]:
        pos: list[float] = reading.arm.tcp_pos_base.tolist()
        return pos

    def success(self, reading: Reading) -> bool:
        return float(reading.arm.tcp_pos_base[2]) > 0.45

    def privileged(self, reading: Reading) -> dict[str, Any]:
        return {}


@pytest.fixture
def arm() -> IdealArm:
    return IdealArm(VirtualClock())


@pytest.fixture
def env(arm: IdealArm) -> RobotEnv:
    limits = ArmLimits(
        workspace_low=np.array([0.2, -0.3, 0.1]), workspace_high=np.array([0.7, 0.3, 0.5]), joint_low=np.full(7, -3.0),
        joint_high=np.full(7, 3.0), max_linear_speed=0.5, max_angular_speed=1.0,
    )  # fmt: skip
    return RobotEnv(Reach(), SafetyGate(arm, limits, arm.clock, period_s=0.1), {}, arm.clock.advance)


def test_nothing_moves_before_reset(env: RobotEnv, arm: IdealArm) -> None:
    assert arm.sent == 0


def test_reset_drives_there_within_the_speed_limit(env: RobotEnv, arm: IdealArm) -> None:
    env.reset(seed=0)
    way = float(np.linalg.norm(np.array([0.5, 0.1, 0.4]) - [0.3, 0.0, 0.3]))
    assert np.linalg.norm(arm.pos - [0.5, 0.1, 0.4]) <= 0.01
    assert arm.clock.now() >= (way - 0.01) / 0.5 - 0.1
    assert env.gate.info().limited_rate > 0


def test_reset_gives_up_when_something_is_in_the_way(env: RobotEnv, arm: IdealArm) -> None:
    arm.stuck = True
    with pytest.raises(SafetyError, match="did not reach its start pose"):
        env.reset(seed=0)


def test_action_moves_the_command_and_success_ends_the_episode(env: RobotEnv) -> None:
    env.reset(seed=0)
    steps = 0
    terminated = False
    while not terminated:
        _, reward, terminated, truncated, _ = env.step(np.array([0.0, 0.0, 1.0, 0.0], np.float32))
        steps += 1
        assert not truncated
    assert reward == 1.0
    assert steps == 3


def test_pressing_does_not_wind_up(env: RobotEnv, arm: IdealArm) -> None:
    env.reset(seed=0)
    arm.stuck = True
    for _ in range(15):
        env.step(np.array([0.0, 0.0, -1.0, 1.0], np.float32))
    world = env.privileged()
    assert np.linalg.norm(world["target_pos"] - world["tcp_pos"]) <= 0.03 + 1e-9
    turned = 2 * np.arccos(min(1.0, abs(float(world["target_quat"] @ world["tcp_quat"]))))
    assert turned <= Reach.motion.lead_rad + 1e-6


def test_the_command_stays_in_the_workspace(env: RobotEnv) -> None:
    env.reset(seed=0)
    for _ in range(20):
        env.step(np.array([0.0, 1.0, 0.0, 0.0], np.float32))
    assert env.privileged()["target_pos"][1] == pytest.approx(0.3)
    assert env.gate.info().limited_box == 0


def test_without_cameras_there_is_nothing_to_judge(env: RobotEnv) -> None:
    with pytest.raises(SpecError, match="no cameras"):
        pixels_of(env)


def test_a_fault_of_the_arm_stops_the_episode(env: RobotEnv, arm: IdealArm) -> None:
    env.reset(seed=0)
    arm.fault = "cable torn"
    action = np.zeros(4, np.float32)
    env.step(action)  # the fault is seen in the state read after this command
    with pytest.raises(SafetyError, match="cable torn"):
        env.step(action)
