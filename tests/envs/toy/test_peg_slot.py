"""The jam rule, slots in turn, practice without resets."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_hil.data.disturbance import Disturbance
from robot_hil.envs.toy.env import ToyEnv
from robot_hil.envs.toy.peg_slot import (
    DEPTH,
    FREE_HEIGHT,
    JAM_HEIGHT,
    SIDE,
    TOLERANCE,
    TOP,
    PegSlot,
    contact,
    make_env,
)

COORDINATE, MOTION = st.floats(-0.4, 0.4), st.floats(-0.05, 0.05)


def place(env: ToyEnv, **values: object) -> ToyEnv:
    """Return `env` at the start of an episode in a scene with these `values`."""
    env.reset(seed=0)
    state = env.snapshot()
    env.reset(options={"state": {**state, "scene": {**state["scene"], **values}}})
    return env


def go(env: ToyEnv, *moves: tuple[float, float]) -> dict[str, float]:
    for move in moves:
        info = env.step(np.array(move, np.float32))[-1]
    return info


@given(COORDINATE, st.floats(-DEPTH, TOP), st.booleans(), st.lists(st.tuples(MOTION, MOTION), max_size=30), COORDINATE)
def test_the_tip_is_below_the_plate_in_the_slot_only_and_a_jam_holds_it_sideways(
    x: float, z: float, jammed: bool, moves: list[tuple[float, float]], slot: float
) -> None:
    z = z if abs(x - slot) <= TOLERANCE else abs(z)
    for dx, dz in moves:
        was = (x, z, jammed)
        x, z, jammed = contact(x, z, jammed, dx, dz, (slot,), TOLERANCE)
        assert z >= 0.0 or abs(x - slot) <= TOLERANCE + 2e-9
        assert -DEPTH <= z <= TOP
        assert abs(x) <= SIDE + TOLERANCE
        assert abs(z - was[1]) <= abs(dz) + 1e-12
        if was[2]:
            assert x == was[0] or was[1] < 0.0
            assert jammed == (z < FREE_HEIGHT)
        else:
            assert jammed == (was[1] >= 0.0 and z < JAM_HEIGHT and abs(x - slot) > TOLERANCE + 1e-9)


def test_a_peg_beside_the_slot_jams_until_it_is_lifted() -> None:
    env = place(make_env(), x=0.1, z=0.03, slots=[0.05])
    assert go(env, (0.0, -1.0))["jams"] == 1
    assert go(env, (-1.0, 0.0), (-1.0, -1.0), (-1.0, 0.4))["recoveries"] == 0
    assert env.privileged()["tcp_pos"][0] == 0.1
    assert go(env, (-1.0, 0.2))["recoveries"] == 1  # free, but it did not move sideways yet
    assert env.privileged()["tcp_pos"][0] == 0.1
    info = go(env, (-1.0, 0.0), (-0.25, 0.0), (0.0, -1.0), (0.0, -1.0))
    assert info == {"success": True, "jams": 1, "recoveries": 1, "stage": 1}


@pytest.mark.parametrize(("off", "success"), [(0.99, True), (-0.99, True), (1.01, False), (-1.01, False)])
def test_the_slot_forgives_its_tolerance(off: float, success: bool) -> None:
    env = place(make_env(), x=0.1 + off * TOLERANCE, z=0.03, slots=[0.1])
    assert go(env, (0.0, -1.0), (0.0, -1.0))["success"] is success


@given(st.floats(-0.2, 0.2), st.sampled_from([-1.0, 1.0]), st.floats(0.001, 0.04))
def test_a_peg_that_leans_on_a_side_of_its_slot_succeeds(slot: float, side: float, tolerance: float) -> None:
    task = PegSlot(tolerance=tolerance)
    scene = task.start(np.random.default_rng(0), "insert")._replace(x=slot, z=-0.001, slots=(slot,))
    for _ in range(3):
        scene = task.advance(scene, (side * 0.04, -0.02))  # pushed against the side on the whole way down
    assert scene.z == -DEPTH
    assert task.success(scene)
    up = task.advance(scene, (0.0, DEPTH + 0.005))
    assert not up.jammed


def test_two_slots_have_to_be_visited_in_order() -> None:
    env = make_env(slots=2)
    down, up = (0.0, -1.0), (0.0, 1.0)
    env = place(env, x=-0.1, z=0.03, slots=[0.1, -0.1])
    assert go(env, down, down)["stage"] == 0  # the second first does not count
    info = go(env, up, up, *[(1.0, 0.0)] * 5, down, down)
    assert (info["stage"], info["success"]) == (1, False)
    assert go(env, up, up, *[(-1.0, 0.0)] * 5, down, down)["success"] is True
    for seed in range(50):
        env.reset(seed=seed)
        first, second = env.snapshot()["scene"]["slots"]
        assert abs(first - second) >= 0.1


def test_practice_goes_on_where_the_last_episode_ended() -> None:
    env = place(make_env(), x=0.1, z=0.03, slots=[0.1])
    assert go(env, (0.0, -1.0), (0.0, -1.0))["success"] is True
    obs, info = env.reset(options={"keep": True, "goal": "return"})
    assert info == {"success": False, "jams": 0, "recoveries": 0, "stage": 0}
    assert obs["state"][3] == -1.0
    assert env.privileged()["tcp_pos"].tolist() == [0.1, 0.0, -DEPTH]
    assert go(env, *[(0.0, 1.0)] * 8)["success"] is False
    assert go(env, (0.0, 1.0))["success"] is True
    env.reset(options={"keep": True})
    assert env.privileged()["goal"] == "insert"
    assert env.privileged()["slot_pos"][0] == 0.1
    assert go(env, *[(0.0, -1.0)] * 10)["success"] is True


def test_the_way_back_begins_in_the_slot_or_above_the_plate() -> None:
    env = make_env(goal="return")
    heights = [env.reset(seed=seed)[0]["state"][1] for seed in range(60)]
    inside = np.isclose(heights, -10 * DEPTH)
    assert 15 <= inside.sum() <= 45
    assert all(0.0 <= h < 3.0 for h in np.array(heights)[~inside])


def test_a_slot_that_holds_a_peg_cannot_be_moved() -> None:
    env = place(make_env(), x=0.1, z=-0.02, slots=[0.1])
    record = env.disturb(Disturbance(kind="object", x=0.05))
    assert record.before == record.after
    env = place(make_env(), x=0.1, z=0.02, slots=[0.1])
    assert env.disturb(Disturbance(kind="object", x=0.05)).after["scene"]["slots"] == (pytest.approx(0.15),)


def test_the_other_slot_may_be_asked_for_as_long_as_none_is_done() -> None:
    env = place(make_env(slots=2), x=0.1, z=0.03, slots=[0.1, -0.1])
    assert env.disturb(Disturbance(kind="goal")).after["scene"]["slots"] == (-0.1, 0.1)
    env.disturb(Disturbance(kind="goal"))
    assert go(env, (0.0, -1.0), (0.0, -1.0), (0.0, 1.0), (0.0, 1.0))["stage"] == 1
    record = env.disturb(Disturbance(kind="goal"))
    assert record.before == record.after
    env = place(make_env(slots=2), x=0.1, z=0.2, slots=[0.1, 0.0])
    record = env.disturb(Disturbance(kind="object", x=-0.08))  # the slots would meet
    assert record.before == record.after
