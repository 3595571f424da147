"""Devices by the names that `--teleop` gives them, and those of the console's page."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robot_hil.clock import Clock
from robot_hil.data.operator_input import Keys, Pad, XrEvent, XrFrame
from robot_hil.errors import ConfigError, UnknownNameError
from robot_hil.protocols import TeleopDevice

if TYPE_CHECKING:
    import gymnasium

    from robot_hil.data.robot import ActionScale, ToolState

LEADER_FILE = "leader.toml"
_SQUEEZE_S = 0.5  # a leader arm has no button but its trigger
SendHaptic = Callable[[str, str, float, float], object]


PAGE_INPUT: dict[str, tuple[type, ...]] = {
    "keyboard": (Keys,), "browser gamepad": (Pad,), "webxr": (XrFrame, XrEvent), "words": (Keys, Pad, XrFrame)
}  # fmt: skip
"""Messages that each device of the page reads. They tell `words` that its page lives; sentences come another way."""


@dataclass(frozen=True, slots=True)
class _Robot:
    """What a device must know of the robot."""

    env: "gymnasium.Env[Any, Any]"
    scale: "ActionScale"
    tool: "Callable[[], ToolState]"
    clock: Clock


def make_devices(names: Sequence[str], env: "gymnasium.Env[Any, Any]", clock: Clock) -> list[TeleopDevice]:
    """Return the devices called `names`, `KIND` or `KIND:WHERE`, for the robot in `env`; `console` is left out.

    Raises `UnknownNameError` with the kinds there are, and what a device says when it cannot be made.
    """
    from robot_hil.envs.base import scale_of, tool_of

    if len(set(names)) != len(names):
        raise ConfigError(
            f"--teleop names a device twice: {' '.join(names)}. Give each its path, e.g. spacemouse:PATH."
        )
    pairs = [(kind, where) for kind, _, where in (name.partition(":") for name in names) if kind != "console"]
    for kind, _ in pairs:
        if kind not in KINDS:
            raise UnknownNameError("device", kind, [*KINDS, "console"])
    if not pairs:
        return []
    robot = _Robot(env, scale_of(env), tool_of(env), clock)
    return [KINDS[kind](robot, where) for kind, where in pairs]


def page_devices(env: "gymnasium.Env[Any, Any]", clock: Clock, send_haptic: SendHaptic) -> list[Any]:
    """Return what a person can drive with from the console's page: keyboard, gamepad, VR controllers, words."""
    from robot_hil.envs.base import scale_of, tool_of
    from robot_hil.teleop.browser_gamepad import BrowserGamepad
    from robot_hil.teleop.keyboard import Keyboard
    from robot_hil.teleop.webxr.device import WebXR
    from robot_hil.teleop.words import Words

    scale, tool = scale_of(env), tool_of(env)
    return [
        Keyboard(scale, tool, clock),
        BrowserGamepad(scale, tool, clock),
        WebXR(scale, tool, clock, send_haptic=send_haptic),
        Words(scale, tool, clock),
    ]


def _spacemouse(robot: _Robot, where: str) -> TeleopDevice:
    from robot_hil.teleop.spacemouse import SpaceMouse, SpaceMouseConfig

    name = f"spacemouse:{where}" if where else "spacemouse"
    return SpaceMouse(robot.scale, robot.tool, robot.clock, config=SpaceMouseConfig(name=name, path=where))


def _gamepad(robot: _Robot, where: str) -> TeleopDevice:
    from robot_hil.teleop.gamepad import Gamepad, GamepadConfig

    return Gamepad(robot.scale, robot.tool, robot.clock, GamepadConfig(choose=where))


def _leader(robot: _Robot, where: str) -> TeleopDevice:
    from robot_hil.envs.base import forward_of
    from robot_hil.teleop.leader.bus import DynamixelBus
    from robot_hil.teleop.leader.calibration import Calibration
    from robot_hil.teleop.leader.device import LeaderArm, LeaderConfig

    port, _, file = where.partition(",")
    if not port:
        raise ConfigError("a leader arm needs its port: --teleop leader:/dev/ttyUSB0 or leader:PORT,CALIBRATION.toml.")
    config = LeaderConfig(calibration=Calibration.load(Path(file or LEADER_FILE)), squeeze_s=_SQUEEZE_S)
    bus = DynamixelBus(port, ids=config.calibration.ids)
    return LeaderArm(robot.scale, robot.tool, robot.clock, bus, config, forward_of(robot.env))


KINDS: dict[str, Callable[[_Robot, str], TeleopDevice]] = {
    "spacemouse": _spacemouse,
    "gamepad": _gamepad,
    "leader": _leader,
}
