"""Camera images to pages: JPEG, encoded once for all who watch, newest wins, at most two on their way per viewer.

A message is the length of a header (u32, little endian), the header {camera, seq, t, now} as JSON, and the JPEG. `t` is
when the image was exposed and `now` when it is sent, both in milliseconds of the console's monotonic clock.
"""

import asyncio
import json
import struct
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import msgspec
from aiohttp import WSMsgType, web

from robot_hil.clock import Clock
from robot_hil.console.auth import Tokens
from robot_hil.console.client import hello_of, note_failure, web_socket
from robot_hil.console.link import ConsoleLink
from robot_hil.data.operator_input import Got, Message, Ping, Watch
from robot_hil.data.specs import Array

QUALITY = 80
MAX_IN_FLIGHT = 2
_THREADS = 2
_decode = msgspec.json.Decoder(Message).decode


@dataclass(eq=False)
class Viewer:
    """One video connection."""

    cameras: frozenset[str] = frozenset()
    sent: dict[str, int] = field(default_factory=dict)
    """Number of the newest image sent, by camera."""
    in_flight: dict[str, list[int]] = field(default_factory=dict)
    """Numbers of the images that the page has not drawn yet."""
    wake: asyncio.Event = field(default_factory=asyncio.Event)

    def ready(self, camera: str) -> bool:
        """Return whether the page takes another image of `camera`."""
        return camera in self.cameras and len(self.in_flight.get(camera, ())) < MAX_IN_FLIGHT

    def got(self, camera: str, seq: int) -> None:
        """The page drew image `seq`; what was sent before it is drawn or skipped."""
        self.in_flight[camera] = [one for one in self.in_flight.get(camera, ()) if one > seq]


@dataclass(eq=False)
class Camera:
    """The newest image of a camera, raw and encoded."""

    seq: int = 0
    image: Array | None = None
    """uint8 (H, W, 3) RGB, not encoded yet."""
    stamp: float = 0.0
    jpeg: bytes = b""
    jpeg_seq: int = 0
    jpeg_stamp: float = 0.0
    busy: bool = False


def encode(image: Array) -> bytes:
    """Return `image`, uint8 (H, W, 3) RGB, as JPEG."""
    import cv2

    cv2.setNumThreads(1)  # a picture is too small to share out: OpenCV's threads would wait for work at full speed
    done, jpeg = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    if not done:
        raise ValueError(f"an image of shape {image.shape} cannot be encoded")
    return bytes(jpeg.data)


class Video:
    """Runs in the server's event loop; encodes in threads of its own."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._viewers: set[Viewer] = set()
        self._cameras: dict[str, Camera] = {}
        self._link: ConsoleLink | None = None
        self._pool = ThreadPoolExecutor(_THREADS, "jpeg")
        self._tasks: set[asyncio.Task[None]] = set()

    async def receive(self, link: ConsoleLink) -> None:
        """Take images from the robot's process until cancelled."""
        self._link = link
        self._subscribe()
        try:
            while True:
                name, image, stamp = await link.receive_frame()
                camera = self._cameras.setdefault(name, Camera())
                camera.seq += 1
                camera.image, camera.stamp = image, stamp
                self._encode(name)
        finally:
            if self._link is link:  # not yet another robot's
                self._link = None

    def close(self) -> None:
        """Release the threads."""
        for task in tuple(self._tasks):
            task.cancel()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _subscribe(self) -> None:
        if self._link is not None:
            self._link.watch({name for viewer in self._viewers for name in viewer.cameras})

    def _encode(self, name: str) -> None:
        """Encode the newest image, if there is one, somebody is ready for it, and this camera is not at it already."""
        camera = self._cameras[name]
        if camera.busy or camera.image is None or not any(viewer.ready(name) for viewer in self._viewers):
            return
        camera.busy = True
        task = asyncio.create_task(self._encode_one(name, camera))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(note_failure)

    async def _encode_one(self, name: str, camera: Camera) -> None:
        image, seq, stamp = camera.image, camera.seq, camera.stamp
        assert image is not None
        camera.image = None
        try:
            camera.jpeg = await asyncio.get_running_loop().run_in_executor(self._pool, encode, image)
            camera.jpeg_seq, camera.jpeg_stamp = seq, stamp
        finally:
            camera.busy = False
        for viewer in self._viewers:
            if viewer.ready(name):
                viewer.wake.set()
        self._encode(name)

    async def serve(self, request: web.Request, tokens: Tokens) -> web.WebSocketResponse:
        """Serve one video connection from hello to its end; who may watch may watch everything."""
        async with web_socket(request) as socket:
            if await hello_of(socket, tokens) is None:
                return socket
            viewer = Viewer()
            self._viewers.add(viewer)
            writer = asyncio.create_task(self._write(viewer, socket))
            writer.add_done_callback(note_failure)
            try:
                async for message in socket:
                    if message.type is WSMsgType.TEXT:
                        await self._take(viewer, socket, message.data)
            finally:
                self._viewers.discard(viewer)
                writer.cancel()
                self._subscribe()
        return socket

    async def _take(self, viewer: Viewer, socket: web.WebSocketResponse, text: str) -> None:
        try:
            message = _decode(text)
        except (msgspec.DecodeError, UnicodeError):
            return
        match message:
            case Watch():
                for name in set(message.cameras) - viewer.cameras:  # what was encoded before may be from long ago
                    viewer.sent[name] = self._cameras[name].seq if name in self._cameras else 0
                viewer.cameras = frozenset(message.cameras)
                viewer.in_flight.clear()
                self._subscribe()
            case Got():
                viewer.got(message.camera, message.seq)
                if message.camera in self._cameras:
                    self._encode(message.camera)
            case Ping():
                await socket.send_json({"type": "pong", "t": message.t, "s": round(self._clock.now() * 1e3, 3)})
        viewer.wake.set()

    async def _write(self, viewer: Viewer, socket: web.WebSocketResponse) -> None:
        while True:
            await viewer.wake.wait()
            viewer.wake.clear()
            for name in viewer.cameras:
                camera = self._cameras.get(name)
                if camera is None or not viewer.ready(name) or camera.jpeg_seq <= viewer.sent.get(name, 0):
                    continue
                viewer.sent[name] = camera.jpeg_seq
                viewer.in_flight.setdefault(name, []).append(camera.jpeg_seq)
                await socket.send_bytes(self._packed(name, camera))

    def _packed(self, name: str, camera: Camera) -> bytes:
        header = {
            "camera": name,
            "seq": camera.jpeg_seq,
            "t": round(camera.jpeg_stamp * 1e3, 3),
            "now": round(self._clock.now() * 1e3, 3),
        }
        head = json.dumps(header, separators=(",", ":")).encode()
        return b"".join((struct.pack("<I", len(head)), head, camera.jpeg))
