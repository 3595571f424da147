"""The learner's end of the uplink: receives steps, makes them durable, acknowledges, hands them on.

Two threads: one talks to the actors, checks what they send and writes it into the log; the other waits for the disk and
hands the steps on.
"""

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Self

import msgspec
import zmq

from robot_hil.data.specs import EnvSpec
from robot_hil.data.step import Step
from robot_hil.errors import RobotHilError, SpecError, TransportError
from robot_hil.replay.step_log import StepLog
from robot_hil.transport import protocol
from robot_hil.transport.background import Background
from robot_hil.transport.committer import Committed, Committer
from robot_hil.transport.counters import Counters, IngestInfo
from robot_hil.transport.group import Group
from robot_hil.transport.keys import Keys
from robot_hil.transport.protocol import Progress
from robot_hil.transport.sessions import Sessions
from robot_hil.transport.sockets import ServerSocket

_log = logging.getLogger(__name__)
_MESSAGES_PER_GROUP = 256
_FLYING_STEPS = 128
"""Steps on their way from all actors together: enough to keep the disk busy, few enough to stay in the cache."""
_HEARTBEAT_S = 0.5
_URGENT_EVERY_S = 0.002
_MAX_REPORTS = 10_000


class IngestServer(Background):
    """Receives from any number of actors in a thread of its own. The log is given open and stays the caller's.

    Steps reach `drain` only after they are durable in the log, in its order. When more than `max_backlog` of them
    wait there, nothing more is received: actors then keep their steps on disk.
    """

    def __init__(
        self,
        log: StepLog,
        spec: EnvSpec,
        *,
        run_id: str,
        task: str = "",
        files: Mapping[str, str] | None = None,
        endpoint: str = "tcp://127.0.0.1:5588",
        keys: Keys | None = None,
        max_backlog: int = 2048,
    ) -> None:
        super().__init__()
        self._step_log = log
        self._check = protocol.StepCheck(spec)
        self._run_id = run_id
        self._wanted_endpoint = endpoint
        self._keys = keys
        self._max_backlog = max_backlog
        self._changed = threading.Condition()
        self._backlog: deque[Step] = deque()
        self._committer = Committer(log, self._hand_on, self._fail)
        self._confirmed: deque[Committed] = deque()
        """What the disk has and the actors have not been told of."""
        self._reports: deque[tuple[str, dict[str, Any]]] = deque(maxlen=_MAX_REPORTS)
        self._sessions = Sessions(log, protocol.identity(spec, task, files), run_id)
        self._progress = Progress(step_budget=-1)
        self._counters = Counters()
        self._error: RobotHilError | None = None
        self._crowded = False
        self._told, self._told_t = Progress(), -1e9
        self._server: ServerSocket | None = None

    @property
    def endpoint(self) -> str:
        """Address in use, with the port the system chose for `tcp://HOST:*`; the wanted one before `start`."""
        return self._server.endpoint if self._server else self._wanted_endpoint

    def start(self) -> Self:
        """Listen and receive; legal twice. Raises `TransportError` when the port is in use."""
        if self._thread is None:
            self._server = ServerSocket(self._wanted_endpoint, self._keys, protocol.MAX_MESSAGE)
            self._progress = msgspec.structs.replace(self._progress, steps_ingested=self._step_log.info().steps)
            self._committer.start()
            self._work("ingest", self._run)
        return self

    def stop(self) -> None:
        """Stop listening; legal twice. Every acknowledged step is in the log; the rest stays with its actor."""
        super().stop()
        self._committer.stop()

    def drain(self) -> list[Step]:
        """Return and forget the steps that came since the last call, durable already; raises if ingest has failed."""
        with self._changed:
            steps = list(self._backlog)
            self._backlog.clear()
        if self._crowded:
            self._waker.wake()
        if not steps and self._error is not None:
            raise self._error
        return steps

    def wait(self, timeout: float) -> bool:
        """Return True when steps or a failure wait, False after `timeout` [s]."""
        with self._changed:
            return self._changed.wait_for(lambda: bool(self._backlog or self._error), timeout)

    def reports(self) -> list[tuple[str, dict[str, Any]]]:
        """Return and forget (actor id, report) pairs; the oldest are dropped beyond 10,000."""
        with self._changed:
            found = list(self._reports)
            self._reports.clear()
        return found

    def set_progress(
        self, *, updates: int | None = None, step_budget: int | None = None, stop: bool | None = None
    ) -> None:
        """Tell the actors; None leaves a value as it is. Costs microseconds; sent by the thread at once."""
        given = {"updates": updates, "step_budget": step_budget, "stop": stop}
        changes = {name: value for name, value in given.items() if value is not None}
        with self._changed:
            self._progress = msgspec.structs.replace(self._progress, **changes)
        self._waker.wake()

    def info(self) -> IngestInfo:
        """Return counters."""
        return self._counters.info(actors=len(self._sessions))

    def _run(self) -> None:
        assert self._server is not None
        try:
            self._serve(self._server.socket)
        except RobotHilError as error:
            self._fail(error)
        except Exception as error:  # a thread must not die in silence
            _log.exception("ingest failed")
            self._fail(TransportError(f"ingest failed: {error!r}. Nothing acknowledged is lost; start again."))
        finally:
            self._server.close()

    def _fail(self, error: RobotHilError) -> None:
        with self._changed:
            self._error = self._error or error
            self._changed.notify_all()
        self._waker.wake()

    def _serve(self, sock: "zmq.Socket[bytes]") -> None:
        full, idle = zmq.Poller(), zmq.Poller()
        full.register(sock, zmq.POLLIN)
        self._waker.register(full)
        self._waker.register(idle)
        while not self._stopping and self._error is None:
            self._crowded = True  # before the look: a `drain` after it then wakes the poll
            self._crowded = len(self._backlog) > self._max_backlog
            wait = math.ceil(1000 * max(0.0, self._news_due() - time.monotonic()))
            ready = [end for end, _ in (idle if self._crowded else full).poll(wait)]
            self._waker.drain()
            if sock in ready:
                self._receive(sock)
            answered = self._confirm()
            now = time.monotonic()
            if now >= self._news_due():
                self._told, self._told_t = self._progress, now
                answered = set(self._sessions)
            for peer in answered:
                session = self._sessions.get(peer)
                if session is not None:
                    ack = protocol.Ack(marks=session.marks, progress=self._progress, window=self._share)
                    self._send(sock, peer, protocol.ACK, protocol.pack(ack))

    @property
    def _share(self) -> int:
        """Steps that each actor may have on their way, one at least."""
        return max(1, _FLYING_STEPS // max(1, len(self._sessions)))

    def _news_due(self) -> float:
        """Return when all actors are to be told the progress: at once when one may wait for it, else twice a second.

        Telling everyone after each commit would cost each step more, the more actors there are.
        """
        new, old = self._progress, self._told
        if (new.step_budget, new.stop) != (old.step_budget, old.stop):
            return self._told_t + _URGENT_EVERY_S
        return self._told_t + _HEARTBEAT_S

    def _confirm(self) -> set[bytes]:
        """Take note of what the disk has, and return the peers to tell."""
        peers = set()
        while self._confirmed:
            for (peer, epoch), end in self._confirmed.popleft().group.ends.items():
                self._sessions.confirm(peer, epoch, end)
                peers.add(peer)
        return peers

    def _receive(self, sock: "zmq.Socket[bytes]") -> None:
        """Take what waits, up to a group, and write it."""
        group = Group()
        for _ in range(_MESSAGES_PER_GROUP):
            try:
                peer, *frames = sock.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                break
            group = self._dispatch(sock, peer.bytes, frames, group)
            if group.full:
                break
        self._write(group)

    def _dispatch(self, sock: "zmq.Socket[bytes]", peer: bytes, frames: list[zmq.Frame], group: Group) -> Group:
        """Deal with one message; return the group that waits for a commit afterwards."""
        session = self._sessions.get(peer)
        kind = frames[0].bytes if frames else b""
        try:
            if kind == protocol.HELLO:
                # what came before the greeting counts in the answer to it
                self._write(group)
                self._step_log.sync()
                group = Group()
                self._greet(sock, peer, frames)
            elif session is None:
                self._counters.add(unwelcome=1)
                self._send(sock, peer, protocol.RESYNC, b"")
            elif kind == protocol.STEPS:
                if not group.add(peer, session, frames, self._check):
                    self._sessions.drop(peer)
                    self._send(sock, peer, protocol.RESYNC, b"")
            elif len(frames) == 2 and kind == protocol.REPORT:
                report = protocol.unpack(frames[1].bytes, dict)
                with self._changed:
                    self._reports.append((session.actor_id, report))
            else:
                raise SpecError(f"message of {len(frames)} parts is of no known kind.")
        except SpecError as error:
            refused = self._counters.add(refused=1)["refused"]
            if self._sessions.get(peer) is not None:
                # an actor of ours that sends what cannot be stored: a person must hear of it
                self._refuse(sock, peer, f"the learner cannot take what this actor sends: {error}")
            if refused in (1, 10, 100) or refused % 1000 == 0:
                _log.warning("dropped message %d: %s", refused, error)
        return group

    def _write(self, group: Group) -> None:
        if group.blobs:
            result = self._committer.write(group)
            if result.lost:
                _log.error("%d steps were damaged or deleted on the actor's side and are lost", result.lost)
            new = len(result.new)
            self._counters.add(steps=new, duplicates=len(group.steps) - new, lost=result.lost)

    def _hand_on(self, some: Sequence[Committed]) -> None:
        """Let the learner have steps that the disk has, then the actors know."""
        steps = [one.group.steps[place] for one in some for place in one.result.new]
        with self._changed:
            ingested = self._progress.steps_ingested + len(steps)
            self._progress = msgspec.structs.replace(self._progress, steps_ingested=ingested)
            self._backlog.extend(steps)
            self._changed.notify_all()
        self._confirmed.extend(some)
        if threading.current_thread() is not self._thread:
            self._waker.wake()

    def _greet(self, sock: "zmq.Socket[bytes]", peer: bytes, frames: list[zmq.Frame]) -> None:
        if len(frames) != 2:
            raise SpecError(f"greeting has {len(frames)} parts instead of 2.")
        hello = protocol.unpack(frames[1].bytes, protocol.Hello)
        reason = self._sessions.objection(hello)
        if reason:
            _log.warning("refused actor %r: %s", hello.actor_id, reason)
            self._counters.add(refused=1)
            self._refuse(sock, peer, reason)
            return
        session, lost = self._sessions.welcome(peer, hello)
        welcome = protocol.Welcome(
            nonce=hello.nonce,
            run_id=self._run_id,
            marks=session.marks,
            progress=self._progress,
            window=self._share,
        )
        self._send(sock, peer, protocol.WELCOME, protocol.pack(welcome))
        self._counters.add(lost=lost)

    def _refuse(self, sock: "zmq.Socket[bytes]", peer: bytes, reason: str) -> None:
        self._send(sock, peer, protocol.REFUSED, protocol.pack(protocol.Refusal(reason=reason)))
        self._sessions.drop(peer)

    def _send(self, sock: "zmq.Socket[bytes]", peer: bytes, kind: bytes, body: bytes) -> None:
        try:
            sock.send_multipart([peer, kind, body], zmq.NOBLOCK)
        except zmq.Again:
            # a full connection: acknowledgements are cumulative, the next one says it all
            return
        except zmq.ZMQError:
            self._sessions.drop(peer)
