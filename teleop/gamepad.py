"""A gamepad at the robot's computer, in the layout that SDL knows for its model."""

import math
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from robot_hil.clock import Clock
from robot_hil.data.robot import ActionScale, ToolState
from robot_hil.data.teleop import DeviceInfo, EventKind, SampleStatus, TeleopEvent, TeleopSample
from robot_hil.errors import ConfigError, UnknownNameError
from robot_hil.teleop.base import Grip, Mailbox, RateMeter
from robot_hil.teleop.deflection import Deflection, DeflectionConfig
from robot_hil.teleop.gamepad_sdl import BUTTONS, HUB, OpenPad, PadInfo, find_gamepads

__all__ = ["Gamepad", "GamepadConfig", "PadInfo", "find_gamepads"]

WITH_DEAD_MAN = DeflectionConfig(enter=0.01, leave=0.0, tail_s=0.1)
"""The dead-man's button says who drives, and the pad has a dead-zone of its own: no second one.

The tail covers the moment in which a pad that is being unplugged looks as if it were let go.
"""
EVENTS = {
    "a": EventKind.SUCCESS,
    "b": EventKind.FAIL,
    "y": EventKind.FALSE_POSITIVE,
    "x": EventKind.RESET,
    "back": EventKind.PAUSE,
    "start": EventKind.RESUME,
    "guide": EventKind.ESTOP,
}
"""What buttons say, also while nobody drives. Both sticks pressed in is an e-stop, too."""
ESTOP_CHORD = ("leftstick", "rightstick")
WAKING_S = 0.3
"""A pad may report what was held all the while only some time after it was plugged in: no press counts before [s]."""
PULLED, LET_GO = 0.5, 0.3
"""A trigger beyond the one opens or closes the gripper once, until it went back below the other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GamepadConfig:
    """Which pad, and how its sticks become commands."""

    choose: int | str = ""
    """Index as `find_gamepads` lists it, GUID, or part of the name; empty takes the first one, now or when it comes."""
    dead_man: str = "rightshoulder"
    """Nothing moves unless this button is held."""
    slow_button: str = "leftshoulder"
    slow: float = 0.3
    """Share of the speed while the slow button is held."""
    dead_zone: float = 0.12
    """Share of a stick's way in which it does nothing; beyond it the command begins at 0."""
    buttons: Mapping[str, EventKind] = field(default_factory=lambda: dict(EVENTS))
    deflection: DeflectionConfig = WITH_DEAD_MAN
    stale_s: float = 0.1
    """A pad whose reader was silent for longer is lost [s]."""

    def __post_init__(self) -> None:
        for name in (self.dead_man, self.slow_button, *self.buttons):
            if name not in BUTTONS:
                raise UnknownNameError("gamepad button", name, BUTTONS)
        if twice := {self.dead_man, self.slow_button} & set(self.buttons):
            raise ConfigError(f"{sorted(twice)} holds and says something at once: give each button one meaning.")
        if not 0 <= self.dead_zone < 1 or not 0 < self.slow <= 1 or not self.stale_s > 0:
            raise ConfigError(
                f"dead_zone {self.dead_zone}, slow {self.slow}, stale_s {self.stale_s}: needed are "
                "0 <= dead_zone < 1, 0 < slow <= 1, stale_s > 0."
            )


@dataclass(frozen=True, slots=True)
class _Reading:
    """What the reader saw last."""

    t: float = 0.0
    plugged: bool = False
    session: int = 0
    """How often a pad was plugged in."""
    raw: tuple[float, ...] = (0.0,) * 6
    held: bool = False
    press: int = 0
    """How often the dead-man was pressed."""


class Gamepad:
    """A `TeleopDevice` that drives while the dead-man's button is held, also with the sticks at rest.

    Left stick x and y, right stick up/down z and left/right turns about z, the cross tips and rolls; the right trigger
    closes the gripper, the left one opens it. After any loss, and when it is plugged in or started with the dead-man
    held, the dead-man must be released and pressed before anything moves.

    `start` raises `DependencyError` without pygame, and `ConfigError` when the pad that was asked for is not there;
    when none was asked for, the first one that is plugged in later serves. An unplugged pad comes back by itself, as
    does another of its model. `latest` belongs to one thread; the rest may be called by any.
    """

    kind = "gamepad"

    def __init__(
        self,
        scale: ActionScale,
        tool: Callable[[], ToolState],
        clock: Clock,
        config: GamepadConfig | None = None,
        name: str = "gamepad",
        operator: str = "",
    ) -> None:
        self.config = config or GamepadConfig()
        self._deflection = Deflection(scale, tool, self.config.deflection)
        self._clock, self._name, self._operator = clock, name, operator
        self._box = Mailbox(_Reading())
        self._grips: deque[Grip] = deque(maxlen=16)
        self._meter = RateMeter()
        self._rumble: tuple[float, float] | None = None
        self._model: PadInfo | None = None
        self._pulled = [False, False]
        self._chord = False
        self._awake = 0.0
        self._started = False
        self._engaged = False
        self._session = self._void = 0  # the session that `latest` knows, and the press that does not count

    # -- TeleopDevice ----------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        return self._name

    def start(self) -> None:
        if self._started:
            return
        present = HUB.join(self)
        if self.config.choose != "" and not self._box.value.plugged:
            HUB.leave(self)
            raise ConfigError(_not_there(self.config.choose, present))
        reading = self._box.value
        self._session, self._void = reading.session, reading.press
        self._started = True

    def stop(self) -> None:
        self._started = False
        HUB.leave(self)
        self._let_go(self._box.value)
        self._box.value = _Reading(t=self._box.value.t, session=self._box.value.session, press=self._box.value.press)
        self._model = None

    def drain_events(self) -> list[TeleopEvent]:
        return self._box.drain()

    def latest(self) -> TeleopSample:
        now, reading = self._clock.now(), self._box.value
        status, problem = self._status(reading, now)
        if status is SampleStatus.OK and reading.session != self._session:
            # Gone and back between two looks: a loss is told at least once.
            status, problem = SampleStatus.DISCONNECTED, f"{self._name} was unplugged for a moment"
            self._session = reading.session
        if status is not SampleStatus.OK:
            self._let_go(reading)
            return self._without_command(status, reading.t, problem)
        held = reading.held and reading.press != self._void
        pressed = [self._grips.popleft() for _ in range(len(self._grips))]
        if not held:
            self._deflection.reset()  # the gripper, too, stops driving
            pressed.clear()
        raw = reading.raw if held else (0.0,) * 6
        self._engaged = held
        return self._deflection.sample(
            reading.t,
            now,
            raw,
            device=self._name,
            operator=self._operator,
            pressed=pressed[-1] if pressed else None,
            held=held,
        )

    def info(self) -> DeviceInfo:
        now, reading = self._clock.now(), self._box.value
        status, problem = self._status(reading, now)
        return DeviceInfo(
            name=self._name,
            kind=self.kind,
            status=status,
            age_s=now - reading.t if reading.session else math.inf,
            rate_hz=self._meter.rate(now),
            engaged=self._engaged and status is SampleStatus.OK,
            operator=self._operator,
            problem=problem,
        )

    def pulse(self, hand: str, strength: float, seconds: float) -> None:
        """Vibrate both sides, soon; `hand` makes no difference, a pad is held with both."""
        self._rumble = (min(max(strength, 0.0), 1.0), min(max(seconds, 0.0), 5.0))

    def _status(self, reading: _Reading, now: float) -> tuple[SampleStatus, str]:
        if not self._started:
            return SampleStatus.DISCONNECTED, f"{self._name} is not started"
        if not reading.plugged:
            return SampleStatus.DISCONNECTED, f"{self._name} is not plugged in, asleep, or no access to /dev/input"
        if not now - reading.t <= self.config.stale_s:
            return SampleStatus.LOST, f"nothing was heard of {self._name} for {now - reading.t:.2f} s"
        return SampleStatus.OK, ""

    def _without_command(self, status: SampleStatus, t: float, problem: str) -> TeleopSample:
        tail_s = self.config.deflection.tail_s
        return TeleopSample(
            status=status, t=t, device=self._name, operator=self._operator, tail_s=tail_s, problem=problem
        )

    def _let_go(self, reading: _Reading) -> None:
        """Forget what is held: only a press of the dead-man after this one counts."""
        self._void, self._engaged = reading.press, False
        self._deflection.reset()
        self._grips.clear()

    # -- the reader's thread ---------------------------------------------------------------------------------------

    def wants(self, info: PadInfo) -> bool:
        """Return whether to read this pad."""
        if self._model is not None:  # after it was unplugged
            return (info.guid, info.name) == (self._model.guid, self._model.name)
        return _chosen(self.config.choose, info)

    def plugged(self, pad: OpenPad) -> None:
        """Begin to read `pad`."""
        self._model = pad.info
        self._chord = False
        self._pulled = [True, True]  # a trigger that is held now must go back first
        old, now = self._box.value, self._clock.now()
        self._awake = now + WAKING_S
        self._box.value = _Reading(t=now, plugged=True, session=old.session + 1, press=old.press)

    def unplugged(self) -> None:
        """Note that the pad is gone. SDL has centred its sticks before: that was not the person."""
        old = self._box.value
        self._box.value = _Reading(t=old.t, session=old.session, press=old.press)

    def pressed(self, button: str) -> None:
        """Take an edge."""
        now, reading = self._clock.now(), self._box.value
        self._meter.count(now)
        if button == self.config.dead_man:
            press = reading.press + (now >= self._awake)
            self._box.value = _Reading(reading.t, True, reading.session, reading.raw, True, press)
        elif button in self.config.buttons:
            self._box.post(TeleopEvent(kind=self.config.buttons[button], t=now, source=self._name))

    def beat(self, pad: OpenPad | None) -> None:
        """Read sticks, triggers and held buttons; the time of this is the sign of life."""
        if pad is None:
            return
        old, config, axes = self._box.value, self.config, pad.axes()
        for i, command in enumerate((Grip.OPEN, Grip.CLOSE)):
            pull = axes[4 + i]
            if pull > PULLED and not self._pulled[i]:
                self._grips.append(command)
            self._pulled[i] = pull > (LET_GO if self._pulled[i] else PULLED)
        share = config.slow if pad.down(config.slow_button) else 1.0
        raw = tuple(share * value for value in self._sticks(pad, axes))
        now = self._clock.now()
        self._box.value = _Reading(now, True, old.session, raw, pad.down(config.dead_man), old.press)
        chord = all(pad.down(button) for button in ESTOP_CHORD)
        if chord and not self._chord:
            self._box.post(TeleopEvent(kind=EventKind.ESTOP, t=now, source=self._name))
        self._chord = chord
        wish, self._rumble = self._rumble, None
        if wish is not None:
            pad.rumble(*wish)

    def _sticks(self, pad: OpenPad, axes: tuple[float, ...]) -> tuple[float, ...]:
        """Return deflections x, y, z, rx, ry, rz in the operator's frame: x away, y left, z up."""
        left_x, left_y, right_x, right_y = (self._beyond(value) for value in axes[:4])
        roll = float(pad.down("dpright")) - float(pad.down("dpleft"))
        tip = float(pad.down("dpup")) - float(pad.down("dpdown"))
        return (-left_y, -left_x, -right_y, roll, tip, -right_x)

    def _beyond(self, value: float) -> float:
        """Return the deflection beyond the dead-zone, in [-1, 1]."""
        dead = self.config.dead_zone
        return math.copysign(max(0.0, abs(value) - dead) / (1.0 - dead), value)


def _chosen(choose: int | str, info: PadInfo) -> bool:
    if isinstance(choose, int):
        return info.index == choose
    return choose.lower() in (info.guid.lower(), "") or choose.lower() in info.name.lower()


def _not_there(choose: int | str, present: list[PadInfo]) -> str:
    if not present:
        return (
            f"gamepad {choose!r} is not there, nor any other: plug it in, wake it up; "
            "on Linux the user needs read access to /dev/input/event*."
        )
    return f"gamepad {choose!r} is not there, taken, or unknown to SDL. Choose one of: {'; '.join(map(str, present))}."
