"""The simulated arm by itself: kinematics, impedance, stop, wrench."""

import numpy as np
import pytest
from contracts import ArmContract

from robot_hil.data.robot import ArmState, CartesianTarget, JointTarget
from robot_hil.envs.mujoco.arm import HOME, MujocoArm
from robot_hil.envs.mujoco.world import World
from robot_hil.errors import ConfigError, SafetyError
from robot_hil.protocols import Arm

# Franka's published Denavit-Hartenberg table (Craig): a [m], d [m], alpha [rad]; then flange, hand and fingertips.
DH = [(0, 0.333, 0), (0, 0, -1), (0, 0.316, 1), (0.0825, 0, 1), (-0.0825, 0.384, -1), (0, 0, 1), (0.088, 0, 1)]


def published_kinematics(joints: np.ndarray) -> np.ndarray:
    pose = np.eye(4)
    for (a, d, quarter), theta in zip(DH, joints, strict=True):
        c, s = np.cos(theta), np.sin(theta)
        ca, sa = np.cos(quarter * np.pi / 2), np.sin(quarter * np.pi / 2)
        pose = pose @ [[c, -s, 0, a], [s * ca, c * ca, -sa, -d * sa], [s * sa, c * sa, ca, d * ca], [0, 0, 0, 1]]
    return pose @ [0, 0, 0.107 + 0.1034, 1]


@pytest.fixture
def world() -> World:
    world = World("pick_cube.xml", pictures=False)
    world.place_tool(HOME, np.array([0.5, 0.0, 0.2]))
    world.refresh()
    return world


class TestContract(ArmContract):
    tolerance_m = 0.002

    def make_arm(self) -> Arm:
        self.world = World("pick_cube.xml", pictures=False)
        self.world.place_tool(HOME, np.array([0.5, 0.0, 0.2]))
        self.world.refresh()
        return MujocoArm(self.world)

    def settle(self, arm: Arm) -> None:
        run(self.world, 1.0)


def run(world: World, seconds: float = 1.5) -> ArmState:
    for _ in range(round(seconds / 0.1)):
        world.advance(0.1)
    return MujocoArm(world).state()


def test_kinematics_and_limits_are_the_published_ones(world: World) -> None:
    ranges = world.model.jnt_range[:7]
    assert ranges[:, 0].tolist() == [-2.8973, -1.7628, -2.8973, -3.0718, -2.8973, -0.0175, -2.8973]
    assert ranges[:, 1].tolist() == [2.8973, 1.7628, 2.8973, -0.0698, 2.8973, 3.7525, 2.8973]
    rng = np.random.default_rng(0)
    for _ in range(20):
        joints = rng.uniform(ranges[:, 0], ranges[:, 1])
        world.data.qpos[:7] = joints
        world.mj.mj_kinematics(world.model, world.data)
        assert np.allclose(world.data.site("tcp").xpos, published_kinematics(joints)[:3], atol=1e-6)


def test_it_is_an_arm_that_reaches_its_target_and_stays(world: World) -> None:
    arm = MujocoArm(world)
    assert isinstance(arm, Arm)
    arm.connect()
    arm.connect()
    goal = CartesianTarget(
        pos_base=np.array([0.55, 0.1, 0.15]), quat_base=np.array([0.0, 0.995, 0.0998, 0.0]), gripper_width=0.03
    )
    arm.command(goal)
    state = run(world)
    assert np.allclose(state.tcp_pos_base, goal.pos_base, atol=2e-3)
    assert abs(state.tcp_quat_base @ goal.quat_base) > np.cos(0.5 * 0.02)
    assert state.gripper_width == pytest.approx(0.03, abs=1e-3)
    assert np.abs(state.wrench_tcp).max() < 0.5
    assert state.fault == ""
    assert state.t == pytest.approx(1.5)
    arm.close()
    arm.close()


def test_stop_holds_where_it_is(world: World) -> None:
    arm = MujocoArm(world)
    arm.connect()
    arm.command(
        CartesianTarget(pos_base=np.array([0.6, 0.2, 0.3]), quat_base=np.array([0.0, 1, 0, 0]), gripper_width=0)
    )
    world.advance(0.1)
    arm.stop()
    here = arm.state().tcp_pos_base
    assert np.linalg.norm(run(world).tcp_pos_base - here) < 0.03


def test_joint_target_means_its_tool_pose(world: World) -> None:
    arm = MujocoArm(world)
    arm.connect()
    joints = world.data.qpos[:7].copy()
    joints[0] += 0.2
    arm.command(JointTarget(joint_pos=joints, gripper_width=0.0))
    state = run(world)
    assert np.allclose(state.tcp_pos_base, published_kinematics(joints)[:3], atol=2e-3)


def test_diverged_physics_is_a_fault(world: World) -> None:
    world.data.qpos[0] = np.nan
    assert MujocoArm(world).state().fault


def test_recover_needs_a_reason_and_time_needs_whole_steps(world: World) -> None:
    with pytest.raises(SafetyError, match="reason"):
        MujocoArm(world).recover(" ")
    with pytest.raises(ConfigError, match="too short"):
        world.advance(0.004)


def test_the_world_is_a_clock_that_never_goes_back(world: World) -> None:
    world.sleep_until(0.5)
    world.rewind()
    world.sleep_until(0.2)
    assert world.now() == pytest.approx(0.5)
