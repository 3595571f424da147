"""Words move the robot by exactly what was asked, and never when nobody can say stop any more."""

import math

import gymnasium
import numpy as np
import pytest
from contracts import TeleopContract
from hypothesis import given
from hypothesis import strategies as st

from robot_hil.actor.arbiter import Arbiter, ArbiterConfig, ArbiterState
from robot_hil.clock import VirtualClock
from robot_hil.data.operator_input import Keys
from robot_hil.data.operator_input import Words as WordsMessage
from robot_hil.data.robot import ActionScale, ToolState
from robot_hil.data.teleop import EventKind, SampleStatus, TeleopSample
from robot_hil.envs.base import scale_of, tool_of
from robot_hil.errors import ConfigError, SpecError
from robot_hil.protocols import Monitored
from robot_hil.teleop.deflection import FACING_ROBOT
from robot_hil.teleop.words import Words, WordsConfig

ALL = ("x", "y", "z", "rx", "ry", "rz", "gripper")
SCALE = ActionScale(axes=ALL, linear_m=0.025, angular_rad=0.1, gripper_m=0.016, period_s=0.1)
SIDEWAYS = ((0.0, -1.0, 0.0), (1.0, 0.0, 0.0), (0.0, 0.0, 1.0))


class Cell:
    """A robot that does what it is told, a page that is heard, and the words between them."""

    def __init__(self, scale: ActionScale = SCALE, config: WordsConfig | None = None, *, width: float = 0.04) -> None:
        self.scale, self.clock, self.width = scale, VirtualClock(5.0), width
        self.way = dict.fromkeys(scale.axes, 0.0)
        self.words = Words(scale, self.tool, self.clock, config or WordsConfig())
        self.speaking = True
        self.words.start()

    def tool(self) -> ToolState:
        return ToolState(
            pos_base=np.zeros(3), quat_base=np.array([1.0, 0, 0, 0]), gripper_width=self.width, joint_pos=np.zeros(7)
        )

    def say(self, text: str, client: str = "page", delay: float = 0.0) -> str:
        now = self.clock.now()
        return self.words.feed(WordsMessage("id", text), client=client, operator="Ada", t_recv=now, t_page=now - delay)

    def heartbeat(self, client: str = "page") -> None:
        now = self.clock.now()
        self.words.feed(Keys(0, 0.0, []), client=client, operator="Ada", t_recv=now, t_page=now)

    def period(self) -> TeleopSample:
        """Let one control period pass; the robot does what the sample says."""
        self.clock.advance(self.scale.period_s)
        if self.speaking:
            self.heartbeat()
        sample = self.words.latest()
        if sample.action is not None:
            for name, value in zip(self.scale.axes, sample.action.tolist(), strict=True):
                step = {"gripper": self.scale.gripper_m}.get(
                    name, self.scale.angular_rad if name.startswith("r") else self.scale.linear_m
                )
                self.way[name] += value * step
                if name == "gripper":
                    low, high = self.scale.gripper_range
                    self.width = min(max(self.width + value * step, low), high)
        return sample

    def carry_out(self, most: int = 400) -> list[TeleopSample]:
        """Return the samples of the movement that begins now."""
        samples: list[TeleopSample] = []
        while (sample := self.period()).engaged:
            samples.append(sample)
            assert len(samples) < most
        assert sample.status is SampleStatus.OK
        return samples

    def moved(self) -> dict[str, float]:
        return {name: value for name, value in self.way.items() if abs(value) > 1e-12 and name != "gripper"}


@pytest.mark.parametrize(
    ("text", "moved"),
    [
        ("left 2 cm", {"y": 0.02}),
        ("down 7 mm", {"z": -0.007}),
        ("forward three centimetres and right 1 cm", {"x": 0.03, "y": -0.01}),
        ("a bit to the left", {"y": 0.01}),
        ("back", {"x": -0.03}),
        ("turn clockwise 10 degrees", {"rz": -math.radians(10)}),
        ("tilt forward", {"ry": math.radians(15)}),
    ],
)
def test_the_movement_is_as_long_as_asked(text: str, moved: dict[str, float]) -> None:
    cell = Cell()
    assert cell.say(text) == ""
    samples = cell.carry_out()
    assert cell.moved() == pytest.approx(moved, rel=1e-6)
    assert all(sample.operator == "Ada" and sample.tail_s == 0.5 for sample in samples)


@given(
    cm=st.floats(0.05, 15).map(lambda value: round(value, 3)),
    hz=st.sampled_from([10.0, 20.0, 100.0]),
    top_speed=st.floats(0.01, 1.0),
    speed=st.floats(0.01, 0.5),
    angle=st.floats(0, 2 * math.pi),
    way=st.sampled_from(["left", "right", "up", "down", "forward", "back"]),
)
def test_any_distance_at_any_rate_adds_up_and_keeps_the_speed(
    cm: float, hz: float, top_speed: float, speed: float, angle: float, way: str
) -> None:
    rotation = ((math.cos(angle), -math.sin(angle), 0.0), (math.sin(angle), math.cos(angle), 0.0), (0.0, 0.0, 1.0))
    scale = ActionScale(axes=("x", "y", "z"), linear_m=top_speed / hz, period_s=1 / hz)
    cell = Cell(scale, WordsConfig(speed_m_s=speed, rotation=rotation))
    assert cell.say(f"{way} {cm} cm") == ""
    samples = cell.carry_out(most=3000)
    axis = {"left": (0, 1, 0), "right": (0, -1, 0), "up": (0, 0, 1), "down": (0, 0, -1), "forward": (1, 0, 0)}
    wanted = 0.01 * cm * np.array(rotation) @ np.array(axis.get(way, (-1, 0, 0)))
    assert list(cell.way.values()) == pytest.approx(wanted.tolist(), abs=1e-7)
    steps = [np.linalg.norm(s.action) * scale.linear_m for s in samples if s.action is not None]
    assert max(steps) <= speed / hz * (1 + 1e-5)
    assert len(samples) <= math.ceil(0.01 * cm / min(speed / hz, scale.linear_m) * (1 + 1e-5))


@pytest.mark.parametrize(
    ("rotation", "moved"), [(FACING_ROBOT, {"x": -0.02}), (SIDEWAYS, {"y": 0.02})], ids=["facing", "from the side"]
)
def test_directions_are_the_operators(
    rotation: tuple[tuple[float, float, float], ...], moved: dict[str, float]
) -> None:
    cell = Cell(config=WordsConfig(rotation=rotation))
    cell.say("forward 2 cm")
    cell.carry_out()
    assert cell.moved() == pytest.approx(moved)
    cell.say("a bit more")  # the same way again, in the operator's frame
    cell.carry_out()
    assert cell.moved() == pytest.approx({name: value * 1.5 for name, value in moved.items()})


def test_again_repeats_and_more_goes_on() -> None:
    cell = Cell()
    assert "nothing to do again" in cell.say("again")
    cell.say("up 2 cm")
    cell.carry_out()
    cell.say("again")
    cell.carry_out()
    cell.say("1 cm more")
    cell.carry_out()
    assert cell.moved() == pytest.approx({"z": 0.05})
    assert "does not go with the last" in cell.say("5 degrees more")
    cell.say("left 1 cm and again")
    cell.carry_out()
    assert cell.moved() == pytest.approx({"z": 0.05, "y": 0.02})


def test_slower_and_faster_change_the_speed_and_not_the_distance() -> None:
    cell = Cell()
    cell.say("up 6 cm")
    usual = len(cell.carry_out())
    cell.say("slower")
    cell.say("down 6 cm")
    assert len(cell.carry_out()) == pytest.approx(1.5 * usual, abs=1)
    cell.say("up 6 cm")
    for _ in range(4):
        cell.period()
    for _ in range(50):
        assert cell.say("faster") == ""  # in the middle of it
    rest = len(cell.carry_out())
    assert 0 < rest < 1.5 * usual - 4
    assert cell.moved() == pytest.approx({"z": 0.06}, rel=1e-6)


@pytest.mark.parametrize(("text", "start", "end"), [("open", 0.0, 0.08), ("close", 0.08, 0.0), ("open", 0.079, 0.08)])
def test_the_gripper_goes_all_the_way(text: str, start: float, end: float) -> None:
    cell = Cell(width=start)
    cell.say(text)
    samples = cell.carry_out()
    assert cell.width == pytest.approx(end)
    assert len(samples) == math.ceil(abs(end - start) / SCALE.gripper_m - 1e-9)
    assert cell.moved() == {}


@pytest.mark.parametrize(("width", "grip"), [(0.0, -1.0), (0.04, 0.0), (0.08, 1.0)])
def test_a_movement_leaves_the_gripper_as_it_is_told_to_be(width: float, grip: float) -> None:
    cell = Cell(width=width)
    cell.say("up 2 cm")
    assert {float(sample.action[-1]) for sample in cell.carry_out() if sample.action is not None} == {grip}


def test_closing_and_lifting_keeps_it_closed() -> None:
    cell = Cell(width=0.08)
    cell.say("close and up 2 cm")
    samples = cell.carry_out()
    assert samples[-1].action is not None
    assert samples[-1].action[-1] == -1.0
    assert cell.width == 0.0
    assert cell.moved() == pytest.approx({"z": 0.02})


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


@pytest.mark.parametrize(
    "numbers",
    [{"small_m": 0.5}, {"speed_m_s": 0.0}, {"silence_s": math.nan}, {"rotation": ((1, 0, 0), (0, 1, 0), (0, 0, -1))}],
)
def test_numbers_that_cannot_work_are_refused(numbers: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        WordsConfig(**numbers)  # type: ignore[arg-type]


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


def test_words_move_the_simulated_arm_by_what_was_asked() -> None:
    env = gymnasium.make("robot_hil/PickCube-v0", obs_type="state")
    env.reset(seed=3)
    scale, tool, clock = scale_of(env), tool_of(env), VirtualClock()
    words = Words(scale, tool, clock, WordsConfig(rotation=FACING_ROBOT))
    words.start()
    start = tool().pos_base

    def say(text: str) -> None:
        assert words.feed(text, client="page", operator="Ada", t_recv=clock.now(), t_page=clock.now()) == ""
        while (sample := words.latest()).engaged:
            env.step(sample.action)
            clock.advance(scale.period_s)
            words.heard("page", clock.now())

    say("up 4 cm and left 3 cm")
    assert tool().pos_base - start == pytest.approx([0.0, -0.03, 0.04], abs=1e-6)
    for _ in range(10):  # the arm arrives there
        env.step(np.zeros(env.action_space.shape or (), np.float32))
    measured = env.unwrapped.gate.state().tcp_pos_base - start  # type: ignore[attr-defined]
    assert measured == pytest.approx([0.0, -0.03, 0.04], abs=0.004)
    env.close()
