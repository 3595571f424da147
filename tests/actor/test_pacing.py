"""Deadlines are absolute, misses are counted and never made up for in a burst."""

import gc
import os

import numpy as np
import pytest

from robot_hil.actor.pacing import Pacer, punctual
from robot_hil.clock import VirtualClock
from robot_hil.errors import ConfigError


class LateClock(VirtualClock):
    """Wakes `late` seconds after the deadline."""

    late = 0.0

    def sleep_until(self, deadline):
        super().sleep_until(deadline + self.late)


def test_work_within_the_period_ends_on_the_grid():
    clock = VirtualClock(5.0)
    pacer = Pacer(clock, 0.1)
    pacer.start()
    ends = []
    for work in (0.0, 0.05, 0.09):
        clock.advance(work)
        pacer.wait()
        ends.append(clock.now())
    assert ends == pytest.approx([5.1, 5.2, 5.3])
    assert pacer.misses == 0
    assert pacer.lateness_percentile(99) == 0


def test_waking_late_does_not_drift():
    clock = LateClock()
    clock.late = 0.003
    pacer = Pacer(clock, 0.1)
    pacer.start()
    for _ in range(10):
        pacer.wait()
    assert clock.now() == pytest.approx(1.003)
    assert pacer.misses == 0
    assert pacer.lateness() == pytest.approx(np.full(10, 0.003))


@pytest.mark.parametrize("stall", [0.11, 0.25, 5.0])
def test_a_miss_is_counted_once_and_starts_a_new_grid(stall):
    clock = VirtualClock()
    pacer = Pacer(clock, 0.1)
    pacer.start()
    clock.advance(stall)
    pacer.wait()
    assert clock.now() == pytest.approx(stall)
    for k in range(1, 4):
        pacer.wait()
        assert clock.now() == pytest.approx(stall + 0.1 * k)
    assert pacer.misses == 1
    assert pacer.lateness().max() == pytest.approx(stall - 0.1)


def test_waking_a_whole_period_late_makes_no_burst():
    clock = LateClock()
    pacer = Pacer(clock, 0.1)
    pacer.start()
    clock.late = 0.35
    pacer.wait()
    clock.late = 0.0
    pacer.wait()
    assert clock.now() == pytest.approx(0.55)


def test_lateness_is_bounded_and_since_start():
    clock = LateClock()
    pacer = Pacer(clock, 1.0, ring=4)
    assert pacer.lateness_percentile(99) == 0.0
    pacer.start()
    for k in range(7):
        clock.late = k / 100
        pacer.wait()
    assert pacer.lateness() == pytest.approx([0.03, 0.04, 0.05, 0.06])
    pacer.start()
    assert pacer.lateness().size == 0
    pacer.wait()
    assert pacer.lateness() == pytest.approx([0.06])
    assert pacer.lateness(since_start=False) == pytest.approx([0.04, 0.05, 0.06, 0.06])


@pytest.mark.parametrize("period", [0.0, float("nan"), float("inf")])
def test_period_must_be_a_time(period):
    with pytest.raises(ConfigError):
        Pacer(VirtualClock(), period)


def test_punctual_puts_everything_back():
    with punctual():
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(ZeroDivisionError), punctual():
        _ = 1 / 0
    assert gc.isenabled()
    with punctual(enabled=False):
        assert gc.isenabled()


def test_punctual_gives_the_ordinary_scheduler_back():
    before = os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK
    with punctual():
        pass
    assert os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK == before


def test_punctual_works_without_the_privilege(monkeypatch):
    def refuse(*_):
        raise PermissionError("not permitted")

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    with punctual():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_a_period_that_was_stretched_on_purpose_is_not_late():
    clock = VirtualClock()
    pacer = Pacer(clock, 0.1)
    pacer.start()
    clock.advance(60.0)
    pacer.restart()
    clock.advance(0.05)
    pacer.wait()
    assert clock.now() == pytest.approx(60.1)
    assert (pacer.misses, pacer.lateness().tolist()) == (0, [0.0])
