"""The operator of a run: devices, station, guard, and the link to the console; what `--teleop` and `--console` make."""

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from robot_hil.actor.guard import Guard
from robot_hil.cli.console import CONSOLE_FILE
from robot_hil.clock import Clock
from robot_hil.console.link import LINK_FILE, RobotLink
from robot_hil.console.messages import Ack, Event, FromPage, Gone, Haptic, Status, ToRobot, Welcome, allowed
from robot_hil.data.operator_input import Button, Words
from robot_hil.data.specs import Array
from robot_hil.data.teleop import EventKind, TeleopEvent
from robot_hil.protocols import Releasable

if TYPE_CHECKING:
    import gymnasium

    from robot_hil.cli.operator_options import OperatorOptions
    from robot_hil.cli.robot import Robot
    from robot_hil.cli.runfolder import RunFolder
    from robot_hil.console.host import ConsoleHost
    from robot_hil.data.robot import ToolState
    from robot_hil.teleop.station import Station

_log = logging.getLogger(__name__)
_STATUS_S = 0.1
_FRAME_S = 1 / 30
OVERVIEW = "overview"
"""The camera of simulated robots that only people look through."""


class Operator:
    """Devices and console of one robot. Nothing runs before `start`; `stop` is legal twice.

    `pages` are the devices that live in the console's page, each with the messages it reads; `words` is the one that
    takes sentences. `status` is asked ten times per second, from a thread of its own, for what to show.
    """

    def __init__(
        self,
        station: "Station",
        guard: Guard,
        *,
        welcome: Welcome | None = None,
        pages: Mapping[Any, Sequence[type]] | None = None,
        words: Any = None,
        host: "Callable[[str], ConsoleHost] | None" = None,
        folder: "RunFolder | None" = None,
        status: Callable[[], Status] | None = None,
    ) -> None:
        self.station, self.guard = station, guard
        self.link = RobotLink(welcome, self._receive) if welcome is not None else None
        self._pages, self._words = tuple(pages or ()), words
        self._readers: dict[type, list[Any]] = {}
        for page, kinds in (pages or {}).items():
            for kind in kinds:
                self._readers.setdefault(kind, []).append(page)
        self._make_host, self._folder, self.status = host, folder, status
        self._host: ConsoleHost | None = None
        self._done = threading.Event()
        self._thread: threading.Thread | None = None
        self._changed = threading.Event()
        self._looked = 0.0
        self._stopped_by = ""
        self.tool: ToolState | None = None
        """Where the tool was told to be at the last `look`."""

    @property
    def url(self) -> str:
        """Where the console is; empty while it has not said so."""
        return self._host.url if self._host is not None else ""

    def announce(self, patience_s: float = 20.0) -> None:
        """Print where the console is, once it is there."""
        if self._host is None or self._folder is None:
            return
        deadline = time.monotonic() + patience_s
        while not (self._folder.path / CONSOLE_FILE).exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        print(f"console: {self.url}", flush=True)

    def start(self) -> None:
        """Open the devices, begin to watch, start the console."""
        self.station.start()
        self.guard.start()
        if self.link is None or self._thread is not None:
            return
        self.link.start()
        if self._folder is not None:
            (self._folder.path / LINK_FILE).write_text(self.link.endpoint)
        if self._make_host is not None:
            self._host = self._make_host(self.link.endpoint)
            self._host.start()
        self._done.clear()
        self._thread = threading.Thread(target=self._tell, name="operator-status", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the console, stop watching, release the devices."""
        if self._thread is not None:
            self._done.set()
            self._changed.set()
            self._thread.join()
            self._thread = None
        if self._host is not None:
            self._host.stop()
        if self.link is not None:
            self.link.stop()
            if self._folder is not None:
                (self._folder.path / LINK_FILE).unlink(missing_ok=True)
        self.guard.stop()
        self.station.stop()

    def look(self, env: "gymnasium.Env[Any, Any]", frames: Mapping[str, Array]) -> None:
        """Offer camera images to the console, at most 30 times per second; they must not be written to afterwards.

        Without `frames` the robot's cameras are asked. Belongs to the control loop's thread. Costs nothing while nobody
        watches.
        """
        if hasattr(env.unwrapped, "tool"):
            self.tool = env.unwrapped.tool()
        now = time.monotonic()
        if self.link is None or not self.link.watched or now - self._looked < _FRAME_S:
            return
        self._looked = now
        shown = dict(frames) or (env.unwrapped.look() if hasattr(env.unwrapped, "look") else {})
        if OVERVIEW in self.link.watched:
            shown[OVERVIEW] = np.asarray(env.render())
        self.link.show(shown, now)

    def log(self, level: str, text: str) -> None:
        """Write a line into the console's event log."""
        if self.link is not None:
            self.link.send(Event(t=time.monotonic(), level=level, text=text))

    def haptic(self, client: str, hand: str, strength: float, seconds: float) -> None:
        """Let a controller of page `client` vibrate."""
        if self.link is not None:
            self.link.send(Haptic(client=client, hand=hand, strength=strength, seconds=seconds))

    # -- from the console, in the link's thread ----------------------------------------------------------------------

    def _receive(self, message: ToRobot) -> None:
        if isinstance(message, Gone):
            for page in self._pages:
                page.gone(message.client, message.reason)
        elif isinstance(message, FromPage):
            refusal = allowed(message)
            if isinstance(message.body, Button | Words):
                self._acknowledge(message, message.body.id, refusal or self._obey(message))
            elif not refusal:
                for page in self._readers.get(type(message.body), ()):
                    page.feed(
                        message.body,
                        client=message.client,
                        operator=message.operator,
                        t_recv=message.t_recv,
                        t_page=message.t_page,
                    )

    def _obey(self, message: FromPage) -> str:
        """Do what a button or words say; return why not, or an empty string."""
        body, who = message.body, message.operator or "console"
        assert isinstance(body, Button | Words)
        if isinstance(body, Words):
            if self._words is None:
                return "this robot takes no words: start it with real time and `--console`"
            reason: str = self._words.feed(
                body, client=message.client, operator=who, t_recv=message.t_recv, t_page=message.t_page
            )
            self.log("warning" if reason else "info", f"{who}: “{body.text}”" + (f" - {reason}" if reason else ""))
        else:
            reason = self._press(body, who, message.t_recv)
        return reason

    def _press(self, body: Button, who: str, t: float) -> str:
        if body.kind == "clear" and not body.reason.strip():
            return "clearing an e-stop needs a reason, in words"
        if body.kind == "false_positive" and self.status is not None and self.status().reward is None:
            return "no reward model judges here; press Fail"
        if body.kind == "next" and self.status is not None and self.status().stage not in ("recovery", "correction"):
            return "nobody recovers or corrects; take over first, in a run with --rac"
        if body.kind == "disturb" and self.status is not None and body.value not in self.status().disturbances:
            return f"nothing here can be disturbed by {body.value!r}; start the run with --adversary"
        if body.kind == "mode" and body.value and self.status is not None and body.value not in self.status().modes:
            return f"this robot cannot be driven in mode {body.value!r}; it knows {', '.join(self.status().modes)}"
        if body.kind == "estop" and body.id == self._stopped_by:  # said again until it was answered
            return ""
        if body.kind == "estop":
            self._stopped_by = body.id
            self.guard.emergency_stop(f"e-stop by {who}")  # the edge below tells the loop
        if body.kind in ("pause", "estop"):
            for device in self.station.devices:
                if isinstance(device, Releasable):
                    device.request_release()  # a leader arm cannot be let go of by opening the hand
        event = TeleopEvent(kind=EventKind(body.kind), t=t, source=who, reason=body.reason, value=body.value)
        self.station.post(event)
        level = "error" if body.kind == "estop" else "info"
        more = " ".join(word for word in (body.value, f"({body.reason})" if body.reason else "") if word)
        self.log(level, f"{who}: {body.kind} {more}".rstrip())
        self._changed.set()
        return ""

    def _acknowledge(self, message: FromPage, number: str, reason: str) -> None:
        if self.link is not None:
            self.link.send(Ack(id=number, client=message.client, ok=not reason, reason=reason))

    # -- to the console ----------------------------------------------------------------------------------------------

    def _tell(self) -> None:
        last = None
        while not self._done.is_set():
            self._changed.wait(_STATUS_S)
            self._changed.clear()
            if self.status is None or self.link is None:
                continue
            try:
                status = self.status()
            except Exception:  # a display must never end a run
                _log.exception("the status could not be made")
                continue
            stood = last is not None and {status.state, last.state} <= {"HOLD", "LOST"}
            if last is not None and status.state != last.state and not stood:
                level = {"ESTOP": "error", "LOST": "error", "HOLD": "warning"}.get(status.state, "info")
                self.log(level, status.state + (f": {status.reason}" if status.reason else ""))
            last = status
            self.link.send(status)


def make_operator(robot: "Robot", options: "OperatorOptions", clock: Clock) -> Operator:
    """Put together what `options` ask for, for the robot; opens nothing."""
    from robot_hil.cli.devices import PAGE_INPUT, make_devices, page_devices
    from robot_hil.teleop.station import Station

    def haptic(client: str, hand: str, strength: float, seconds: float) -> None:
        operator.haptic(client, hand, strength, seconds)

    devices = make_devices(options.teleop, robot.env, clock, options.facing)
    pages: list[Any] = []
    if options.console and robot.experiment.realtime and robot.drivable:
        pages = page_devices(robot.env, clock, haptic, options.facing)
    station = Station([*devices, *pages], clock)
    guard = Guard(robot.gate, robot.arbiter, station, clock)
    operator = Operator(
        station,
        guard,
        welcome=_welcome(robot) if options.console else None,
        pages={page: PAGE_INPUT[page.name] for page in pages},
        words=next((page for page in pages if page.name == "words"), None),
        host=_hosted(robot.run_folder, options) if options.console else None,
        folder=robot.run_folder,
        status=robot.status,
    )
    return operator


def _welcome(robot: "Robot") -> Welcome:
    return Welcome(
        experiment=robot.experiment.name,
        task=robot.spec.task,
        cameras=[*([OVERVIEW] if robot.env.render_mode == "rgb_array" else []), *robot.spec.images],
        control_hz=robot.spec.control_hz,
        folder=str(robot.run_folder.path),
    )


def _hosted(run: "RunFolder", options: "OperatorOptions") -> "Callable[[str], ConsoleHost]":
    def host(endpoint: str) -> "ConsoleHost":
        from robot_hil.console.host import TOKEN_VARIABLE, ConsoleHost

        token = os.environ.get(TOKEN_VARIABLE, "")  # a run keeps its address over its phases
        return ConsoleHost(endpoint, run.path, options.console_host, options.console_port, token=token)

    return host
