"""A reward model in the control loop: what it writes into steps, when it ends an episode, and what it never delays."""

import threading
from collections.abc import Iterator
from concurrent.futures import wait
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from actor.parts import A, LineJudge, NoisyPolicy, ScriptedPerson, WalkEnv
from hypothesis import given
from hypothesis import strategies as st

from robot_hil.actor.arbiter import Arbiter, ArbiterConfig
from robot_hil.actor.desk import DeskConfig
from robot_hil.actor.episode import EpisodeResult
from robot_hil.actor.loop import ControlLoop, LoopConfig
from robot_hil.actor.rewarding import Judge
from robot_hil.actor.seeding import Stream
from robot_hil.clock import VirtualClock
from robot_hil.data.step import Step
from robot_hil.data.teleop import EventKind, TeleopEvent
from robot_hil.errors import SpecError


class Goes(WalkEnv):
    """Goes on after its own success, as a real robot does, and never rewards."""

    def step(self, action: np.ndarray) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        obs, _, done, truncated, info = super().step(action)
        return obs, 0.0, False, truncated or self.k >= self.horizon, {**info, "success": done}


@dataclass
class Run:
    """A loop in virtual time over `Goes`, judged."""

    beside: bool
    script: dict[int, Any] = field(default_factory=dict)
    horizon: int = 30
    model: LineJudge = field(default_factory=LineJudge)
    dense: bool = False
    marks: list[TeleopEvent] | None = None
    patient: bool = True
    """A period is long enough for the judge, as it is in real time."""

    def __post_init__(self) -> None:
        self.clock, self.steps, self.said = VirtualClock(), list[Step](), list[TeleopEvent]()
        self.person = ScriptedPerson(self.clock, self.script)
        self.person.start()
        self.judge = Judge(self.model, 0.6, beside=self.beside, dense=self.dense)
        self.env = Goes(self.horizon, lambda _: self.pass_time())
        self.loop = ControlLoop(
            self.env,
            NoisyPolicy(),
            Arbiter(ArbiterConfig(action_dim=A, release_tail_s=0.0)),
            self.steps.append,
            LoopConfig(control_hz=10.0, desk=DeskConfig(marks=self.marks is not None)),
            teleop=self.person,
            clock=self.clock,
            judge=self.judge,
            on_false_positive=self.false_positive,
            on_mark=self.mark,
        )

    def pass_time(self) -> None:
        if self.patient and self.judge._busy is not None:
            wait([self.judge._busy])

    def mark(self, event: TeleopEvent) -> None:
        assert self.marks is not None
        self.marks.append(event)

    def false_positive(self, event: TeleopEvent) -> bool:
        self.said.append(event)
        return bool(self.judge.hits)

    def go(self, episode: int = 0) -> EpisodeResult:
        return self.loop.run_episode(Stream.TRAIN, episode)


@pytest.fixture(params=[False, True], ids=["at once", "beside"])
def beside(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def started() -> Iterator[list[Run]]:
    runs: list[Run] = []
    yield runs
    for run in runs:
        run.judge.close()


def test_a_confirmed_success_ends_the_episode_at_the_frame_that_confirms_it(started: list[Run]) -> None:
    at_once, beside = Run(False), Run(True)
    started += [at_once, beside]
    results = [run.go() for run in started]
    assert [result.success for result in results] == [True, True]
    for run, result in zip(started, results, strict=True):
        last = run.steps[-1]
        assert last.terminated
        assert not last.truncated
        assert last.final_obs is not None
        assert last.reward == {"env": 0.0, "classifier": 1.1}
        assert {step.reward["classifier"] for step in run.steps[:-1]} == {-0.01}
        assert not any(step.success for step in run.steps[:-1])
        seen = [float(step.obs["x"][0]) for step in run.steps] + [float(last.final_obs["x"][0])]
        assert sum(x >= 0.6 for x in seen) == 2, "one frame alone is not believed"
        assert result.steps == len(run.steps)
        assert result.episode_return == pytest.approx(1.1 - 0.01 * (len(run.steps) - 1))
    assert len(at_once.env.executed) == len(at_once.steps)


def test_beside_the_loop_the_same_is_recorded_and_one_period_more_is_made(started: list[Run]) -> None:
    at_once, beside = Run(False), Run(True)
    started += [at_once, beside]
    for run in started:
        run.go()
    assert len(beside.env.executed) == len(beside.steps) + 1
    for ours, theirs in zip(at_once.steps, beside.steps, strict=True):
        assert ours.reward == theirs.reward
        assert (ours.terminated, ours.truncated) == (theirs.terminated, theirs.truncated)
        assert np.array_equal(ours.obs["x"], theirs.obs["x"])


def test_a_model_that_is_too_slow_delays_no_command_and_its_frames_count_as_no_success(started: list[Run]) -> None:
    gate = threading.Event()
    run = Run(True, horizon=6, model=LineJudge(goal=9.0, on_judge=lambda: gate.wait(30)), patient=False)
    started.append(run)
    done: list[EpisodeResult] = []
    thread = threading.Thread(target=lambda: done.append(run.go()))
    thread.start()
    deadline = threading.Event()
    while len(run.env.executed) < 6:  # all commands go out although the first frame is not judged yet
        assert not deadline.wait(0.005) or thread.is_alive()
    assert run.model.seen == []
    gate.set()
    thread.join(30)
    assert len(run.steps) == 6
    assert [step.reward["classifier"] for step in run.steps[:-1]] == [0.0] * 5
    assert run.steps[-1].reward["classifier"] == -0.01, "nothing waits after the last step: it is judged"
    assert run.judge.late == 5
    assert done[0].truncated


def test_a_time_out_at_which_success_is_confirmed_is_an_end(beside: bool, started: list[Run]) -> None:
    run = Run(beside, horizon=4, model=LineJudge(goal=0.0, frames=5))
    started.append(run)
    assert run.go().success
    assert (run.steps[-1].terminated, run.steps[-1].truncated) == (True, False)


def test_an_episode_without_success_is_cut_by_time_and_failed(beside: bool, started: list[Run]) -> None:
    run = Run(beside, horizon=30, model=LineJudge(goal=99.0))
    started.append(run)
    result = run.go()
    assert not result.success, "the environment's own success is a fact, but no reward"
    assert any(step.success for step in run.steps)
    assert (run.steps[-1].terminated, run.steps[-1].truncated) == (False, True)


@pytest.mark.parametrize(("kind", "human"), [(EventKind.FAIL, 0.0), (EventKind.SUCCESS, 1.0)])
def test_a_persons_verdict_stands_above_the_model(
    beside: bool, kind: EventKind, human: float, started: list[Run]
) -> None:
    run = Run(beside, {5: kind})
    started.append(run)
    assert run.go().success is bool(human)
    assert run.steps[-1].reward["human"] == human
    assert "classifier" in run.steps[-1].reward


def test_a_fail_pressed_while_the_model_confirms_is_kept(started: list[Run]) -> None:
    plain = Run(True)
    started.append(plain)
    plain.go()
    late = Run(True, {len(plain.steps): EventKind.FAIL})  # in the period that is made while the last frame is judged
    started.append(late)
    assert not late.go().success
    assert len(late.steps) == len(plain.steps)
    assert late.steps[-1].reward["human"] == 0.0
    assert late.steps[-1].terminated


def test_a_dense_model_speaks_of_progress_and_of_the_goal(beside: bool, started: list[Run]) -> None:
    run = Run(beside, dense=True)
    started.append(run)
    run.go()
    assert run.steps[-1].reward == {"env": 0.0, "progress": 1.1, "classifier": 1.0}
    assert "classifier" not in run.steps[0].reward


def test_a_false_positive_within_an_episode_makes_it_a_failure(beside: bool, started: list[Run]) -> None:
    run = Run(beside, {9: EventKind.FALSE_POSITIVE}, model=LineJudge(goal=0.2, frames=99))
    run.judge.threshold = 0.2
    started.append(run)
    result = run.go()
    assert not result.success
    assert run.steps[-1].reward["human"] == 0.0
    assert [event.kind for event in run.said] == [EventKind.FALSE_POSITIVE]
    assert run.judge.ended
    assert all(float(hit.obs["x"][0]) >= 0.2 for hit in run.judge.ended)


def test_a_false_positive_of_the_episode_before_ends_nothing(beside: bool, started: list[Run]) -> None:
    run = Run(beside)
    started.append(run)
    run.go()
    assert run.judge.ended
    run.person.script = {run.person.tick + 1: EventKind.FALSE_POSITIVE}
    assert run.go(1).success
    assert len(run.said) == 1
    assert len([step for step in run.steps if step.episode_id == 1]) > 3


def test_without_a_model_a_false_positive_is_told_and_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    clock, steps = VirtualClock(), list[Step]()
    person = ScriptedPerson(clock, {2: EventKind.FALSE_POSITIVE})
    person.start()
    arbiter = Arbiter(ArbiterConfig(action_dim=A, release_tail_s=0.0))
    loop = ControlLoop(
        Goes(5), NoisyPolicy(), arbiter, steps.append, LoopConfig(control_hz=10.0), teleop=person, clock=clock
    )
    loop.run_episode(Stream.TRAIN, 0)
    assert len(steps) == 5
    assert "no reward model judges here" in caplog.text


def test_marks_end_nothing(started: list[Run]) -> None:
    marks: list[TeleopEvent] = []
    run = Run(False, {2: EventKind.SUCCESS, 4: EventKind.FAIL}, horizon=8, model=LineJudge(goal=99.0), marks=marks)
    started.append(run)
    run.go()
    assert len(run.steps) == 8
    assert [event.kind for event in marks] == [EventKind.SUCCESS, EventKind.FAIL]
    assert not any("human" in step.reward for step in run.steps)


def test_what_the_model_refuses_ends_the_episode_with_its_words(beside: bool, started: list[Run]) -> None:
    def refuse() -> None:
        raise SpecError("the model was made for other images")

    run = Run(beside)
    started.append(run)
    run.model.on_judge = refuse
    with pytest.raises(SpecError, match="other images"):
        run.go()
    assert all(not step.terminated for step in run.steps)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40), st.booleans())
def test_hits_are_the_frames_above_the_threshold(xs: list[float], beside: bool) -> None:
    judge = Judge(LineJudge(frames=99), 0.6, beside=beside)
    frames = [{"x": np.array([x], np.float32)} for x in xs]
    judge.begin_episode(frames[0])
    judge.newest(wait=True)
    for frame in frames[1:]:
        judge.look(frame)
        judge.newest(wait=True)
    hits = [index for index, frame in enumerate(frames) if float(frame["x"][0]) >= 0.6]
    assert [hit.index for hit in judge.hits] == hits
    judge.end_episode()
    judge.end_episode()
    assert [hit.index for hit in judge.ended] == hits
    judge.begin_episode(frames[0])
    assert [hit.index for hit in judge.ended] == hits, "kept until the next one ends"
    judge.close()


def test_it_may_look_at_something_else_than_the_policy(beside: bool) -> None:
    shown = iter(np.linspace(0.0, 1.0, 6, dtype=np.float32))
    judge = Judge(LineJudge(frames=99), 0.6, beside=beside, sight=lambda: {"x": np.array([next(shown)], np.float32)})
    judge.begin_episode({"state": np.zeros(1, np.float32)})
    for _ in range(5):
        judge.newest(wait=True)
        judge.look({"state": np.zeros(1, np.float32)})
    judge.newest(wait=True)
    assert [float(hit.obs["x"][0]) for hit in judge.hits] == pytest.approx([0.6, 0.8, 1.0])
    judge.close()


def test_a_newer_model_is_taken_between_episodes(beside: bool, started: list[Run]) -> None:
    run = Run(beside)
    started.append(run)
    run.go()
    run.judge.replace(LineJudge(goal=99.0), 0.9)
    before = list(run.model.seen)
    assert not run.go(1).success
    assert run.model.seen == before
    assert run.judge.threshold == 0.9
