"""Every gate against hand-made courses of the cost."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_hil.errors import ConfigError
from robot_hil.teleop.simulated.expert_peg_slot import PegSlotExpert
from robot_hil.teleop.simulated.expert_pick_cube import PickCubeExpert
from robot_hil.teleop.simulated.gates import (
    AlwaysGate,
    Gate,
    ImminentGate,
    NeverGate,
    PredictedFailureGate,
    ProgressGate,
    RandomGate,
    Situation,
    ValueGate,
)

EXPERT = PickCubeExpert()
WORLD = {
    "tcp_pos": [0.5, 0.1, 0.15], "target_pos": [0.5, 0.1, 0.15], "cube_pos": [0.5, 0.0, 0.02],
    "cube_quat": [1, 0, 0, 0], "gripper_width": 0.08,
}  # fmt: skip
TOWARDS = np.array([0.0, -0.4, -0.3, 1.0], np.float32)
AWAY = -TOWARDS


def alarms(gate: Gate, costs: Iterable[float], proposal: np.ndarray | None = None, seed: int = 0) -> list[bool]:
    gate.reset(np.random.default_rng(seed))
    return [gate.alarm(Situation(world=WORLD, cost=cost, proposal=proposal)) for cost in costs]


def test_never_and_always() -> None:
    assert not any(alarms(NeverGate(), range(30)))
    assert all(alarms(AlwaysGate(), range(30)))
    assert AlwaysGate.always
    assert not NeverGate.always


def test_progress_gate_alarms_after_patience_without_progress() -> None:
    assert alarms(ProgressGate(patience=12, margin=1.0), [20.0] * 14) == [False] * 12 + [True] * 2


@given(st.floats(0.09, 3.0))
def test_progress_gate_leaves_slow_progress_alone(pace: float) -> None:
    assert not any(alarms(ProgressGate(patience=12, margin=1.0), 100.0 - pace * np.arange(30)))


def test_progress_gate_withdraws_when_progress_returns() -> None:
    assert alarms(ProgressGate(patience=3), [9, 9, 9, 9, 7, 7])[-3:] == [True, False, False]


def test_progress_gate_alarms_on_wandering_back_and_forth() -> None:
    assert alarms(ProgressGate(), [20.0, 25.0] * 10)[-1]


def test_restart_gives_new_patience() -> None:
    gate = ProgressGate(patience=3)
    assert alarms(gate, [9.0] * 5)[-1]
    gate.restart()
    assert not gate.alarm(Situation(world=WORLD, cost=9.0, proposal=None))


def test_predicted_failure_gate_judges_proposals_before_they_happen() -> None:
    gate = PredictedFailureGate(EXPERT, bad=6, window=8)
    cost = EXPERT.cost_to_go(WORLD)
    assert not any(alarms(gate, [cost] * 20, TOWARDS))
    assert alarms(gate, [cost] * 25, TOWARDS)[-1]  # but it does not wait for ever
    assert alarms(gate, [cost] * 7, AWAY) == [False] * 5 + [True] * 2


def test_predicted_failure_gate_without_proposals_looks_at_what_happened() -> None:
    assert not any(alarms(PredictedFailureGate(EXPERT), 40.0 - np.arange(20.0)))
    assert alarms(PredictedFailureGate(EXPERT), 10.0 + np.arange(20.0))[-1]


def test_predicted_failure_gate_answers_a_hazard_at_once() -> None:
    closed_above = {**WORLD, "tcp_pos": [0.5, 0.0, 0.05], "gripper_width": 0.0}
    down = np.array([0.0, 0.0, -1.0, 0.0], np.float32)
    gate = PredictedFailureGate(EXPERT, hazards=2)
    gate.reset(np.random.default_rng(0))
    seen = [gate.alarm(Situation(world=closed_above, cost=20.0, proposal=down)) for _ in range(2)]
    assert seen == [False, True]


def test_imminent_gate_sees_trouble_five_steps_ahead() -> None:
    """From 12 cm above a slot that is 10 cm off the peg jams in three steps of 4 cm, whatever the cost says."""
    high = {
        "tip_pos": [0.0, 0.0, 0.12], "slot_pos": [0.1, 0.0, 0.0], "slot_tolerance": 0.004, "jammed": False,
        "goal": "insert", "step_m": 0.04,
    }  # fmt: skip

    def alarm(height: float, action: list[float], horizon: int = 5) -> bool:
        gate = ImminentGate(PegSlotExpert(), horizon=horizon)
        gate.reset(np.random.default_rng(0))
        world = {**high, "tip_pos": [0.0, 0.0, height]}
        return gate.alarm(Situation(world=world, cost=10.0, proposal=np.array(action, np.float32)))

    assert alarm(0.12, [0.0, -1.0])
    assert not alarm(0.12, [0.0, -1.0], horizon=2)
    assert not alarm(0.3, [0.0, -1.0])
    assert not alarm(0.12, [0.0, 1.0])
    assert not alarm(0.16, [0.625, -1.0])  # on its way into the slot
    standing = alarms(ImminentGate(EXPERT, patience=10), [20.0] * 12)
    assert standing == [False] * 10 + [True] * 2


def test_value_gate_flips_its_decision_at_the_given_rate() -> None:
    first = [alarms(ValueGate(EXPERT, flip=0.05), [20.0], AWAY, seed)[0] for seed in range(600)]
    spared = [alarms(ValueGate(EXPERT, flip=0.05), [20.0], TOWARDS, seed)[0] for seed in range(600)]
    assert 0.92 < np.mean(first) < 0.98
    assert 0.02 < np.mean(spared) < 0.08


def test_value_gate_takes_an_injected_value() -> None:
    gate = ValueGate(EXPERT, flip=0.0, cost_after=lambda _, action: 100.0 * float(action[0] > 0.5))
    assert alarms(gate, [20.0], np.array([1.0, 0, 0, 0], np.float32)) == [True]
    assert alarms(gate, [20.0], AWAY) == [False]


def test_value_gate_answers_a_standstill_only_with_patience() -> None:
    costs, still = [20.0] * 12, np.zeros(4, np.float32)
    endless = ValueGate(EXPERT, flip=0.0, delta=2.0)
    assert not any(alarms(endless, costs, still))
    patient = ValueGate(EXPERT, flip=0.0, delta=2.0, patience=8)
    assert alarms(patient, costs, still) == [False] * 8 + [True] * 4
    patient.restart()
    assert not patient.alarm(Situation(world=WORLD, cost=20.0, proposal=still))


def test_random_gate_takes_over_at_rate_p_whatever_the_policy_does() -> None:
    first = [alarms(RandomGate(0.3), [20.0], None, seed)[0] for seed in range(600)]
    assert 0.25 < np.mean(first) < 0.35
    assert not any(alarms(RandomGate(0.0), [1.0] * 50))


@pytest.mark.parametrize(
    "make",
    [lambda: RandomGate(0.1), lambda: ValueGate(EXPERT, flip=0.1), ProgressGate, lambda: PredictedFailureGate(EXPERT)],
)
def test_equal_seeds_give_equal_alarms(make: Callable[[], Any]) -> None:
    costs = np.random.default_rng(1).uniform(5.0, 20.0, 60)
    gate = make()
    once = alarms(gate, costs, AWAY, seed=3)
    alarms(gate, costs[::-1], TOWARDS, seed=4)
    assert alarms(gate, costs, AWAY, seed=3) == once


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: RandomGate(1.5), "p=1.5"),
        (lambda: ProgressGate(patience=0), "patience=0"),
        (lambda: PredictedFailureGate(EXPERT, bad=9, window=8), "bad=9"),
        (lambda: ValueGate(EXPERT, flip=-1.0), "flip=-1.0"),
        (lambda: ValueGate(EXPERT, patience=-1), "patience=-1"),
        (lambda: ImminentGate(EXPERT, horizon=0), "horizon=0"),
    ],
)
def test_impossible_gates_are_refused_by_value(make: Callable[[], Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        make()
