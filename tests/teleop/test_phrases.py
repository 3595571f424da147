"""What sentences mean, and above all which ones mean nothing."""

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from robot_hil.data.teleop import EventKind
from robot_hil.teleop.base import Grip
from robot_hil.teleop.phrases import Gripper, Move, Pace, Phrase, Repeat, Signal, Size, Stop, parse

LEFT, RIGHT, UP, DOWN, FORWARD, BACK = (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1), (1, 0, 0), (-1, 0, 0)
WAYS = {"left": LEFT, "right": RIGHT, "up": UP, "down": DOWN, "forward": FORWARD, "back": BACK}


def turn(axis: tuple[int, int, int], degrees: float | None = None) -> Move:
    return Move(axis, turn=True, amount=Size.NORMAL if degrees is None else pytest.approx(math.radians(degrees)))


def move(axis: tuple[int, int, int], amount: float | Size = Size.NORMAL) -> Move:
    return Move(axis, amount=amount if isinstance(amount, Size) else pytest.approx(amount))


@pytest.mark.parametrize(
    ("text", "commands"),
    [
        ("left", [move(LEFT)]),
        ("a bit to the left", [move(LEFT, Size.SMALL)]),
        ("move slightly to the right, please", [move(RIGHT, Size.SMALL)]),
        ("Go a lot higher!", [move(UP, Size.LARGE)]),
        ("down 2 cm", [move(DOWN, 0.02)]),
        ("down 2cm.", [move(DOWN, 0.02)]),
        ("DOWN 2,5 CM", [move(DOWN, 0.025)]),
        (".5 cm down", [move(DOWN, 0.005)]),
        ("forward three centimetres", [move(FORWARD, 0.03)]),
        ("forwards by three centimeters", [move(FORWARD, 0.03)]),
        ("twenty-five mm back", [move(BACK, 0.025)]),
        ("an inch away from me", [move(FORWARD, 0.0254)]),
        ("towards me", [move(BACK)]),
        ("a little bit closer", [move(BACK, Size.SMALL)]),
        ("half a centimetre up", [move(UP, 0.005)]),
        ("one and a half centimetres up", [move(UP, 0.015)]),
        ("lift it 0.1 m", [move(UP, 0.1)]),
        ("turn clockwise 10 degrees", [turn(DOWN, 10)]),
        ("rotate 15° anti-clockwise", [turn(UP, 15)]),
        ("clockwise", [turn(DOWN)]),
        ("turn left", [turn(UP)]),
        ("turn the hand right forty five degrees", [turn(DOWN, 45)]),
        ("tilt forward 5 deg", [turn(LEFT, 5)]),
        ("tilt to the right", [turn(FORWARD)]),
        ("open", [Gripper(Grip.OPEN)]),
        ("please close the gripper now", [Gripper(Grip.CLOSE)]),
        ("left 2 cm and then down 1 cm, open", [move(LEFT, 0.02), move(DOWN, 0.01), Gripper(Grip.OPEN)]),
        ("ok, up", [move(UP)]),
        ("again", [Repeat()]),
        ("once more", [Repeat()]),
        ("a bit more", [Repeat(Size.SMALL)]),
        ("another way: 2 cm more", None),
        ("2 cm more", [Repeat(pytest.approx(0.02))]),
        ("5 degrees further", [Repeat(pytest.approx(math.radians(5)), turn=True)]),
        ("a bit more to the left", [move(LEFT, Size.SMALL)]),
        ("faster", [Pace(1.5)]),
        ("go slower", [Pace(1 / 1.5)]),
        ("success", [Signal(EventKind.SUCCESS)]),
        ("failed", [Signal(EventKind.FAIL)]),
        ("wrong", [Signal(EventKind.FALSE_POSITIVE)]),
        ("reset", [Signal(EventKind.RESET)]),
        ("resume", [Signal(EventKind.RESUME)]),
        ("pause", [Stop()]),
    ],
)
def test_what_is_said_is_understood(text: str, commands: list[object] | None) -> None:
    if commands is None:
        assert parse(text).problem
    else:
        assert parse(text) == Phrase(tuple(commands))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "Nothing in that"),
        ("please", "Nothing in that"),
        ("do not go left", '"do" is not understood'),
        ("don't go left", '"don" is not understood'),
        ("not left", '"not" is not understood'),
        ("left of the cube", '"cube" is not understood'),
        ("left and pirouette", '"pirouette" is not understood'),
        ("left -5 cm", '"-" is not understood'),
        ("left 2-3 cm", '"-" is not understood'),
        ("up left", "two directions"),
        ("left 2", "2 of what"),
        ("left 2 3 cm", "That number"),
        ("left two hundred cm", '"hundred" is not understood'),
        ("left cm", "How many"),
        ("left 2 cm 3 mm", "How many"),
        ("left 0 cm", "number above 0"),
        ("left " + "9" * 400 + " cm", "number above 0"),
        ("2 cm", "In which direction"),
        ("a bit", "In which direction"),
        ("left 10 degrees", "Distances are in cm"),
        ("turn left 2 cm", "turns in degrees"),
        ("turn", "Turn which way"),
        ("turn up", "Turn which way"),
        ("tilt clockwise", "does not go with that"),
        ("turn left clockwise", "does not go with that"),
        ("open left", "several things at once"),
        ("open close", "several things at once"),
        ("success 2 cm", "several things at once"),
        ("<script>alert(1)</script>", "is not understood"),
    ],
)
def test_what_is_not_clear_is_refused_with_the_reason(text: str, why: str) -> None:
    phrase = parse(text)
    assert phrase.commands == ()
    assert why in phrase.problem
    assert '"left 2 cm"' in phrase.problem  # and what would be understood


@given(before=st.text(max_size=50), after=st.text(max_size=50), word=st.sampled_from(["stop", "STOP", "Stopp", "halt"]))
@example(before="do not", after="", word="stop")
@example(before="left 2 cm,", after="and open", word="stop!!!")
def test_stop_is_understood_in_any_sentence(before: str, after: str, word: str) -> None:
    assert parse(f"{before} {word} {after}").commands[0] == Stop()


@pytest.mark.parametrize("text", ["emergency stop", "E-STOP", "estop!", "this is an emergency"])
def test_an_emergency_is_an_e_stop(text: str) -> None:
    assert parse(text).commands == (Stop(), Signal(EventKind.ESTOP))


@given(st.text(max_size=500))
def test_any_text_gives_commands_or_a_problem(text: str) -> None:
    phrase = parse(text)
    assert bool(phrase.commands) is not bool(phrase.problem)


DIRECTIONS = ["left", "right", "up", "down", "clockwise"]
NUMBERS = ["a", "2", "3.5", "ten", "half", "cm", "degrees"]
OTHERS = ["bit", "to", "the", "turn", "and", "then", "again", "open", "not", ",", "more"]


@given(st.lists(st.sampled_from(DIRECTIONS + NUMBERS + OTHERS), max_size=12).map(" ".join))
def test_any_heap_of_known_words_gives_sane_commands(text: str) -> None:
    phrase = parse(text)
    assert bool(phrase.commands) is not bool(phrase.problem)
    if "not" in text.split():
        assert phrase.problem
    for command in phrase.commands:
        if isinstance(command, Move):
            assert math.hypot(*command.axis) == 1
            assert isinstance(command.amount, Size) or 0 < command.amount < math.inf


@given(
    way=st.sampled_from(sorted(WAYS)),
    number=st.floats(0.001, 1000).map(lambda value: round(value, 3)),
    unit=st.sampled_from([("mm", 0.001), ("cm", 0.01), ("metres", 1.0), ("inches", 0.0254)]),
    number_first=st.booleans(),
    comma=st.booleans(),
)
def test_a_distance_is_taken_as_said(
    way: str, number: float, unit: tuple[str, float], number_first: bool, comma: bool
) -> None:
    name, metres = unit
    amount = f"{number:.3f} {name}"
    if comma:
        amount = amount.replace(".", ",")
    text = f"{amount} {way}" if number_first else f"{way} {amount}"
    assert parse(text) == Phrase((Move(WAYS[way], amount=pytest.approx(number * metres)),))
