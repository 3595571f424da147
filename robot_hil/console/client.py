"""One page's control connection: who it is, what it sends, what it is sent."""

import asyncio
import contextlib
import json
import logging
import secrets
import socket as socket_module
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from aiohttp import WSCloseCode, WSMessage, WSMsgType, web

from robot_hil.console.auth import RELOAD, UNAUTHORIZED, Tokens
from robot_hil.console.hub import Body, Hub
from robot_hil.console.messages import FromPage
from robot_hil.data.operator_input import (
    MAX_MESSAGE,
    PROTOCOL,
    Button,
    ClockOffset,
    Got,
    Hello,
    Label,
    Message,
    Pilot,
    Ping,
    Watch,
    Words,
)

_log = logging.getLogger(__name__)
HELLO_S = 3.0
STATE_PERIOD_S = 0.09
"""Least time between two states or metrics sent to one page, unless the state's word changes."""
MAX_CONNECTIONS = 64
OPEN: web.AppKey[set[web.WebSocketResponse]] = web.AppKey("open", set)
"""Every WebSocket that is open."""
_QUEUE = 64
_REFUSAL_PERIOD_S = 0.2
_decode = msgspec.json.Decoder(Message).decode


class PageClock:
    """Maps times of a page to the console's, never later than the moment of receipt.

    The page's own estimate is corrected by what cannot be: a message that was received before it was made.
    """

    def __init__(self) -> None:
        self._offset: float | None = None

    def learn(self, offset_ms: float) -> None:
        """Take the page's estimate: console time = page time + offset."""
        self._offset = offset_ms

    def map(self, t_page_ms: float | None, t_recv: float) -> float:
        """Return when a message was made [s]; `t_recv` while nothing is known."""
        if t_page_ms is None or self._offset is None:
            return t_recv
        self._offset = min(self._offset, t_recv * 1e3 - t_page_ms)
        return min(t_recv, (t_page_ms + self._offset) / 1e3)


class Client:
    """A page that said hello. `send` and `put` return at once; one task writes to the socket."""

    def __init__(self, hub: Hub, socket: web.WebSocketResponse, hello: Hello, may_drive: bool) -> None:
        self.id = secrets.token_hex(8)
        self.name = hello.name
        self.may_drive = may_drive
        self._hub, self._socket = hub, socket
        self._clock = PageClock()
        self._queue: deque[Body] = deque(maxlen=_QUEUE)
        self._slots: dict[str, Body] = {}
        self._wake = asyncio.Event()
        self._refused_t = -1.0

    # -- to the page -----------------------------------------------------------------------------------------------

    def send(self, body: Body) -> None:
        """Queue a message that must not be skipped; the oldest are lost when the page does not read."""
        self._queue.append(body)
        self._wake.set()

    def put(self, slot: str, body: Body) -> None:
        """Offer a message of which only the newest of its kind counts."""
        self._slots[slot] = body
        self._wake.set()

    def refuse(self, reason: str) -> None:
        """Say why something was not obeyed, at a bounded rate."""
        self._hub.refused += 1
        now = self._hub.clock.now()
        if now - self._refused_t >= _REFUSAL_PERIOD_S:
            self._refused_t = now
            self.send({"type": "refused", "reason": reason})

    async def write(self, transport: asyncio.WriteTransport | None) -> None:
        """Write what is queued until the connection ends."""
        shown: dict[str, tuple[float, Any]] = {}
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._queue:
                await self._send(self._queue.popleft())
            due = None
            for slot, body in tuple(self._slots.items()):
                now = self._hub.clock.now()
                t, word = shown.get(slot, (-1.0, None))
                wait = 0.0 if body.get("state") != word else t + STATE_PERIOD_S - now
                if transport is not None and transport.get_write_buffer_size():
                    wait = max(wait, STATE_PERIOD_S)  # a slow page: what it gets next will be newer
                if wait <= 0:
                    del self._slots[slot]
                    shown[slot] = (now, body.get("state"))
                    await self._send(body)
                else:
                    due = wait if due is None else min(due, wait)
            if due is not None:
                asyncio.get_running_loop().call_later(due, self._wake.set)

    async def _send(self, body: Body) -> None:
        await self._socket.send_str(msgspec.json.encode(body).decode())  # infinity becomes null

    # -- from the page ---------------------------------------------------------------------------------------------

    async def read(self) -> str:
        """Obey the page until the connection ends; return why it ended."""
        async for message in self._socket:
            if message.type is WSMsgType.TEXT:
                await self.take(message.data)
            elif message.type is WSMsgType.BINARY:
                self.refuse("messages are JSON text")
        if self._socket.close_code == WSCloseCode.MESSAGE_TOO_BIG:
            return f"its page sent a message of more than {MAX_MESSAGE} bytes"
        return "its page is closed or disconnected"

    async def take(self, text: str) -> None:
        """Obey one message, or refuse it."""
        t_recv = self._hub.clock.now()
        try:
            message = _decode(text)
        except (msgspec.DecodeError, UnicodeError) as error:
            self.refuse(f"not understood: {error}")
            return
        before = self._hub.seat.holder
        self._hub.seat.heard(self.id)
        await self._hub.seat_changed(before, "")
        match message:
            case Ping():
                self.send({"type": "pong", "t": message.t, "s": round(self._hub.clock.now() * 1e3, 3)})
            case ClockOffset():
                self._clock.learn(message.offset)
            case Pilot():
                await self._pilot(message)
            case Label():
                await self._label(message)
            case Hello() | Watch() | Got():
                self.refuse(f"{type(message).__name__.lower()} does not belong here")
            case _:
                await self._relay(message, t_recv)

    async def _pilot(self, message: Pilot) -> None:
        if message.want and not self.may_drive:
            reason = "an observer's link may watch and stop; open the pilot's link to drive"
            self.send({"type": "refused", "reason": reason})
            return
        before = self._hub.seat.holder
        self._hub.seat.ask(self.id, message.want, message.take)
        await self._hub.seat_changed(before, f"{self.name or 'another page'} took the seat" if message.take else "")
        if before == self._hub.seat.holder:
            self.send(self._hub.pilot_for(self))

    async def _label(self, message: Label) -> None:
        if not self.may_drive:
            reason = "an observer gives no verdicts"
        elif self._hub.on_label is None:
            reason = "there is no run folder whose episodes could be judged"
        else:
            reason = await self._hub.on_label(message, self.name)
        self.send({"type": "ack", "id": message.id, "ok": not reason, "reason": reason})

    async def _relay(self, body: Any, t_recv: float) -> None:
        pilot = self._hub.seat.holder == self.id
        message = FromPage(
            body,
            client=self.id,
            operator=self.name,
            pilot=pilot,
            t_recv=t_recv,
            t_page=self._clock.map(getattr(body, "t", None), t_recv),
        )
        free = ("estop", "disturb") if self.may_drive else ("estop",)  # a second person may disturb, an observer not
        if pilot or (isinstance(body, Button) and body.kind in free):
            if isinstance(body, Button | Words):
                await self._hub.edge(message)
            else:
                await self._hub.to_robot(message)
            return
        name = self._hub.pilot_name()
        reason = (
            f"{name} is the pilot; take the seat first" if name else "you are not the pilot; ask for the seat first"
        )
        if isinstance(body, Button | Words):
            self.send({"type": "ack", "id": body.id, "ok": False, "reason": reason})
        else:
            self.refuse(reason)


@contextlib.asynccontextmanager
async def web_socket(request: web.Request) -> AsyncIterator[web.WebSocketResponse]:
    """Open a WebSocket, unless there are too many already."""
    sockets = request.app[OPEN]
    if len(sockets) >= MAX_CONNECTIONS:
        raise web.HTTPServiceUnavailable(text=f"{MAX_CONNECTIONS} connections are open already.\n")
    socket = web.WebSocketResponse(max_msg_size=MAX_MESSAGE, heartbeat=5.0, compress=False)
    sockets.add(socket)
    try:
        await socket.prepare(request)
        with contextlib.suppress(ConnectionError):  # written to a connection that is just torn
            yield socket
    finally:
        sockets.discard(socket)


async def hello_of(socket: web.WebSocketResponse, tokens: Tokens) -> tuple[Hello, bool] | None:
    """Wait for the first message; return it and whether its token lets drive. None: refused, and the socket closed."""
    try:
        async with asyncio.timeout(HELLO_S):
            first: WSMessage = await socket.receive()
    except TimeoutError:
        await socket.close(code=WSCloseCode.POLICY_VIOLATION, message=f"no hello within {HELLO_S:g} s".encode())
        return None
    if first.type is not WSMsgType.TEXT:
        await socket.close(code=WSCloseCode.POLICY_VIOLATION, message=b"hello comes first")
        return None
    if _version_of(first.data) not in (None, PROTOCOL):
        reason = "this page is of another version than the console: reload it"
        await socket.send_json({"type": "refused", "reason": reason, "reload": True})
        await socket.close(code=RELOAD, message=reason.encode())
        return None
    try:
        hello = _decode(first.data)
    except (msgspec.DecodeError, UnicodeError) as error:
        await socket.send_json({"type": "refused", "reason": f"not understood: {error}"})
        hello = None
    if not isinstance(hello, Hello):
        await socket.close(code=WSCloseCode.POLICY_VIOLATION, message=b"hello comes first")
        return None
    role = tokens.role(hello.token)
    if role is None:
        await socket.close(code=UNAUTHORIZED, message=b"wrong token: open the link that the console printed")
        return None
    return hello, role == "pilot"


def small_buffers(request: web.Request) -> asyncio.WriteTransport | None:
    """Let no more than a moment's messages wait in the kernel for a slow page; return the connection."""
    transport = request.transport
    if not isinstance(transport, asyncio.WriteTransport):
        return None
    connection = transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket_module.SOL_SOCKET, socket_module.SO_SNDBUF, 65_536)
    return transport


def note_failure(task: "asyncio.Task[None]") -> None:
    """Log why a connection's writer ended; that the connection is torn is seen by its reader."""
    if not task.cancelled() and (error := task.exception()) and not isinstance(error, ConnectionError):
        _log.error("a page could not be written to", exc_info=error)


def _version_of(text: str) -> Any:
    try:
        body = json.loads(text)
    except ValueError:
        return None
    return body.get("v") if isinstance(body, dict) else None


async def serve_control(request: web.Request, hub: Hub, tokens: Tokens) -> web.WebSocketResponse:
    """Serve one control connection from hello to its end."""
    async with web_socket(request) as socket:
        said = await hello_of(socket, tokens)
        if said is None:
            return socket
        hello, may_drive = said
        client = Client(hub, socket, hello, may_drive)
        writer = asyncio.create_task(client.write(small_buffers(request)))
        writer.add_done_callback(note_failure)
        reason = "its page is closed or disconnected"
        try:
            await hub.join(client, wants_seat=may_drive and hello.role == "pilot")
            reason = await client.read()
        finally:
            await hub.leave(client, reason)
            writer.cancel()
    return socket
