"""The person in the real simulation: demonstrations succeed, good policies are left alone, stalled ones are helped."""

from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
import pytest

import robot_hil.envs  # noqa: F401 - registers the ids
from robot_hil.clock import VirtualClock
from robot_hil.envs.base import privileged_of
from robot_hil.teleop.simulated.expert import Expert
from robot_hil.teleop.simulated.expert_peg_insertion import PegInsertionExpert
from robot_hil.teleop.simulated.expert_pick_cube import PickCubeExpert
from robot_hil.teleop.simulated.gates import AlwaysGate, Gate, ProgressGate
from robot_hil.teleop.simulated.person import SimulatedPerson
from robot_hil.teleop.simulated.profile import CAREFUL, PROFILES, Profile

EPISODES = 20
TASKS: dict[str, tuple[str, Expert]] = {
    "pick_cube": ("robot_hil/PickCube-v0", PickCubeExpert()),
    "peg_insertion": ("robot_hil/PegInsertion-v0", PegInsertionExpert()),
}


class Stage:
    """One task with its expert; `run` plays an episode and returns success and who drove each step."""

    def __init__(self, task: str) -> None:
        env_id, self.expert = TASKS[task]
        self.env = gymnasium.make(env_id, obs_type="state", disable_env_checker=True).unwrapped

    def run(
        self, gate: Gate, seed: int, policy: Any, before: int = 0, steps: int = 100, profile: Profile = CAREFUL
    ) -> tuple[bool, str]:
        rng = np.random.default_rng(seed)
        person = SimulatedPerson(self.expert, gate, profile, lambda: privileged_of(self.env), VirtualClock())
        person.start()
        self.env.reset(seed=seed)
        for _ in range(before):
            self.env.step(rng.uniform(-1, 1, self.expert.action_dim).astype(np.float32))
        person.begin_episode(seed)
        drove = ""
        for _ in range(steps):
            sample = person.latest()
            drove += "H" if sample.engaged else "."
            action = policy(privileged_of(self.env)) if sample.action is None else sample.action
            if self.env.step(action)[2]:
                return True, drove
        return False, drove


@pytest.fixture(scope="module", params=sorted(TASKS))
def stage(request: Any) -> Iterator[Stage]:
    stage = Stage(request.param)
    yield stage
    stage.env.close()


def nobody(world: Any) -> np.ndarray:
    raise AssertionError("a demonstrator never lets go")


@pytest.mark.parametrize("before", [0, 40])
def test_demonstrations_succeed_at_a_careful_pace(stage: Stage, before: int) -> None:
    """From random starts, and from wherever 40 random actions led."""
    outcomes = [stage.run(AlwaysGate(), seed, nobody, before, 100 + before) for seed in range(EPISODES)]
    assert sum(success for success, _ in outcomes) >= 0.95 * EPISODES
    assert 35 <= np.mean([len(drove) for success, drove in outcomes if success]) <= 75


def test_a_steady_person_succeeds_as_surely_and_faster(stage: Stage) -> None:
    """The person of the experiments."""
    steady, careful = (
        [stage.run(AlwaysGate(), seed, nobody, profile=PROFILES[name]) for seed in range(EPISODES)]
        for name in ("steady", "careful")
    )
    assert sum(success for success, _ in steady) >= 0.95 * EPISODES
    paces = [np.mean([len(drove) for success, drove in outcomes if success]) for outcomes in (steady, careful)]
    assert paces[0] < 0.9 * paces[1]


def test_a_good_policy_is_hardly_ever_interrupted(stage: Stage) -> None:
    outcomes = [stage.run(ProgressGate(), seed, lambda world: stage.expert.action(world, 0.7)) for seed in range(10)]
    assert all(success for success, _ in outcomes)
    takeovers = sum(drove.count(".H") for _, drove in outcomes)
    assert takeovers <= 5


def test_a_policy_that_stops_halfway_is_brought_to_success(stage: Stage) -> None:
    def half(world: Any) -> np.ndarray:
        if world["step"] < 12:
            return stage.expert.action(world, 0.7)
        return np.zeros(stage.expert.action_dim, np.float32)

    outcomes = [stage.run(ProgressGate(), seed, half) for seed in range(6)]
    assert sum(success for success, _ in outcomes) >= 5
    assert all("H" in drove for _, drove in outcomes)
    assert any("H." in drove for _, drove in outcomes)


def test_equal_seeds_give_equal_episodes(stage: Stage) -> None:
    assert stage.run(AlwaysGate(), 3, nobody) == stage.run(AlwaysGate(), 3, nobody)
