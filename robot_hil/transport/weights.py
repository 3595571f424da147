"""Policy weights from learner to actors: versioned, the latest wins, a late joiner gets the current ones at once.

The subscriber asks for anything newer than what it has; the publisher answers when there is something. So there is
never more than one set of weights on its way to an actor, and a slow actor gets the newest, not a queue of old ones.
"""

import hashlib
import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Self

import msgspec
import numpy as np
import safetensors
import safetensors.numpy
import zmq

from robot_hil.data.specs import Array
from robot_hil.errors import RobotHilError, SpecError, TransportError
from robot_hil.transport import protocol
from robot_hil.transport.background import Background
from robot_hil.transport.keys import Keys
from robot_hil.transport.sockets import ClientSocket, ServerSocket, check_endpoint, receive_all

_log = logging.getLogger(__name__)
MAX_WEIGHTS_BYTES = 1 << 30
_ASK_EVERY_S = 0.5
_COMPLAIN_AFTER_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """What an actor acts with."""

    version: int
    """Policy version, rising by publication."""
    learner_step: int
    """Training updates behind it."""
    params: Mapping[str, Array]
    """Name -> array, read-only."""
    sha256: str
    """Of the encoded parameters."""
    received_t: float
    """Monotonic time of receipt on this machine [s]."""
    age_at_receipt: float
    """Seconds between publication and sending; the way itself is not counted."""

    def age(self, now: float) -> float:
        """Return how old the weights are at monotonic time `now` [s]."""
        return self.age_at_receipt + now - self.received_t


class _Header(msgspec.Struct, forbid_unknown_fields=True):
    version: Annotated[int, msgspec.Meta(ge=0, le=2**53)]
    learner_step: Annotated[int, msgspec.Meta(ge=0, le=2**53)]
    sha256: Annotated[str, msgspec.Meta(min_length=64, max_length=64)]
    age: Annotated[float, msgspec.Meta(ge=0)]


class _Request(msgspec.Struct, forbid_unknown_fields=True):
    version: Annotated[int, msgspec.Meta(ge=-1, le=2**53)]
    """What the subscriber has; -1 for nothing."""
    sha256: Annotated[str, msgspec.Meta(max_length=64)]
    """Of what it has: a learner that started again may give a version number a second time."""


def encode_params(params: Mapping[str, Array]) -> bytes:
    """Return `params` as safetensors bytes; raises `SpecError` for dtypes it cannot hold."""
    try:
        return safetensors.numpy.save({name: np.asarray(array, order="C") for name, array in params.items()})
    except (safetensors.SafetensorError, KeyError, TypeError, ValueError) as error:
        raise SpecError(f"parameters cannot be encoded: {error}. Use plain numeric arrays.") from error


def decode_params(data: bytes) -> dict[str, Array]:
    """Return the parameters in `data`, read-only; raises `SpecError` for anything else."""
    if len(data) > MAX_WEIGHTS_BYTES:
        raise SpecError(f"parameters have {len(data)} bytes; allowed are {MAX_WEIGHTS_BYTES}.")
    try:
        params: dict[str, Array] = safetensors.numpy.load(data)
    except (safetensors.SafetensorError, KeyError, TypeError, ValueError) as error:
        raise SpecError(f"parameters are malformed: {error}.") from error
    for array in params.values():
        array.flags.writeable = False
    return params


class WeightPublisher(Background):
    """The learner's end. `publish` costs a lock; encoding and sending belong to a thread."""

    def __init__(self, *, endpoint: str = "tcp://127.0.0.1:5589", keys: Keys | None = None) -> None:
        super().__init__()
        self._wanted_endpoint = endpoint
        self._keys = keys
        self._lock = threading.Lock()
        self._offered: tuple[int, int, Mapping[str, Array], float] | None = None
        self._current: tuple[_Header, bytes, float] | None = None
        self._waiting: dict[bytes, _Request] = {}
        self._version = -1
        self._sent = self._refused = 0
        self._error: RobotHilError | None = None
        self._server: ServerSocket | None = None

    @property
    def endpoint(self) -> str:
        """Address in use, with the port the system chose for `tcp://HOST:*`."""
        return self._server.endpoint if self._server else self._wanted_endpoint

    @property
    def sent(self) -> int:
        """Sets of weights sent so far."""
        return self._sent

    @property
    def refused(self) -> int:
        """Requests that were none."""
        return self._refused

    def start(self) -> Self:
        """Listen; legal twice. Raises `TransportError` when the port is in use."""
        if self._thread is None:
            self._server = ServerSocket(self._wanted_endpoint, self._keys, protocol.MAX_CONTROL)
            self._work("weights-out", self._run)
        return self

    def publish(self, version: int, params: Mapping[str, Array], *, learner_step: int = 0) -> None:
        """Offer `params` as `version`, which must rise. The arrays belong to the publisher from now on."""
        with self._lock:
            if self._error is not None:
                raise self._error
            if version <= self._version:
                raise TransportError(f"policy version {version} follows {self._version}; versions must rise.")
            self._version = version
            self._offered = (version, learner_step, params, time.monotonic())
        self._waker.wake()

    def _run(self) -> None:
        assert self._server is not None
        sock = self._server.socket
        poller = zmq.Poller()
        poller.register(sock, zmq.POLLIN)
        self._waker.register(poller)
        try:
            self._encode_offered()
            while not self._stopping:
                poller.poll(1000)
                self._waker.drain()
                self._encode_offered()
                for peer, *frames in receive_all(sock, 64):
                    self._note_request(peer, frames)
                self._answer(sock)
        except RobotHilError as error:
            _log.error("%s", error)
            self._error = error
        except Exception as error:  # a thread must not die in silence
            _log.exception("weight publisher failed")
            self._error = TransportError(f"weight publisher failed: {error!r}.")
        finally:
            self._server.close()

    def _encode_offered(self) -> None:
        with self._lock:
            offered, self._offered = self._offered, None
            if offered is None:
                return
        version, learner_step, params, published_t = offered
        body = encode_params(params)
        if len(body) > MAX_WEIGHTS_BYTES:
            raise SpecError(f"parameters have {len(body)} bytes; allowed are {MAX_WEIGHTS_BYTES}.")
        digest = hashlib.sha256(body).hexdigest()
        self._current = (_Header(version=version, learner_step=learner_step, sha256=digest, age=0.0), body, published_t)

    def _note_request(self, peer: bytes, frames: list[bytes]) -> None:
        try:
            if len(frames) != 1:
                raise SpecError(f"request has {len(frames)} parts instead of 1.")
            self._waiting[peer] = protocol.unpack(frames[0], _Request)
        except SpecError as error:
            self._refused += 1
            if self._refused in (1, 10, 100) or self._refused % 1000 == 0:
                _log.warning("dropped request %d for weights: %s", self._refused, error)

    def _answer(self, sock: "zmq.Socket[bytes]") -> None:
        if self._current is None:
            return
        header, body, published_t = self._current
        header.age = time.monotonic() - published_t
        head = protocol.pack(header)
        for peer, have in list(self._waiting.items()):
            if (have.version, have.sha256) == (header.version, header.sha256):
                continue
            del self._waiting[peer]
            try:
                sock.send_multipart([peer, head, body], zmq.NOBLOCK, copy=False)
                self._sent += 1
            except zmq.ZMQError:
                # gone or full: the subscriber asks again
                continue


class WeightSubscriber(Background):
    """The actor's end: receives in a thread of its own, `latest` only reads."""

    def __init__(self, *, endpoint: str = "tcp://127.0.0.1:5589", keys: Keys | None = None) -> None:
        check_endpoint(endpoint, keys)
        super().__init__()
        self._endpoint = endpoint
        self._keys = keys
        self._latest: Weights | None = None
        self._received = self._refused = 0
        self._changed = threading.Condition()

    @property
    def received(self) -> int:
        """Sets of weights received."""
        return self._received

    @property
    def refused(self) -> int:
        """Messages that were none, or damaged."""
        return self._refused

    def start(self) -> Self:
        """Connect in the background; legal twice. The publisher may come later."""
        if self._thread is None:
            client = ClientSocket(self._endpoint, self._keys, MAX_WEIGHTS_BYTES)
            self._work("weights-in", lambda: self._run(client))
        return self

    def latest(self) -> Weights | None:
        """Return the newest weights, also after `stop`; None before any came. Never blocks."""
        return self._latest

    def wait(self, newer_than: int, timeout: float) -> Weights | None:
        """Return weights of a version above `newer_than`, or None after `timeout` [s]."""
        with self._changed:
            self._changed.wait_for(lambda: self._latest is not None and self._latest.version > newer_than, timeout)
            return self._latest if self._latest is not None and self._latest.version > newer_than else None

    def _run(self, client: ClientSocket) -> None:
        poller = zmq.Poller()
        poller.register(client.socket, zmq.POLLIN)
        self._waker.register(poller)
        started, asked, heard = time.monotonic(), -1e9, False
        try:
            while not self._stopping:
                now = time.monotonic()
                if now - asked >= _ASK_EVERY_S:
                    has = self._latest
                    request = _Request(version=has.version if has else -1, sha256=has.sha256 if has else "")
                    if client.send([protocol.pack(request)]):
                        asked, heard = now, True
                    elif not heard and now - started > _COMPLAIN_AFTER_S:
                        heard = True
                        _log.warning("no weights from %s: is the learner running with the same keys?", self._endpoint)
                poller.poll(int(_ASK_EVERY_S * 1000) if now - asked < _ASK_EVERY_S else 20)
                self._waker.drain()
                for frames in receive_all(client.socket, 8):
                    if self._take(frames):
                        asked = -1e9
        except Exception:  # a thread must not die in silence
            _log.exception("weight subscriber failed; the actor keeps the weights it has")
        finally:
            client.close()

    def _take(self, frames: list[bytes]) -> bool:
        try:
            if len(frames) != 2:
                raise SpecError(f"weights have {len(frames)} parts instead of 2.")
            header = protocol.unpack(frames[0], _Header)
            digest = hashlib.sha256(frames[1]).hexdigest()
            if digest != header.sha256:
                raise SpecError(f"weights of version {header.version} are damaged: their sha256 does not match.")
            params = decode_params(frames[1])
        except SpecError as error:
            self._refused += 1
            _log.warning("ignored weights: %s", error)
            return False
        with self._changed:
            self._received += 1
            self._latest = Weights(
                version=header.version,
                learner_step=header.learner_step,
                params=params,
                sha256=digest,
                received_t=time.monotonic(),
                age_at_receipt=header.age,
            )
            self._changed.notify_all()
        return True
