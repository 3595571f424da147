"""Meta-World's policies as an expert: they succeed at a person's pace, help one who is stuck, and let good ones be."""

from typing import Any

import gymnasium
import numpy as np
import pytest

import robot_hil.envs  # noqa: F401 - registers the ids
from robot_hil.clock import VirtualClock
from robot_hil.envs.base import privileged_of
from robot_hil.teleop.simulated.expert_metaworld import MetaWorldExpert
from robot_hil.teleop.simulated.gates import AlwaysGate, Gate, ProgressGate
from robot_hil.teleop.simulated.person import SimulatedPerson
from robot_hil.teleop.simulated.profile import PROFILES

EXPERT = MetaWorldExpert()


def make(task: str) -> Any:
    name = task.title().replace("-", "")
    return gymnasium.make(f"robot_hil/MetaWorld{name}-v0", disable_env_checker=True).unwrapped


def run(env: Any, gate: Gate, seed: int, policy: Any) -> tuple[bool, str]:
    """Play an episode; return success and who drove each step."""
    person = SimulatedPerson(EXPERT, gate, PROFILES["competent"], lambda: privileged_of(env), VirtualClock())
    person.start()
    env.reset(seed=seed)
    person.begin_episode(seed)
    drove, ended = "", False
    while not ended:
        sample = person.latest()
        drove += "H" if sample.engaged else "."
        action = policy(privileged_of(env)) if sample.action is None else sample.action
        *_, success, truncated, _ = env.step(action)
        ended = success or truncated
    return success, drove


def nobody(world: Any) -> np.ndarray:
    raise AssertionError("a demonstrator never lets go")


@pytest.mark.parametrize("task", ["reach", "door-open", "drawer-open", "pick-place", "peg-insert-side"])
def test_a_demonstration_succeeds(task: str) -> None:
    success, drove = run(make(task), AlwaysGate(), 100, nobody)
    assert success
    assert len(drove) > 10


def test_a_policy_that_stops_halfway_is_brought_to_success() -> None:
    def half(world: Any) -> np.ndarray:
        return EXPERT.action(world, 0.7) if world["step"] < 8 else np.zeros(4, np.float32)

    success, drove = run(make("drawer-open"), ProgressGate(patience=20), 100, half)
    assert success
    assert drove.startswith("." * 20)
    assert "H" in drove


def test_a_good_policy_is_left_alone() -> None:
    outcome = run(make("drawer-open"), ProgressGate(patience=20), 101, lambda world: EXPERT.action(world, 0.7))
    assert outcome[0]
    assert "H" not in outcome[1]


def test_fingers_close_only_once_the_hand_is_down() -> None:
    env = make("push")
    env.reset(seed=100)
    heights = []
    for _ in range(40):
        world = privileged_of(env)
        action = EXPERT.action(world, 0.7)
        if action[3] < 0.0:
            heights.append(world["tcp_pos"][2] - world["object_pos"][2])
            assert not action[:3].any()
        if env.step(action)[2]:
            break
    assert heights
    assert max(heights) < 0.05


@pytest.mark.parametrize("task", ["reach", "push"])
def test_a_misjudged_goal_is_gone_to(task: str) -> None:
    env = make(task)
    env.reset(seed=100)
    world = {**privileged_of(env), "target_width": 0.0}  # nothing to close
    off = {**world, EXPERT.goal_key: world[EXPERT.goal_key] + [0.3, 0.0, 0.0]}
    assert EXPERT.action(off, 1.0)[0] > EXPERT.action(world, 1.0)[0]
    assert np.array_equal(world["suite_observation"], privileged_of(env)["suite_observation"])  # it wrote a copy only


def test_prediction_is_kinematics_of_hand_and_fingers() -> None:
    env = make("reach")
    env.reset(seed=100)
    world = privileged_of(env)
    action = np.array([1.0, 0.0, -1.0, -1.0], np.float32)
    later = EXPERT.predict(world, action)
    assert later["tcp_pos"] == pytest.approx(world["tcp_pos"] + [0.025, 0.0, -0.025])
    assert later["target_width"] == pytest.approx(0.05)
    towards = EXPERT.predict(world, EXPERT.action(world, 1.0))
    assert EXPERT.cost_to_go(towards) < EXPERT.cost_to_go(world)
    assert not EXPERT.hazard(world, action)
    assert not EXPERT.pauses(world)
