"""The actor's end: every step goes to disk, then to the learner, and leaves the disk when the learner's disk has it."""

import logging
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import zmq

from robot_hil.data import codec
from robot_hil.data.specs import EnvSpec
from robot_hil.data.step import Step
from robot_hil.errors import RobotHilError, SpecError, StorageError, TransportError
from robot_hil.replay.step_log import StepLog
from robot_hil.transport import protocol
from robot_hil.transport.keys import Keys
from robot_hil.transport.protocol import Progress
from robot_hil.transport.sockets import ClientSocket, Waker, check_endpoint, receive_all

_log = logging.getLogger(__name__)
_HELLO_EVERY_S = 0.25
_SILENCE_S = 2.0
_TRIM_EVERY_S = 1.0
_STEPS_PER_COMMIT = 64
_COMPLAIN_AFTER_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class UplinkInfo:
    """Counters since `start`."""

    connected: bool
    """Welcomed by the learner and heard from within the last 2 s."""
    put: int
    """Steps given to `put`."""
    logged: int
    """Of these, on the actor's disk."""
    sent: int
    """Steps sent, repetitions included."""
    acked: int
    """Steps, also of earlier starts, that the learner has on disk."""
    unacked: int
    """Steps, also of earlier starts, that it does not have yet."""
    repeated: int
    """Steps sent more than once, after a lost connection."""
    refused: str
    """Why the learner refuses this actor; empty while it does not."""


class Uplink:
    """Takes steps from the control loop and never makes it wait.

    `put` only queues: encoding, disk and network belong to a thread. The arrays of a step belong to the uplink once
    it was put; whoever writes into them afterwards changes what is recorded. One `start` is one epoch.
    """

    def __init__(
        self,
        spool: Path | str,
        spec: EnvSpec,
        *,
        endpoint: str = "tcp://127.0.0.1:5588",
        actor_id: str = "actor",
        run_id: str = "",
        task: str = "",
        keys: Keys | None = None,
        window: int = 64,
        max_queue: int = 4096,
    ) -> None:
        self._spec = spec
        self._endpoint = endpoint
        self._identity = protocol.identity(spec, task)
        self._actor_id = actor_id
        self._run_id = run_id
        self._keys = keys
        self._window = window
        self._max_queue = max_queue
        self._spool = StepLog(spool, meta={"actor": actor_id, "identity": self._identity})
        self._instance = secrets.token_hex(8)
        self._changed = threading.Condition()
        self._queue: deque[Step] = deque()
        self._outbox: deque[bytes] = deque(maxlen=1000)
        self._recent: dict[int, bytes] = {}
        self._acked: dict[int, int] = {}
        self._next: dict[int, int] = {}
        self._end: dict[int, int] = {}
        self._top: dict[int, int] = {}
        self._trimmed: dict[int, int] = {}
        self._epoch = 0
        self._put = self._sent = self._acks = self._repeated = 0
        self._progress = Progress()
        self._refused = ""
        self._error: RobotHilError | None = None
        self._connected = self._stopping = self._complained = False
        self._nonce = 0
        self._heard = self._greeted = self._trim_t = -1e9
        self._next_episode = 0
        self._thread: threading.Thread | None = None
        self._client: ClientSocket | None = None
        self._waker = Waker()

    @property
    def epoch(self) -> int:
        """Number of this start of the actor, from 1; 0 before `start`."""
        return self._epoch

    @property
    def next_episode(self) -> int:
        """First episode id not used by earlier starts."""
        return self._next_episode

    @property
    def progress(self) -> Progress:
        """What the learner last said; all zero before it spoke."""
        return self._progress

    @property
    def error(self) -> RobotHilError | None:
        """Why the uplink is unusable (disk failed) or refused by the learner; None while all is well."""
        return self._error or (TransportError(self._refused) if self._refused else None)

    def start(self) -> "Uplink":
        """Open the spool, begin a new epoch and connect in the background; legal twice. The learner may come later."""
        if self._thread is not None:
            return self
        check_endpoint(self._endpoint, self._keys)
        self._spool.open()
        try:
            self._adopt_run(self._run_id)
            for (actor_id, epoch), (first, last) in self._spool.epochs().items():
                if actor_id == self._actor_id:
                    self._begin(epoch, first, last + 1)
            self._next_episode = self._spool.last_episode(self._actor_id) + 1
            self._epoch = self._spool.new_epoch(self._actor_id)
            self._begin(self._epoch, 0, 0)
            self._client = ClientSocket(self._endpoint, self._keys, protocol.MAX_MESSAGE)
        except BaseException:
            self._spool.close()
            raise
        self._thread = threading.Thread(target=self._run, name="uplink", daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Write what is queued to disk and end; legal twice. `flush` first to wait for the learner."""
        self._stopping = True
        self._waker.wake()
        if self._thread is not None:
            self._thread.join()
        self._waker.close()

    def __enter__(self) -> "Uplink":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def put(self, step: Step) -> int:
        """Queue `step` and return its sequence number; tens of microseconds, whatever disk and network do.

        Raises `SpecError` for a step that is not of the specification (it is not recorded), `StorageError` when steps
        can no longer be recorded: the actor must then stop.
        """
        protocol.check_step(self._spec, step)
        with self._changed:
            if self._error is not None:
                raise self._error
            if self._thread is None or self._stopping:
                raise TransportError("the uplink is not running; call start() before put().")
            if len(self._queue) >= self._max_queue:
                raise StorageError(
                    f"{self._max_queue} steps wait to be written to {self._spool.path}: the disk does not keep up. "
                    f"Put the run folder on a faster disk."
                )
            seq = self._put
            self._put += 1
            self._queue.append(replace(step, actor_id=self._actor_id, epoch=self._epoch, seq=seq))
        self._waker.wake()
        return seq

    def report(self, report: Mapping[str, Any]) -> None:
        """Send a small dict (an episode's result) to the learner, best effort: dropped while disconnected for long."""
        body = protocol.pack(report)
        if len(body) > protocol.MAX_CONTROL:
            raise SpecError(f"report has {len(body)} bytes; allowed are {protocol.MAX_CONTROL}.")
        self._outbox.append(body)
        self._waker.wake()

    def flush(self, timeout: float) -> bool:
        """Wait until the learner has every step on disk; False after `timeout` [s], on refusal or failure."""
        self._wait(lambda: self._unacked() == 0, timeout)
        return self._unacked() == 0

    def wait_welcome(self, timeout: float) -> None:
        """Return once the learner welcomed this actor; raises `TransportError` on refusal or after `timeout` [s]."""
        self._wait(lambda: self._connected, timeout)
        if self.error is not None:
            raise self.error
        if not self._connected:
            raise TransportError(self._nobody())

    def may_step(self) -> bool:
        """True while the learner's budget allows a simulated actor one more step. Real-time actors do not ask."""
        progress = self._progress
        return progress.step_budget < 0 or progress.steps_ingested + self._unacked() < progress.step_budget

    def throttle(self, timeout: float) -> bool:
        """Wait until `may_step`, a stop, or `timeout` [s]; return whether a step is allowed now."""
        self._wait(lambda: self.may_step() or self._progress.stop, timeout)
        return self.may_step() and not self._progress.stop

    def info(self) -> UplinkInfo:
        """Return counters."""
        with self._changed:
            return UplinkInfo(
                connected=self._connected,
                put=self._put,
                logged=self._end.get(self._epoch, 0),
                sent=self._sent,
                acked=self._acks,
                unacked=self._unacked(),
                repeated=self._repeated,
                refused=self._refused,
            )

    def _wait(self, done: Callable[[], bool], timeout: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: done() or self.error is not None, timeout)

    def _unacked(self) -> int:
        waiting = sum(end - self._acked[epoch] for epoch, end in self._end.items() if epoch != self._epoch)
        return waiting + self._put - self._acked.get(self._epoch, 0)

    def _begin(self, epoch: int, first: int, end: int) -> None:
        self._acked[epoch] = self._next[epoch] = self._trimmed[epoch] = self._top[epoch] = first
        self._end[epoch] = end

    def _adopt_run(self, run_id: str) -> None:
        """Bind the spool to `run_id`; a spool that still holds another run's steps is refused."""
        stored = self._spool.get_meta("run_id")
        if run_id and stored and run_id != stored and self._spool.info().steps:
            raise StorageError(
                f"spool {self._spool.path} still holds steps of run {stored!r}, this is run {run_id!r}. Start that "
                f"run's learner to take them, or choose another folder."
            )
        self._run_id = run_id or stored or ""
        if run_id and run_id != stored:
            self._spool.set_meta("run_id", run_id)

    def _run(self) -> None:
        assert self._client is not None
        poller = zmq.Poller()
        poller.register(self._client.socket, zmq.POLLIN)
        self._waker.register(poller)
        started = time.monotonic()
        try:
            while not (self._stopping and not self._queue):
                self._log_queued()
                now = time.monotonic()
                self._keep_in_touch(now, started)
                self._send_steps()
                self._trim(now)
                if not self._queue and not self._stopping:
                    poller.poll(int(_HELLO_EVERY_S * 1000))
                self._waker.drain()
                for frames in receive_all(self._client.socket, _STEPS_PER_COMMIT):
                    self._hear(frames)
            self._trim(float("inf"))
        except RobotHilError as error:
            self._fail(error)
        except Exception as error:  # a thread must not die in silence
            _log.exception("uplink failed")
            self._fail(TransportError(f"uplink failed: {error!r}. What was logged is safe in {self._spool.path}."))
        finally:
            self._client.close()
            self._spool.close()

    def _fail(self, error: RobotHilError) -> None:
        _log.error("%s", error)
        with self._changed:
            self._error = error
            self._connected = False
            self._changed.notify_all()

    def _log_queued(self) -> None:
        """Make queued steps durable in one commit; only then may they be sent."""
        count = min(len(self._queue), _STEPS_PER_COMMIT)
        if count == 0:
            return
        steps: list[Step] = []
        blobs: list[bytes] = []
        unfit: SpecError | None = None
        for index in range(count):
            try:
                blobs.append(codec.encode(self._queue[index]))
            except SpecError as error:
                # it passed `put`, so the actor is at fault: what came before it is stored, then the actor is stopped
                unfit = error
                break
            steps.append(self._queue[index])
        self._spool.append_many(blobs)
        for step, blob in zip(steps, blobs, strict=True):
            if len(self._recent) < 2 * self._window:
                self._recent[step.seq] = blob
        with self._changed:
            for step in steps:
                self._queue.popleft()
                self._end[self._epoch] = step.seq + 1
        if unfit is not None:
            raise unfit

    def _keep_in_touch(self, now: float, started: float) -> None:
        if self._connected and now - self._heard > _SILENCE_S:
            _log.warning("the learner at %s is silent; steps are kept on disk", self._endpoint)
            self._connected = False
        if self._connected:
            while self._outbox and self._send([protocol.REPORT, self._outbox[0]]):
                self._outbox.popleft()
            return
        if now - max(self._heard, started) > _COMPLAIN_AFTER_S and not self._complained:
            self._complained = True
            _log.warning("%s", self._nobody())
        if not self._refused and now - self._greeted >= _HELLO_EVERY_S:
            self._greeted = now
            self._nonce += 1
            hello = protocol.Hello(
                nonce=self._nonce,
                run_id=self._run_id,
                actor_id=self._actor_id,
                epoch=self._epoch,
                instance=self._instance,
                held={e: (self._acked[e], self._end[e]) for e in self._end},
                identity=self._identity,
            )
            self._send([protocol.HELLO, protocol.pack(hello)])

    def _nobody(self) -> str:
        return (
            f"no learner answers at {self._endpoint}. Is it running, is the port the same, and do both use a copy of "
            f"the same key file? Steps are kept in {self._spool.path} meanwhile."
        )

    def _send(self, frames: list[bytes]) -> bool:
        assert self._client is not None
        return self._client.send(frames)

    def _send_steps(self) -> None:
        """Fill the window, oldest epoch first."""
        if not self._connected:
            return
        flying = sum(self._next[e] - self._acked[e] for e in self._end)
        for epoch in sorted(self._end):
            while self._next[epoch] < self._end[epoch] and flying < self._window:
                after = self._next[epoch]
                room = min(self._window - flying, protocol.MAX_STEPS_PER_MESSAGE)
                blobs = self._blobs(epoch, after, room)
                end = codec.peek(blobs[-1]).seq + 1 if blobs else self._end[epoch]
                header = protocol.pack(protocol.StepsHeader(epoch, after))
                if not blobs or not self._send([protocol.STEPS, header, *blobs]):
                    return
                self._next[epoch] = end
                flying += end - after
                self._sent += len(blobs)
                self._repeated += max(0, min(self._top[epoch], end) - after)
                self._top[epoch] = max(self._top[epoch], end)

    def _blobs(self, epoch: int, seq: int, limit: int) -> list[bytes]:
        if epoch == self._epoch and seq in self._recent:
            blobs: list[bytes] = []
            while len(blobs) < limit and seq in self._recent:
                blobs.append(self._recent[seq])
                seq += 1
            return blobs
        return self._spool.blobs_of(self._actor_id, epoch, seq, limit)

    def _hear(self, frames: list[bytes]) -> None:
        kind, body = (frames[0], frames[-1]) if frames else (b"", b"")
        try:
            if kind == protocol.ACK:
                if self._connected:
                    ack = protocol.unpack(body, protocol.Ack)
                    self._heard = time.monotonic()
                    self._note(ack.marks, ack.progress, rewind=False)
            elif kind == protocol.WELCOME:
                self._welcome(protocol.unpack(body, protocol.Welcome))
            elif kind == protocol.RESYNC:
                self._connected = False
                self._greeted = -1e9
            elif kind == protocol.REFUSED:
                reason = protocol.unpack(body, protocol.Refusal).reason
                _log.error("the learner refuses this actor: %s", reason)
                with self._changed:
                    self._refused, self._connected = reason, False
                    self._changed.notify_all()
        except SpecError as error:
            _log.warning("ignored a message of the learner: %s", error)

    def _welcome(self, welcome: protocol.Welcome) -> None:
        if welcome.nonce != self._nonce or self._connected:
            return
        if welcome.run_id != self._run_id:
            self._adopt_run(welcome.run_id)
        self._heard = time.monotonic()
        self._complained = False
        self._note(welcome.marks, welcome.progress, rewind=True)
        _log.info("the learner at %s welcomes start %d of %s", self._endpoint, self._epoch, self._actor_id)

    def _note(self, marks: Mapping[int, int], progress: Progress, *, rewind: bool) -> None:
        """Take acknowledgements and progress into account; `rewind` sends again what is not acknowledged."""
        with self._changed:
            self._connected = True
            for epoch, mark in marks.items():
                if epoch not in self._end:
                    continue
                done = max(self._acked[epoch], min(mark, self._end[epoch]))
                for seq in range(self._acked[epoch], done):
                    self._acks += 1
                    if epoch == self._epoch:
                        self._recent.pop(seq, None)
                self._acked[epoch] = done
                self._next[epoch] = self._acked[epoch] if rewind else max(self._next[epoch], self._acked[epoch])
            self._progress = progress
            self._changed.notify_all()

    def _trim(self, now: float) -> None:
        """Drop acknowledged steps from the spool, now and then: each trim is a disk commit."""
        if now - self._trim_t < _TRIM_EVERY_S:
            return
        self._trim_t = now
        for epoch, acked in self._acked.items():
            if acked > self._trimmed[epoch]:
                self._spool.trim(self._actor_id, epoch, acked - 1)
                self._trimmed[epoch] = acked
