"""SpaceMouse hardware: which ones are plugged in, and their reports as twist, buttons and battery.

pyspacemouse's table of models and its parser are used here and nowhere else, and not imported before they are needed.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Flag, auto
from typing import Any

from robot_hil.errors import ConfigError, DependencyError
from robot_hil.teleop.spacemouse_hid import INSTALL, Hid, HidEntry, Port, load_hid

AXES = ("x", "y", "z", "roll", "pitch", "yaw")
CONVENTIONS = ("ros", "hid", "hid_z_up", "unity", "legacy")
"""Frames of the axes; `ros` is right-handed: x away from the operator, y left, z up."""
VENDORS = (0x256F, 0x046D)
"""3Dconnexion, and Logitech, which sold the older models."""
MULTI_AXIS = (1, 8)
"""HID usage page and usage of a multi-axis controller."""
UDEV_RULE = """\
SUBSYSTEM=="hidraw", ATTRS{idVendor}=="256f", MODE="0660", TAG+="uaccess"
SUBSYSTEM=="hidraw", ATTRS{idVendor}=="046d", ATTRS{idProduct}=="c62[5679b]", MODE="0660", TAG+="uaccess"
SUBSYSTEM=="hidraw", KERNELS=="0005:256F:*", MODE="0660", TAG+="uaccess"
"""
_TRANSLATION, _ROTATION, _BUTTONS, _BATTERY = 0x01, 0x02, 0x03, 0x17


def _library() -> Any:
    try:
        import pyspacemouse
    except (ImportError, OSError) as error:
        raise DependencyError(f"the SpaceMouse needs pyspacemouse ({error}): {INSTALL}") from error
    return pyspacemouse


def spacemice(hid: Hid) -> list[HidEntry]:
    """Return the SpaceMice that are plugged in, sorted by path, each path once; those of unknown models last."""
    models = {spec.hid_id: name for name, spec in _library().get_device_specs().items()}
    by_id: dict[tuple[int, int], dict[str, HidEntry]] = {}
    for entry in hid.entries():
        key = (entry.vendor_id, entry.product_id)
        if key in models or (entry.vendor_id in VENDORS and entry.usage == MULTI_AXIS):
            same = by_id.setdefault(key, {})
            if entry.path not in same or entry.usage == MULTI_AXIS:
                same[entry.path] = entry
    found = []
    for key, same in by_id.items():
        # One puck may show several interfaces; only the one with the axes is wanted, where the library tells.
        with_axes = [entry for entry in same.values() if entry.usage == MULTI_AXIS]
        found += [replace(entry, model=models.get(key, "")) for entry in with_axes or same.values()]
    return sorted(found, key=lambda entry: (not entry.model, entry.path))


def choose(entries: Sequence[HidEntry], path: str, index: int | None) -> HidEntry:
    """Return the one at `path` (a symbolic link will do), or number `index`, or the only one.

    Raises `ConfigError` with the list of what is there, also when there is a choice and none was made.
    """
    known = [entry for entry in entries if entry.model]
    listed = "; ".join(f"{i}: {entry}" for i, entry in enumerate(known)) or "none"
    if path:
        for entry in known:
            if same_place(entry.path, path):
                return entry
        raise ConfigError(f"no SpaceMouse at {path!r}. Plugged in are: {listed}. Give one of these paths.")
    if index is not None:
        if 0 <= index < len(known):
            return known[index]
        raise ConfigError(f"there is no SpaceMouse number {index}. Plugged in are: {listed}.")
    if len(known) == 1:
        return known[0]
    if not known:
        strange = f" Not supported: {'; '.join(map(str, entries))}." if entries else ""
        raise ConfigError(f"no SpaceMouse is plugged in; plug it in, or its receiver.{strange}")
    raise ConfigError(f"several SpaceMice are plugged in; choose by path. There are: {listed}.")


def same_place(one: str, other: str) -> bool:
    """Whether both paths lead to the same device."""
    return one == other or os.path.realpath(one) == os.path.realpath(other)


def why_closed(path: str) -> str:
    """Say why a device could not be opened, and what to do."""
    if os.path.exists(path) and not os.access(path, os.R_OK | os.W_OK):
        return (
            f"no permission to open {path}. Write this to /etc/udev/rules.d/70-spacemouse.rules, then run "
            f"`sudo udevadm control --reload && sudo udevadm trigger` and plug it in again:\n{UDEV_RULE}"
        )
    return f"{path} cannot be opened: plug it in again; end other programs that use it."


# -- an open one -------------------------------------------------------------------------------------------------------


class Heard(Flag):
    """What a report was about."""

    TRANSLATION = auto()
    ROTATION = auto()
    BUTTONS = auto()
    BATTERY = auto()
    OTHER = auto()
    """A report that is not for us."""
    BROKEN = auto()
    """Too short to be true; refused."""


MOTION = Heard.TRANSLATION | Heard.ROTATION


class _Feed:
    """What pyspacemouse's parser takes for the device: it reads what it is given here."""

    def __init__(self, port: Port) -> None:
        self.report = b""
        self.write = port.write

    def read(self, size: int) -> bytes:
        return self.report


class Puck:
    """An open SpaceMouse. One thread uses it.

    Models say translation and rotation in two reports or in one, and wireless ones in either way: every report is
    brought into the form that the parser's table has for the model, so that short or padded ones do no harm. Axes that
    a report does not tell of keep their value.
    """

    def __init__(self, port: Port, model: str, convention: str = "ros") -> None:
        library = _library()
        spec = library.apply_axis_convention(library.get_device_specs()[model], library.AxisConvention(convention))
        self.model = model
        self.buttons: tuple[str, ...] = tuple(spec.button_names)
        """Their names; a model may have none."""
        self.pressed: frozenset[str] = frozenset()
        self.twist = (0.0,) * 6
        """x, y, z, roll, pitch, yaw in [-1, 1]."""
        self.battery: float | None = None
        """Charge in [0, 1]; None until the device told."""
        self._port = port
        self._feed = _Feed(port)
        self._parser = library.SpaceMouseDevice(spec, device=self._feed)
        self._combined = {axis.channel for axis in spec.mappings.values()} == {_TRANSLATION}
        self._button_bytes = max((button.byte for button in spec.button_specs), default=0) + 1
        self._separate = False  # has sent a report of rotation alone: whatever else follows a translation is padding
        self._xyz = self._turn = bytes(6)

    def read(self, timeout_ms: int) -> Heard | None:
        """Take one report, waiting at most `timeout_ms`; None when none came. Raises `OSError` when it is gone."""
        report = self._port.read(timeout_ms)
        return self._take(report) if report else None

    def light(self, on: bool) -> None:
        """Switch the ring light; does nothing where there is none."""
        self._parser.set_led(on)

    def close(self) -> None:
        """Release the device."""
        self._port.close()

    def _take(self, report: bytes) -> Heard:
        kind, body = report[0], report[1:]
        if kind == _TRANSLATION and len(body) >= 6:
            heard, self._xyz = Heard.TRANSLATION, body[:6]
            if len(body) >= 12 and not self._separate:
                heard, self._turn = MOTION, body[6:12]
        elif kind == _ROTATION and len(body) >= 6:
            heard, self._turn, self._separate = Heard.ROTATION, body[:6], True
        elif kind == _BUTTONS and body:
            self._parse(report.ljust(self._button_bytes, b"\0"))
            return Heard.BUTTONS
        elif kind == _BATTERY and body:
            self.battery = min(body[0], 100) / 100
            return Heard.BATTERY
        else:
            known = kind in (_TRANSLATION, _ROTATION, _BUTTONS, _BATTERY)
            return Heard.BROKEN if known else Heard.OTHER
        if self._combined:
            self._parse(bytes((_TRANSLATION,)) + self._xyz + self._turn)
        else:
            self._parse(bytes((_TRANSLATION,)) + self._xyz)
            self._parse(bytes((_ROTATION,)) + self._turn)
        return heard

    def _parse(self, report: bytes) -> None:
        """Let pyspacemouse read `report`, and copy what it says: its state is one object that changes."""
        self._feed.report = report
        state = self._parser.read()
        self.twist = tuple(min(1.0, max(-1.0, getattr(state, axis))) for axis in AXES)
        self.pressed = frozenset(name for name, down in zip(self.buttons, state.buttons, strict=True) if down)


class Source:
    """Where a puck comes from: the first `open` chooses, as `choose` does; later ones find the same device again.

    It may then have another path, but never that of a device which was there beside it: two equal pucks are not to be
    confused, and only paths tell them apart.
    """

    def __init__(self, hid: Hid, path: str, index: int | None, convention: str) -> None:
        self._hid, self._path, self._index, self._convention = hid, path, index, convention
        self._chosen: HidEntry | None = None
        self._others: tuple[str, ...] = ()

    def open(self) -> Puck:
        """Return the puck, opened; raises `ConfigError` when it is not there, `OSError` when it cannot be opened."""
        there = spacemice(self._hid)
        if self._chosen is None:
            self._chosen = choose(there, self._path, self._index)
            self._others = tuple(entry.path for entry in there if entry.path != self._chosen.path)
            entry = self._chosen
        else:
            entry = self._again(there, self._chosen)
        try:
            port = self._hid.open(entry.path)
        except OSError as error:
            raise OSError(why_closed(entry.path)) from error
        return Puck(port, entry.model, self._convention)

    def _again(self, there: Sequence[HidEntry], chosen: HidEntry) -> HidEntry:
        same = [
            e for e in there if (e.model, e.product_id, e.serial) == (chosen.model, chosen.product_id, chosen.serial)
        ]
        if self._path:
            return choose(there, self._path, None)
        same.sort(key=lambda entry: entry.path != chosen.path)
        candidates = [entry for entry in same if entry.path not in self._others]
        if not candidates or (len(candidates) > 1 and candidates[0].path != chosen.path):
            raise ConfigError(f"unplugged: plug it in again ({chosen}), then let go of it once")
        return candidates[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundSpaceMouse:
    """A SpaceMouse that is plugged in, for a person to look at."""

    path: str
    id: str
    """Vendor and product, e.g. `256f:c635`."""
    model: str
    """pyspacemouse's name of the model; empty when it does not know it."""
    openable: bool
    """Whether this user may use it, and its model is known."""
    problem: str
    """Why it cannot be used and what to do; else empty."""


def find_spacemice(hid: Hid | None = None) -> list[FoundSpaceMouse]:
    """Return all that are plugged in, after trying to open each; raises `DependencyError` without HID library."""
    hid = hid or load_hid()
    found = []
    for entry in spacemice(hid):
        problem = "" if entry.model else f"pyspacemouse does not know this model; see whether a newer one does: {entry}"
        try:
            hid.open(entry.path).close()
            openable = bool(entry.model)
        except OSError:
            openable, problem = False, why_closed(entry.path)
        identity = f"{entry.vendor_id:04x}:{entry.product_id:04x}"
        found.append(
            FoundSpaceMouse(path=entry.path, id=identity, model=entry.model, openable=openable, problem=problem)
        )
    return found
