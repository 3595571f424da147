"""What a short sentence asks of the robot: `parse` knows words only, no robot, no sizes, no time.

Strict on purpose: one word that is not known and the whole sentence is refused, for "do not go left" must not go left.
The exception is `stop`, which is understood inside any sentence.
"""

import math
import re
import unicodedata
from dataclasses import dataclass, field
from enum import Enum

from robot_hil.data.teleop import EventKind
from robot_hil.teleop.base import Grip

Vector = tuple[float, float, float]


class Size(Enum):
    """How far, where no number is given."""

    SMALL = "a bit"
    NORMAL = ""
    LARGE = "a lot"


@dataclass(frozen=True, slots=True)
class Move:
    """Go along, or turn about, `axis`: a unit vector in the operator's frame, x away, y left, z up."""

    axis: Vector
    turn: bool = False
    amount: float | Size = Size.NORMAL
    """[m] or [rad] along or about `axis`, above 0."""


@dataclass(frozen=True, slots=True)
class Gripper:
    """Open or close."""

    command: Grip


@dataclass(frozen=True, slots=True)
class Signal:
    """An edge, e.g. success."""

    kind: EventKind


@dataclass(frozen=True, slots=True)
class Pace:
    """Move at `factor` times the present speed."""

    factor: float


@dataclass(frozen=True, slots=True)
class Repeat:
    """Do the last movement again; with another amount when one is given."""

    amount: float | Size | None = None
    turn: bool = False
    """What unit `amount` is in, where it is a number."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Stand still at once and stay so."""


Command = Move | Gripper | Signal | Pace | Repeat | Stop


@dataclass(frozen=True, slots=True)
class Phrase:
    """What was understood: commands to carry out in this order, or else a problem in words."""

    commands: tuple[Command, ...] = ()
    problem: str = ""


HELP = (
    'Say for instance "left 2 cm", "down a bit", "forward three centimetres", "turn clockwise 10 degrees", "open", '
    '"close", "again", "slower", "pause", "resume", "success", "fail", "wrong", "reset", or "stop".'
)
_LEFT, _RIGHT, _UP, _DOWN = (0.0, 1.0, 0.0), (0.0, -1.0, 0.0), (0.0, 0.0, 1.0), (0.0, 0.0, -1.0)
_FORWARD, _BACK = (1.0, 0.0, 0.0), (-1.0, 0.0, 0.0)
_DIRECTIONS: dict[str, Vector] = (
    {"left": _LEFT, "leftwards": _LEFT, "right": _RIGHT, "rightwards": _RIGHT}
    | dict.fromkeys(("up", "upward", "upwards", "higher", "raise", "lift"), _UP)
    | dict.fromkeys(("down", "downward", "downwards", "lower"), _DOWN)
    | dict.fromkeys(("forward", "forwards", "ahead", "away"), _FORWARD)
    | dict.fromkeys(("back", "backward", "backwards", "closer"), _BACK)
)
# Right-hand rule. Left and right, clockwise or not, are meant as seen from above.
_TURNS: dict[str, dict[Vector, Vector]] = {
    "turn": {_LEFT: _UP, _RIGHT: _DOWN},
    "tilt": {_FORWARD: _LEFT, _BACK: _RIGHT, _LEFT: _BACK, _RIGHT: _FORWARD},
}
_TURN_WORDS = dict.fromkeys(("turn", "rotate", "twist"), "turn") | dict.fromkeys(("tilt", "lean"), "tilt")
_CLOCKWISE = {"clockwise": _DOWN, "counterclockwise": _UP, "anticlockwise": _UP}
_UNITS: dict[str, tuple[float, bool]] = (
    dict.fromkeys(("mm", "millimetre", "millimetres", "millimeter", "millimeters"), (0.001, False))
    | dict.fromkeys(("cm", "centimetre", "centimetres", "centimeter", "centimeters"), (0.01, False))
    | dict.fromkeys(("m", "metre", "metres", "meter", "meters"), (1.0, False))
    | dict.fromkeys(("inch", "inches"), (0.0254, False))
    | dict.fromkeys(("degree", "degrees", "deg"), (math.pi / 180.0, True))
)
_SIZES = dict.fromkeys(("bit", "little", "slightly", "tiny"), Size.SMALL) | dict.fromkeys(("lot", "far"), Size.LARGE)
_ONES = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
_TEENS = ["thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"]
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_NUMBERS = {word: float(i) for i, word in enumerate(_ONES + _TEENS, 1)}
_NUMBERS |= {word: 10.0 * i for i, word in enumerate(_TENS, 2)}
_ALONE: dict[str, Command] = {
    "open": Gripper(Grip.OPEN),
    "release": Gripper(Grip.OPEN),
    "close": Gripper(Grip.CLOSE),
    "grasp": Gripper(Grip.CLOSE),
    "grab": Gripper(Grip.CLOSE),
    "faster": Pace(1.5),
    "slower": Pace(1 / 1.5),
    "success": Signal(EventKind.SUCCESS),
    "succeeded": Signal(EventKind.SUCCESS),
    "fail": Signal(EventKind.FAIL),
    "failed": Signal(EventKind.FAIL),
    "failure": Signal(EventKind.FAIL),
    "wrong": Signal(EventKind.FALSE_POSITIVE),
    "reset": Signal(EventKind.RESET),
    "pause": Stop(),
    "resume": Signal(EventKind.RESUME),
    "continue": Signal(EventKind.RESUME),
}
_AGAIN = frozenset(("again", "repeat", "more", "further"))
_FILLER = re.compile(r"an?|please|move|go|bring|robot|arm|hand|tool|gripper|it|the|to|of|by|just|now|ok|okay|once")
_CLAUSE = re.compile(r"\band\b|\bthen\b|[,;!?:]|\.(?!\d)")
_TOKEN = re.compile(r"\d+\.\d+|\.\d+|\d+|[^\W\d_]+|\S")
_STOP = re.compile(r"\b(?:stop\w*|halt|freeze)\b")
_ESTOP = re.compile(r"\b(?:emergency|estop|e stop)\b")


def parse(text: str) -> Phrase:
    """Return what `text` asks for; never raises. Several commands are joined by `and`, `then` or a comma."""
    text = _plain(text)
    if _ESTOP.search(text):
        return Phrase((Stop(), Signal(EventKind.ESTOP)))
    if _STOP.search(text):
        return Phrase((Stop(),))
    commands: list[Command] = []
    for clause in _CLAUSE.split(text):
        words = _TOKEN.findall(clause)
        try:
            found = _Clause().read(words)
        except _NotUnderstoodError as problem:
            return Phrase(problem=f"{problem} {HELP}")
        if found is not None:
            commands.append(found)
    return Phrase(tuple(commands)) if commands else Phrase(problem=f"Nothing in that is a command. {HELP}")


class _NotUnderstoodError(Exception):
    pass


def _plain(text: str) -> str:
    """Return `text` in small letters and with one spelling for each of several."""
    text = unicodedata.normalize("NFKC", text).lower().replace("°", " degrees ")
    text = re.sub(r"(?<=\d),(?=\d)", ".", text)
    text = re.sub(r"(?<=[^\W\d_])-(?=[^\W\d_])", " ", text)
    for spelling, one in (
        (r"\b(counter|anti) clockwise\b", "counterclockwise"),
        (r"\band a half\b", "plushalf"),
        (r"\baway from me\b", "forward"),
        (r"\b(?:closer )?towards? me\b|\bcloser to me\b", "back"),
    ):
        text = re.sub(spelling, one, text)
    return text


@dataclass(slots=True)
class _Clause:
    """One clause, word by word."""

    alone: list[Command] = field(default_factory=list)
    axis: Vector | None = None
    about: Vector | None = None
    verb: str = ""
    size: Size | None = None
    amount: float | None = None
    in_degrees: bool = False
    again: bool = False
    number: float | None = None
    article: bool = False

    def read(self, words: list[str]) -> Command | None:
        """Return what the clause asks for, None when it says nothing."""
        for word in words:
            self._take(word)
            self.article = word in ("a", "an")
        if self.number is not None:
            raise _NotUnderstoodError(f"{self.number:g} of what? Give mm, cm, m, inches or degrees with a number.")
        return self._command()

    def _take(self, word: str) -> None:
        if word in _UNITS:
            self._unit(word)
        elif word[0].isdecimal() or word[0] == "." or word in _NUMBERS or word in ("half", "plushalf"):
            self._number(word)
        elif word in _DIRECTIONS:
            if self.axis is not None:
                raise _NotUnderstoodError('That names two directions; join them with "and".')
            self.axis = _DIRECTIONS[word]
        elif word in _CLOCKWISE:
            self.about = _CLOCKWISE[word]
        elif word in _TURN_WORDS:
            self.verb = _TURN_WORDS[word]
        elif word in _SIZES:
            self.size = _SIZES[word]
        elif word in _ALONE:
            self.alone.append(_ALONE[word])
        elif word in _AGAIN:
            self.again = True
        elif not _FILLER.fullmatch(word):
            raise _NotUnderstoodError(f'"{word[:30]}" is not understood.')

    def _number(self, word: str) -> None:
        if word in ("half", "plushalf"):
            if word == "half" and self.number is not None:
                raise _NotUnderstoodError("That number is not understood.")
            self.number = (self.number or 0.0) + 0.5
        elif word in _NUMBERS:
            value = _NUMBERS[word]
            if self.number is not None and not (self.number % 10 == 0 and self.number > 10 and value < 10):
                raise _NotUnderstoodError("That number is not understood.")
            self.number = (self.number or 0.0) + value
        elif self.number is not None:
            raise _NotUnderstoodError("That number is not understood.")
        else:
            self.number = float(word)

    def _unit(self, word: str) -> None:
        number = 1.0 if self.number is None and self.article else self.number
        if number is None or self.amount is not None:
            raise _NotUnderstoodError(f'How many? Give one number with "{word}".')
        scale, self.in_degrees = _UNITS[word]
        self.amount, self.number = number * scale, None
        if not 0 < self.amount < math.inf:
            raise _NotUnderstoodError("That is no distance: give a number above 0.")

    def _command(self) -> Command | None:
        turning = bool(self.verb) or self.about is not None
        moving = turning or self.axis is not None
        amount = self.amount if self.amount is not None else self.size
        if self.alone:
            if len(self.alone) > 1 or moving or self.again or amount is not None:
                raise _NotUnderstoodError('That is several things at once; join them with "and".')
            return self.alone[0]
        if self.amount is not None and moving and self.in_degrees is not turning:
            raise _NotUnderstoodError("Distances are in cm, turns in degrees.")
        if turning:
            return Move(self._turn_axis(), turn=True, amount=amount or Size.NORMAL)
        if self.axis is not None:
            return Move(self.axis, amount=amount or Size.NORMAL)
        if self.again:
            return Repeat(amount, self.in_degrees)
        if amount is not None:
            raise _NotUnderstoodError("In which direction?")
        return None

    def _turn_axis(self) -> Vector:
        if self.about is not None and (self.verb == "tilt" or self.axis is not None):
            raise _NotUnderstoodError("Clockwise does not go with that.")
        if self.about is not None:
            return self.about
        axes = _TURNS[self.verb]
        if self.axis not in axes:
            raise _NotUnderstoodError(
                'Turn which way? "turn" goes clockwise, counterclockwise, left or right; "tilt" goes forward, back, '
                "left or right."
            )
        return axes[self.axis]
