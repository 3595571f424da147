"""The grip variant: a force in a band, or the peg is lost."""

import numpy as np
import pytest

from robot_hil.data.disturbance import Disturbance
from robot_hil.envs.toy.env import ToyEnv
from robot_hil.envs.toy.peg_grip import FORCE_HIGH, FORCE_LOW, HOLDER_APART, PEG_TOP, make_env

DOWN, UP, CLOSE, OPEN, SIDE = (0.0, -1.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, -1.0), (0.0, 0.0, 1.0), (1.0, 0.0, 0.0)


def place(**values: object) -> ToyEnv:
    env = make_env()
    env.reset(seed=0)
    state = env.snapshot()
    env.reset(options={"state": {**state, "scene": {**state["scene"], "holder": -0.1, "slot": 0.1, **values}}})
    return env


def go(env: ToyEnv, *moves: tuple[float, float, float]) -> dict[str, float]:
    for move in moves:
        info = env.step(np.array(move, np.float32))[-1]
    return info


def test_a_peg_gripped_with_force_in_the_band_is_carried_to_the_slot() -> None:
    env = place(x=-0.1, z=0.08, force=0.0)
    assert go(env, DOWN, DOWN, CLOSE, CLOSE)["stage"] == 0
    assert go(env, CLOSE)["stage"] == 1
    go(env, SIDE)
    assert env.privileged()["tcp_pos"][0] == -0.1  # lift first
    info = go(env, UP, SIDE, SIDE, SIDE, SIDE, SIDE, DOWN, DOWN, DOWN)
    assert info == {"success": True, "jams": 0, "recoveries": 0, "losses": 0, "stage": 1}


@pytest.mark.parametrize(("turn", "force"), [(OPEN, 0.4), (CLOSE, 0.8)])
def test_outside_the_band_the_peg_is_lost_and_back_in_its_holder(turn: tuple[float, ...], force: float) -> None:
    env = place(x=0.0, z=0.2, force=0.6, held=True)
    info = go(env, turn)
    assert env.privileged()["force"] == pytest.approx(force)
    assert not FORCE_LOW <= force <= FORCE_HIGH
    assert (info["losses"], info["stage"]) == (1, 0)
    assert env.privileged()["holder_pos"][0] == -0.1


def test_an_empty_hand_finishes_nothing() -> None:
    env = place(x=0.1, z=0.03, force=0.6)
    assert go(env, DOWN, DOWN, DOWN) == {"success": False, "jams": 0, "recoveries": 0, "losses": 0, "stage": 0}
    assert env.privileged()["tcp_pos"][2] == 0.0


def test_closed_fingers_stop_on_the_peg_and_beside_it() -> None:
    env = place(x=-0.1, z=0.08, force=0.6)
    go(env, DOWN, DOWN)
    assert env.privileged()["tcp_pos"][2] == PEG_TOP
    env = place(x=-0.13, z=0.02, force=0.6)
    go(env, (0.5, 0.0, 0.0))
    assert env.privileged()["tcp_pos"][0] == -0.13


def test_fingers_around_the_peg_hold_the_hand_until_it_is_above() -> None:
    env = place(x=-0.1, z=0.0, force=0.0)
    go(env, SIDE)
    assert env.privileged()["tcp_pos"][0] == pytest.approx(-0.08)
    go(env, UP, UP, SIDE)
    assert env.privileged()["tcp_pos"][0] == pytest.approx(-0.04)


def test_a_peg_that_jams_beside_the_slot_is_lifted_and_goes_in() -> None:
    env = place(x=0.06, z=0.03, force=0.6, held=True)
    assert go(env, DOWN)["jams"] == 1
    assert go(env, SIDE, UP)["recoveries"] == 1
    assert go(env, SIDE, DOWN, DOWN, DOWN)["success"] is True


def test_disturbances_of_holder_slot_and_grip() -> None:
    env = place(x=0.0, z=0.2, force=0.6, held=True)
    assert env.disturb(Disturbance(kind="goal", x=0.03)).after["scene"]["slot"] == pytest.approx(0.13)
    held = env.disturb(Disturbance(kind="object", x=0.03))
    assert held.before == held.after  # the holder is empty
    assert env.disturb(Disturbance(kind="slip")).after["scene"]["losses"] == 1
    assert env.disturb(Disturbance(kind="object", x=0.03)).after["scene"]["holder"] == pytest.approx(-0.07)
    close = env.disturb(Disturbance(kind="object", x=0.2))
    assert close.before == close.after
    low = place(x=0.0, z=0.02, force=0.0).disturb(Disturbance(kind="goal", x=0.03))
    assert low.before == low.after


def test_holder_and_slot_lie_apart() -> None:
    env = make_env()
    for seed in range(50):
        env.reset(seed=seed)
        world = env.privileged()
        assert abs(world["holder_pos"][0] - world["slot_pos"][0]) >= HOLDER_APART
