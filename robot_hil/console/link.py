"""Between the robot's process and the console's: two local sockets in a folder that only this user can enter.

The robot binds, the console connects, either may start first and each may die and come back. Nobody ever waits: what
cannot be sent at once is dropped, except edges, which the page sends again until they are acknowledged.
"""

import contextlib
import logging
import os
import shutil
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import zmq
import zmq.asyncio

from robot_hil.console import messages
from robot_hil.console.messages import Ack, FromPage, ToConsole, ToRobot, Welcome
from robot_hil.data.operator_input import Button, Words
from robot_hil.data.specs import Array
from robot_hil.errors import TransportError

_log = logging.getLogger(__name__)
_QUEUE = 1000
_EDGES = 256
"""How many buttons and words are remembered, to know them when they come again."""
POLL_MS = 20


class RobotLink:
    """The robot's end. `on_message` is called in the link's thread, at once, and must not block.

    `send` and `show` may be called from any thread and never block. Frames go out only for cameras that somebody
    watches, newest first, without a copy in the caller's thread: give arrays that are not written to afterwards.

    A button or words that come again, which pages do until they are acknowledged, are answered again and not handed on.
    E-stops are handed on every time.
    """

    def __init__(self, welcome: Welcome, on_message: Callable[[ToRobot], object]) -> None:
        self.endpoint = ""
        """Where the console connects; set by `start`."""
        self.refused = 0
        """Messages that could not be read."""
        self.watched: frozenset[str] = frozenset()
        """Cameras that somebody watches now."""
        self._welcome, self._on_message = welcome, on_message
        self._edges: OrderedDict[str, tuple[Button | Words, Ack | None]] = OrderedDict()
        self._frames: dict[str, tuple[Array, float]] = {}
        self._unfit: set[str] = set()
        self._out: list[ToConsole] = []
        self._lock = threading.Lock()
        self._wake_r = self._wake_w = -1
        self._folder = ""
        self._thread: threading.Thread | None = None
        self._done = False

    def start(self) -> None:
        """Bind and begin to serve; legal twice. Raises `TransportError`."""
        if self._thread is not None:
            return
        self._folder = tempfile.mkdtemp(prefix="robot-hil-")  # made with mode 0700
        self.endpoint = f"ipc://{self._folder}/link"
        context = zmq.Context()
        try:
            control, video = context.socket(zmq.ROUTER), context.socket(zmq.XPUB)
            for one in (control, video):
                one.setsockopt(zmq.LINGER, 0)
            control.setsockopt(zmq.SNDHWM, _QUEUE)
            control.setsockopt(zmq.ROUTER_MANDATORY, 1)  # says when a console is gone
            # The sender learns late that messages were read (when half as many as the mark were): with less, one of
            # several cameras that are shown together would find the queue full every time.
            video.setsockopt(zmq.SNDHWM, 2 * max(len(self._welcome.cameras), 1) + 2)
            control.bind(self.endpoint)
            video.bind(self.endpoint + "-video")
        except zmq.ZMQError as error:
            context.destroy(0)
            raise TransportError(f"the console's link cannot be opened at {self.endpoint}: {error}.") from error
        self._wake_r, self._wake_w = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._done = False
        self._thread = threading.Thread(
            target=self._serve, args=(context, control, video), name="console-link", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Stop serving; legal twice."""
        if self._thread is None:
            return
        self._done = True
        self._wake()
        self._thread.join()
        self._thread = None
        with self._lock:  # a late `send` must not write into a file that got the same number
            handles, self._wake_r, self._wake_w = (self._wake_r, self._wake_w), -1, -1
        for handle in handles:
            os.close(handle)
        shutil.rmtree(self._folder, ignore_errors=True)

    def send(self, message: ToConsole) -> None:
        """Send to the console, if there is one."""
        with self._lock:
            if isinstance(message, Ack) and message.id in self._edges:
                self._edges[message.id] = (self._edges[message.id][0], message)
            self._out.append(message)
            del self._out[:-_QUEUE]
            self._wake()

    def show(self, frames: Mapping[str, Array], stamp: float) -> None:
        """Offer camera images uint8 (H, W, 3), exposed at monotonic time `stamp` [s]; older unsent ones are dropped."""
        with self._lock:
            for name, image in frames.items():
                self._frames[name] = (image, stamp)
            self._wake()

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError, OSError):  # a full pipe wakes as well
            os.write(self._wake_w, b"x")

    def _serve(self, context: Any, control: Any, video: Any) -> None:
        peers: set[bytes] = set()
        watched: set[bytes] = set()
        poller = zmq.Poller()
        for source in (control, video, self._wake_r):
            poller.register(source, zmq.POLLIN)
        try:
            while not self._done:
                ready = dict(poller.poll(POLL_MS))
                if self._wake_r in ready:
                    with contextlib.suppress(BlockingIOError):
                        os.read(self._wake_r, 4096)
                if control in ready:
                    self._receive(control, peers)
                if video in ready:
                    self._subscriptions(video, watched)
                    self.watched = frozenset(topic[:-1].decode(errors="replace") for topic in watched)
                self._flush(control, peers, video, watched)
        finally:
            context.destroy(0)

    def _receive(self, control: Any, peers: set[bytes]) -> None:
        while True:
            try:
                peer, blob = control.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            except ValueError:  # not two frames
                self.refused += 1
                continue
            try:
                message = messages.for_robot(blob)
            except msgspec.DecodeError:
                self.refused += 1
                continue
            if peer not in peers:
                peers.add(peer)
                self._to(control, peers, self._welcome, peer)
            if self._is_repeated(message):
                continue
            try:
                self._on_message(message)
            except Exception:  # the link must outlive a bad device
                _log.exception("a message of the console could not be handled: %s", message)
                if isinstance(message, FromPage) and isinstance(message.body, Button | Words):
                    with self._lock:
                        self._edges.pop(message.body.id, None)

    def _is_repeated(self, message: ToRobot) -> bool:
        """Return whether this edge came before, and answer it again if it was answered."""
        if not isinstance(message, FromPage) or not isinstance(message.body, Button | Words):
            return False
        body = message.body
        if isinstance(body, Button) and body.kind == "estop":
            return False
        with self._lock:
            known, ack = self._edges.get(body.id, (None, None))
            if known != body:
                self._edges[body.id] = (body, None)
                while len(self._edges) > _EDGES:
                    self._edges.popitem(last=False)
                return False
            if ack is not None:
                self._out.append(Ack(id=ack.id, client=message.client, ok=ack.ok, reason=ack.reason))
        return True

    def _subscriptions(self, video: Any, watched: set[bytes]) -> None:
        while True:
            try:
                note = video.recv(zmq.NOBLOCK)
            except zmq.Again:
                return
            (watched.add if note[:1] == b"\x01" else watched.discard)(note[1:])

    def _flush(self, control: Any, peers: set[bytes], video: Any, watched: set[bytes]) -> None:
        with self._lock:
            out, self._out = self._out, []
            frames, self._frames = self._frames, {}
        for message in out:
            for peer in tuple(peers):
                self._to(control, peers, message, peer)
        for name, (image, stamp) in frames.items():
            topic = name.encode() + b"\0"
            if topic in watched:
                if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
                    self._complain(name, image)
                    continue
                header = msgspec.msgpack.encode((stamp, image.shape))
                with contextlib.suppress(zmq.Again):
                    video.send_multipart([topic, header, np.ascontiguousarray(image)], zmq.NOBLOCK, copy=False)

    def _complain(self, name: str, image: Array) -> None:
        if name not in self._unfit:
            self._unfit.add(name)
            _log.error("camera %s shows %s %s; the console needs uint8 (H, W, 3)", name, image.dtype, image.shape)

    def _to(self, control: Any, peers: set[bytes], message: ToConsole, peer: bytes) -> None:
        try:
            control.send_multipart([peer, messages.encode(message)], zmq.NOBLOCK)
        except zmq.Again:
            _log.debug("the console does not read; dropped %s", type(message).__name__)
        except zmq.ZMQError:
            peers.discard(peer)


class ConsoleLink:
    """The console's end, for its event loop: not thread-safe, one loop uses it.

    `receive` and `receive_frame` are coroutines. `clock` offset is none: both sides read the machine's monotonic clock.
    """

    def __init__(self, endpoint: str) -> None:
        self._context = zmq.asyncio.Context()
        self._control = self._context.socket(zmq.DEALER)
        self._video = self._context.socket(zmq.SUB)
        for one in (self._control, self._video):
            one.setsockopt(zmq.LINGER, 0)
        self._control.setsockopt(zmq.SNDHWM, _QUEUE)
        self._control.setsockopt(zmq.IMMEDIATE, 1)  # nothing is kept for a robot that is not there: it would be old
        self._video.setsockopt(zmq.RCVHWM, 3)
        self._control.connect(endpoint)
        self._video.connect(endpoint + "-video")
        self._watched: set[str] = set()
        self.refused = 0
        """Messages that could not be read."""

    async def send(self, message: ToRobot) -> bool:
        """Send now or drop; return whether it is on its way."""
        try:
            await self._control.send(messages.encode(message), zmq.NOBLOCK)
        except zmq.Again:
            return False
        return True

    async def receive(self) -> ToConsole:
        """Return the next message of the robot."""
        while True:
            blob = await self._control.recv()
            try:
                return messages.for_console(blob)
            except msgspec.DecodeError:
                self.refused += 1

    async def receive_frame(self) -> tuple[str, Array, float]:
        """Return camera, image uint8 (H, W, 3), read-only, and monotonic time of exposure [s]."""
        while True:
            parts = await self._video.recv_multipart(copy=False)
            try:
                stamp, shape = msgspec.msgpack.decode(parts[1].buffer, type=tuple[float, tuple[int, int, int]])
                image = np.frombuffer(parts[2].buffer, np.uint8).reshape(shape)
            except (msgspec.DecodeError, ValueError, IndexError):
                self.refused += 1
                continue
            return bytes(parts[0].buffer)[:-1].decode(), image, stamp

    def watch(self, cameras: set[str]) -> None:
        """Receive frames of exactly these cameras."""
        for name in cameras - self._watched:
            self._video.setsockopt(zmq.SUBSCRIBE, name.encode() + b"\0")
        for name in self._watched - cameras:
            self._video.setsockopt(zmq.UNSUBSCRIBE, name.encode() + b"\0")
        self._watched = set(cameras)

    def close(self) -> None:
        """Close both sockets; legal twice."""
        self._context.destroy(0)


def link_of(folder: Path) -> str:
    """Return the endpoint that the robot of run `folder` wrote down; empty when it does not run."""
    try:
        return (folder / LINK_FILE).read_text().strip()
    except OSError:
        return ""


LINK_FILE = "link"
