"""Sockets with the rules of the house: loopback unless there are keys, bounded messages, heartbeats, clear errors."""

import contextlib
import errno
import socket
from urllib.parse import urlsplit

import zmq
from zmq.auth.thread import ThreadAuthenticator

from robot_hil.errors import ConfigError, TransportError
from robot_hil.transport.keys import Keys, require_curve

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_HEARTBEAT_MS = 1000
_HEARTBEAT_TIMEOUT_MS = 4000


def check_endpoint(endpoint: str, keys: Keys | None) -> None:
    """Raise `ConfigError` unless `endpoint` is tcp://host:port and, away from loopback, `keys` are given."""
    try:
        parts = urlsplit(endpoint)
        host, ok = parts.hostname, parts.scheme == "tcp" and (parts.port is not None or endpoint.endswith(":*"))
    except ValueError:
        host, ok = None, endpoint.startswith("tcp://") and endpoint.endswith(":*")
    host = host or endpoint.removeprefix("tcp://").rpartition(":")[0].strip("[]")
    if not ok or not host:
        raise ConfigError(f"address {endpoint!r} is not of the form tcp://HOST:PORT, e.g. tcp://127.0.0.1:5588.")
    if keys is None and host not in _LOOPBACK:
        raise ConfigError(
            f"address {endpoint} can be reached from other machines and no keys are given. Run `robot-hil keys "
            f"FILE`, copy FILE to both machines and pass it to both, or use tcp://127.0.0.1."
        )


class _OnlyClient:
    """Lets in who holds the client's secret key."""

    def __init__(self, keys: Keys) -> None:
        self._public = keys.client_public

    def callback(self, _domain: str, key: bytes) -> bool:
        """Answer the authenticator; `key` is the peer's public key as Z85 text."""
        return key == self._public


class ServerSocket:
    """A bound ROUTER with its own context; only peers with the client's key get in when there are keys."""

    def __init__(self, endpoint: str, keys: Keys | None, max_message: int) -> None:
        check_endpoint(endpoint, keys)
        self._context = zmq.Context()
        self._auth: ThreadAuthenticator | None = None
        self.socket: zmq.Socket[bytes] = self._context.socket(zmq.ROUTER)
        _configure(self.socket, max_message)
        # a send to a peer that left raises, so that its session is dropped
        self.socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        if keys is not None:
            require_curve()
            self._auth = ThreadAuthenticator(self._context)
            self._auth.start()
            self._auth.configure_curve_callback("*", _OnlyClient(keys))
            self.socket.setsockopt(zmq.CURVE_SERVER, 1)
            self.socket.setsockopt(zmq.CURVE_SECRETKEY, keys.server_secret)
        try:
            self.socket.bind(endpoint)
        except zmq.ZMQError as error:
            self.close()
            raise TransportError(_bind_message(endpoint, error)) from error
        self.endpoint = self.socket.getsockopt_string(zmq.LAST_ENDPOINT)

    def close(self) -> None:
        """Release port and threads; legal twice."""
        self.socket.close(linger=0)
        if self._auth is not None:
            self._auth.stop()
            self._auth = None
        self._context.term()


class ClientSocket:
    """A DEALER that connects, and connects again, by itself."""

    def __init__(self, endpoint: str, keys: Keys | None, max_message: int) -> None:
        check_endpoint(endpoint, keys)
        self._context = zmq.Context()
        self.socket: zmq.Socket[bytes] = self._context.socket(zmq.DEALER)
        _configure(self.socket, max_message)
        # nothing is queued for a peer that is not there: what is unsent stays with us
        self.socket.setsockopt(zmq.IMMEDIATE, 1)
        self.socket.setsockopt(zmq.RECONNECT_IVL, 50)
        self.socket.setsockopt(zmq.RECONNECT_IVL_MAX, 1000)
        if keys is not None:
            require_curve()
            self.socket.setsockopt(zmq.CURVE_SERVERKEY, keys.server_public)
            self.socket.setsockopt(zmq.CURVE_PUBLICKEY, keys.client_public)
            self.socket.setsockopt(zmq.CURVE_SECRETKEY, keys.client_secret)
        try:
            self.socket.connect(endpoint)
        except zmq.ZMQError as error:
            self.close()
            raise TransportError(f"{endpoint} cannot be connected to: {error}. Check the address.") from error

    def send(self, frames: list[bytes]) -> bool:
        """Send without waiting; False when nobody is connected or the connection is full."""
        try:
            self.socket.send_multipart(frames, zmq.NOBLOCK, copy=False)
        except zmq.Again:
            return False
        return True

    def close(self) -> None:
        """Release the socket; legal twice."""
        self.socket.close(linger=0)
        self._context.term()


class Waker:
    """Wakes a thread that polls sockets, from any other thread, in microseconds."""

    def __init__(self) -> None:
        self._reader: socket.socket | None = None
        self._writer: socket.socket | None = None

    def wake(self) -> None:
        """Make the poll return; never blocks; does nothing before `register` and after `close`."""
        if self._writer is not None:
            # a full pipe wakes as well
            with contextlib.suppress(OSError):
                self._writer.send(b"\0")

    def register(self, poller: zmq.Poller) -> None:
        """Let `poller` return on `wake`; look for work once more between this and the first poll."""
        if self._reader is None:
            self._reader, self._writer = socket.socketpair()
            self._reader.setblocking(False)
            self._writer.setblocking(False)
        poller.register(self._reader.fileno(), zmq.POLLIN)

    def drain(self) -> None:
        """Forget all wakes so far; call before looking for work."""
        with contextlib.suppress(OSError):
            while self._reader is not None and self._reader.recv(4096):
                pass

    def close(self) -> None:
        """Release both ends; legal twice."""
        for end in (self._reader, self._writer):
            if end is not None:
                end.close()


def receive_all(sock: "zmq.Socket[bytes]", limit: int) -> list[list[bytes]]:
    """Return up to `limit` waiting messages without blocking."""
    messages: list[list[bytes]] = []
    with contextlib.suppress(zmq.Again):
        while len(messages) < limit:
            messages.append(sock.recv_multipart(zmq.NOBLOCK))
    return messages


def _configure(sock: "zmq.Socket[bytes]", max_message: int) -> None:
    # everything before connect or bind: libzmq ignores most options afterwards
    sock.setsockopt(zmq.LINGER, 0)
    sock.setsockopt(zmq.MAXMSGSIZE, max_message)
    sock.setsockopt(zmq.HEARTBEAT_IVL, _HEARTBEAT_MS)
    sock.setsockopt(zmq.HEARTBEAT_TIMEOUT, _HEARTBEAT_TIMEOUT_MS)


def _bind_message(endpoint: str, error: zmq.ZMQError) -> str:
    port = endpoint.rpartition(":")[2]
    if error.errno == errno.EADDRINUSE:
        return (
            f"port {port} ({endpoint}) is in use, perhaps by another learner. Stop it (`ss -ltnp | grep {port}` "
            f"names it) or choose another port, the same for actor and learner."
        )
    return f"{endpoint} cannot be listened on: {error}. Use an address of this machine and a port above 1023."
