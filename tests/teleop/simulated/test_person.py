"""The simulated person: when it takes over, how it drives, when it lets go, and that all of it repeats."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_hil.clock import VirtualClock
from robot_hil.data.teleop import SampleStatus
from robot_hil.errors import ConfigError
from robot_hil.teleop.simulated.expert_pick_cube import PickCubeExpert
from robot_hil.teleop.simulated.gates import AlwaysGate, NeverGate, ProgressGate, RandomGate
from robot_hil.teleop.simulated.person import Mode, SimulatedPerson
from robot_hil.teleop.simulated.profile import CAREFUL, PROFILES, Profile

EXPERT = PickCubeExpert()
STILL = np.zeros(4)


def watch(person: SimulatedPerson, world: Any, policy: Any, steps: int = 100) -> tuple[str, list[np.ndarray], bool]:
    """Run one episode; return who drove each step, the person's actions, and success."""
    drove, actions = "", []
    for _ in range(steps):
        sample = person.latest()
        assert sample.status is SampleStatus.OK
        assert sample.engaged == (sample.action is not None)
        drove += "H" if sample.engaged else "."
        if sample.action is not None:
            actions.append(sample.action)
        if world.step(policy(world) if sample.action is None else sample.action):
            return drove, actions, True
    return drove, actions, False


def idle(world: Any) -> np.ndarray:
    return STILL


def good(world: Any) -> np.ndarray:
    return EXPERT.action(world(), 0.9)


def test_takes_over_from_an_idle_policy_after_patience_and_reaction(pick_world: Any, make_person: Any) -> None:
    profile = replace(CAREFUL, reaction_steps=3, reaction_jitter=0)
    world = pick_world(0)
    drove, _, _ = watch(make_person(EXPERT, ProgressGate(patience=12), profile, world), world, idle)
    assert drove.index("H") == 12 + 3


def test_every_takeover_lasts_the_minimum_hold(pick_world: Any, make_person: Any) -> None:
    for seed in range(10):
        world = pick_world(seed)
        drove, _, _ = watch(make_person(EXPERT, ProgressGate(), CAREFUL, world, seed), world, idle)
        runs = drove.split(".")
        held = [len(run) for run in runs[:-1] if run]  # the last one may be cut by the end
        assert held
        assert min(held) >= CAREFUL.min_hold_steps


def test_a_good_policy_is_never_interrupted(pick_world: Any, make_person: Any) -> None:
    for seed in range(20):
        world = pick_world(seed)
        drove, _, success = watch(make_person(EXPERT, ProgressGate(), CAREFUL, world, seed), world, good)
        assert success
        assert "H" not in drove


def test_a_slow_policy_that_progresses_is_never_interrupted(pick_world: Any, make_person: Any) -> None:
    for seed in range(10):
        world = pick_world(seed)
        person = make_person(EXPERT, ProgressGate(), CAREFUL, world, seed)
        drove, _, success = watch(person, world, lambda world: EXPERT.action(world(), 0.3), 200)
        assert success
        assert "H" not in drove


def test_cancels_when_it_gets_better_during_the_reaction(pick_world: Any, make_person: Any) -> None:
    world = pick_world(0)
    person = make_person(EXPERT, ProgressGate(patience=5), replace(CAREFUL, reaction_steps=4, reaction_jitter=0), world)
    for _ in range(6):
        person.latest()
    assert person.mode is Mode.REACTING
    drove, _, _ = watch(person, world, good)
    assert "H" not in drove


def test_lets_go_only_after_progress_and_at_a_settled_moment(pick_world: Any, make_person: Any) -> None:
    for seed in range(10):
        world = pick_world(seed)
        person = make_person(EXPERT, ProgressGate(), CAREFUL, world, seed)
        drove, cost = "", []
        for _ in range(100):
            cost.append(EXPERT.cost_to_go(world()))
            settled = EXPERT.settled(world())
            engaged = (sample := person.latest()).engaged
            if drove.endswith("H") and not engaged:
                start = len(drove.rstrip("H"))
                assert settled
                assert cost[-1] <= cost[start] - CAREFUL.release_margin
            drove += "H" if engaged else "."
            if world.step(STILL if sample.action is None else sample.action):
                break


def test_an_incompetent_person_gives_up_after_the_maximum_hold(pick_world: Any, make_person: Any) -> None:
    world = pick_world(1)
    lost = replace(CAREFUL, skill=0.0, max_hold_steps=20)
    drove, _, success = watch(make_person(EXPERT, ProgressGate(), lost, world), world, idle)
    assert not success
    assert max(len(run) for run in drove.split(".")) <= 20


def test_interventions_per_episode_are_limited(pick_world: Any, make_person: Any) -> None:
    world = pick_world(1)
    shy = replace(CAREFUL, max_interventions=1)
    drove, _, _ = watch(make_person(EXPERT, RandomGate(0.5), shy, world), world, idle)
    assert drove.count(".H") == 1


def test_demonstrations_begin_at_once_and_never_pause(pick_world: Any, make_person: Any) -> None:
    world = pick_world(2)
    person = make_person(EXPERT, AlwaysGate(), CAREFUL, world)
    drove, _, success = watch(person, world, idle, 120)
    assert success
    assert set(drove) == {"H"}
    assert person.state()["takeovers"] == 0


def test_an_episode_depends_on_its_seed_alone(pick_world: Any, make_person: Any) -> None:
    def episode(person: SimulatedPerson, world: Any, seed: int) -> tuple[str, np.ndarray]:
        person.begin_episode(seed)
        rng = np.random.default_rng(seed)
        drove, actions, _ = watch(person, world, lambda _: rng.uniform(-1, 1, 4))
        return drove, np.array(actions)

    class Stage:
        """The person stays, the world is exchanged."""

        world = pick_world(0)

        def __call__(self) -> Any:
            return self.world()

    steady = replace(CAREFUL, fatigue_steps=float("inf"), skill=0.5, blunder_rate=0.1)
    stage, outcomes = Stage(), []
    busy = make_person(EXPERT, ProgressGate(), steady, stage)
    for seed in (5, 6, 5):
        stage.world = pick_world(seed)
        outcomes.append(episode(busy, stage.world, seed))
    assert outcomes[0][0] == outcomes[2][0]
    np.testing.assert_array_equal(outcomes[0][1], outcomes[2][1])
    assert outcomes[0][0] != outcomes[1][0] or not np.array_equal(outcomes[0][1], outcomes[1][1])


def test_fatigue_grows_with_work_is_restorable_and_makes_the_hand_worse(pick_world: Any, make_person: Any) -> None:
    world = pick_world(0)
    person = make_person(EXPERT, AlwaysGate(), CAREFUL, world)
    watch(person, world, idle, 30)
    assert person.state()["worked_steps"] == 30
    tired = make_person(EXPERT, AlwaysGate(), CAREFUL, pick_world(0))
    tired.restore({"worked_steps": 20_000, "takeovers": 7})
    assert tired.tiredness == 0.5
    assert tired.state() == {"worked_steps": 20_000, "takeovers": 7}

    def spread(worked: int) -> float:
        person = make_person(EXPERT, AlwaysGate(), replace(CAREFUL, blunder_rate=0.0), pick_world(0))
        person.restore({"worked_steps": worked, "takeovers": 0})
        return float(
            np.std([sample.action for _ in range(200) if (sample := person.latest()).action is not None], 0).sum()
        )

    assert spread(200_000) > 1.3 * spread(0)


def test_fatigue_slows_the_reaction_and_takes_attention(pick_world: Any, make_person: Any) -> None:
    def first_takeover(worked: int, seed: int) -> int:
        world = pick_world(0)
        person = make_person(EXPERT, ProgressGate(), CAREFUL, world, seed)
        person.restore({"worked_steps": worked, "takeovers": 0})
        return (watch(person, world, idle)[0] + "H").index("H")

    fresh, tired = ([first_takeover(worked, seed) for seed in range(30)] for worked in (0, 10**7))
    assert min(tired) > max(fresh)
    assert np.mean(tired) > np.mean(fresh) + 6


def test_lapses_come_at_the_rate_of_missing_skill(pick_world: Any, make_person: Any) -> None:
    success = []
    for seed in range(60):
        world = pick_world(seed)
        person = make_person(EXPERT, AlwaysGate(), PROFILES["sixty_percent"], world, seed)
        success.append(watch(person, world, idle)[2])
    assert 0.45 < np.mean(success) < 0.75


def test_a_biased_person_sees_the_goal_off_to_one_side_in_every_episode(pick_world: Any, make_person: Any) -> None:
    calm = replace(CAREFUL, noise=0.0, blunder_rate=0.0)
    for seed in range(3):
        seen = []
        for bias in (0.0, 2.0):
            world = pick_world(seed)
            world.tcp = world.target = np.add(world.cube, [0.0, 0.0, 0.06])  # straight above
            person = make_person(EXPERT, AlwaysGate(), replace(calm, bias=bias), world, seed)
            seen.append(person.latest().action)
        assert seen[1][0] > seen[0][0] + 0.01
        assert seen[1][1] == pytest.approx(seen[0][1], abs=1e-6)


def test_wrong_corrections_come_at_their_rate_and_spare_demonstrations(pick_world: Any, make_person: Any) -> None:
    calm = replace(CAREFUL, noise=0.0, blunder_rate=0.0, reaction_steps=0, reaction_jitter=0, wrong_corrections=0.3)

    def first(gate: Any, profile: Profile, seed: int) -> tuple[float, ...]:
        world = pick_world(0)
        person = make_person(EXPERT, gate, profile, world, seed)
        for _ in range(20):
            sample = person.latest()
            if sample.action is not None:
                return tuple(sample.action.tolist())
        raise AssertionError("nobody took over")

    right = first(AlwaysGate(), replace(calm, wrong_corrections=0.0), 0)
    assert {first(AlwaysGate(), calm, seed) for seed in range(20)} == {right}
    wrong = [first(ProgressGate(patience=2), calm, seed) != right for seed in range(200)]
    assert 0.2 < np.mean(wrong) < 0.4


def test_a_world_that_cannot_be_read_is_lost_not_raised(make_person: Any, caplog: Any) -> None:
    person = make_person(EXPERT, NeverGate(), CAREFUL, dict)
    assert person.latest().status is SampleStatus.LOST
    assert person.latest().status is SampleStatus.LOST
    assert caplog.text.count("cannot read the world") == 1


@given(st.sampled_from(["tcp_pos", "target_pos", "cube_pos"]), st.sampled_from([np.nan, np.inf, -np.inf]))
@settings(max_examples=20)
def test_no_command_ever_comes_from_a_world_that_is_not_finite(key: str, bad: float) -> None:
    world = {
        "tcp_pos": [0.5, 0, 0.2], "target_pos": [0.5, 0, 0.2], "cube_pos": [0.5, 0, 0.02],
        "cube_quat": [1, 0, 0, 0], "gripper_width": 0.08,
    }  # fmt: skip
    person = SimulatedPerson(EXPERT, AlwaysGate(), CAREFUL, lambda: {**world, key: [bad, 0.0, 0.1]}, VirtualClock())
    person.start()
    sample = person.latest()
    assert sample.status is SampleStatus.LOST
    assert sample.action is None


@pytest.mark.parametrize(
    "state", [{}, {"worked_steps": -1, "takeovers": 0}, {"worked_steps": 1, "takeovers": 0, "x": 1}]
)
def test_restore_refuses_what_state_did_not_give(make_person: Any, state: dict[str, int]) -> None:
    person = make_person(EXPERT, NeverGate(), CAREFUL, dict)
    with pytest.raises(ConfigError, match="worked_steps and takeovers"):
        person.restore(state)
    assert person.state() == {"worked_steps": 0, "takeovers": 0}
