"""A SpaceMouse that falls silent, hangs, dies or is unplugged, in virtual time: lost is not released."""

import random
import time

import numpy as np
import pytest
from fake_hidapi import COMPACT, REST, WIRELESS, motion
from puck_rig import DISCONNECTED, FORWARD, LOST, OK, button, counts, rigs, wait_until

from robot_hil.actor.arbiter import Arbiter, ArbiterConfig, ArbiterState
from robot_hil.data.teleop import EventKind, TeleopEvent
from robot_hil.teleop.spacemouse_reader import ReaderConfig
from robot_hil.teleop.station import Station


@pytest.fixture
def rig():
    with rigs() as make:
        yield make


def test_a_deflected_puck_that_falls_silent_is_lost_until_it_rested(rig):
    one = rig().begin()
    one.push(FORWARD)
    one.wait(0.125)
    assert one.latest().engaged
    one.wait(0.0625)
    sample = one.latest()
    assert (sample.status, sample.engaged, sample.action) == (LOST, False, None)
    assert "silent" in sample.problem
    assert one.device.info().status is LOST
    one.push(FORWARD)  # back within reach, and still pulled
    sample = one.latest()
    assert (sample.status, sample.engaged) == (OK, False)
    one.push(REST)
    one.push(FORWARD)
    assert one.latest().engaged


def test_rotation_that_falls_silent_while_translation_goes_on_is_lost(rig):
    one = rig(WIRELESS).begin()
    one.push(counts(1.0, 5))
    for _ in range(16):
        one.wait(0.01)
        one.bench.send(motion(FORWARD)[0])  # short: says nothing of rotation
    assert one.latest().status is LOST


def test_the_battery_does_not_keep_a_silent_puck_alive(rig):
    one = rig(WIRELESS).begin()
    one.push(FORWARD)
    for _ in range(16):
        one.wait(0.01)
        one.bench.send(b"\x17\x40\x00\x00")
    assert one.latest().status is LOST
    assert one.device.info().battery == 0.64


def test_silence_can_be_trusted_where_hardware_needs_it(rig):
    one = rig(silent_s=float("inf")).begin()
    one.push(FORWARD)
    one.wait(60.0)
    assert one.latest().engaged


@pytest.mark.parametrize("engaged", [True, False])
def test_a_frozen_reader_is_lost_by_age(rig, engaged):
    one = rig(max_age_s=0.0625, idle_age_s=0.125).begin()
    if engaged:
        one.push(FORWARD)
        assert one.latest().engaged
    one.bench.thawed.clear()
    time.sleep(0.01)  # the reader is now in the library and stays there
    before = one.clock.now()
    statuses = []
    step = 1 / 128 if engaged else 1 / 64  # more patience while nobody drives
    for _ in range(14):
        one.clock.advance(step)
        sample = one.latest()
        statuses.append(sample.status)
        assert sample.t == before
        assert one.device.info().status is sample.status
        assert sample.status is OK or not sample.engaged
    assert statuses == [OK] * 8 + [LOST] * 4 + [DISCONNECTED] * 2
    one.bench.thawed.set()
    one.bench.settle()
    sample = one.latest()
    assert (sample.status, sample.engaged) == (OK, False)
    one.push(FORWARD)
    assert one.latest().engaged is not engaged  # what was held has to be let go first


def test_nothing_that_was_queued_while_frozen_moves_the_robot(rig):
    one = rig().begin()
    one.push(FORWARD)
    one.bench.thawed.clear()
    one.clock.advance(0.5)
    assert one.latest().status is DISCONNECTED
    one.bench._reports.extend([*motion(REST), *motion(FORWARD) * 20, button(1)])
    one.bench.thawed.set()
    one.bench.settle()
    assert not one.device.drain_events()
    sample = one.latest()
    assert sample.status is OK
    assert sample.action is None or sample.action[0] == 0.0


def test_a_frozen_reader_does_not_hold_up_stop_and_says_nothing_later(rig):
    one = rig(buttons={"LEFT": "success"}).begin()
    one.bench.thawed.clear()
    time.sleep(0.01)
    one.device.stop()
    one.bench._reports.append(button(1))
    one.bench.thawed.set()
    wait_until(lambda: one.bench.closed == 1)
    assert one.device.drain_events() == []
    assert one.latest().status is DISCONNECTED


@pytest.mark.parametrize("death", [SystemExit(), RuntimeError("a bug"), ValueError("another")], ids=repr)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_dead_reader_is_seen_at_once(rig, death):
    one = rig().begin()
    one.push(FORWARD)
    assert one.latest().engaged
    one.bench.breaks = death
    wait_until(lambda: one.device.latest().status is not OK)
    sample = one.latest()
    assert (sample.status, sample.engaged) == (DISCONNECTED, False)
    assert "reader ended" in sample.problem
    one.bench.breaks = None
    one.device.stop()
    one.device.start()
    one.wait(0.6)
    assert one.latest().status is OK


def test_unplugged_and_plugged_in_again_needs_new_input(rig):
    one = rig(reader=ReaderConfig(retry_s=0.01)).begin()
    one.push(FORWARD)
    assert one.latest().engaged
    one.bench.plugged = False
    wait_until(lambda: one.device.latest().status is DISCONNECTED)
    assert "plug it in" in one.latest().problem
    assert "plug it in" in one.device.info().problem
    one.bench.refuses = one.bench.plugged = True
    wait_until(lambda: "cannot be opened" in one.device.latest().problem)
    one.bench.refuses = False
    wait_until(lambda: one.device.latest().status is OK)
    one.push(FORWARD)
    assert not one.latest().engaged
    one.wait(0.6)
    one.push(FORWARD)
    assert not one.latest().engaged  # time alone does not help
    one.push(REST)
    one.push(FORWARD)
    assert one.latest().engaged


def test_gripper_presses_from_before_a_loss_are_forgotten(rig):
    one = rig().begin()
    one.bench.send(button(1))
    one.bench.thawed.clear()
    one.clock.advance(0.5)
    assert one.latest().status is DISCONNECTED
    one.bench.thawed.set()
    one.bench.settle()
    assert not one.latest().engaged


def test_a_broken_report_is_counted(rig):
    one = rig().begin()
    one.push(counts(0.5))
    one.bench.send(b"\x01\x02", b"\x03", b"\x99")
    assert one.device.info().dropped == 2
    assert one.latest().engaged


def test_at_the_station_a_puck_that_was_lost_while_driving_needs_a_person_and_a_free_hand(rig):
    one = rig(reader=ReaderConfig(retry_s=0.001)).begin()
    station, arbiter = Station([one.device], one.clock), Arbiter(ArbiterConfig(action_dim=7))
    station.start()
    policy = np.full(7, 0.25, np.float32)

    def step(*events: TeleopEvent) -> ArbiterState:
        now = one.clock.now()
        return arbiter.update(now, policy, station.latest(), (*station.drain_events(), *events)).state

    def resume() -> ArbiterState:
        event = TeleopEvent(kind=EventKind.RESUME, t=one.clock.now(), source="console")
        station.post(event)
        return step()

    assert step() is ArbiterState.POLICY
    one.push(FORWARD)
    assert step() is ArbiterState.HUMAN
    assert station.pilot == "spacemouse"
    one.bench.plugged = False
    wait_until(lambda: step() is ArbiterState.HOLD)
    assert resume() is ArbiterState.HOLD  # there is nothing to go on with
    one.bench.plugged = True
    wait_until(lambda: one.device.latest().status is OK)
    one.push(FORWARD)
    assert step() is ArbiterState.HOLD
    assert resume() is ArbiterState.POLICY  # a person said so; the hand that still pulls has no say
    one.push(FORWARD)
    assert step() is ArbiterState.POLICY
    one.push(REST)
    one.push(FORWARD)
    assert step() is ArbiterState.HUMAN


@pytest.mark.parametrize("seed", range(12))
def test_whatever_happens_nothing_drives_that_was_not_let_go_of_since_the_last_loss(rig, seed):
    rng = random.Random(seed)
    one = rig(rng.choice([COMPACT, WIRELESS]), reader=ReaderConfig(retry_s=0.001, max_bias=0.0))
    one.device.start()
    rested = False  # the puck was seen at rest since the start, the last loss or the last plugging in
    held = 0.0
    drove = 0
    for _ in range(120):
        deed = rng.choice(["push", "push", "hold", "rest", "wait", "hang", "unplug", "nothing"])
        if deed == "push":
            held = rng.choice([-1.0, -0.3, 0.06, 0.5])
        elif deed == "rest":
            held = 0.0
        elif deed == "hang":
            one.bench.thawed.clear()
            one.clock.advance(rng.choice([0.01, 0.3]))
            rested &= one.latest().status is OK
            one.bench.thawed.set()
        elif deed == "unplug":
            one.bench.plugged = False
            wait_until(lambda: one.device.latest().status is DISCONNECTED)
            one.bench.plugged = True
            wait_until(lambda: one.device.latest().status is OK)
            rested = False
        if deed in ("push", "hold", "rest", "hang", "unplug"):
            one.push(counts(held))
            rested |= held == 0.0
        else:
            one.wait(rng.choice([0.01, 0.1, 0.2]))
        sample = one.latest()
        rested &= sample.status is OK
        if sample.engaged:
            drove += 1
            assert rested
            assert sample.status is OK
            assert sample.action[0] == pytest.approx(-np.sign(held) * (abs(held) - 0.04) / 0.96, abs=0.002)
        elif rested:
            assert abs(held) <= 0.08
    assert drove > 0
