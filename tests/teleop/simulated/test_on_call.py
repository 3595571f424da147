"""A person who watches as always, and comes when called."""

import numpy as np

from robot_hil.teleop.simulated.gates import AlwaysGate, NeverGate, ProgressGate, Situation
from robot_hil.teleop.simulated.on_call import OnCall


def situation(cost: float = 5.0) -> Situation:
    return Situation(world={}, cost=cost, proposal=None)


def test_a_call_is_an_alarm_while_it_lasts() -> None:
    calls = [False, True, False]
    gate = OnCall(NeverGate(), lambda: calls.pop(0))
    assert [gate.alarm(situation()) for _ in range(3)] == [False, True, False]


def test_the_usual_watch_goes_on_while_called() -> None:
    gate = OnCall(ProgressGate(patience=3), lambda: True)
    gate.reset(np.random.default_rng(0))
    assert all(gate.alarm(situation()) for _ in range(5))
    gate._called = lambda: False
    assert gate.alarm(situation())  # nothing has improved meanwhile
    gate.restart()
    assert not gate.alarm(situation())


def test_who_always_drives_does_so_on_call() -> None:
    assert OnCall(AlwaysGate(), lambda: False).always
