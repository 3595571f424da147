"""`robot-hil doctor`: look at everything a run needs, say what is wrong and how to mend it; measure a device."""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from robot_hil.cli.checks.base import Check, Finding, Verdict, run_check
from robot_hil.errors import ConfigError, RobotHilError, UnknownNameError

if TYPE_CHECKING:
    from robot_hil.clock import Clock
    from robot_hil.data.robot import ActionScale, ToolState
    from robot_hil.protocols import TeleopDevice
    from robot_hil.teleop.spacemouse_hid import Hid

KINDS = ("spacemouse", "gamepad", "leader", "camera", "console")
_STYLES = {Verdict.PASS: "green", Verdict.WARN: "yellow", Verdict.FAIL: "bold red", Verdict.ABSENT: "dim"}
_PLAIN_WIDTH = 200
Say = Callable[[str], object]


@dataclass(frozen=True, kw_only=True)
class Doctor:
    """Look at this computer and what is plugged in, and say what is wrong and how to mend it."""

    device: str = ""
    """Measure a device instead: spacemouse, gamepad, leader, camera or console (a page in a browser or headset);
    KIND:WHERE chooses one, e.g. spacemouse:/dev/hidraw3, leader:/dev/ttyUSB0, camera:2."""
    seconds: float = 10.0
    """How long to measure."""
    json: bool = False
    """Print findings as JSON."""
    keys: Path = Path("robot_hil.keys")
    """Key file to look at."""
    out: Path = Path()
    """Folder in which runs will be written."""
    console_host: str = "127.0.0.1"
    """Interface of the console that is measured; a headset on Wi-Fi needs another than this machine's own."""
    console_port: int = 8443
    """Port of that console."""
    ids: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 7)
    """Servos of a leader arm."""
    baudrate: int = 1_000_000
    """Of their bus."""


def doctor(argv: Sequence[str]) -> int:
    """Run the checks and print what they found; return 1 when something that is needed does not work, else 0."""
    import tyro

    asked = tyro.cli(Doctor, args=list(argv), prog="robot-hil doctor")
    if not 0.5 <= asked.seconds <= 3600:
        raise ConfigError(f"--seconds is {asked.seconds:g}; give 0.5 to 3600.")
    findings = measure(asked, _tell) if asked.device else look(asked)
    if asked.json:
        print(json.dumps([asdict(one) | {"verdict": one.verdict.value} for one in findings], indent=1))
    else:
        show(findings)
    return int(any(one.verdict is Verdict.FAIL for one in findings))


def look(asked: Doctor) -> list[Finding]:
    """Return the findings of all checks; none of them opens a camera, moves anything or writes a file."""
    from robot_hil.cli.checks import devices, machine, network, software

    groups: dict[str, Sequence[Check]] = {
        software.GROUP: (software.python, software.needed_packages, software.extras),
        machine.GROUP: (
            machine.simulated_pictures,
            machine.gpu,
            machine.real_time,
            machine.punctuality,
            lambda: machine.disk(asked.out),
        ),
        devices.GROUP: (devices.spacemice, devices.gamepads, devices.serial_ports, devices.cameras),
        network.GROUP: (
            network.ports,
            lambda: network.keys(asked.keys),
            network.certificate,
            network.headset_cable,
        ),
    }
    return [finding for group, checks in groups.items() for check in checks for finding in run_check(group, check)]


# -- measuring ---------------------------------------------------------------------------------------------------------


def measure(asked: Doctor, say: Say) -> list[Finding]:
    """Return what measuring `asked.device` gave, failures included; raises `UnknownNameError`."""
    from robot_hil.cli.checks import measure as measuring
    from robot_hil.clock import MonotonicClock

    kind, _, where = asked.device.partition(":")
    if kind not in KINDS:
        raise UnknownNameError("device", kind, KINDS)
    clock = MonotonicClock()
    try:
        if kind == "spacemouse":
            return list(spacemouse(where, clock, asked.seconds, say))
        if kind == "camera":
            return list(_cameras(where, clock, asked.seconds, say))
        if kind == "console":
            from robot_hil.cli.checks.page import page

            return list(page(asked.console_host, asked.console_port, clock, asked.seconds, say))
        if kind == "leader":
            return list(_leader(asked, where, clock, say))
        return list(_gamepad(where, clock, asked.seconds, say))
    except (RobotHilError, OSError) as error:
        text = str(error)
        return [Finding(group=measuring.GROUP, name=kind, verdict=Verdict.FAIL, text=text, fix="robot-hil doctor")]


def spacemouse(where: str, clock: "Clock", seconds: float, say: Say, hid: "Hid | None" = None) -> Iterator[Finding]:
    """Listen to the puck alone, at rest and moved, then to the device that drives with it."""
    from robot_hil.cli.checks import puck as pucks
    from robot_hil.teleop.spacemouse import SpaceMouse, SpaceMouseConfig
    from robot_hil.teleop.spacemouse_hid import load_hid
    from robot_hil.teleop.spacemouse_puck import Source

    hid = hid or load_hid()
    puck = Source(hid, where, None, "ros").open()
    try:
        say(f"Take your hand off {puck.model} for {0.3 * seconds:.1f} s.")
        rest = pucks.listen(puck, clock, 0.3 * seconds)
        say(f"Now push, turn and hold it deflected, for {0.4 * seconds:.1f} s.")
        moved = pucks.listen(puck, clock, 0.4 * seconds)
    finally:
        puck.close()
    yield from pucks.judge_rest(rest)
    yield from pucks.judge_moved(moved)
    scale, tool = _nothing_to_drive()
    device = SpaceMouse(scale, tool, clock, config=SpaceMouseConfig(path=where), hid=hid)
    say(f"Let go of it, then move it as you like, for {0.3 * seconds:.1f} s.")
    yield from _watched("spacemouse", device, clock, 0.3 * seconds)


def _gamepad(where: str, clock: "Clock", seconds: float, say: Say) -> Iterator[Finding]:
    """Watch a gamepad."""
    from robot_hil.teleop.gamepad import Gamepad, GamepadConfig

    scale, tool = _nothing_to_drive()
    say(f"Hold the right shoulder button of the gamepad and move its sticks, for {seconds:g} s.")
    yield from _watched("gamepad", Gamepad(scale, tool, clock, GamepadConfig(choose=where)), clock, seconds)


def _leader(asked: Doctor, where: str, clock: "Clock", say: Say) -> Iterator[Finding]:
    """Read the bus of a leader arm; its servos lose their torque."""
    from robot_hil.cli.checks.bus import bus
    from robot_hil.teleop.leader.bus import DynamixelBus

    if not where:
        raise ConfigError("say at which port the leader arm is: --device leader:/dev/ttyUSB0; ports: robot-hil doctor")
    say(f"Hold the leader arm: its motors are switched off now. Move it for {asked.seconds:g} s.")
    servos = DynamixelBus(where, asked.baudrate, asked.ids)
    servos.open()
    try:
        yield from bus(servos, clock, asked.seconds)
    finally:
        servos.close()


def _watched(kind: str, device: "TeleopDevice", clock: "Clock", seconds: float) -> Iterator[Finding]:
    """Watch a device with the times that its reader needs to begin left out."""
    from robot_hil.cli.checks import measure as measuring

    device.start()
    try:
        clock.sleep_until(clock.now() + 0.2)
        seen = measuring.watch(device, clock, seconds)
    finally:
        device.stop()
    yield from measuring.judge(kind, seen, measuring.LIMITS[kind])


def _cameras(where: str, clock: "Clock", seconds: float, say: Say) -> Iterator[Finding]:
    """Watch one camera after the other."""
    from robot_hil.cli.checks import devices
    from robot_hil.cli.checks.camera import camera

    names = [where] if where else [str(devices.camera_number(path)) for path in sorted(Path("/dev").glob("video*"))]
    if not names:
        raise ConfigError(
            "there is no camera at /dev/video*: plug one in, or give a file or address: --device camera:WHAT"
        )
    for name in names:
        say(f"Camera {name}, for {seconds:g} s.")
        yield from camera(int(name) if name.isdigit() else name, clock, seconds, name)


def _nothing_to_drive() -> "tuple[ActionScale, Callable[[], ToolState]]":
    """Return a robot of all axes that does not exist: a device can be asked, and nothing moves."""
    import numpy as np

    from robot_hil.data.robot import ActionScale, ToolState

    axes = ("x", "y", "z", "rx", "ry", "rz", "gripper")
    tool = ToolState(
        pos_base=np.zeros(3), quat_base=np.array([1.0, 0.0, 0.0, 0.0]), gripper_width=0.04, joint_pos=np.zeros(7)
    )
    return ActionScale(axes=axes, linear_m=0.01, angular_rad=0.05, gripper_m=0.01), lambda: tool


# -- what the person sees ----------------------------------------------------------------------------------------------


def show(findings: Sequence[Finding]) -> None:
    """Print a table, and below it what to do; without colours and lines when this is no terminal."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_PLAIN_WIDTH)
    table = Table(box=box.SIMPLE if console.is_terminal else None, show_header=False, pad_edge=False)
    for overflow in ("ignore", "ignore", "fold"):
        table.add_column(overflow=overflow)
    group = ""
    for one in findings:
        if one.group != group:
            group = one.group
            table.add_row("", Text(group.upper(), style="bold"), "")
        word = one.verdict.name if one.verdict is not Verdict.ABSENT else "-"
        table.add_row(Text(word, style=_STYLES[one.verdict]), one.name, Text(one.text))
    console.print(table)
    bad = [one for one in findings if one.verdict in (Verdict.FAIL, Verdict.WARN) and one.fix]
    wanted = [one for one in findings if one.verdict is Verdict.ABSENT and one.fix]
    for title, ones in (("WHAT TO DO", bad), ("IF YOU WANT THEM", wanted)):
        if ones:
            console.print(f"\n{title}", style="bold")
        for one in ones:
            console.print(Text(f"{one.name}: {one.fix}"), soft_wrap=True)  # commands are to be pasted whole
    failed = sum(one.verdict is Verdict.FAIL for one in findings)
    warned = sum(one.verdict is Verdict.WARN for one in findings)
    console.print(f"\n{failed} failed, {warned} with a drawback, {len(findings)} looked at")


def _tell(text: str) -> None:
    """Tell the person what to do now, beside the output."""
    print(text, file=sys.stderr, flush=True)
