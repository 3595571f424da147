"""Gamepads that exist only inside SDL: the program under test cannot tell them from real ones."""

import ctypes
import os
from pathlib import Path

from robot_hil.teleop.gamepad_sdl import AXES, BUTTONS

_JOYSTICK = 0x200  # SDL_INIT_JOYSTICK
_GAMEPAD = 1  # SDL_JOYSTICK_TYPE_GAMECONTROLLER
_NEVER = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_RUMBLE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_uint16, ctypes.c_uint16)


class _Description(ctypes.Structure):
    """SDL_VirtualJoystickDesc, version 1."""

    _fields_ = [
        *((name, ctypes.c_uint16) for name in ("version", "type", "naxes", "nbuttons", "nhats")),
        *((name, ctypes.c_uint16) for name in ("vendor_id", "product_id", "padding")),
        *((name, ctypes.c_uint32) for name in ("button_mask", "axis_mask")),
        ("name", ctypes.c_char_p),
        ("userdata", ctypes.c_void_p),
        ("Update", ctypes.c_void_p),
        ("SetPlayerIndex", ctypes.c_void_p),
        ("Rumble", _RUMBLE),
        *((name, ctypes.c_void_p) for name in ("RumbleTriggers", "SetLED", "SendEffect")),
    ]


def _sdl() -> ctypes.CDLL:
    """Return the very library that pygame loaded, with its joystick part held open."""
    os.environ["PYGAME_HIDE_SUPPORT_PROMPT"] = "1"
    import pygame  # noqa: F401 - loads SDL

    lines = Path("/proc/self/maps").read_text().splitlines()
    sdl = ctypes.CDLL(next(line.split()[-1] for line in lines if "libSDL2-2" in line))
    sdl.SDL_JoystickAttachVirtualEx.argtypes = [ctypes.POINTER(_Description)]
    sdl.SDL_JoystickOpen.restype = ctypes.c_void_p
    sdl.SDL_JoystickOpen.argtypes = [ctypes.c_int]
    sdl.SDL_JoystickClose.argtypes = [ctypes.c_void_p]
    sdl.SDL_JoystickInstanceID.argtypes = [ctypes.c_void_p]
    sdl.SDL_JoystickGetDeviceInstanceID.argtypes = [ctypes.c_int]
    sdl.SDL_JoystickDetachVirtual.argtypes = [ctypes.c_int]
    sdl.SDL_JoystickSetVirtualAxis.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_int16]
    sdl.SDL_JoystickSetVirtualButton.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_uint8]
    sdl.SDL_GameControllerAddMapping.argtypes = [ctypes.c_char_p]
    return sdl


class VirtualPad:
    """A pad that is plugged in from construction on; `plug` and `unplug` as often as wanted.

    The joystick part of SDL stays open once a pad was made, so that pads outlive the program's own SDL sessions.
    """

    def __init__(self, name: str = "Test Pad", product: int = 1) -> None:
        self.rumbles: list[tuple[int, int]] = []
        self._sdl = _sdl()
        assert self._sdl.SDL_InitSubSystem(_JOYSTICK) == 0
        self._rumble = _RUMBLE(self._on_rumble)  # must live as long as SDL may call it
        self._description = _Description(
            version=1, type=_GAMEPAD, naxes=len(AXES), nbuttons=len(BUTTONS), vendor_id=0x1234, product_id=product,
            name=name.encode(), Rumble=self._rumble,
        )  # fmt: skip
        self._joystick = None
        self.plug()

    def plug(self) -> None:
        """Plug it in, everything at rest."""
        index = self._sdl.SDL_JoystickAttachVirtualEx(ctypes.byref(self._description))
        assert index >= 0
        self._joystick = self._sdl.SDL_JoystickOpen(index)
        self._instance = self._sdl.SDL_JoystickInstanceID(self._joystick)
        self.axis("lefttrigger", 0.0)
        self.axis("righttrigger", 0.0)

    def unplug(self) -> None:
        """Pull the plug; legal twice. SDL centres the sticks and lifts the buttons by itself."""
        if self._joystick is None:
            return
        count = self._sdl.SDL_NumJoysticks()
        for index in range(count):
            if self._sdl.SDL_JoystickGetDeviceInstanceID(index) == self._instance:
                assert self._sdl.SDL_JoystickDetachVirtual(index) == 0
                break
        self._sdl.SDL_JoystickClose(self._joystick)
        self._joystick = None

    def axis(self, name: str, value: float) -> None:
        """Deflect a stick (-1 to 1, right and down are positive) or pull a trigger (0 to 1)."""
        # A trigger's way is the whole range of its joystick axis, which SDL maps to 0..1.
        reached = 2 * value - 1 if name.endswith("trigger") else value
        self._sdl.SDL_JoystickSetVirtualAxis(self._joystick, AXES.index(name), round(32767 * reached))

    def press(self, *buttons: str) -> None:
        """Press and hold."""
        self._set(buttons, 1)

    def release(self, *buttons: str) -> None:
        """Let go."""
        self._set(buttons, 0)

    def tap(self, button: str) -> None:
        """Press and release within microseconds, so that hardly a poll sees it held."""
        for value in (1, 0):
            self._set((button,), value)
            self._sdl.SDL_JoystickUpdate()

    def remap(self, guid: str, mapping: str) -> None:
        """Tell SDL another layout for this model, e.g. `a:b1,b:b0`."""
        assert self._sdl.SDL_GameControllerAddMapping(f"{guid},Remapped,{mapping},".encode()) >= 0

    def _set(self, buttons: tuple[str, ...], value: int) -> None:
        for button in buttons:
            self._sdl.SDL_JoystickSetVirtualButton(self._joystick, BUTTONS.index(button), value)

    def _on_rumble(self, _userdata: int | None, low: int, high: int) -> int:
        self.rumbles.append((low, high))
        return 0
