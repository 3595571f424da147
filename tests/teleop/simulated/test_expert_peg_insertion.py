"""The peg expert in a world without physics: it aligns, enters, and finds its way out of a jam."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_hil.teleop.simulated.expert_peg_insertion import PegInsertionExpert

EXPERT = PegInsertionExpert()


@given(
    st.tuples(st.floats(-0.1, 0.1), st.floats(-0.1, 0.1), st.floats(-0.05, 0.2)),
    st.floats(-3.2, 3.2),
    st.floats(-3.2, 3.2),
    st.floats(0.05, 1.0),
)
def test_every_world_has_a_valid_action_and_a_cost(tip: Any, peg: float, hole: float, speed: float) -> None:
    world = {
        "tcp_pos": tip, "target_pos": tip, "tcp_quat": [0, 1, 0, 0], "peg_tip_pos": tip, "peg_yaw": peg,
        "hole_pos": [0, 0, 0], "hole_yaw": hole,
    }  # fmt: skip
    action = EXPERT.action(world, speed)
    assert action.shape == (6,)
    assert action.dtype == np.float32
    assert np.abs(action).max() <= 1.0
    assert 0.0 <= EXPERT.cost_to_go(world) < 200.0


def test_turns_the_short_way_to_the_nearest_side_of_the_square(peg_world: Any) -> None:
    world = peg_world(0)
    world.hole_yaw, world.yaw = np.pi / 2 + 0.2, 0.0
    assert EXPERT.action(world(), 0.4)[5] > 0.0
    world.hole_yaw = np.pi / 2 - 0.2
    assert EXPERT.action(world(), 0.4)[5] < 0.0


@given(st.floats(-0.2, 0.2), st.floats(-0.2, 0.2), st.floats(-0.7, 0.7))
def test_turning_reduces_tilt(about_x: float, about_y: float, yaw: float) -> None:
    from scipy.spatial.transform import Rotation

    upright = Rotation.from_euler("x", np.pi) * Rotation.from_euler("z", yaw)
    tool = Rotation.from_rotvec([about_x, about_y, 0.0]) * upright
    x, y, z, w = tool.as_quat()
    world = {
        "tcp_pos": [0, 0, 0.1], "target_pos": [0, 0, 0.1], "tcp_quat": [w, x, y, z], "peg_tip_pos": [0, 0, 0.06],
        "peg_yaw": 0.0, "hole_pos": [0, 0, 0], "hole_yaw": 0.0,
    }  # fmt: skip
    action = EXPERT.action(world, 1.0)
    turned = Rotation.from_rotvec(EXPERT.rotation_scale * action[3:]) * tool

    def tilt(rotation: Rotation) -> float:
        return float(np.arccos(np.clip(-rotation.as_matrix()[2, 2], -1.0, 1.0)))

    assert tilt(turned) <= tilt(tool) + 1e-6


@pytest.mark.parametrize("speed", [0.3, 0.5, 1.0])
def test_succeeds_from_random_starts(peg_world: Any, speed: float) -> None:
    for seed in range(30):
        world = peg_world(seed)
        assert any(world.step(EXPERT.action(world(), speed)) for _ in range(150)), seed


def test_succeeds_from_a_peg_pressed_beside_the_hole(peg_world: Any) -> None:
    for seed in range(30):
        rng, world = np.random.default_rng(seed), peg_world(seed)
        for _ in range(25):
            world.step(np.array([*rng.uniform(-0.5, 0.5, 2), -1.0, 0, 0, rng.uniform(-1, 1)]))
        assert any(world.step(EXPERT.action(world(), 0.4)) for _ in range(150)), seed


def test_pressing_beside_the_hole_is_a_hazard_and_inserting_is_not(peg_world: Any) -> None:
    world = peg_world(0)
    down = np.array([0, 0, -1.0, 0, 0, 0])
    world.tip = world.hole + np.array([0.01, 0.0, 0.002])
    assert EXPERT.hazard(world(), down)
    assert not EXPERT.hazard(world(), -down)
    world.tip, world.yaw = world.hole + np.array([0.0, 0.0, 0.002]), world.hole_yaw
    assert not EXPERT.hazard(world(), down)
