"""SDL's gamepads through pygame: one reader thread for all pads of the process, because SDL has one queue of events."""

import contextlib
import logging
import os
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from robot_hil.errors import ConfigError, DependencyError

_LOG = logging.getLogger(__name__)
POLL_S = 0.004
BUTTONS = (
    "a", "b", "x", "y", "back", "guide", "start", "leftstick", "rightstick", "leftshoulder", "rightshoulder",
    "dpup", "dpdown", "dpleft", "dpright",
)  # fmt: skip
"""SDL's names of the buttons, in the order of its numbers; `a` is the lower one of four, whatever is printed on it."""
AXES = ("leftx", "lefty", "rightx", "righty", "lefttrigger", "righttrigger")
"""SDL's names of the axes, in the order of its numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PadInfo:
    """A pad or joystick that is plugged in."""

    index: int
    name: str
    guid: str
    """SDL's identity of the model; two pads of one model share it."""
    mapped: bool
    """SDL knows where its sticks and buttons are; only such a pad can drive."""
    instance: int
    """SDL's number for this time of being plugged in."""

    def __str__(self) -> str:
        note = "" if self.mapped else ", unknown to SDL: set SDL_GAMECONTROLLERCONFIG to a mapping for it"
        return f"{self.index}: {self.name} ({self.guid}{note})"


class PadUser(Protocol):
    """Who reads a pad; all of it is called by the reader's thread."""

    def wants(self, info: PadInfo) -> bool:
        """Return whether to take this pad, which nobody else has."""
        ...

    def plugged(self, pad: "OpenPad") -> None:
        """Use `pad` from now on."""
        ...

    def unplugged(self) -> None:
        """The pad is gone."""
        ...

    def pressed(self, button: str) -> None:
        """A button went down."""
        ...

    def beat(self, pad: "OpenPad | None") -> None:
        """A poll is over; None while no pad is plugged in."""
        ...


class OpenPad:
    """A pad in use."""

    def __init__(self, controller: Any, info: PadInfo) -> None:
        self._controller = controller
        self.info = info

    def axes(self) -> tuple[float, ...]:
        """Return the six axes of `AXES` in [-1, 1] as SDL has them: right and down are positive, triggers 0 to 1."""
        return tuple(max(-1.0, self._controller.get_axis(i) / 32767.0) for i in range(len(AXES)))

    def down(self, button: str) -> bool:
        """Return whether the button is pressed."""
        return bool(self._controller.get_button(BUTTONS.index(button)))

    def rumble(self, strength: float, seconds: float) -> None:
        """Vibrate with `strength` in [0, 1]; pads that cannot do nothing."""
        self._controller.rumble(strength, strength, round(1000 * seconds))

    def attached(self) -> bool:
        """Return whether it is still plugged in."""
        return bool(self._controller.attached())

    def close(self) -> None:
        """Release it."""
        self._controller.quit()


class PadHub:
    """Reads all pads of this process, while somebody wants one, every `POLL_S` seconds."""

    def __init__(self) -> None:
        self._life = threading.Lock()  # one joins or leaves at a time
        self._lock = threading.Lock()  # the reader's, while it polls
        self._pads: dict[PadUser, OpenPad | None] = {}
        self._thread: threading.Thread | None = None
        self._sdl: _Sdl | None = None
        self._stop = threading.Event()

    def join(self, user: PadUser) -> list[PadInfo]:
        """Read for `user` from now on; returns what is plugged in. Its pad, if there, is open when this returns."""
        with self._life:
            sdl = self._opened()
            with self._lock:
                self._pads[user] = None
                for info in (present := sdl.present()):
                    self._offer(sdl, info, [user])
            if self._thread is None:
                self._stop.clear()
                self._thread = threading.Thread(target=self._run, args=(sdl,), name="gamepads", daemon=True)
                self._thread.start()
            return present

    def leave(self, user: PadUser) -> None:
        """Read no more for `user`; legal twice."""
        with self._life:
            with self._lock:
                pad = self._pads.pop(user, None)
                if pad is not None:
                    pad.close()
            if not self._pads and self._thread is not None:
                self._stop.set()
                self._thread.join()
                self._thread = None

    def present(self) -> list[PadInfo]:
        """Return what is plugged in."""
        with self._life:
            sdl = self._opened()
            with self._lock:
                return sdl.present()

    def _opened(self) -> "_Sdl":
        """Return SDL, open. It stays so: opened anew, SDL 2.28 may tell each press twice."""
        if self._sdl is None:
            self._sdl = _Sdl()
        return self._sdl

    def _run(self, sdl: "_Sdl") -> None:
        due = time.monotonic()
        while not self._stop.wait(max(0.0, due - time.monotonic())):
            due = max(due + POLL_S, time.monotonic())
            try:
                with self._lock:
                    self._poll(sdl)
            except Exception:  # no beat follows, so every pad's age tells that it cannot be trusted
                _LOG.exception("reading the gamepads failed")
                due += 0.5

    def _poll(self, sdl: "_Sdl") -> None:
        for event in sdl.events():
            if event.type == sdl.added:
                self._added(sdl)
            elif event.type == sdl.removed:
                self._removed(event.instance_id)
                self._added(sdl)  # events come sorted by kind: it may be back already
            elif event.type == sdl.button_down and event.button < len(BUTTONS):
                for user, pad in self._pads.items():
                    if pad is not None and pad.info.instance == event.instance_id:
                        user.pressed(BUTTONS[event.button])
        for user, pad in list(self._pads.items()):
            if pad is not None and not pad.attached():
                self._removed(pad.info.instance)
            user.beat(self._pads[user])

    def _added(self, sdl: "_Sdl") -> None:
        for info in sdl.present():  # an event's index may be outdated by the time it is read
            self._offer(sdl, info, [user for user, pad in self._pads.items() if pad is None])

    def _offer(self, sdl: "_Sdl", info: PadInfo, users: list[PadUser]) -> None:
        """Give a pad that nobody has to the first of `users` that wants it."""
        taken = any(pad is not None and pad.info.instance == info.instance for pad in self._pads.values())
        if taken or not info.mapped:
            return
        for user in users:
            if self._pads[user] is None and user.wants(info):
                self._pads[user] = pad = OpenPad(sdl.open(info.index), info)
                user.plugged(pad)
                return

    def _removed(self, instance: int) -> None:
        for user, pad in self._pads.items():
            if pad is not None and pad.info.instance == instance:
                self._pads[user] = None
                pad.close()
                user.unplugged()


HUB = PadHub()


def find_gamepads() -> list[PadInfo]:
    """Return the pads and joysticks that are plugged in; raises `DependencyError` without pygame."""
    return HUB.present()


class _Sdl:
    """SDL's joystick part, opened without a window, sound or signal handlers."""

    def __init__(self) -> None:
        with _environment(PYGAME_HIDE_SUPPORT_PROMPT="1"):
            try:
                import pygame
                from pygame._sdl2 import controller
            except ImportError as error:
                raise DependencyError(
                    f"a gamepad needs pygame, which cannot be loaded ({error}); pip install robot_hil[gamepad]"
                ) from error
        self._pygame, self._controller = pygame, controller
        self.added, self.removed = pygame.CONTROLLERDEVICEADDED, pygame.CONTROLLERDEVICEREMOVED
        self.button_down = pygame.CONTROLLERBUTTONDOWN
        names = ("AXISMOTION", "BUTTONDOWN", "BUTTONUP", "DEVICEADDED", "DEVICEREMOVED")
        self._wanted = [getattr(pygame, f"CONTROLLER{name}") for name in names]
        self._wanted += [getattr(pygame, f"JOY{name}") for name in (*names, "HATMOTION", "BALLMOTION")]
        self._own_display = not pygame.display.get_init()
        # SDL would take over Ctrl-C, SIGTERM and others, and ignore pads while another window has the focus.
        with _environment(SDL_NO_SIGNAL_HANDLERS="1", SDL_JOYSTICK_ALLOW_BACKGROUND_EVENTS="1"):
            if self._own_display:
                self._open_display()
            try:
                controller.init()
            except pygame.error as error:
                raise ConfigError(f"SDL cannot read gamepads: {error}") from error

    def _open_display(self) -> None:
        """Open what pygame's event queue hangs on; without a display, or with one that refuses, a dummy of it."""
        if not _headless():
            with contextlib.suppress(self._pygame.error):
                self._pygame.display.init()
                return
        with _environment(SDL_VIDEODRIVER="dummy"):
            self._pygame.display.init()

    def present(self) -> list[PadInfo]:
        """Return all joysticks."""
        self._controller.update()
        found = []
        for index in range(self._controller.get_count()):
            joystick = self._pygame.joystick.Joystick(index)
            mapped = bool(self._controller.is_controller(index))
            found.append(
                PadInfo(
                    index=index,
                    name=joystick.get_name(),
                    guid=joystick.get_guid(),
                    mapped=mapped,
                    instance=joystick.get_instance_id(),
                )
            )
            joystick.quit()  # a pad in use stays open: SDL counts
        return found

    def open(self, index: int) -> Any:
        """Return SDL's controller with this index."""
        return self._controller.Controller(index)

    def events(self) -> list[Any]:
        """Return what happened since the last call."""
        events: list[Any] = self._pygame.event.get(self._wanted)
        if self._own_display:
            self._pygame.event.clear()  # nobody else reads the rest
        return events


def _headless() -> bool:
    return sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


@contextlib.contextmanager
def _environment(**values: str) -> Iterator[None]:
    """Set variables that the user left unset, for the time of a call only."""
    absent = {name: value for name, value in values.items() if name not in os.environ}
    os.environ.update(absent)
    try:
        yield
    finally:
        for name in absent:
            os.environ.pop(name, None)
