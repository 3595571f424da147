"""A movement is as long as was asked, in the operator's directions, and within its speed."""

import math

import gymnasium
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from words_rig import SCALE, SIDEWAYS, Cell

from robot_hil.clock import VirtualClock
from robot_hil.data.robot import ActionScale
from robot_hil.envs.base import scale_of, tool_of
from robot_hil.errors import ConfigError
from robot_hil.teleop.deflection import FACING_ROBOT
from robot_hil.teleop.words import Words, WordsConfig


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
    assert {(sample.operator, sample.tail_s, sample.words) for sample in samples} == {("Ada", 0.5, text)}


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


@pytest.mark.parametrize(
    "numbers",
    [{"small_m": 0.5}, {"speed_m_s": 0.0}, {"silence_s": math.nan}, {"rotation": ((1, 0, 0), (0, 1, 0), (0, 0, -1))}],
)
def test_numbers_that_cannot_work_are_refused(numbers: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        WordsConfig(**numbers)  # type: ignore[arg-type]


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
