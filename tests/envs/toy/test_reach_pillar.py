"""The pillar lets nobody through; over and under are two ways."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_hil.data.disturbance import Disturbance
from robot_hil.envs.toy.env import ToyEnv
from robot_hil.envs.toy.reach_pillar import PILLAR_HEIGHT, PILLAR_WIDTH, make_env


def place(**values: object) -> ToyEnv:
    env = make_env()
    env.reset(seed=0)
    state = env.snapshot()
    env.reset(options={"state": {**state, "scene": {**state["scene"], **values}}})
    return env


def go(env: ToyEnv, *moves: tuple[float, float]) -> dict[str, float]:
    for move in moves:
        info = env.step(np.array(move, np.float32))[-1]
    return info


DEFLECTION = st.floats(-1.0, 1.0, width=32)


@given(st.lists(st.tuples(DEFLECTION, DEFLECTION), min_size=1, max_size=40), st.integers(0, 20))
def test_nobody_gets_into_the_pillar(moves: list[tuple[float, float]], seed: int) -> None:
    env = make_env()
    env.reset(seed=seed)
    for move in moves:
        go(env, move)
        scene = env.snapshot()["scene"]
        assert abs(scene["x"]) >= PILLAR_WIDTH or abs(scene["z"] - scene["pillar_z"]) >= PILLAR_HEIGHT


@pytest.mark.parametrize(("side", "route"), [(1.0, 1), (-1.0, -1)])
def test_both_ways_lead_to_the_goal_and_are_told_apart(side: float, route: int) -> None:
    env = place(x=-0.3, z=0.0, goal_z=0.0, pillar_z=0.0)
    moves = [(1.0, side)] * 4 + [(1.0, 0.0)] * 7 + [(1.0, -side)] * 4
    assert go(env, *moves) == {"success": True, "route": route, "blocked": 0}


def test_straight_ahead_stands_before_the_pillar() -> None:
    env = place(x=-0.3, z=0.0, goal_z=0.0, pillar_z=0.0)
    info = go(env, *[(1.0, 0.0)] * 30)
    assert (info["success"], info["route"]) == (False, 0)
    assert info["blocked"] > 20
    assert env.privileged()["tcp_pos"][0] < -PILLAR_WIDTH


def test_what_runs_into_the_pillar_stays_until_it_moves_another_way() -> None:
    env = place(x=-0.06, z=0.0, pillar_z=0.0)
    assert go(env, (1.0, 1.0), (0.5, -0.5))["blocked"] == 2
    assert env.privileged()["tcp_pos"][[0, 2]] == pytest.approx([-0.06, 0.0])
    assert go(env, (0.0, 1.0))["blocked"] == 2
    assert env.privileged()["tcp_pos"][[0, 2]] == pytest.approx([-0.06, 0.04])


def test_goal_and_pillar_can_be_moved_but_not_onto_the_point() -> None:
    env = place(x=-0.3, z=0.0, goal_z=0.0, pillar_z=0.0)
    after = env.disturb(Disturbance(kind="goal", x=-0.9, z=0.1)).after["scene"]
    assert after["goal_x"] > PILLAR_WIDTH
    assert after["goal_z"] == pytest.approx(0.1)
    assert env.disturb(Disturbance(kind="object", z=0.05)).after["scene"]["pillar_z"] == pytest.approx(0.05)
    beside = place(x=0.0, z=0.13, pillar_z=0.0).disturb(Disturbance(kind="object", z=0.05))
    assert beside.before == beside.after
