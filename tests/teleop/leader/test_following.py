"""Engage gate, soft start and following, with a robot of seven joints that is easy to see through."""

import numpy as np
import pytest

from robot_hil.data.robot import ActionScale, ToolState
from robot_hil.data.rotation import from_rotvec, multiply
from robot_hil.errors import SpecError
from robot_hil.teleop.leader.following import Follower

SCALE = ActionScale(axes=("x", "y", "z", "rx", "ry", "rz", "gripper"), linear_m=0.01, angular_rad=0.05, gripper_m=0.01)
ROBOT = np.array([0.1, 0.2, 0.3, -2.0, 0.0, 2.5, 0.7])


def forward(joints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first three joints move the tool 0.1 m per rad, the next three turn it."""
    return 0.1 * joints[:3], np.array(from_rotvec(joints[3:6] * [0.1, 0.1, 0.1]))


def follower(**settings: float) -> Follower:
    return Follower(SCALE, forward, **({"match_rad": 0.8, "soft_rad_s": 0.5, "soft_step_rad": 0.05} | settings))


class Robot:
    """A commanded tool that obeys actions."""

    def __init__(self, lead: float = 0.0, width: float = 0.04) -> None:
        pos, quat = forward(ROBOT)
        self.pos, self.quat, self.width = pos + lead, tuple(quat), width

    def tool(self) -> ToolState:
        return ToolState(
            pos_base=self.pos.copy(), quat_base=np.array(self.quat), gripper_width=self.width, joint_pos=ROBOT.copy()
        )

    def obey(self, action: np.ndarray) -> None:
        self.pos = self.pos + SCALE.linear_m * action[:3]
        self.quat = multiply(from_rotvec(SCALE.angular_rad * action[3:6]), self.quat)
        self.width += SCALE.gripper_m * float(action[6])


def test_it_engages_only_near_the_robot_and_says_which_joints_are_not() -> None:
    tool = Robot().tool()
    assert follower().mismatch(ROBOT + 0.79, tool) == ""
    far = ROBOT.copy()
    far[1] += 0.81
    far[4] -= 1.5
    said = follower().mismatch(far, tool)
    assert "joint 2 by 0.81 rad" in said
    assert "joint 5 by 1.50 rad" in said
    assert "joint 1 " not in said


def test_it_refuses_another_number_of_joints_and_an_unknown_robot() -> None:
    assert "6 joints, the robot 7" in follower().mismatch(ROBOT[:6], Robot().tool())
    nowhere = ToolState(pos_base=np.zeros(3), quat_base=np.zeros(4), gripper_width=0, joint_pos=np.full(7, np.nan))
    assert "not known" in follower().mismatch(ROBOT, nowhere)


@pytest.mark.parametrize("lead", [0.0, 0.02])
def test_the_first_command_is_no_motion_also_for_an_arm_that_presses(lead: float) -> None:
    robot, leader = Robot(lead), follower()
    leader.engage(robot.tool(), None)
    assert leader.follow(ROBOT + 0.7, None, robot.tool(), 0.0) == pytest.approx(np.zeros(7), abs=1e-9)


@pytest.mark.parametrize(("seconds", "step"), [(0.02, 0.01), (0.1, 0.05), (1.0, 0.05)])
def test_the_soft_start_steps_are_bounded_and_straight(seconds: float, step: float) -> None:
    robot, leader = Robot(), follower()
    leader.engage(robot.tool(), None)
    goal = ROBOT + np.array([0.7, -0.35, 0.0, 0.1, 0.0, 0.2, -0.7])
    seen = [leader.target]
    while not leader.caught_up:
        robot.obey(leader.follow(goal, None, robot.tool(), seconds))
        seen.append(leader.target)
    steps = np.diff(seen, axis=0)
    assert np.abs(steps).max() == pytest.approx(step)
    assert len(steps) == pytest.approx(0.7 / step, abs=1.01)
    assert np.array_equal(seen[-1], goal)
    ways = (np.array(seen) - ROBOT) @ (goal - ROBOT) / np.sum((goal - ROBOT) ** 2)
    assert np.array(seen) - ROBOT == pytest.approx(np.outer(ways, goal - ROBOT), abs=1e-9)


def test_then_the_robot_goes_where_the_leader_is() -> None:
    robot, leader = Robot(), follower()
    leader.engage(robot.tool(), None)
    goal = ROBOT + np.array([0.5, -0.5, 0.2, 0.3, 0.6, -0.4, 0.0])
    for _ in range(200):
        robot.obey(leader.follow(goal, None, robot.tool(), 0.1))
    pos, quat = forward(goal)
    assert robot.pos == pytest.approx(pos, abs=1e-6)
    assert np.abs(np.dot(robot.quat, quat)) == pytest.approx(1.0, abs=1e-9)


def test_once_caught_up_it_follows_without_a_limit_of_its_own_but_in_the_limits_of_actions() -> None:
    robot, leader = Robot(), follower()
    leader.engage(robot.tool(), None)
    leader.follow(ROBOT, None, robot.tool(), 0.1)
    assert leader.caught_up
    action = leader.follow(ROBOT + 0.5, None, robot.tool(), 0.1)
    assert np.array_equal(leader.target, ROBOT + 0.5)
    assert action[:3].tolist() == [1.0, 1.0, 1.0]


def test_the_gripper_waits_until_the_trigger_passes_its_opening() -> None:
    robot, leader = Robot(width=0.0), follower()  # it holds something
    leader.engage(robot.tool(), 0.0)  # and the leader's hand is open
    for squeeze in (0.0, 0.3, 0.9):
        assert leader.follow(ROBOT, squeeze, robot.tool(), 0.1)[6] == 0.0
    leader.follow(ROBOT, 1.0, robot.tool(), 0.1)
    assert leader.follow(ROBOT, 0.5, robot.tool(), 0.1)[6] == 1.0
    for _ in range(20):
        robot.obey(leader.follow(ROBOT, 0.25, robot.tool(), 0.1))
    assert robot.width == pytest.approx(0.06)


def test_an_arm_without_trigger_leaves_the_gripper_alone() -> None:
    robot, leader = Robot(), follower()
    leader.engage(robot.tool(), None)
    assert leader.follow(ROBOT, None, robot.tool(), 0.1)[6] == 0.0


def test_tasks_without_rotation_get_their_own_axes() -> None:
    scale = ActionScale(axes=("x", "y", "z", "gripper"), linear_m=0.01)
    robot = Robot()
    leader = Follower(scale, forward, match_rad=0.8, soft_rad_s=0.5, soft_step_rad=0.05)
    leader.engage(robot.tool(), 0.5)
    assert leader.follow(ROBOT + 0.02, 0.5, robot.tool(), 0.1) == pytest.approx([0.2, 0.2, 0.2, 0.0], abs=1e-6)


def test_kinematics_that_give_no_pose_are_refused() -> None:
    broken = Follower(
        SCALE,
        lambda joints: (np.full(3, np.nan), np.array([1.0, 0, 0, 0])),
        match_rad=0.8,
        soft_rad_s=0.5,
        soft_step_rad=0.05,
    )
    with pytest.raises(SpecError, match="forward kinematics"):
        broken.engage(Robot().tool(), None)
