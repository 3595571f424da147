"""The HID libraries under the SpaceMouse: easyhid, over the system's libhidapi, or the `hidapi` wheel.

The only place that knows them; neither is imported before it is needed.
"""

import importlib
import os
import sys
from dataclasses import dataclass
from typing import Any, Protocol

from robot_hil.errors import DependencyError

_LONGEST_REPORT = 64
INSTALL = "pip install robot_hil[spacemouse]"


@dataclass(frozen=True, slots=True, kw_only=True)
class HidEntry:
    """A device as the HID library lists it."""

    path: str
    vendor_id: int
    product_id: int
    product: str = ""
    serial: str = ""
    usage: tuple[int, int] = (0, 0)
    """Usage page and usage; zeros where the library does not tell."""
    model: str = ""
    """Name in pyspacemouse's table; empty for a device it does not know."""

    def __str__(self) -> str:
        return f"{self.path} {self.model or self.product} ({self.vendor_id:04x}:{self.product_id:04x})"


class Port(Protocol):
    """An open HID device. Raises `OSError` once the device is gone."""

    def read(self, timeout_ms: int) -> bytes:
        """Return one report at its true length, report ID first; empty when none came in time."""
        ...

    def write(self, data: bytes) -> None:
        """Send an output report, report ID first."""
        ...

    def close(self) -> None:
        """Release the device."""
        ...


class Hid(Protocol):
    """A HID library."""

    def entries(self) -> list[HidEntry]:
        """Return all HID devices; SpaceMice and others."""
        ...

    def open(self, path: str) -> Port:
        """Open a device; raises `OSError`."""
        ...


class EasyHid:
    """The system's libhidapi, through easyhid's binding.

    Reads go to the C function itself: easyhid fills every report up with zeros, and the true length is lost.
    """

    def __init__(self) -> None:
        try:
            from easyhid import easyhid

            easyhid.hidapi.hid_enumerate  # noqa: B018  the binding loads without the library and fails here
        except (ImportError, OSError, AttributeError, TypeError) as error:
            raise DependencyError(
                f"easyhid finds no HID library ({error}): apt-get install libhidapi-hidraw0"
            ) from error
        self._easyhid = easyhid

    def entries(self) -> list[HidEntry]:
        return [
            HidEntry(
                path=found.path,
                vendor_id=found.vendor_id,
                product_id=found.product_id,
                product=found.product_string or "",
                serial=found.serial_number or "",
                usage=(found.usage_page, found.usage),
            )
            for found in self._easyhid.Enumeration().find()
        ]

    def open(self, path: str) -> Port:
        return _EasyPort(self._easyhid, path)


class _EasyPort:
    def __init__(self, easyhid: Any, path: str) -> None:
        self._ffi, self._lib = easyhid.ffi, easyhid.hidapi
        self._device = self._lib.hid_open_path(os.fsencode(path))
        if self._device == self._ffi.NULL:
            raise OSError(f"hid_open_path refused {path}")
        self._buffer = self._ffi.new("unsigned char[]", _LONGEST_REPORT)

    def read(self, timeout_ms: int) -> bytes:
        length = self._lib.hid_read_timeout(self._device, self._buffer, _LONGEST_REPORT, timeout_ms)
        if length < 0:
            raise OSError("hid_read failed")
        return bytes(self._ffi.buffer(self._buffer, length))

    def write(self, data: bytes) -> None:
        if self._lib.hid_write(self._device, bytes(data), len(data)) < 0:
            raise OSError("hid_write failed")

    def close(self) -> None:
        device, self._device = self._device, self._ffi.NULL
        if device != self._ffi.NULL:
            self._lib.hid_close(device)


class HidWheel:
    """The `hidapi` wheel, which brings its own library: module `hidraw` on Linux, `hid` elsewhere."""

    def __init__(self) -> None:
        try:
            hid = importlib.import_module("hidraw" if sys.platform == "linux" else "hid")
            hid.enumerate, hid.device  # noqa: B018  another distribution, `hid`, brings a module of the same name
        except (ImportError, OSError, AttributeError) as error:
            raise DependencyError(f"the hidapi wheel does not work ({error}): pip install hidapi") from error
        self._hid = hid

    def entries(self) -> list[HidEntry]:
        return [
            HidEntry(
                path=os.fsdecode(found["path"]),
                vendor_id=found["vendor_id"],
                product_id=found["product_id"],
                product=found["product_string"] or "",
                serial=found["serial_number"] or "",
                usage=(found["usage_page"], found["usage"]),
            )
            for found in self._hid.enumerate()
        ]

    def open(self, path: str) -> Port:
        return _WheelPort(self._hid.device(), path)


class _WheelPort:
    def __init__(self, device: Any, path: str) -> None:
        self._device = device
        device.open_path(os.fsencode(path))
        device.set_nonblocking(1)  # else a time-out of 0 waits for ever

    def read(self, timeout_ms: int) -> bytes:
        try:
            return bytes(self._device.read(_LONGEST_REPORT, timeout_ms))
        except ValueError as error:  # the library's word for a closed device
            raise OSError(str(error)) from error

    def write(self, data: bytes) -> None:
        if self._device.write(data) < 0:
            raise OSError("write failed")

    def close(self) -> None:
        self._device.close()


def load_hid() -> Hid:
    """Return the first HID library that works; raises `DependencyError` naming what to install."""
    problems = []
    for library in (EasyHid, HidWheel):
        try:
            return library()
        except DependencyError as error:
            problems.append(str(error))
    raise DependencyError(f"no HID library for the SpaceMouse: {INSTALL}. Tried: {'; '.join(problems)}.")
