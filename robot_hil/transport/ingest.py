"""The learner's end of the uplink: receives steps, makes them durable, acknowledges, hands them on."""

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import zmq

from robot_hil.data import codec
from robot_hil.data.fingerprint import differences
from robot_hil.data.specs import EnvSpec
from robot_hil.data.step import Step
from robot_hil.errors import RobotHilError, SpecError, TransportError
from robot_hil.replay.step_log import StepLog
from robot_hil.transport import protocol
from robot_hil.transport.keys import Keys
from robot_hil.transport.protocol import Progress
from robot_hil.transport.sockets import ServerSocket, Waker, receive_all

_log = logging.getLogger(__name__)
_MESSAGES_PER_COMMIT = 64
_HEARTBEAT_S = 0.5
_BACKLOG_POLL_MS = 5
_MAX_REPORTS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestInfo:
    """Counters since `start`; `lost` is what the log knows."""

    actors: int = 0
    """Connected now."""
    steps: int = 0
    """New steps made durable."""
    duplicates: int = 0
    """Steps that came again and were not stored twice."""
    lost: int = 0
    """Sequence numbers an actor no longer has and the log never got."""
    refused: int = 0
    """Messages and greetings that were malformed or did not match, and were dropped."""
    unwelcome: int = 0
    """Messages of peers that had not been welcomed, dropped unread; some after each reconnection are normal."""


@dataclass(slots=True)
class _Session:
    actor_id: str
    epoch: int
    marks: dict[int, int]
    """First sequence number not in the log, by epoch."""


class IngestServer:
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
        endpoint: str = "tcp://127.0.0.1:5588",
        keys: Keys | None = None,
        max_backlog: int = 2048,
    ) -> None:
        self._step_log = log
        self._spec = spec
        self._identity = protocol.identity(spec, task)
        self._run_id = run_id
        self._wanted_endpoint = endpoint
        self._keys = keys
        self._max_backlog = max_backlog
        self._changed = threading.Condition()
        self._backlog: deque[Step] = deque()
        self._reports: deque[tuple[str, dict[str, Any]]] = deque(maxlen=_MAX_REPORTS)
        self._sessions: dict[bytes, _Session] = {}
        self._progress = Progress(step_budget=-1)
        self._info = IngestInfo()
        self._error: RobotHilError | None = None
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._server: ServerSocket | None = None
        self._waker = Waker()

    @property
    def endpoint(self) -> str:
        """Address in use, with the port the system chose for `tcp://HOST:*`; the wanted one before `start`."""
        return self._server.endpoint if self._server else self._wanted_endpoint

    def start(self) -> "IngestServer":
        """Listen and receive; legal twice. Raises `TransportError` when the port is in use."""
        if self._thread is None:
            self._server = ServerSocket(self._wanted_endpoint, self._keys, protocol.MAX_MESSAGE)
            self._progress = msgspec.structs.replace(self._progress, steps_ingested=self._step_log.info().appended)
            self._thread = threading.Thread(target=self._run, name="ingest", daemon=True)
            self._thread.start()
        return self

    def stop(self) -> None:
        """Stop listening; legal twice. Every acknowledged step is in the log; the rest stays with its actor."""
        self._stopping = True
        self._waker.wake()
        if self._thread is not None:
            self._thread.join()
        self._waker.close()

    def __enter__(self) -> "IngestServer":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def drain(self) -> list[Step]:
        """Return and forget the steps that came since the last call, durable already; raises if ingest has failed."""
        with self._changed:
            steps = list(self._backlog)
            self._backlog.clear()
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
        return self._info

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
            self._error = error
            self._changed.notify_all()

    def _serve(self, sock: "zmq.Socket[bytes]") -> None:
        full, idle = zmq.Poller(), zmq.Poller()
        full.register(sock, zmq.POLLIN)
        self._waker.register(full)
        self._waker.register(idle)
        told: Progress | None = None
        told_t = 0.0
        while not self._stopping:
            crowded = len(self._backlog) > self._max_backlog
            if crowded:
                idle.poll(_BACKLOG_POLL_MS)
            else:
                full.poll(int(_HEARTBEAT_S * 1000))
            self._waker.drain()
            acknowledge = set() if crowded else self._receive(sock)
            now = time.monotonic()
            everyone = self._progress != told or now - told_t >= _HEARTBEAT_S
            if everyone:
                told, told_t = self._progress, now
            for peer in list(self._sessions) if everyone else acknowledge:
                session = self._sessions.get(peer)
                if session is not None:
                    ack = protocol.Ack(marks=session.marks, progress=self._progress)
                    self._send(sock, peer, protocol.ACK, protocol.pack(ack))

    def _receive(self, sock: "zmq.Socket[bytes]") -> set[bytes]:
        """Take what waits, commit once, and return the peers to acknowledge."""
        pending: list[tuple[bytes, int, list[bytes], list[Step]]] = []
        for peer, *frames in receive_all(sock, _MESSAGES_PER_COMMIT):
            try:
                if frames and frames[0] == protocol.HELLO:
                    # what came before the greeting counts in the answer to it
                    self._commit(pending)
                    pending = []
                    self._greet(sock, peer, frames)
                elif peer not in self._sessions:
                    self._count(unwelcome=1)
                    self._send(sock, peer, protocol.RESYNC, b"")
                elif frames and frames[0] == protocol.STEPS:
                    self._take(sock, peer, frames, pending)
                elif len(frames) == 2 and frames[0] == protocol.REPORT:
                    self._report(peer, protocol.unpack(frames[1], dict))
                else:
                    raise SpecError(f"message of {len(frames)} parts is of no known kind.")
            except SpecError as error:
                self._count(refused=1)
                if peer in self._sessions:
                    # an actor of ours that sends what cannot be stored: a person must hear of it
                    self._refuse(sock, peer, f"the learner cannot take what this actor sends: {error}")
                if self._info.refused in (1, 10, 100) or self._info.refused % 1000 == 0:
                    _log.warning("dropped message %d: %s", self._info.refused, error)
        self._commit(pending)
        return {peer for peer, *_ in pending}

    def _report(self, peer: bytes, report: dict[str, Any]) -> None:
        with self._changed:
            self._reports.append((self._sessions[peer].actor_id, report))

    def _take(
        self,
        sock: "zmq.Socket[bytes]",
        peer: bytes,
        frames: Sequence[bytes],
        pending: list[tuple[bytes, int, list[bytes], list[Step]]],
    ) -> None:
        """Check a STEPS message and add it to what the next commit stores."""
        session = self._sessions[peer]
        if not 2 < len(frames) <= 2 + protocol.MAX_STEPS_PER_MESSAGE:
            raise SpecError(f"message has {len(frames) - 2} steps; allowed are 1 to {protocol.MAX_STEPS_PER_MESSAGE}.")
        header = protocol.unpack(frames[1], protocol.StepsHeader)
        blobs = list(frames[2:])
        steps = [codec.decode(blob) for blob in blobs]
        seqs = [step.seq for step in steps]
        if seqs != sorted(set(seqs)) or seqs[0] < header.after:
            raise SpecError(f"steps have the numbers {seqs}; they must rise from {header.after}.")
        for step in steps:
            if step.actor_id != session.actor_id or step.epoch != header.epoch or step.epoch > session.epoch:
                raise SpecError(f"step of {step.actor_id}/{step.epoch} came from {session.actor_id}/{session.epoch}.")
            protocol.check_step(self._spec, step)
        expected = session.marks.get(header.epoch, 0)
        if header.after > expected:
            del self._sessions[peer]
            self._send(sock, peer, protocol.RESYNC, b"")
            return
        session.marks[header.epoch] = max(expected, seqs[-1] + 1)
        pending.append((peer, header.epoch, blobs, steps))

    def _commit(self, pending: list[tuple[bytes, int, list[bytes], list[Step]]]) -> None:
        if not pending:
            return
        before = {(s.actor_id, s.epoch): -1 for *_, steps in pending for s in steps}
        for key in before:
            before[key] = self._step_log.high_water(*key)
        new = self._step_log.append_many([blob for *_, blobs, _ in pending for blob in blobs])
        fresh: list[Step] = []
        for *_, steps in pending:
            for step in steps:
                key = (step.actor_id, step.epoch)
                if step.seq > before[key]:
                    before[key] = step.seq
                    fresh.append(step)
        lost = 0
        for (actor_id, epoch), last in before.items():
            # the actor itself no longer has what is missing in between
            lost += self._step_log.skip_to(actor_id, epoch, last + 1)
        if lost:
            _log.error("%d steps were damaged or deleted on the actor's side and are lost", lost)
        total = sum(len(steps) for *_, steps in pending)
        self._count(steps=new, duplicates=total - new, lost=lost)
        with self._changed:
            self._progress = msgspec.structs.replace(self._progress, steps_ingested=self._progress.steps_ingested + new)
            self._backlog.extend(fresh)
            self._changed.notify_all()

    def _greet(self, sock: "zmq.Socket[bytes]", peer: bytes, frames: Sequence[bytes]) -> None:
        if len(frames) != 2:
            raise SpecError(f"greeting has {len(frames)} parts instead of 2.")
        hello = protocol.unpack(frames[1], protocol.Hello)
        reason = self._objection(hello)
        if reason:
            _log.warning("refused actor %r: %s", hello.actor_id, reason)
            self._count(refused=1)
            self._refuse(sock, peer, reason)
            return
        fence = [hello.epoch, hello.instance]
        if self._step_log.get_meta(f"fence:{hello.actor_id}") != fence:
            self._step_log.set_meta(f"fence:{hello.actor_id}", fence)
        for other, session in list(self._sessions.items()):
            if session.actor_id == hello.actor_id:
                del self._sessions[other]
        marks = {epoch: self._mark(hello.actor_id, epoch, first) for epoch, (first, _) in hello.held.items()}
        self._sessions[peer] = _Session(hello.actor_id, hello.epoch, marks)
        welcome = protocol.Welcome(nonce=hello.nonce, run_id=self._run_id, marks=marks, progress=self._progress)
        self._send(sock, peer, protocol.WELCOME, protocol.pack(welcome))
        self._count()

    def _mark(self, actor_id: str, epoch: int, first: int) -> int:
        """Return the first number wanted; what the actor no longer holds below `first` is lost."""
        lost = self._step_log.skip_to(actor_id, epoch, first)
        if lost:
            _log.error("actor %s no longer holds %d steps of its start %d that this log lacks", actor_id, lost, epoch)
            self._count(lost=lost)
        return self._step_log.high_water(actor_id, epoch) + 1

    def _objection(self, hello: protocol.Hello) -> str:
        """Return why this actor is refused; empty when it is welcome."""
        lines = differences(hello.identity, self._identity, "the actor", "the learner")
        if lines:
            return f"actor and learner do not match: {'; '.join(lines)}. Start both with the same experiment."
        if hello.run_id and hello.run_id != self._run_id:
            return (
                f"the actor holds steps of run {hello.run_id!r}, this learner's run is {self._run_id!r}. "
                f"Start that run's learner, or give the actor another folder."
            )
        fence = self._step_log.get_meta(f"fence:{hello.actor_id}")
        if fence and (hello.epoch < fence[0] or (hello.epoch == fence[0] and hello.instance != fence[1])):
            return (
                f"another actor called {hello.actor_id!r} (start {fence[0]}) is known here and this one (start "
                f"{hello.epoch}) is not newer. Stop one of them, or give each its own --actor-id."
            )
        return ""

    def _refuse(self, sock: "zmq.Socket[bytes]", peer: bytes, reason: str) -> None:
        self._send(sock, peer, protocol.REFUSED, protocol.pack(protocol.Refusal(reason=reason)))
        self._sessions.pop(peer, None)
        self._count()

    def _send(self, sock: "zmq.Socket[bytes]", peer: bytes, kind: bytes, body: bytes) -> None:
        try:
            sock.send_multipart([peer, kind, body], zmq.NOBLOCK)
        except zmq.Again:
            # a full connection: acknowledgements are cumulative, the next one says it all
            return
        except zmq.ZMQError:
            self._sessions.pop(peer, None)
            self._count()

    def _count(
        self, *, steps: int = 0, duplicates: int = 0, lost: int = 0, refused: int = 0, unwelcome: int = 0
    ) -> None:
        old = self._info
        self._info = replace(
            old,
            actors=len(self._sessions),
            steps=old.steps + steps,
            duplicates=old.duplicates + duplicates,
            lost=old.lost + lost,
            refused=old.refused + refused,
            unwelcome=old.unwelcome + unwelcome,
        )
