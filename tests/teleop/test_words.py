"""Words move the robot by exactly what was asked, and never when nobody can say stop any more."""

import math

import numpy as np
import pytest
from contracts import TeleopContract
from hypothesis import given
from hypothesis import strategies as st
from words_rig import ALL, SCALE, Cell

from robot_hil.actor.arbiter import Arbiter, ArbiterConfig, ArbiterState
from robot_hil.data.robot import ActionScale, ToolState
from robot_hil.data.teleop import EventKind, SampleStatus
from robot_hil.errors import SpecError
from robot_hil.protocols import Monitored
from robot_hil.teleop.words import Words


def test_a_new_phrase_replaces_the_rest_of_the_old_one() -> None:
    cell = Cell()
    cell.say("left 5 cm")
    for _ in range(3):
        cell.period()
    gone = cell.way["y"]
    cell.say("up 2 cm")
    cell.carry_out()
    assert cell.moved() == pytest.approx({"y": gone, "z": 0.02})
    assert gone == pytest.approx(0.015)


@pytest.mark.parametrize("text", ["stop", "no no stop it", "STOP!", "pause"])
def test_stop_ends_the_movement_at_once_and_pauses(text: str) -> None:
    cell = Cell()
    cell.say("left 5 cm")
    cell.period()
    cell.words.drain_events()
    assert cell.say(text) == ""
    sample = cell.words.latest()  # in the same period
    assert not sample.engaged
    assert sample.action is None
    kinds = [(event.kind, event.reason) for event in cell.words.drain_events()]
    assert kinds == [(EventKind.PAUSE, text), (EventKind.DISENGAGE, "left 5 cm")]
    moved = cell.moved()
    for _ in range(10):
        assert not cell.period().engaged
    assert cell.moved() == moved


def test_stop_holds_the_policy_too() -> None:
    cell = Cell()
    arbiter = Arbiter(ArbiterConfig(action_dim=len(ALL)))

    def step() -> ArbiterState:
        sample = cell.period()
        return arbiter.update(cell.clock.now(), np.ones(7, np.float32), sample, cell.words.drain_events()).state

    assert step() is ArbiterState.POLICY
    cell.say("left 1 cm")
    assert [step() for _ in range(3)] == [ArbiterState.HUMAN, ArbiterState.HUMAN, ArbiterState.RELEASING]
    cell.say("stop")
    assert [step() for _ in range(20)] == [ArbiterState.HOLD] * 20
    cell.say("resume")
    assert step() is ArbiterState.POLICY


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("success", EventKind.SUCCESS),
        ("fail", EventKind.FAIL),
        ("reset", EventKind.RESET),
        ("emergency", EventKind.ESTOP),
    ],
)
def test_edges_are_queued_with_who_said_what(text: str, kind: EventKind) -> None:
    cell = Cell()
    assert cell.say(text) == ""
    event = cell.words.drain_events()[-1]
    assert (event.kind, event.source, event.reason) == (kind, "words of Ada", text)
    assert cell.words.drain_events() == []


def test_a_movement_tells_its_beginning_its_end_and_its_text() -> None:
    cell = Cell()
    cell.say("left 1 cm")
    assert cell.words.text == ""
    cell.period()
    assert cell.words.text == "left 1 cm"
    cell.carry_out()
    assert cell.words.text == ""
    events = cell.words.drain_events()
    assert [(event.kind, event.reason) for event in events] == [
        (EventKind.ENGAGE, "left 1 cm"),
        (EventKind.DISENGAGE, "left 1 cm"),
    ]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("sing", "is not understood"),
        ("left 16 cm", "at most 15 cm"),
        ("turn left 100 degrees", "at most 90 degrees"),
        ("left 1 cm and success", "by itself"),
        ("left 1 cm and sing", "is not understood"),
    ],
)
def test_what_cannot_be_done_is_refused_whole_and_moves_nothing(text: str, why: str) -> None:
    cell = Cell()
    assert why in cell.say(text)
    assert not cell.period().engaged
    assert cell.words.drain_events() == []


def test_axes_that_the_task_lacks_are_refused() -> None:
    cell = Cell(ActionScale(axes=("x", "y"), linear_m=0.02, period_s=0.1))
    for text in ("up", "turn left", "open", "tilt back"):
        assert "in this task" in cell.say(text)
    assert cell.say("left 2 cm") == ""
    cell.carry_out()
    assert cell.moved() == pytest.approx({"y": 0.02})


def test_asked_twice_within_a_period_it_does_not_move_on() -> None:
    cell = Cell()
    cell.say("left 2 cm")
    samples = []
    for _ in range(10):
        samples.append(cell.period())
        assert cell.words.latest() is samples[-1] or not samples[-1].engaged
    assert cell.way["y"] == pytest.approx(0.02)


# -- nobody there -----------------------------------------------------------------------------------------------------


def test_without_a_page_it_is_disconnected() -> None:
    cell = Cell()
    cell.speaking = False
    assert cell.period().status is SampleStatus.DISCONNECTED
    assert "open the console" in cell.words.info().problem
    cell.heartbeat()
    assert cell.period().status is SampleStatus.OK
    cell.clock.advance(1.0)
    assert cell.words.latest().status is SampleStatus.DISCONNECTED


@pytest.mark.parametrize("how", ["silent", "gone"])
def test_a_page_that_is_lost_during_a_movement_is_lost_and_nothing_moves_on(how: str) -> None:
    cell = Cell()
    cell.say("left 10 cm")
    cell.period()
    cell.speaking = False
    if how == "gone":
        cell.words.gone("page", "closed")
    else:
        cell.period()  # 0.1 s of silence are nothing yet
    moved = cell.moved()
    for _ in range(5):
        sample = cell.period()
        assert sample.status is SampleStatus.LOST
        assert sample.action is None
        assert sample.problem
    cell.speaking = True  # back again: at rest, and nothing of before is done
    assert cell.period().status is SampleStatus.OK
    assert not cell.period().engaged
    assert cell.moved() == moved
    assert cell.say("left 1 cm") == ""
    assert cell.period().engaged


def test_another_page_that_goes_or_speaks_does_not_keep_or_end_the_movement() -> None:
    cell = Cell()
    cell.say("left 2 cm")
    cell.period()
    cell.heartbeat("other")
    cell.words.gone("other", "closed")
    assert cell.period().engaged
    cell.speaking = False
    for _ in range(3):
        cell.heartbeat("other")  # another page cannot say that the first one lives
        sample = cell.period()
    assert sample.status is SampleStatus.LOST


def test_a_page_that_goes_at_rest_is_just_not_there() -> None:
    cell = Cell()
    cell.period()
    cell.speaking = False
    cell.words.gone("page", "closed")
    assert cell.period().status is SampleStatus.DISCONNECTED


def test_words_that_were_long_on_their_way_move_nothing() -> None:
    cell = Cell()
    assert "too long" in cell.say("left 2 cm", delay=3.0)
    assert cell.say("stop", delay=3.0) == ""  # stop is never too late
    assert not cell.period().engaged


def test_words_that_nobody_took_in_time_move_nothing_and_say_so() -> None:
    cell = Cell()
    cell.say("left 2 cm")
    cell.clock.advance(5.0)  # the robot was reset meanwhile
    assert not cell.period().engaged
    assert "was not done" in cell.words.info().problem
    cell.say("left 1 cm")
    assert cell.period().engaged
    assert cell.words.info().problem == ""


def test_words_said_while_stopped_are_refused() -> None:
    cell = Cell()
    cell.words.stop()
    assert "no words just now" in cell.say("left 2 cm")
    cell.words.start()
    assert not cell.period().engaged


def test_a_robot_that_cannot_be_read_makes_it_lost() -> None:
    cell = Cell()
    cell.say("left 2 cm")
    broken = True

    def tool() -> ToolState:
        if broken:
            raise SpecError("before the first reset")
        return Cell.tool(cell)

    cell.words._tool = tool
    sample = cell.period()
    assert sample.status is SampleStatus.LOST
    assert "before the first reset" in sample.problem
    broken = False
    assert cell.period().status is SampleStatus.OK
    assert not cell.period().engaged


def test_it_can_be_looked_at() -> None:
    cell = Cell()
    assert isinstance(cell.words, Monitored)
    cell.say("left 2 cm")
    cell.period()
    info = cell.words.info()
    assert (info.kind, info.status, info.engaged, info.operator) == ("words", SampleStatus.OK, True, "Ada")
    assert info.age_s == pytest.approx(0.0)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["say", "gone", "silence", "beat", "stop", "period"]),
            st.sampled_from(["left 3 cm", "open", "again", "stop", "turn left", "nonsense", "slower", "success"]),
        ),
        max_size=40,
    )
)
def test_whatever_happens_samples_are_whole_and_bounded(happenings: list[tuple[str, str]]) -> None:
    cell, contract = Cell(), TestWordsContract()
    last = -math.inf
    for kind, text in happenings:
        if kind == "say":
            cell.say(text)
        elif kind == "gone":
            cell.words.gone("page", "closed")
        elif kind == "silence":
            cell.speaking = False
        elif kind == "beat":
            cell.speaking = True
        elif kind == "stop":
            cell.words.stop()
            cell.words.start()
        sample = cell.period()
        contract.check_sample(sample)
        assert sample.t >= last
        last = sample.t
        if sample.action is not None:
            assert np.linalg.norm(sample.action[:3]) * SCALE.linear_m <= 0.05 * 2 * SCALE.period_s * (1 + 1e-5)


class TestWordsContract(TeleopContract):
    action_dim = len(ALL)

    def make_device(self) -> Words:
        self.cell = Cell()
        self.cell.words.stop()
        self.cell.heartbeat()
        return self.cell.words

    def advance(self, device: object) -> None:
        self.cell.say("left 1 cm")
        self.cell.clock.advance(0.1)
