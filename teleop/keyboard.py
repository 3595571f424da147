"""The keyboard of whoever has the console open: full deflection while a key is down, nothing once it is up."""

from collections.abc import Callable
from dataclasses import dataclass

from robot_hil.clock import Clock
from robot_hil.data.operator_input import Keys
from robot_hil.data.robot import ActionScale, ToolState
from robot_hil.teleop.base import TWIST_AXES, Grip
from robot_hil.teleop.browser import AT_ONCE, PageConfig, PageDevice, Pull
from robot_hil.teleop.deflection import DeflectionConfig

MOTION = {
    "KeyW": ("x", 1.0), "KeyS": ("x", -1.0), "KeyA": ("y", 1.0), "KeyD": ("y", -1.0),
    "KeyE": ("z", 1.0), "KeyQ": ("z", -1.0),
    "ArrowUp": ("x", 1.0), "ArrowDown": ("x", -1.0), "ArrowLeft": ("y", 1.0), "ArrowRight": ("y", -1.0),
    "PageUp": ("z", 1.0), "PageDown": ("z", -1.0),
    "KeyU": ("rx", -1.0), "KeyO": ("rx", 1.0), "KeyI": ("ry", 1.0), "KeyK": ("ry", -1.0),
    "KeyJ": ("rz", 1.0), "KeyL": ("rz", -1.0),
}  # fmt: skip
"""Axis in the operator's frame (x away, y left, z up) and direction of each key, by its place on the board."""
GRIPPER = ("KeyC", "KeyV", "KeyG")
"""Close, open, and whichever of the two it does not do now."""
BACK = "KeyB"
"""Held down: back the way the robot came."""
FINE = ("ShiftLeft", "ShiftRight")
SPEEDS = {"Digit1": 0.25, "Digit2": 0.5, "Digit3": 0.75, "Digit4": 1.0}
"""The page keeps the digit of the speed that the operator chose among the keys that are down."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyboardConfig(PageConfig):
    """`deflection.tail_s` is 0: whoever lifts the finger has let go."""

    deflection: DeflectionConfig = AT_ONCE
    fine: float = 0.25
    """Share of the speed while Shift is down."""


class Keyboard(PageDevice[Keys]):
    """Drives while a key of motion is down, also when two of them cancel out; a tap gives one control period.

    While B is down the robot goes back the way it came, whatever else is.

    Keys of axes that the task does not have do nothing.
    """

    kind = "keyboard"
    absent = "no pilot is at the console: open it and click into the page"
    accepts = Keys

    def __init__(
        self,
        scale: ActionScale,
        tool: Callable[[], ToolState],
        clock: Clock,
        config: KeyboardConfig | None = None,
        name: str = "keyboard",
    ) -> None:
        self._settings = config or KeyboardConfig()
        self._motion = {key: pull for key, pull in MOTION.items() if pull[0] in scale.axes}
        self._gripper = GRIPPER if "gripper" in scale.axes else ()
        self._forget()
        super().__init__(scale, tool, clock, self._settings, name)

    def _forget(self) -> None:
        self._keys: frozenset[str] = frozenset()
        self._stale: frozenset[str] = frozenset()
        self._tapped: set[str] = set()
        self._presses: list[str] = []
        self._speed = 1.0

    def _laid_aside(self, body: Keys) -> str:
        return "" if body.armed else "laid aside: click into the console to drive with the keyboard"

    def _read(self, body: Keys, *, stale: bool, late: bool) -> None:
        down = frozenset(body.down) & (self._motion.keys() | {*self._gripper, BACK})
        self._stale = down if stale else self._stale & down
        keys = down - self._stale
        if not late:
            pressed = keys - self._keys
            self._tapped |= pressed & self._motion.keys()
            self._presses += [key for key in body.down if key in pressed and key in self._gripper]
        self._keys = keys
        fine = self._settings.fine if any(key in FINE for key in body.down) else 1.0
        self._speed = fine * min((SPEEDS[key] for key in body.down if key in SPEEDS), default=1.0)

    def _down(self) -> bool:
        return bool(self._keys or self._stale)

    def _holding(self) -> bool:
        return BACK in self._keys or not self._keys.isdisjoint(self._motion)

    def _pull(self) -> Pull:
        raw = dict.fromkeys(TWIST_AXES, 0.0)
        moving = (self._keys & self._motion.keys()) | self._tapped
        for axis, sign in {self._motion[key] for key in moving}:
            raw[axis] += sign * self._speed
        back = BACK in self._keys
        pressed = None if back else self._press()
        self._tapped, self._presses = set(), []
        return Pull(tuple(raw.values()), pressed, held=bool(moving), rewind=back)

    def _press(self) -> Grip | None:
        """Return what the gripper keys pressed since the last period come to; None for none."""
        command: Grip | None = None
        for key in self._presses:
            if key == "KeyC":
                command = Grip.CLOSE
            elif key == "KeyV":
                command = Grip.OPEN
            else:
                command = Grip.OPEN if (command or self._gripper_does()) is Grip.CLOSE else Grip.CLOSE
        return command

    def _gripper_does(self) -> Grip:
        """Return what the gripper was told last: by this device while it drives, else by the width it is told."""
        if self._engaged and self._deflection.grip.command is not Grip.KEEP:
            return self._deflection.grip.command
        closed, opened = self._scale.gripper_range
        return Grip.CLOSE if self._tool().gripper_width < (closed + opened) / 2 else Grip.OPEN
