"""Meta-World as an arm of this project: contract of an arm, driving, limits, ground truth."""

from typing import Any

import gymnasium
import numpy as np
import pytest
from contracts import ArmContract

import robot_hil.envs  # noqa: F401 - registers the ids
from robot_hil.data.robot import JointTarget
from robot_hil.envs.base import privileged_of, scale_of, spec_of, tool_of
from robot_hil.envs.suites.metaworld import MetaWorld, SawyerArm
from robot_hil.errors import SafetyError


def make(name: str, **options: Any) -> Any:
    return gymnasium.make(f"robot_hil/MetaWorld{name}-v0", disable_env_checker=True, **options).unwrapped


class TestSawyerArm(ArmContract):
    def make_arm(self) -> SawyerArm:
        self.world = MetaWorld("reach-v3", pictures=False)
        self.world.restart(0)
        return SawyerArm(self.world)

    def settle(self, arm: Any) -> None:
        self.world.advance(1.0)

    def test_joint_targets_are_refused(self) -> None:
        arm = self.make_arm()
        arm.connect()
        with pytest.raises(SafetyError, match="joint angles"):
            arm.command(JointTarget(joint_pos=np.zeros(7), gripper_width=0.1))


def test_a_full_deflection_moves_as_far_as_the_scale_says() -> None:
    env = make("Reach")
    env.reset(seed=0)
    scale = scale_of(env)
    assert scale.axes == spec_of(env).action.names == ("x", "y", "z", "gripper")
    before, hand = tool_of(env)().pos_base, privileged_of(env)["tcp_pos"]
    for _ in range(3):
        env.step(np.array([-1.0, 0.0, 0.0, -1.0], np.float32))
    after, world = tool_of(env)(), privileged_of(env)
    assert (before - after.pos_base) == pytest.approx([3 * scale.linear_m, 0.0, 0.0])
    assert 0.04 < hand[0] - world["tcp_pos"][0] < 0.08
    assert after.gripper_width == 0.0
    assert world["gripper_width"] < 0.05
    assert world["t"] == pytest.approx(0.3)


def test_speed_does_not_depend_on_the_control_rate() -> None:
    moved = []
    for hz in (10.0, 40.0):
        env = make("Reach", control_hz=hz)
        env.reset(seed=0)
        start = privileged_of(env)["tcp_pos"]
        for _ in range(round(0.4 * hz)):
            env.step(np.array([1.0, 0.0, 0.0, 0.0], np.float32))
        moved.append(privileged_of(env)["tcp_pos"][0] - start[0])
    assert moved[0] == pytest.approx(moved[1], rel=0.15)
    assert moved[0] > 0.05


def test_extreme_actions_stay_within_specification_and_gate() -> None:
    env = make("PickPlace")
    rng, spec = np.random.default_rng(0), spec_of(env)
    env.reset(seed=1)
    for _ in range(60):
        action = np.sign(rng.uniform((-1, -1, -1.5, -1), (1, 1, 0.5, 1))).astype(np.float32)
        spec.validate_observation(env.step(action)[0])
        world = privileged_of(env)
        assert np.linalg.norm(world["target_pos"] - world["tcp_pos"]) < 0.08, "the command ran away from the hand"
    assert env.gate.info().stops == env.gate.info().limited_rate == 0


def test_objects_and_goals_are_drawn_anew_and_told_as_they_are() -> None:
    env = make("PegInsertSide")
    seen = []
    for seed in range(3):
        obs, _ = env.reset(seed=seed)
        world, names = privileged_of(env), spec_of(env).observation["state"].names
        seen.append([*world["object_pos"], *world["goal_pos"]])
        row = dict(zip(names, obs["state"].tolist(), strict=True))
        for axis, name in enumerate("xyz"):
            told = 0.2 * row[f"object {name} - hand [0.2 m]"] + world["tcp_pos"][axis]
            assert told == pytest.approx(world["object_pos"][axis], abs=1e-5)
            goal = 0.2 * row[f"goal {name} - object [0.2 m]"] + world["object_pos"][axis]
            assert goal == pytest.approx(world["goal_pos"][axis], abs=1e-5)
    assert np.ptp(np.array(seen), axis=0).max() > 0.05


def test_any_task_of_the_suite_can_be_made() -> None:
    env = gymnasium.make("robot_hil/MetaWorld-v0", task="sweep-into-v3", disable_env_checker=True)
    spec = spec_of(env)
    assert (spec.env_id, spec.task) == ("robot_hil/MetaWorldSweepInto-v0", "sweep into")
    spec.validate_observation(env.reset(seed=0)[0])
