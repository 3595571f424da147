"""The SpaceMouse as a teleoperation device: deflection drives, silence and loss stop."""

import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from robot_hil.clock import Clock
from robot_hil.data.robot import ActionScale, ToolState
from robot_hil.data.teleop import DeviceInfo, EventKind, SampleStatus, TeleopEvent, TeleopSample
from robot_hil.errors import ConfigError
from robot_hil.teleop.base import Grip, Mailbox
from robot_hil.teleop.deflection import Deflection, DeflectionConfig
from robot_hil.teleop.spacemouse_hid import Hid, load_hid
from robot_hil.teleop.spacemouse_puck import CONVENTIONS, Puck, Source
from robot_hil.teleop.spacemouse_reader import NOTHING, Reader, ReaderConfig, Reading

GRIPPER = ("close", "open", "toggle")
EVENTS = {
    kind.value: kind
    for kind in EventKind
    if kind not in (EventKind.ENGAGE, EventKind.DISENGAGE, EventKind.CLEAR)  # deflection decides; CLEAR needs a reason
}
Buttons = Mapping[str | int, str]
"""Name or number of a button -> its function, one of `GRIPPER` or `EVENTS`."""
_PAIRS = (("LEFT", "RIGHT"), ("MENU", "FIT"), ("BTN_1", "BTN_2"))
"""The two keys that a hand on the puck finds blindly; the first pair that the model has in full."""
_NUMBERED = ("success", "fail", "reset", "pause")


def default_buttons(names: tuple[str, ...]) -> dict[str | int, str]:
    """Return the functions of a model's buttons: the first pair closes and opens, BTN_1 and on judge, ESC stops.

    >>> default_buttons(("LEFT", "RIGHT"))
    {'LEFT': 'close', 'RIGHT': 'open'}
    """
    pair = next((pair for pair in _PAIRS if set(pair) <= set(names)), ())
    functions: dict[str | int, str] = dict(zip(pair, ("close", "open"), strict=False))
    numbered = [name for name in (f"BTN_{i}" for i in range(1, 11)) if name in names and name not in functions]
    functions |= dict(zip(numbered, _NUMBERED, strict=False))
    if "ESC" in names:
        functions["ESC"] = "estop"
    return functions


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceMouseConfig:
    """Which SpaceMouse, and what it does."""

    name: str = "spacemouse"
    """For logs and screens; two devices need two names."""
    path: str = ""
    """E.g. `/dev/hidraw3`, or better a symbolic link that a udev rule makes by USB port; empty for `index`."""
    index: int | None = None
    """Number in the list of those plugged in; None wants that there is only one."""
    deflection: DeflectionConfig = field(default_factory=DeflectionConfig)
    convention: str = "ros"
    """Frame of the axes; other than `ros`, only `hid` and `hid_z_up` can be turned into the robot's by a rotation."""
    buttons: Buttons | None = None
    """Function of each button, by name or number; None for `default_buttons`."""
    max_age_s: float = 0.08
    """LOST when the reader was not alive for longer while the person drives, DISCONNECTED half as long later [s]."""
    idle_age_s: float = 0.15
    """The same while nobody drives: a computer may be busy for a moment [s]."""
    silent_s: float = 0.15
    """LOST when the puck stays deflected and says nothing for longer; infinity trusts a puck that is silent [s]."""
    reader: ReaderConfig = field(default_factory=ReaderConfig)

    def __post_init__(self) -> None:
        if not self.name:
            raise ConfigError("a SpaceMouse needs a name; it is empty.")
        if self.convention not in CONVENTIONS:
            raise ConfigError(f"convention is {self.convention!r}; give one of {', '.join(CONVENTIONS)}.")
        if not 0 < self.max_age_s <= self.idle_age_s < np.inf or not self.silent_s > 0:
            raise ConfigError(
                f"max_age_s is {self.max_age_s}, idle_age_s {self.idle_age_s}, silent_s {self.silent_s}; give times in "
                "seconds, above 0, and to idle_age_s no less than to max_age_s."
            )
        for button, function in (self.buttons or {}).items():
            if function not in GRIPPER and function not in EVENTS:
                allowed = ", ".join((*GRIPPER, *EVENTS))
                raise ConfigError(f"button {button!r} is to do {function!r}; it can do one of: {allowed}.")


class SpaceMouse:
    """Drives while the puck is deflected: x away from the operator, y to the left, z up, and turns about them.

    A thread reads; `latest` looks at what it left behind, and at the time. After `start`, after every loss and after
    being plugged in again the puck must have been at rest once before it drives. It is looked for again after it was
    unplugged. `tool` says where the tool was told to be. `hid` is the HID library; None finds one.
    """

    kind = "spacemouse"

    def __init__(
        self,
        scale: ActionScale,
        tool: Callable[[], ToolState],
        clock: Clock,
        *,
        path: str | None = None,
        config: SpaceMouseConfig | None = None,
        hid: Hid | None = None,
    ) -> None:
        self.config = config or SpaceMouseConfig()
        self._path = path or self.config.path
        self._clock, self._hid = clock, hid
        self._deflection = Deflection(scale, tool, self.config.deflection)
        self._events: Mailbox[None] = Mailbox(None)
        self._grips: deque[str] = deque()
        self._functions: dict[str, str] = {}
        self._reader: Reader | None = None
        self._lock = threading.Lock()
        self._engaged = False
        self._drove = False  # at the last good sample: its loss is told sooner, and stays told
        self._lost_at = self._alive = clock.now()

    @property
    def name(self) -> str:
        return self.config.name

    @property
    def reports(self) -> int:
        """Reports heard since `start`."""
        return self._reader.meter.total if self._reader else 0

    def start(self) -> None:
        """Open the device and read; legal twice.

        Raises `ConfigError` when it is not there (with the list of those that are), may not be opened (with what to
        do), or lacks a button that was given a function; `DependencyError` when a library is missing.
        """
        with self._lock:
            if self._reader is not None:
                return
            source = Source(self._hid or load_hid(), self._path, self.config.index, self.config.convention)
            try:
                puck = source.open()
            except OSError as error:
                raise ConfigError(str(error)) from error
            try:
                self._functions = self._named(puck)
            except ConfigError:
                puck.close()
                raise
            self._lost_at, self._drove = self._clock.now(), False
            self._grips.clear()
            config = self.config
            self._reader = Reader(source, puck, self._clock, config.reader, config.deflection, self._pressed)
            self._reader.start()

    def stop(self) -> None:
        """Let the thread end and release the device; legal twice."""
        with self._lock:
            reader, self._reader = self._reader, None
            if reader is not None:
                reader.stop()
            self._let_go()

    def latest(self) -> TeleopSample:
        now = self._clock.now()
        reading = self._reading()
        self._alive = max(self._alive, reading.t)
        status, problem = self._judge(reading, now)
        if status is not SampleStatus.OK:
            self._let_go()
            self._lost_at = now
            self._grips.clear()  # what was pressed before the loss is no wish of now
            return TeleopSample(status=status, t=self._alive, device=self.name, problem=problem)
        twist = reading.twist if reading.t_rest >= self._lost_at else (0.0,) * 6
        sample = self._deflection.sample(reading.t, now, twist, device=self.name, pressed=self._grip())
        self._engaged = self._drove = sample.engaged
        return sample

    def drain_events(self) -> list[TeleopEvent]:
        return self._events.drain()

    def info(self) -> DeviceInfo:
        now = self._clock.now()
        reading, reader = self._reading(), self._reader
        status, problem = self._judge(reading, now)
        if status is SampleStatus.OK and reading.t_rest < self._lost_at and max(map(abs, reading.twist)) > 0:
            problem = f"let go of {self.name} once, then it drives"
        return DeviceInfo(
            name=self.name,
            kind=self.kind,
            status=status,
            age_s=max(0.0, now - reading.t),
            rate_hz=reader.meter.rate(now) if reader else 0.0,
            engaged=self._engaged,
            problem=problem,
            battery=reading.battery,
            dropped=reader.dropped if reader else 0,
        )

    # -- what may drive ----------------------------------------------------------------------------------------------

    def _reading(self) -> Reading:
        reader = self._reader
        return reader.reading if reader is not None else NOTHING

    def _judge(self, reading: Reading, now: float) -> tuple[SampleStatus, str]:
        """Say whether `reading` can be trusted at `now`, and why not; changes nothing, so any thread may ask."""
        config = self.config
        if reading.problem:
            return SampleStatus.DISCONNECTED, f"{self.name}: {reading.problem}"
        age = now - reading.t
        allowed = config.max_age_s if self._drove else config.idle_age_s
        if not age <= allowed:
            status = SampleStatus.LOST if age <= 1.5 * allowed else SampleStatus.DISCONNECTED
            return status, f"the reader of {self.name} has not been heard of for {age:.2f} s"
        limit = config.deflection.leave if self._drove else config.deflection.enter
        parts = ((reading.twist[:3], reading.t_translation), (reading.twist[3:], reading.t_rotation))
        for values, t in parts:
            if max(map(abs, values)) > limit and reading.t - t > config.silent_s:
                why = f"{self.name} is deflected but has been silent for {reading.t - t:.2f} s"
                return SampleStatus.LOST, f"{why}: is it switched on and within reach? Touch it, then let go of it"
        return SampleStatus.OK, ""

    def _let_go(self) -> None:
        self._deflection.reset()
        self._engaged = False

    # -- buttons -----------------------------------------------------------------------------------------------------

    def _named(self, puck: Puck) -> dict[str, str]:
        """Return the function of each button by name; raises `ConfigError` for a button that is not there."""
        wanted = default_buttons(puck.buttons) if self.config.buttons is None else self.config.buttons
        functions = {}
        for button, function in wanted.items():
            name = button
            if isinstance(button, int) and 0 <= button < len(puck.buttons):
                name = puck.buttons[button]
            if not isinstance(name, str) or name not in puck.buttons:
                listed = ", ".join(puck.buttons) or "none"
                raise ConfigError(f"{puck.model} has no button {button!r}; it has: {listed}.")
            functions[name] = function
        return functions

    def _pressed(self, button: str, t: float) -> None:
        """Take an edge; called by the reader's thread."""
        function = self._functions.get(button, "")
        if function in GRIPPER:
            self._grips.append(function)
        elif function:
            self._events.post(TeleopEvent(kind=EVENTS[function], t=t, source=self.name, reason=f"button {button}"))

    def _grip(self) -> Grip | None:
        """Return what the gripper's buttons ask for since the last call; the last press wins."""
        command = None
        while self._grips:
            function = self._grips.popleft()
            if function == "toggle":
                closing = self._deflection.closing() if command is None else command is Grip.CLOSE
                command = Grip.OPEN if closing else Grip.CLOSE
            else:
                command = Grip.CLOSE if function == "close" else Grip.OPEN
        return command
