"""Devices by the names that `--teleop` gives them, and those of the console's page."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robot_hil.clock import Clock
from robot_hil.data.operator_input import Keys, Pad, XrEvent, XrFrame
from robot_hil.errors import ConfigError, UnknownNameError
from robot_hil.protocols import TeleopDevice

if TYPE_CHECKING:
    import gymnasium

    from robot_hil.data.robot import ActionScale, ToolState
    from robot_hil.teleop.deflection import DeflectionConfig

LEADER_FILE = "leader.toml"
_SQUEEZE_S = 0.5  # a leader arm has no button but its trigger
SendHaptic = Callable[[str, str, float, float], object]


PAGE_INPUT: dict[str, tuple[type, ...]] = {
    "keyboard": (Keys,), "browser gamepad": (Pad,), "webxr": (XrFrame, XrEvent), "words": (Keys, Pad, XrFrame)
}  # fmt: skip
"""Messages that each device of the page reads. They tell `words` that its page lives; sentences come another way."""


@dataclass(frozen=True, slots=True)
class _Place:
    """What a device must know of the robot, and of where the operator stands."""

    env: "gymnasium.Env[Any, Any]"
    scale: "ActionScale"
    tool: "Callable[[], ToolState]"
    clock: Clock
    facing: float

    def deflection(self, usual: "DeflectionConfig") -> "DeflectionConfig":
        """Return `usual` for an operator who stands here."""
        from robot_hil.teleop.deflection import turned

        return replace(usual, rotation=turned(self.facing))


def place_of(env: "gymnasium.Env[Any, Any]", clock: Clock, facing: float) -> _Place:
    """Return the operator's place at the robot in `env`; raises `SpecError` where there is no tool to drive."""
    from robot_hil.envs.base import scale_of, tool_of

    return _Place(env, scale_of(env), tool_of(env), clock, facing)


def make_devices(
    names: Sequence[str], env: "gymnasium.Env[Any, Any]", clock: Clock, facing: float = 0.0
) -> list[TeleopDevice]:
    """Return the devices called `names`, `KIND` or `KIND:WHERE`, for the robot in `env`; `console` is left out.

    `facing` is the direction away from the operator, about the base's z axis [rad]. Raises `UnknownNameError` with the
    kinds there are, and what a device says when it cannot be made.
    """
    if len(set(names)) != len(names):
        raise ConfigError(f"--teleop names a device twice: {names}. Give each its path, e.g. spacemouse:PATH.")
    pairs = [(kind, where) for kind, _, where in (name.partition(":") for name in names) if kind != "console"]
    for kind, _ in pairs:
        if kind not in KINDS:
            raise UnknownNameError("device", kind, [*KINDS, "console"])
    if not pairs:
        return []
    place = place_of(env, clock, facing)
    return [KINDS[kind](place, where) for kind, where in pairs]


def page_devices(
    env: "gymnasium.Env[Any, Any]", clock: Clock, send_haptic: SendHaptic, facing: float = 0.0
) -> list[Any]:
    """Return what a person can drive with from the console's page: keyboard, gamepad, VR controllers, words."""
    from robot_hil.teleop.browser import AT_ONCE
    from robot_hil.teleop.browser_gamepad import BrowserGamepad, BrowserGamepadConfig
    from robot_hil.teleop.deflection import turned
    from robot_hil.teleop.keyboard import Keyboard, KeyboardConfig
    from robot_hil.teleop.motions import WordsConfig
    from robot_hil.teleop.webxr.config import WebXRConfig
    from robot_hil.teleop.webxr.device import WebXR
    from robot_hil.teleop.words import Words

    at = place_of(env, clock, facing)
    return [
        Keyboard(at.scale, at.tool, clock, KeyboardConfig(deflection=at.deflection(AT_ONCE))),
        BrowserGamepad(at.scale, at.tool, clock, BrowserGamepadConfig(deflection=at.deflection(AT_ONCE))),
        WebXR(at.scale, at.tool, clock, config=WebXRConfig(facing=facing), send_haptic=send_haptic),
        Words(at.scale, at.tool, clock, WordsConfig(rotation=turned(facing))),
    ]


def _spacemouse(place: _Place, where: str) -> TeleopDevice:
    from robot_hil.teleop.deflection import DeflectionConfig
    from robot_hil.teleop.spacemouse import SpaceMouse, SpaceMouseConfig

    name = f"spacemouse:{where}" if where else "spacemouse"
    config = SpaceMouseConfig(name=name, path=where, deflection=place.deflection(DeflectionConfig()))
    return SpaceMouse(place.scale, place.tool, place.clock, config=config)


def _gamepad(place: _Place, where: str) -> TeleopDevice:
    from robot_hil.teleop.gamepad import WITH_DEAD_MAN, Gamepad, GamepadConfig

    config = GamepadConfig(choose=where, deflection=place.deflection(WITH_DEAD_MAN))
    return Gamepad(place.scale, place.tool, place.clock, config)


def _leader(place: _Place, where: str) -> TeleopDevice:
    from robot_hil.envs.base import forward_of
    from robot_hil.teleop.leader.bus import DynamixelBus
    from robot_hil.teleop.leader.calibration import Calibration
    from robot_hil.teleop.leader.device import LeaderArm, LeaderConfig

    port, _, file = where.partition(",")
    if not port:
        raise ConfigError("a leader arm needs its port: --teleop leader:/dev/ttyUSB0 or leader:PORT,CALIBRATION.toml.")
    config = LeaderConfig(calibration=Calibration.load(Path(file or LEADER_FILE)), squeeze_s=_SQUEEZE_S)
    bus = DynamixelBus(port, ids=config.calibration.ids)
    return LeaderArm(place.scale, place.tool, place.clock, bus, config, forward_of(place.env))


KINDS: dict[str, Callable[[_Place, str], TeleopDevice]] = {
    "spacemouse": _spacemouse,
    "gamepad": _gamepad,
    "leader": _leader,
}
