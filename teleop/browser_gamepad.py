"""A gamepad at the operator's computer, read by the console's page in the browser's standard mapping."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from robot_hil.clock import Clock
from robot_hil.data.operator_input import Pad
from robot_hil.data.robot import ActionScale, ToolState
from robot_hil.errors import ConfigError
from robot_hil.teleop.base import Grip
from robot_hil.teleop.browser import AT_ONCE, PageConfig, PageDevice, Pull
from robot_hil.teleop.deflection import DeflectionConfig

DEAD_MAN, SLOW = 5, 4
"""Right and left bumper."""
OPEN, CLOSE = 6, 7
"""Left and right trigger."""
UP, DOWN, LEFT, RIGHT = 12, 13, 14, 15
"""The cross."""
BACK = 10
"""The left stick pressed in."""
PRESSED = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class BrowserGamepadConfig(PageConfig):
    """The dead-man's button says who drives: `deflection` needs no tail and no dead-zone worth the name."""

    deflection: DeflectionConfig = AT_ONCE
    dead_zone: float = 0.12
    """Share of a stick's way in which it does nothing; beyond it the command begins at 0."""
    slow: float = 0.3
    """Share of the speed while the left bumper is down."""

    def __post_init__(self) -> None:
        PageConfig.__post_init__(self)  # slots: no bare super()
        if not 0 <= self.dead_zone < 1 or not 0 < self.slow <= 1:
            raise ConfigError(
                f"dead_zone {self.dead_zone}, slow {self.slow}: needed are 0 <= dead_zone < 1, 0 < slow <= 1."
            )


class BrowserGamepad(PageDevice[Pad]):
    """Drives while the right bumper is held, also with the sticks at rest; nothing moves without it.

    Left stick x and y, right stick up/down z and left/right turns about z, the cross tips and rolls; the right trigger
    closes the gripper, the left one opens it; with the left stick pressed in the robot goes back the way it came. The
    other buttons are the page's: it sends them as its own.
    """

    kind = "gamepad"
    absent = "none at the pilot's computer: plug one in and press a button on it"
    accepts = Pad

    def __init__(
        self,
        scale: ActionScale,
        tool: Callable[[], ToolState],
        clock: Clock,
        config: BrowserGamepadConfig | None = None,
        name: str = "browser gamepad",
    ) -> None:
        self._settings = config or BrowserGamepadConfig()
        self._forget()
        super().__init__(scale, tool, clock, self._settings, name)

    def _forget(self) -> None:
        self._raw: tuple[float, ...] = (0.0,) * 6
        self._held = self._stale = self._slow = self._back = False
        self._triggers = (False, False)
        self._pressed: Grip | None = None

    def _laid_aside(self, body: Pad) -> str:
        return ""

    def _torn_away(self, body: Pad) -> str:
        return "" if body.connected else f"{self._name} is unplugged or asleep: plug it in and press a button"

    def _read(self, body: Pad, *, stale: bool, late: bool) -> None:
        held = _value(body.buttons, DEAD_MAN) > PRESSED
        self._stale = held and (stale or self._stale)
        self._held = held and not self._stale
        triggers = (_value(body.buttons, OPEN) > PRESSED, _value(body.buttons, CLOSE) > PRESSED)
        if self._held and not late:
            for command, now, before in zip((Grip.OPEN, Grip.CLOSE), triggers, self._triggers, strict=True):
                if now and not before:
                    self._pressed = command
        self._triggers = triggers
        self._raw = self._sticks(body)
        self._slow = _value(body.buttons, SLOW) > PRESSED
        self._back = _value(body.buttons, BACK) > PRESSED

    def _sticks(self, body: Pad) -> tuple[float, ...]:
        """Return deflections x, y, z, rx, ry, rz in the operator's frame; what a pad does not have is 0."""
        left_x, left_y, right_x, right_y = (self._beyond(_value(body.axes, i)) for i in range(4))
        roll = _value(body.buttons, RIGHT) - _value(body.buttons, LEFT)
        tip = _value(body.buttons, UP) - _value(body.buttons, DOWN)
        return (-left_y, -left_x, -right_y, roll, tip, -right_x)

    def _beyond(self, value: float) -> float:
        """Return the deflection beyond the dead-zone, in [-1, 1]."""
        dead = self._settings.dead_zone
        return math.copysign(max(0.0, abs(value) - dead) / (1.0 - dead), value)

    def _down(self) -> bool:
        return self._held or self._stale

    def _holding(self) -> bool:
        return self._held

    def _pull(self) -> Pull:
        if not self._held:
            self._deflection.reset()  # the gripper, too, stops driving
            self._pressed = None
            return Pull((0.0,) * 6)
        pressed, self._pressed = self._pressed, None
        share = self._settings.slow if self._slow else 1.0
        return Pull(tuple(share * value for value in self._raw), pressed, held=True, rewind=self._back)


def _value(values: Sequence[float], index: int) -> float:
    return values[index] if index < len(values) else 0.0
