"""An adversary at the simulated arm: what moves, what is held in place, and what the safety gate makes of a push."""

import json
from typing import Any

import gymnasium
import numpy as np
import pytest

import robot_hil.envs  # noqa: F401
from robot_hil.actor.adversary import Disturbable
from robot_hil.data.disturbance import Disturbance
from robot_hil.envs.base import privileged_of
from robot_hil.errors import ConfigError
from robot_hil.teleop.simulated.expert_peg_insertion import PegInsertionExpert
from robot_hil.teleop.simulated.expert_pick_cube import PickCubeExpert

PICK, PEG = "robot_hil/PickCube-v0", "robot_hil/PegInsertion-v0"


def made(env_id: str, seed: int = 0) -> Any:
    env = gymnasium.make(env_id, disable_env_checker=True).unwrapped
    env.reset(seed=seed)
    return env


def still(env: Any, steps: int = 3) -> None:
    for _ in range(steps):
        env.step(np.zeros(env.action_space.shape, np.float32))


@pytest.mark.parametrize(("env_id", "place"), [(PICK, "cube_pos"), (PEG, "hole_pos")])
def test_an_object_slides_stays_there_and_is_seen(env_id: str, place: str) -> None:
    env = made(env_id)
    assert isinstance(env, Disturbable)
    before = privileged_of(env)[place]
    seen = env.step(np.zeros(env.action_space.shape, np.float32))[0]["state"]
    towards = -0.02 * np.sign(before[:2] - (0.5, 0.0))
    done = env.disturb(Disturbance(kind="object", x=float(towards[0]), y=float(towards[1])))
    assert json.loads(json.dumps(done.after)) == done.after
    still(env)
    after = privileged_of(env)[place]
    assert after - before == pytest.approx([*towards, 0.0], abs=1e-3)
    assert done.after[place] == pytest.approx(after.tolist(), abs=1e-3)
    assert np.abs(env.step(np.zeros(env.action_space.shape, np.float32))[0]["state"] - seen).max() > 0.1
    env.close()


@pytest.mark.parametrize(("env_id", "place"), [(PICK, "cube_pos"), (PEG, "hole_pos")])
def test_an_object_stays_in_its_area(env_id: str, place: str) -> None:
    env = made(env_id)
    env.disturb(Disturbance(kind="object", x=1.0, y=-1.0))
    half = 0.08 if env_id == PICK else 0.04
    assert privileged_of(env)[place][:2] == pytest.approx([0.5 + half, -half], abs=1e-6)
    env.close()


def test_a_cube_under_the_hand_stays_and_a_lifted_one_slips_out() -> None:
    env = made(PICK)
    for lift in (False, True):
        for _ in range(60):
            world = privileged_of(env)
            off = world["cube_pos"] - world["target_pos"]
            around = np.abs(off[:2]).max() < 0.004
            if lift:
                move = [*(0.0, 0.0, 0.5), -1.0]
            else:
                move = [*np.clip(off[:2] / 0.025, -1, 1), float(np.clip(off[2] / 0.025, -1, 1)) if around else 0.0, 1.0]
            closing = not lift and around and abs(off[2]) < 0.003
            env.step(np.array([0, 0, 0, -1.0] if closing else move, np.float32))
            if lift and privileged_of(env)["lift_height"] > 0.06:
                break
        if not lift:
            held = env.disturb(Disturbance(kind="object", x=0.03))
            assert held.after == held.before
            slid = env.disturb(Disturbance(kind="slip"))
            assert slid.after == slid.before
            for _ in range(8):
                env.step(np.array([0, 0, 0, -1.0], np.float32))
    assert privileged_of(env)["lift_height"] > 0.05
    env.disturb(Disturbance(kind="slip"))
    still(env, 5)
    assert privileged_of(env)["lift_height"] == pytest.approx(0.0, abs=2e-3)
    env.close()


def test_a_block_with_a_peg_in_it_stays() -> None:
    env = made(PEG)
    tip = env.unwrapped._task._tip
    real = tip.copy()
    tip[2] = 0.03  # as low as the block is high
    done = env.disturb(Disturbance(kind="object", x=0.02))
    assert done.after["hole_pos"] == done.before["hole_pos"]
    tip[:] = real
    env.close()


@pytest.mark.parametrize("env_id", [PICK, PEG])
def test_a_push_of_the_hand_goes_through_the_gate(env_id: str) -> None:
    env = made(env_id)
    before = privileged_of(env)["tcp_pos"]
    sent = env.gate.info().sent
    env.disturb(Disturbance(kind="gripper", x=0.02, y=-0.01))
    assert env.gate.info().sent == sent  # nothing moves between two commands
    still(env, 8)
    assert privileged_of(env)["tcp_pos"] - before == pytest.approx([0.02, -0.01, 0.0], abs=5e-3)
    low, high = env.gate.limits.workspace_low, env.gate.limits.workspace_high
    env.disturb(Disturbance(kind="gripper", x=5.0, y=5.0, z=-5.0))
    target = privileged_of(env)["target_pos"]
    assert (target >= low - 1e-9).all()
    assert (target <= high + 1e-9).all()
    assert np.linalg.norm(target - privileged_of(env)["tcp_pos"]) <= env.unwrapped._task.motion.lead_m + 1e-9
    env.close()


@pytest.mark.parametrize("wrong", [Disturbance(kind="goal"), Disturbance(kind="object", x=float("nan"))])
def test_what_cannot_be_done_is_refused(wrong: Disturbance) -> None:
    env = made(PICK)
    with pytest.raises(ConfigError, match="cannot be done"):
        env.disturb(wrong)
    env.close()


@pytest.mark.parametrize(("env_id", "expert"), [(PICK, PickCubeExpert()), (PEG, PegInsertionExpert())])
def test_what_was_moved_is_touched_where_it_is_now(env_id: str, expert: Any) -> None:
    env = made(env_id, 3)
    still(env, 10)  # what lies there sleeps by now
    place = privileged_of(env)[expert.goal_key]
    env.disturb(Disturbance(kind="object", x=0.03 * float(np.sign(0.5 - place[0])), y=-0.03 * float(np.sign(place[1]))))
    success = False
    for _ in range(85):
        *_, success, truncated, _ = env.step(expert.action(privileged_of(env), 0.5))
        if success or truncated:
            break
    assert success
    env.close()
