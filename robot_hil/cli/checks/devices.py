"""What is plugged in: SpaceMice, gamepads, serial ports, cameras, and whether this user may open them."""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from robot_hil.cli.checks.base import Finding, Verdict
from robot_hil.errors import ConfigError, DependencyError

if TYPE_CHECKING:
    from robot_hil.teleop.spacemouse_hid import Hid

GROUP = "devices"
_GROUP_FIX = "sudo usermod -aG {group} $USER, then log out and in again"


def spacemice(hid: "Hid | None" = None) -> Iterator[Finding]:
    """List SpaceMice, and try to open each."""
    from robot_hil.teleop.spacemouse_puck import find_spacemice

    try:
        found = find_spacemice(hid)
    except DependencyError as error:
        text = "cannot be looked for: the libraries for it are missing"
        fix = f"pip install robot_hil[spacemouse] and sudo apt-get install libhidapi-hidraw0   ({error})"
        yield _found("SpaceMouse", Verdict.ABSENT, text, fix)
        return
    for mouse in found:
        text = f"{mouse.model or 'unknown model'} ({mouse.id}) at {mouse.path}"
        if mouse.problem:
            yield _found("SpaceMouse", Verdict.FAIL, f"{text} cannot be used", mouse.problem)
        else:
            yield _found("SpaceMouse", Verdict.PASS, text)
    if not found:
        text = "none; plug it in, or its receiver"
        if _usb_vendors() & {"256f"}:
            text = "one is on the USB bus, but it is not to be seen as a HID device"
            fix = "on a computer of your own: sudo modprobe usbhid; in a container: start it with --device /dev/hidrawN"
            yield _found("SpaceMouse", Verdict.FAIL, text, fix)
        else:
            yield _found("SpaceMouse", Verdict.ABSENT, text)


def gamepads() -> Iterator[Finding]:
    """List gamepads, and whether SDL knows their layout."""
    from robot_hil.teleop.gamepad_sdl import find_gamepads

    try:
        found = find_gamepads()
    except (DependencyError, ConfigError) as error:
        yield _found("gamepad", Verdict.ABSENT, f"cannot be looked for: {error}", "pip install robot_hil[gamepad]")
        return
    for pad in found:
        if pad.mapped:
            yield _found("gamepad", Verdict.PASS, str(pad))
        else:
            fix = "set SDL_GAMECONTROLLERCONFIG to its line in the collection SDL_GameControllerDB"
            yield _found("gamepad", Verdict.WARN, f"{pad.name}: SDL does not know its layout, so it cannot drive", fix)
    if not found:
        closed = [path for path in sorted(Path("/dev/input").glob("event*")) if not os.access(path, os.R_OK)]
        fix = _GROUP_FIX.format(group="input") if closed else ""
        hint = f"; {len(closed)} input devices may not be read by this user" if closed else ""
        yield _found(
            "gamepad", Verdict.ABSENT, f"none at this computer{hint}; one at the console's page needs nothing", fix
        )


def serial_ports() -> Iterator[Finding]:
    """List serial ports, where leader arms and grippers are."""
    try:
        from serial.tools import list_ports
    except ImportError:
        text = "cannot be looked for: pyserial is missing"
        yield _found("serial ports", Verdict.ABSENT, text, "pip install robot_hil[leader]")
        return
    found = [port for port in list_ports.comports() if port.vid is not None]  # the board's own are no USB devices
    for port in found:
        text = f"{port.device}: {port.description}"
        if os.access(port.device, os.R_OK | os.W_OK):
            yield _found("serial port", Verdict.PASS, text)
        else:
            yield _found("serial port", Verdict.FAIL, f"{text} may not be opened", _GROUP_FIX.format(group="dialout"))
    if not found:
        yield _found("serial ports", Verdict.ABSENT, "none on USB; a leader arm would show here")


def cameras(paths: Sequence[Path] | None = None) -> Iterator[Finding]:
    """List cameras by their files; none is opened, so that one in use is left alone."""
    found = sorted(Path("/dev").glob("video*"), key=camera_number) if paths is None else list(paths)
    closed = [path for path in found if not os.access(path, os.R_OK | os.W_OK)]
    for path in closed:
        yield _found("camera", Verdict.FAIL, f"{path} may not be opened", _GROUP_FIX.format(group="video"))
    if not found:
        yield _found("cameras", Verdict.ABSENT, "none at /dev/video*")
    elif len(closed) < len(found):
        names = ", ".join(str(path) for path in found if path not in closed)
        yield _found("cameras", Verdict.PASS, f"{names}; try them: robot-hil doctor --device camera")


def camera_number(path: Path) -> int:
    """Return the number in `/dev/videoN`."""
    digits = re.search(r"\d+$", path.name)
    return int(digits.group()) if digits else -1


def _usb_vendors() -> set[str]:
    """Return the vendors on the USB bus, as four hexadecimal digits; empty where the system does not tell."""
    found = set()
    for path in Path("/sys/bus/usb/devices").glob("*/idVendor"):
        try:
            found.add(path.read_text().strip())
        except OSError:
            continue
    return found


def _found(name: str, verdict: Verdict, text: str, fix: str = "") -> Finding:
    return Finding(group=GROUP, name=name, verdict=verdict, text=text, fix=fix)
