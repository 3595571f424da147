"""The desk: holds and e-stops wait for a person, demonstrations begin with one, verdicts may come late."""

import threading
import time
from collections.abc import Callable

import numpy as np
import pytest
from actor.parts import A, PointArm, WalkEnv, limits

from robot_hil.actor.arbiter import Arbiter, ArbiterConfig, ArbiterState
from robot_hil.actor.desk import DeskConfig
from robot_hil.actor.loop import ControlLoop, LoopConfig
from robot_hil.actor.safety import GateState, SafetyGate
from robot_hil.actor.seeding import Stream
from robot_hil.clock import MonotonicClock
from robot_hil.data.step import Authority, Step
from robot_hil.data.teleop import EventKind, SampleStatus, TeleopEvent, TeleopSample
from robot_hil.errors import SafetyError


class Hand:
    """A device whose state another thread sets."""

    name = "hand"

    def __init__(self) -> None:
        self.engaged = False
        self.status = SampleStatus.OK
        self.events: list[TeleopEvent] = []

    def start(self) -> None:
        pass

    def stop(self) -> None:
        pass

    def latest(self) -> TeleopSample:
        works = self.status is SampleStatus.OK
        pulls = self.engaged and works
        return TeleopSample(
            status=self.status,
            t=time.monotonic(),
            engaged=pulls,
            action=np.ones(A, np.float32) if pulls else None,
            device=self.name,
        )

    def drain_events(self) -> list[TeleopEvent]:
        events, self.events = self.events, []
        return events

    def press(self, kind: EventKind, reason: str = "") -> None:
        self.events = [*self.events, TeleopEvent(kind=kind, t=time.monotonic(), source="ann", reason=reason)]


class Stand:
    """The policy stands still."""

    version = 1

    def act(self, obs: object, deterministic: bool = False) -> np.ndarray:
        return np.zeros(A, np.float32)


class Bench:
    """A loop in real time in a thread of its own, and the person beside it."""

    def __init__(self, *, horizon: int = 1000, demos_wait: bool = True) -> None:
        self.hand, self.steps, self.late = Hand(), list[Step](), list[TeleopEvent]()
        clock = MonotonicClock()
        self.gate = SafetyGate(PointArm(clock), limits(), clock)
        self.gate.connect()
        self.arbiter = Arbiter(ArbiterConfig(action_dim=A, release_tail_s=0.0))
        self.idle = 0
        self.error: BaseException | None = None
        self.results: list[object] = []
        self.loop = ControlLoop(
            WalkEnv(horizon),
            Stand(),
            self.arbiter,
            self.steps.append,
            LoopConfig(
                control_hz=100.0,
                realtime=True,
                desk=DeskConfig(operated=True, demos_wait=demos_wait, hold_timeout_s=60.0, late_verdict_s=0.05),
            ),
            teleop=self.hand,
            gate=self.gate,
            idle=self.count_idle,
            on_late_verdict=self.late.append,
        )
        self.thread: threading.Thread | None = None

    def count_idle(self) -> None:
        self.idle += 1

    def run(self, stream: Stream, episode: int = 0) -> None:
        def work() -> None:
            try:
                self.results.append(self.loop.run_episode(stream, episode))
            except BaseException as error:
                self.error = error

        self.error = None
        self.thread = threading.Thread(target=work, daemon=True)
        self.thread.start()

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 30
        while not condition() and time.monotonic() < deadline:
            time.sleep(0.002)
        assert condition()

    def more(self, count: int = 3) -> None:
        there = len(self.steps)
        self.until(lambda: len(self.steps) >= there + count)

    def finish(self) -> None:
        self.loop.request_stop()
        self.join()

    def join(self) -> None:
        assert self.thread is not None
        self.thread.join(30)
        assert not self.thread.is_alive()


@pytest.fixture
def bench():
    made = Bench()
    yield made
    if made.thread is not None:
        made.finish()


def test_a_demonstration_begins_when_the_person_does(bench):
    bench.run(Stream.DEMO)
    bench.until(lambda: bench.loop.desk.waiting == "start" and bench.idle > 5)
    assert bench.steps == []
    bench.hand.engaged = True
    bench.more()
    assert (bench.steps[0].authority == Authority.HUMAN).all()
    assert bench.loop.desk.waiting == ""


def test_a_demonstration_laid_aside_stands_still_and_goes_on(bench):
    bench.run(Stream.DEMO)
    bench.hand.engaged = True
    bench.more()
    bench.hand.engaged = False
    bench.until(lambda: bench.loop.desk.waiting == "start")
    there = len(bench.steps)
    time.sleep(0.1)
    assert len(bench.steps) == there
    bench.hand.engaged = True
    bench.more()
    assert {step.episode_id for step in bench.steps} == {0}


def test_a_verdict_ends_a_demonstration_that_was_laid_aside(bench):
    bench.run(Stream.DEMO)
    bench.hand.engaged = True
    bench.more()
    bench.hand.engaged = False
    bench.until(lambda: bench.loop.desk.waiting == "start")
    bench.hand.press(EventKind.SUCCESS)
    bench.join()
    assert bench.steps[-1].terminated
    assert bench.steps[-1].reward["human"] == 1.0


def test_a_device_that_goes_away_before_the_start_is_not_missed(bench):
    bench.run(Stream.DEMO)
    bench.until(lambda: bench.idle > 3)
    bench.hand.status = SampleStatus.DISCONNECTED
    time.sleep(0.05)
    bench.hand.status = SampleStatus.OK
    bench.hand.engaged = True
    bench.more()


def test_a_hold_waits_in_place_until_resumed(bench):
    bench.run(Stream.TRAIN)
    bench.more()
    bench.hand.press(EventKind.PAUSE)
    bench.until(lambda: bench.loop.desk.waiting == "resume")
    there = len(bench.steps)
    time.sleep(0.1)
    assert len(bench.steps) == there
    bench.hand.press(EventKind.RESUME)
    bench.more()
    assert sum(bool((step.authority == Authority.HOLD).all()) for step in bench.steps) == 1
    assert bench.error is None


def test_a_device_lost_while_driving_holds_until_let_go_and_resumed(bench):
    bench.run(Stream.TRAIN)
    bench.more()
    bench.hand.engaged = True
    bench.until(lambda: bench.arbiter.state is ArbiterState.HUMAN)
    bench.hand.status = SampleStatus.LOST
    bench.until(lambda: bench.loop.desk.waiting == "resume")
    bench.hand.status = SampleStatus.OK
    bench.hand.press(EventKind.RESUME)
    time.sleep(0.05)
    assert bench.arbiter.state is ArbiterState.HOLD
    bench.hand.engaged = False
    bench.until(lambda: bench.loop.desk.last_sample is not None and not bench.loop.desk.last_sample.engaged)
    bench.hand.press(EventKind.RESUME)
    bench.until(lambda: bench.arbiter.state is ArbiterState.POLICY)
    bench.more()


def test_an_estop_ends_the_episode_and_two_steps_clear_it(bench):
    bench.run(Stream.TRAIN)
    bench.more()
    bench.hand.press(EventKind.ESTOP)
    bench.join()
    assert isinstance(bench.error, SafetyError)
    assert bench.steps[-1].truncated
    assert bench.gate.mode is GateState.STOP
    bench.run(Stream.TRAIN, 1)
    bench.until(lambda: bench.loop.desk.waiting == "clear")
    bench.hand.press(EventKind.RESUME)
    bench.hand.press(EventKind.CLEAR)
    time.sleep(0.05)
    assert bench.arbiter.state is ArbiterState.ESTOP, "no reason was given"
    bench.hand.press(EventKind.CLEAR, "the cell is safe")
    bench.until(lambda: bench.loop.desk.waiting == "resume")
    assert bench.gate.mode is GateState.RUN
    assert all(step.episode_id == 0 for step in bench.steps)
    bench.hand.press(EventKind.RESUME)
    bench.more()
    assert bench.steps[-1].episode_id == 1


def test_a_verdict_that_comes_late_is_about_the_episode_before(bench):
    bench.run(Stream.DEMO)
    bench.until(lambda: bench.loop.desk.waiting == "start")
    bench.hand.press(EventKind.FAIL)
    bench.until(lambda: bool(bench.late))
    assert [event.kind for event in bench.late] == [EventKind.FAIL]
    bench.hand.engaged = True
    bench.more()
    assert not any(step.terminated for step in bench.steps)


def test_reset_cuts_a_held_episode(bench):
    bench.run(Stream.TRAIN)
    bench.more()
    bench.hand.press(EventKind.PAUSE)
    bench.until(lambda: bench.loop.desk.waiting == "resume")
    bench.hand.press(EventKind.RESET)
    bench.join()
    assert bench.steps[-1].truncated
    assert not bench.steps[-1].terminated
    assert bench.error is None
