"""The experts of the toy tasks: their cost is the least that the task takes, their prediction is what happens."""

from typing import Any

import gymnasium
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import robot_hil.envs  # noqa: F401 - registers the ids
from robot_hil.clock import VirtualClock
from robot_hil.envs.base import privileged_of
from robot_hil.envs.toy.peg_slot import JAM_HEIGHT
from robot_hil.teleop.simulated import experts
from robot_hil.teleop.simulated.expert import Expert
from robot_hil.teleop.simulated.expert_peg_slot import PegSlotExpert
from robot_hil.teleop.simulated.expert_reach_pillar import ReachPillarExpert
from robot_hil.teleop.simulated.gates import AlwaysGate
from robot_hil.teleop.simulated.person import SimulatedPerson
from robot_hil.teleop.simulated.profile import PROFILES, Profile

TASKS = [
    ("PegSlot2D", "peg_slot"), ("PegTwoSlots2D", "peg_slot"), ("PegReturn2D", "peg_slot"), ("PegGrip2D", "peg_grip"),
    ("ReachPillar2D", "reach_over"), ("ReachPillar2D", "reach_under"), ("ReachPillar2D", "reach_pillar"),
]  # fmt: skip
SLACK = {"PegGrip2D": 2.6, "PegTwoSlots2D": 1.5, "ReachPillar2D": 2.0}
"""Steps by which one step can lower the cost beyond what moving can: the peg is gripped other than in its middle; over
the slot whose turn it is not the tip may rise and move sideways at once; a whole step may cut the pillar's corner."""
DETOUR = {"PegGrip2D": 10.0, "PegTwoSlots2D": 6.0}
"""Steps that the expert may take more than the least; else a few, for whole steps and care."""


class Stage:
    def __init__(self, task: str, expert: str) -> None:
        self.task, self.expert = task, experts.make(expert)
        self.env: Any = gymnasium.make(f"robot_hil/{task}-v0", disable_env_checker=True).unwrapped

    def world(self) -> dict[str, Any]:
        return privileged_of(self.env)

    def anywhere(self, seed: int, steps: int) -> np.random.Generator:
        """Begin where half random, half sensible actions lead."""
        rng = np.random.default_rng(seed)
        self.env.reset(seed=seed)
        for _ in range(steps):
            if self.env.step(self.action(rng))[2]:
                self.env.reset(seed=seed)
        return rng

    def action(self, rng: np.random.Generator) -> np.ndarray:
        wild = rng.uniform(-1, 1, self.expert.action_dim)
        sensible = self.expert.action(self.world(), 1.0) + rng.normal(0.0, 0.3, self.expert.action_dim)
        return np.clip(wild if rng.random() < 0.5 else sensible, -1, 1).astype(np.float32)


@pytest.fixture(scope="module", params=TASKS, ids="-".join)
def stage(request: Any) -> Stage:
    return Stage(*request.param)


def pace(expert: Expert) -> float:
    return float(expert.pace)  # type: ignore[attr-defined]


def test_the_expert_takes_the_steps_that_its_cost_promises(stage: Stage) -> None:
    for seed in range(60):
        stage.env.reset(seed=seed)
        promised, steps, done = stage.expert.cost_to_go(stage.world()), 0, False
        while not done:
            *_, done, late, _ = stage.env.step(stage.expert.action(stage.world(), pace(stage.expert)))
            steps += 1
            assert not late
        assert -1e-6 <= steps - promised <= DETOUR.get(stage.task, 3.5), seed


def cut_corner(task: str, before: dict[str, Any]) -> float:
    """Return the metres that a whole step may save by going sideways and into the slot at once.

    Beside the slot the way is `max(aside, z - JAM_HEIGHT) + JAM_HEIGHT`; a step that gets over the slot needs z alone.
    """
    x, _, z = before["tcp_pos"]
    if task != "PegSlot2D" or z < JAM_HEIGHT:
        return 0.0
    aside = abs(before["slot_pos"][0] - x) - before["slot_tolerance"]
    return max(0.0, aside + JAM_HEIGHT - z) if 0.0 < aside <= before["step_m"] else 0.0


@settings(max_examples=40)
@example(seed=89, steps=17)
@given(seed=st.integers(0, 10_000), steps=st.integers(0, 40))
def test_prediction_is_what_happens_and_no_step_beats_the_cost(stage: Stage, seed: int, steps: int) -> None:
    expert, rng = stage.expert, stage.anywhere(seed, steps)
    before = stage.world()
    action = stage.action(rng)
    predicted, cost = expert.predict(before, action), expert.cost_to_go(before)
    success = stage.env.step(action)[2]
    after = stage.world()
    slack = SLACK.get(stage.task, 0.0) + cut_corner(stage.task, before) / (before["step_m"] * pace(expert))
    assert expert.cost_to_go(predicted) >= cost - 1.0 / pace(expert) - slack - 1e-6
    assert before["tcp_pos"] is not predicted["tcp_pos"]
    x, _, z = after["tcp_pos"]
    at_the_edge = abs(x) > 0.39 or z > 0.49 or z < -0.39
    other_slot = stage.task == "PegTwoSlots2D" and (z < 0.011 or before["tcp_pos"][2] < 0.011)  # it looks at one slot
    if not (at_the_edge or other_slot):
        for key in ("tcp_pos", "jammed", "held", "force"):
            if key in after:
                np.testing.assert_allclose(np.asarray(predicted[key], float), np.asarray(after[key], float), atol=1e-7)
        if success:
            assert expert.cost_to_go(predicted) <= 1e-6


def test_succeeds_from_anywhere_at_any_speed(stage: Stage) -> None:
    for seed in range(20):
        rng = stage.anywhere(seed, 40)
        speed = float(rng.uniform(0.3, 1.0))
        ends = (stage.env.step(stage.expert.action(stage.world(), speed))[2] for _ in range(300))
        assert any(ends), seed


@settings(max_examples=30)
@given(seed=st.integers(0, 1000), steps=st.integers(0, 40), speed=st.floats(0.05, 1.0))
def test_answers_are_valid_everywhere(stage: Stage, seed: int, steps: int, speed: float) -> None:
    rng = stage.anywhere(seed, steps)
    world = stage.world()
    action = stage.expert.action(world, speed)
    assert action.shape == (stage.expert.action_dim,)
    assert action.dtype == np.float32
    assert np.abs(action[:2]).max() <= speed + 1e-6
    assert 0.0 <= stage.expert.cost_to_go(world) < 200.0
    for answer in (
        stage.expert.hazard(world, stage.action(rng)),
        stage.expert.pauses(world),
        stage.expert.settled(world),
    ):
        assert isinstance(answer, bool)


def peg_world(**values: Any) -> dict[str, Any]:
    return {
        "tip_pos": [0.0, 0.0, 0.03], "slot_pos": [0.1, 0.0, 0.0], "later_slots": [], "slot_tolerance": 0.012,
        "jammed": False, "goal": "insert", "step_m": 0.04, **values,
    }  # fmt: skip


def test_a_jam_is_a_hazard_a_jammed_peg_is_lifted_and_costs_more() -> None:
    expert, down = PegSlotExpert(), np.array([0.0, -1.0], np.float32)
    assert expert.hazard(peg_world(), down)
    assert not expert.hazard(peg_world(slot_pos=[0.0, 0.0, 0.0]), down)
    jammed = expert.predict(peg_world(), down)
    assert jammed["jammed"]
    assert expert.action(jammed, 0.5).tolist() == [0.0, 0.5]
    assert not expert.settled(jammed)
    # 1 cm to go down was saved, 2 cm of lifting are to come
    assert expert.cost_to_go(jammed) == pytest.approx(expert.cost_to_go(peg_world()) + 1.0)


def test_the_cost_of_hand_made_scenes() -> None:
    expert = PegSlotExpert()  # 2 cm per step at its pace
    assert expert.cost_to_go(peg_world(slot_pos=[0.0, 0.0, 0.0])) == pytest.approx(0.08 / 0.02)
    assert expert.cost_to_go(peg_world()) == pytest.approx((0.088 + 0.06) / 0.02)
    assert expert.cost_to_go(peg_world(tip_pos=[0.0, 0.0, 0.4])) == pytest.approx(0.45 / 0.02)
    assert expert.cost_to_go(peg_world(goal="return")) == pytest.approx(0.27 / 0.02)
    two = peg_world(slot_pos=[0.0, 0.0, 0.0], later_slots=[[0.1, 0.0, 0.0]])
    assert expert.cost_to_go(two) == pytest.approx((0.08 + 0.07 + 0.1 - 0.024 + 0.06) / 0.02)


def test_each_style_keeps_to_its_side_and_mixed_alternates() -> None:
    env: Any = gymnasium.make("robot_hil/ReachPillar2D-v0", disable_env_checker=True).unwrapped
    seen: dict[str, list[int]] = {}
    for style in ("over", "under", "mixed", "nearest"):
        expert = ReachPillarExpert(style=style)  # type: ignore[arg-type]
        for seed in range(12):
            env.reset(seed=seed)
            done = False
            while not done:
                *_, done, late, info = env.step(expert.action(privileged_of(env), 0.8))
                assert not late
            seen.setdefault(style, []).append(int(info["route"]))
            assert info["blocked"] == 0
    assert set(seen["over"]) == {1}
    assert set(seen["under"]) == {-1}
    assert seen["mixed"] in ([1, -1] * 6, [-1, 1] * 6)
    assert set(seen["nearest"]) == {1, -1}


def share(task: str, expert: str, profile: Profile, episodes: int = 60) -> float:
    stage, wins = Stage(task, expert), 0
    person = SimulatedPerson(stage.expert, AlwaysGate(), profile, stage.world, VirtualClock())
    person.start()
    for seed in range(episodes):
        stage.env.reset(seed=seed)
        person.begin_episode(seed)
        done = late = False
        while not (done or late):
            sample = person.latest()
            *_, done, late, _ = stage.env.step(sample.action)
        wins += done
    return wins / episodes


@pytest.mark.parametrize(
    ("profile", "low", "high"),
    [("careful", 0.95, 1.0), ("competent", 0.95, 1.0), ("sixty_percent", 0.45, 0.75), ("thirty_percent", 0.15, 0.45),
     ("biased", 0.45, 0.75), ("poor", 0.9, 1.0)],
)  # fmt: skip
def test_persons_are_as_good_as_they_are_called(profile: str, low: float, high: float) -> None:
    assert low <= share("PegSlot2D", "peg_slot", PROFILES[profile]) <= high


@pytest.mark.parametrize(("task", "expert"), TASKS)
def test_a_steady_person_can_demonstrate_every_task(task: str, expert: str) -> None:
    assert share(task, expert, PROFILES["steady"], 30) >= 0.95
