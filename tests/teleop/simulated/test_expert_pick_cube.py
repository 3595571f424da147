"""The cube expert in a world without physics: it succeeds from anywhere, and its cost tells how far it is."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_hil.teleop.simulated.expert_pick_cube import PickCubeExpert

EXPERT = PickCubeExpert()
COORDINATE = st.floats(-0.3, 0.3)
WORLDS = st.builds(
    lambda tcp, cube, width: {
        "tcp_pos": tcp,
        "target_pos": tcp,
        "cube_pos": cube,
        "cube_quat": [1.0, 0.0, 0.0, 0.0],
        "gripper_width": width,
    },
    st.tuples(COORDINATE, COORDINATE, st.floats(0.0, 0.3)),
    st.tuples(COORDINATE, COORDINATE, st.floats(0.02, 0.2)),
    st.floats(0.0, 0.08),
)


@given(WORLDS, st.floats(0.05, 1.0))
def test_every_world_has_a_valid_action_and_a_cost(world: Any, speed: float) -> None:
    action = EXPERT.action(world, speed)
    assert action.shape == (4,)
    assert action.dtype == np.float32
    assert np.abs(action[:3]).max() <= speed + 1e-6
    assert np.abs(action).max() <= 1.0
    assert 0.0 <= EXPERT.cost_to_go(world) < 200.0


@given(WORLDS, st.lists(st.floats(-1.0, 1.0), min_size=4, max_size=4))
def test_prediction_moves_tool_and_target_together_and_changes_no_input(world: Any, action: list[float]) -> None:
    before = dict(world)
    after = EXPERT.predict(world, np.array(action, np.float32))
    assert world == before
    assert set(after) == set(world)
    moved = np.subtract(after["tcp_pos"], world["tcp_pos"])
    np.testing.assert_allclose(moved, 0.025 * np.array(action[:3], np.float32), atol=1e-9)
    np.testing.assert_allclose(np.subtract(after["target_pos"], world["target_pos"]), moved, atol=1e-9)
    assert 0.0 <= after["gripper_width"] <= 0.08


@pytest.mark.parametrize("speed", [0.2, 0.4, 1.0])
def test_succeeds_from_random_starts_and_the_cost_was_a_fair_guess(pick_world: Any, speed: float) -> None:
    for seed in range(30):
        world = pick_world(seed)
        guess = EXPERT.cost_to_go(world())
        steps = next((n for n in range(150) if world.step(EXPERT.action(world(), speed))), None)
        assert steps is not None
        if speed == 0.4:
            assert 0.5 * guess < steps < 2.0 * guess


def test_succeeds_after_random_actions_and_after_the_cube_was_taken_away(pick_world: Any) -> None:
    for seed in range(30):
        rng, world = np.random.default_rng(seed), pick_world(seed)
        for _ in range(30):
            world.step(rng.uniform(-1, 1, 4))
        for step in range(150):
            if step == 25:
                world.cube = np.array([0.5 + rng.uniform(-0.1, 0.1), rng.uniform(-0.1, 0.1), 0.02])
            if world.step(EXPERT.action(world(), 0.5)):
                break
        else:
            pytest.fail(f"no success from seed {seed}")


def test_cost_falls_through_reach_grip_and_lift(pick_world: Any) -> None:
    for seed in range(20):
        world = pick_world(seed)
        world.width = world.wanted_width = 0.08
        best = [EXPERT.cost_to_go(world())]
        while not world.step(EXPERT.action(world(), 0.8)):
            best.append(min(best[-1], EXPERT.cost_to_go(world())))
        stalls = np.diff(np.flatnonzero(np.diff([np.inf, *best]) < -0.3))
        assert stalls.max(initial=0) <= 6


def test_a_dropped_cube_costs_more_again() -> None:
    held = {
        "tcp_pos": [0.5, 0, 0.1],
        "target_pos": [0.5, 0, 0.1],
        "cube_pos": [0.5, 0, 0.1],
        "cube_quat": [1, 0, 0, 0],
        "gripper_width": 0.04,
    }
    dropped = {**held, "cube_pos": [0.5, 0.0, 0.02]}
    assert EXPERT.cost_to_go(dropped) > EXPERT.cost_to_go(held) + 10.0


def test_hazards_are_blows_on_the_cube_and_dropping_it() -> None:
    above = {
        "tcp_pos": [0.5, 0, 0.055],
        "target_pos": [0.5, 0, 0.055],
        "cube_pos": [0.5, 0, 0.02],
        "cube_quat": [1, 0, 0, 0],
    }
    down, open_ = np.array([0, 0, -1.0, 0]), np.array([0, 0, 0, 1.0])
    assert EXPERT.hazard({**above, "gripper_width": 0.0}, down)
    assert not EXPERT.hazard({**above, "gripper_width": 0.08}, down)
    held = {
        "tcp_pos": [0.5, 0, 0.1],
        "target_pos": [0.5, 0, 0.1],
        "cube_pos": [0.5, 0, 0.1],
        "cube_quat": [1, 0, 0, 0],
        "gripper_width": 0.04,
    }
    assert EXPERT.hazard(held, open_)
    assert not EXPERT.hazard(held, down)
