"""What all connections share: the robot's side of the link, the pilot's seat, and what goes to every page."""

import asyncio
import logging
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from robot_hil.clock import Clock, MonotonicClock
from robot_hil.console.edges import Edges
from robot_hil.console.feed import RunFeed
from robot_hil.console.link import ConsoleLink, link_of
from robot_hil.console.messages import (
    Ack,
    Alive,
    Event,
    FromPage,
    Gone,
    Haptic,
    Status,
    ToConsole,
    ToRobot,
    Welcome,
)
from robot_hil.console.seat import Seat
from robot_hil.data.operator_input import PROTOCOL, Label

if TYPE_CHECKING:
    from robot_hil.console.client import Client

_log = logging.getLogger(__name__)
ALIVE_PERIOD_S = 0.02
SILENT_S = 1.0
"""A robot that says nothing for so long is told to pages as lost."""
_EVENTS = 200

Body = dict[str, Any]
LabelHandler = Callable[[Label, str], Awaitable[str]]
"""Takes a verdict and who gave it; returns why it is refused, or an empty string."""


class Hub:
    """Runs in the server's event loop; nothing here may block it, because it also says that the console lives."""

    def __init__(self, link: str, folder: Path | None, clock: Clock | None = None) -> None:
        self.clock = clock or MonotonicClock()
        self.clients: dict[str, Client] = {}
        self.seat = Seat(self.clock)
        self.edges = Edges(self.to_robot, self.clock)
        self.robot: ConsoleLink | None = None
        self.on_label: LabelHandler | None = None
        self.on_frames: Callable[[ConsoleLink], Coroutine[Any, Any, None]] | None = None
        """Takes the robot's camera images, as long as the link lasts."""
        self.takeovers: Callable[[], Awaitable[Sequence[int]]] | None = None
        """Says at which steps the person took over in the newest trials."""
        self.welcome: Welcome | None = None
        self.refused = 0
        """Messages of pages that were refused."""
        self.feed = RunFeed(folder) if folder is not None else None
        self._endpoint, self._given, self._folder = "", link, folder
        self._status = Status(t=0.0, state="IDLE", reason="", phase="", message="", driver="")
        self._heard = -1.0
        self._looked = self._lost_told = -math.inf
        self._events: deque[Body] = deque(maxlen=_EVENTS)
        self._metrics: Body | None = None
        self._link_tasks: list[asyncio.Task[None]] = []

    # -- life ------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Serve until cancelled; any failure ends it, so that it is seen and the console is started anew."""
        try:
            async with asyncio.TaskGroup() as group:
                for work in (self._alive, self._watch_time, self._watch_folder):
                    group.create_task(work())
        finally:
            self._disconnect()
            await self.edges.close()

    async def _alive(self) -> None:
        due = self.clock.now()
        while True:
            self._connect()
            if self.robot is not None:
                await self.robot.send(Alive(self.clock.now()))
            due = max(due + ALIVE_PERIOD_S, self.clock.now())
            await asyncio.sleep(due - self.clock.now())

    async def _watch_time(self) -> None:
        while True:
            await asyncio.sleep(0.1)
            before = self.seat.holder
            self.seat.tick()
            await self.seat_changed(before, "its page is silent")
            now = self.clock.now()
            if not self.robot_is_here() and now - self._lost_told > 0.5:
                self._lost_told = now
                self.broadcast_state(self.state())

    async def _watch_folder(self) -> None:
        while self.feed is not None:
            control_hz = self.welcome.control_hz if self.welcome else 0.0
            try:
                takeovers = await self.takeovers() if self.takeovers is not None else ()
                metrics = await asyncio.to_thread(self.feed.poll, control_hz, takeovers)
            except Exception:  # curves must not take the robot's console with them
                _log.exception("the run folder cannot be shown")
                metrics = None
            if metrics is not None:
                self._metrics = {"type": "metrics", **metrics}
                self.broadcast(self._metrics, "metrics")
            await asyncio.sleep(1.0)

    # -- the robot -------------------------------------------------------------------------------------------------

    def robot_is_here(self) -> bool:
        """Return whether the robot's process spoke within `SILENT_S`."""
        return self._heard >= 0 and self.clock.now() - self._heard <= SILENT_S

    def _connect(self) -> None:
        """Connect to the robot's process, or to the one that runs instead of it by now."""
        now = self.clock.now()
        if now - self._looked < SILENT_S or (self.robot is not None and (self._given or self.robot_is_here())):
            return
        self._looked = now
        endpoint = self._given or (link_of(self._folder) if self._folder is not None else "")
        if endpoint == self._endpoint:
            return
        self._disconnect()
        self._endpoint = endpoint
        if endpoint:
            self.robot = ConsoleLink(endpoint)
            self._link_tasks = [asyncio.create_task(self._receive(self.robot))]
            if self.on_frames is not None:
                self._link_tasks.append(asyncio.create_task(self.on_frames(self.robot)))

    def _disconnect(self) -> None:
        for task in self._link_tasks:
            task.cancel()
        self._link_tasks = []
        if self.robot is not None:
            self.robot.close()
            self.robot = None

    async def _receive(self, link: ConsoleLink) -> None:
        while True:
            message = await link.receive()
            self._heard = self.clock.now()
            try:
                self._handle(message)
            except Exception:
                _log.exception("a message of the robot could not be passed on: %s", message)

    def _handle(self, message: ToConsole) -> None:
        match message:
            case Status():
                self._status = message
                self.broadcast_state(self.state())
            case Ack():
                client = self.clients.get(self.edges.answered(message))
                if client is not None:
                    client.send({"type": "ack", "id": message.id, "ok": message.ok, "reason": message.reason})
            case Event():
                self._note({"t": message.t * 1e3, "level": message.level, "text": message.text})
            case Haptic():
                if message.client in self.clients:
                    self.clients[message.client].send(msgspec.to_builtins(message))
            case Welcome():
                self.welcome = message
                for client in self.clients.values():
                    self._greet(client)

    async def to_robot(self, message: ToRobot) -> bool:
        """Send now or not at all; return whether the robot's process will get it."""
        return self.robot is not None and await self.robot.send(message)

    async def edge(self, message: FromPage) -> None:
        """Pass on a button or words of a page."""
        sent = await self.edges.forward(message)
        if not sent and message.client in self.clients:
            self.clients[message.client].refuse("no robot is connected")

    # -- pages -----------------------------------------------------------------------------------------------------

    async def join(self, client: "Client", wants_seat: bool) -> None:
        """A page is there."""
        before = self.seat.holder
        self.clients[client.id] = client
        self.seat.join(client.id, wants_seat)
        self._greet(client)
        client.put("state", self.state())
        if self._metrics is not None:
            client.put("metrics", self._metrics)
        await self.seat_changed(before, "")
        if before == self.seat.holder:
            client.send(self.pilot_for(client))

    def _greet(self, client: "Client") -> None:
        client.send(self.greeting(client))
        if self._events:  # a page begins its log anew when it is welcomed
            client.send({"type": "log", "entries": list(self._events)})

    async def leave(self, client: "Client", reason: str) -> None:
        """A page is gone: the robot hears of it at once."""
        if self.clients.pop(client.id, None) is None:
            return
        before = self.seat.holder
        self.seat.leave(client.id)
        if before != client.id:
            await self.to_robot(Gone(client.id, reason))
        await self.seat_changed(before, reason, client.name)

    async def seat_changed(self, before: str | None, reason: str, name: str = "") -> None:
        """Tell everybody when the seat is no longer where it was `before`; the robot is told first."""
        holder = self.seat.holder
        if holder == before:
            return
        if before is not None:
            await self.to_robot(Gone(before, reason))
            former = self.clients.get(before)
            self.note("info", f"{(former.name if former else name) or 'a page'} is no longer the pilot: {reason}")
        if holder is not None:
            self.note("info", f"{self.clients[holder].name or 'a page'} is the pilot")
        for client in self.clients.values():
            client.send(self.pilot_for(client))

    def pilot_for(self, client: "Client") -> Body:
        """Return who has the seat, as `client` is told."""
        return {"type": "pilot", "name": self.pilot_name(), "you": self.seat.holder == client.id}

    def pilot_name(self) -> str:
        """Return the pilot's name; `someone` for a pilot without one, empty when nobody drives."""
        holder = self.clients.get(self.seat.holder or "")
        return "" if holder is None else holder.name or "someone"

    def greeting(self, client: "Client") -> Body:
        """Return the answer to a page's hello."""
        known = self.welcome or Welcome(
            experiment=self.feed.experiment if self.feed else "",
            task="",
            cameras=[],
            control_hz=0.0,
            folder=str(self._folder or ""),
        )
        body: Body = msgspec.to_builtins(known)
        return {
            **body,
            "type": "welcome",
            "v": PROTOCOL,
            "role": "pilot" if self.seat.holder == client.id else "observer",
            "may_drive": client.may_drive,
            "name": client.name,
            "client": client.id,
        }

    def state(self) -> Body:
        """Return what pages are shown of the robot: its newest status, or that it is not there."""
        body: Body = msgspec.to_builtins(self._status)
        body |= {"type": "state", "pilot": self.pilot_name(), "robot": self.robot_is_here(), "link_age_s": None}
        if self._heard >= 0:
            body["link_age_s"] = round(self.clock.now() - self._heard, 3)
        if not body["robot"]:
            lost = self._heard >= 0
            body["state"] = "LOST" if lost else "NO ROBOT"
            body["driver"] = ""
            body["reason"] = (
                f"The robot's process is silent for {body['link_age_s']:.0f} s."
                if lost
                else "No robot is running here."
            )
        return body

    def broadcast(self, body: Body, slot: str) -> None:
        """Give every page something of which only the newest counts."""
        for client in self.clients.values():
            client.put(slot, body)

    def broadcast_state(self, body: Body) -> None:
        """Give every page the robot's state."""
        self.broadcast(body, "state")

    def note(self, level: str, text: str) -> None:
        """Write a line of the console's own into the event log."""
        self._note({"t": self.clock.now() * 1e3, "level": level, "text": text})

    def _note(self, entry: Body) -> None:
        entry["wall"] = round(time.time() - self.clock.now() + entry["t"] / 1e3, 3)
        self._events.append(entry)
        for client in self.clients.values():
            client.send({"type": "log", "entries": [entry]})
