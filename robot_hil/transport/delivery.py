"""What the uplink's thread does: each step into the spool, then to the learner, until the learner's disk has it."""

import logging
import math
import secrets
import threading
import time
from collections import deque
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

import zmq

from robot_hil.data import codec
from robot_hil.data.step import Step
from robot_hil.errors import SpecError, StorageError
from robot_hil.replay.spool import Spool
from robot_hil.transport import protocol
from robot_hil.transport.keys import Keys
from robot_hil.transport.protocol import Progress
from robot_hil.transport.sockets import ClientSocket, Waker, check_endpoint, receive_all
from robot_hil.transport.window import SendWindow

_log = logging.getLogger(__name__)
_HELLO_EVERY_S = 0.25
_SILENCE_S = 2.0
_RELEASE_EVERY_S = 1.0
_COMPLAIN_AFTER_S = 5.0
_ACKS_PER_TURN = 64
_MAX_REPORTS = 1000
_RECENT_BYTES = 32 << 20


class Delivery:
    """Spool, socket and bookkeeping of one actor. After `open`, for one thread; `changed` guards what others read.

    A step is safe when a disk has it, the actor's or the learner's. It is handed to the system (which keeps it whatever
    happens to this process), then sent. The actor's disk is waited for where the learner has not confirmed a step for
    `sync_after` [s], and at once where there is no learner: two disks, perhaps one and the same, take twice as long.
    """

    def __init__(
        self,
        spool: Path | str,
        identity: dict[str, Any],
        *,
        endpoint: str,
        actor_id: str,
        run_id: str,
        keys: Keys | None,
        window: int,
        sync_after: float,
        changed: threading.Condition,
    ) -> None:
        self.spool = Spool(spool, {"actor": actor_id, "identity": identity})
        self.window = SendWindow(window)
        self.outbox: deque[bytes] = deque(maxlen=_MAX_REPORTS)
        self.epoch = 0
        self.end = 0
        """Steps of this start that are in the spool."""
        self.next_episode = 0
        self.progress = Progress()
        self.connected = False
        self.refused = ""
        self._identity, self._endpoint, self._actor_id, self._run_id = identity, endpoint, actor_id, run_id
        self._keys, self._sync_after, self._changed = keys, sync_after, changed
        self._most_flying = window
        self._instance = secrets.token_hex(8)
        self._client: ClientSocket | None = None
        self._poller = zmq.Poller()
        self._recent: dict[int, bytes] = {}
        """Steps that need not be read back from the spool."""
        self._recent_bytes = 0
        self._unsafe: deque[tuple[float, int]] = deque()
        """When steps were handed to the system of which no disk is known to have them, and their end."""
        self._synced = 0
        self._nonce = 0
        self._heard = self._greeted = self._released = self._opened = -1e9
        self._complained = False

    @property
    def safe(self) -> int:
        """Steps of this start that are on a disk, the actor's or the learner's, with all before them."""
        return max(self._synced, self.window.acknowledged(self.epoch)) if self._unsafe else self.end

    def open(self, waker: Waker) -> None:
        """Open the spool, begin an epoch and connect in the background."""
        check_endpoint(self._endpoint, self._keys)
        self.spool.open()
        try:
            self._adopt(self._run_id)
            for epoch, (first, end) in self.spool.epochs().items():
                self.window.add_epoch(epoch, first, end)
            self.next_episode = self.spool.last_episode + 1
            self.epoch = self.spool.begin_epoch()
            self.window.add_epoch(self.epoch, 0, 0)
            self._client = ClientSocket(self._endpoint, self._keys, protocol.MAX_MESSAGE)
        except BaseException:
            self.spool.close()
            raise
        self._poller.register(self._client.socket, zmq.POLLIN)
        waker.register(self._poller)
        self._opened = time.monotonic()

    def close(self) -> None:
        """Make everything safe and let go of disk and network; legal twice."""
        if self._client is not None:
            self._client.close()
        self.connected = False
        try:
            self._make_safe()
            self._release(float("inf"))
            self.spool.compact()
        finally:
            self.spool.close()

    def record(self, steps: Sequence[tuple[int, Step]]) -> int:
        """Spool (sequence number, step) pairs and return how many; only then may they be sent.

        A step that cannot be encoded raises `SpecError` when it is the first, and ends what is spooled otherwise.
        """
        blobs: dict[int, bytes] = {}
        keys: list[codec.StepKey] = []
        for seq, step in steps:
            try:
                blobs[seq] = codec.encode(step, actor_id=self._actor_id, epoch=self.epoch, seq=seq)
            except SpecError:
                if not blobs:
                    raise
                break
            keys.append(
                codec.StepKey(
                    actor_id=self._actor_id,
                    epoch=self.epoch,
                    seq=seq,
                    episode_id=step.episode_id,
                    step_index=step.step_index,
                )
            )
        if blobs:
            self.spool.append(list(blobs.values()), keys)
            size = sum(map(len, blobs.values()))
            if self._recent_bytes + size <= _RECENT_BYTES:
                self._recent |= blobs
                self._recent_bytes += size
            end = keys[-1].seq + 1
            self._unsafe.append((time.monotonic(), end))
            with self._changed:
                self.end = end
                self.window.extend(self.epoch, end)
        return len(blobs)

    def turn(self, wait: bool) -> None:
        """Send what may be sent and hear what was answered; with `wait`, return when there is something to do."""
        now = time.monotonic()
        self._keep_in_touch(now)
        self._send_steps()
        self._make_safe()
        self._release(now)
        assert self._client is not None
        if wait:
            timeout = math.ceil(1000 * max(0.0, min(_HELLO_EVERY_S, self._sync_due() - now)))
            ready = [end for end, _ in self._poller.poll(timeout)]
            if self._client.socket not in ready:
                return
        for frames in receive_all(self._client.socket, _ACKS_PER_TURN):
            self._hear(frames)

    def nobody(self) -> str:
        """Return what to tell a person when no learner answers."""
        return (
            f"no learner answers at {self._endpoint}. Is it running, is the port the same, and do both use a copy of "
            f"the same key file? Steps are kept in {self.spool.path} meanwhile."
        )

    def _sync_due(self) -> float:
        """Return when the actor's disk must have what no disk has yet."""
        if not self._unsafe:
            return float("inf")
        return self._unsafe[0][0] + self._sync_after if self.connected else 0.0

    def _make_safe(self) -> None:
        """Wait for the actor's disk if that is due."""
        if self._sync_due() <= time.monotonic():
            self.spool.sync()
            self._synced = self.end
            self._unsafe.clear()

    def _adopt(self, run_id: str) -> None:
        """Bind the spool to `run_id`; a spool that still holds another run's steps is refused."""
        stored = self.spool.run_id
        if run_id and stored and run_id != stored and self.spool.steps:
            raise StorageError(
                f"spool {self.spool.path} still holds steps of run {stored!r}, this is run {run_id!r}. Start that "
                f"run's learner to take them, or choose another folder."
            )
        self._run_id = run_id or stored
        if run_id:
            self.spool.adopt(run_id)

    def _keep_in_touch(self, now: float) -> None:
        if self.connected and now - self._heard > _SILENCE_S:
            _log.warning("the learner at %s is silent; steps are kept on disk", self._endpoint)
            self.connected = False
        if self.connected:
            while self.outbox and self._send([protocol.REPORT, self.outbox[0]]):
                self.outbox.popleft()
            return
        if now - max(self._heard, self._opened) > _COMPLAIN_AFTER_S and not self._complained:
            self._complained = True
            _log.warning("%s", self.nobody())
        if not self.refused and now - self._greeted >= _HELLO_EVERY_S:
            self._greeted = now
            self._nonce += 1
            hello = protocol.Hello(
                nonce=self._nonce,
                run_id=self._run_id,
                actor_id=self._actor_id,
                epoch=self.epoch,
                instance=self._instance,
                held=self.window.held,
                identity=self._identity,
            )
            self._send([protocol.HELLO, protocol.pack(hello)])

    def _send(self, frames: list[bytes]) -> bool:
        assert self._client is not None
        return self._client.send(frames)

    def _send_steps(self) -> None:
        while self.connected and (upcoming := self.window.upcoming()) is not None:
            epoch, after, room = upcoming
            blobs, end = self._blobs(epoch, after, min(room, protocol.MAX_STEPS_PER_MESSAGE))
            header = protocol.pack(protocol.StepsHeader(epoch, after))
            if not self._send([protocol.STEPS, header, *blobs]):
                return
            self.window.note_sent(epoch, end, len(blobs))

    def _blobs(self, epoch: int, seq: int, limit: int) -> tuple[list[bytes], int]:
        """Return the next steps to send, and where they end."""
        if epoch == self.epoch and seq in self._recent:
            numbers = list(takewhile(self._recent.__contains__, range(seq, seq + limit)))
            return [self._recent[number] for number in numbers], numbers[-1] + 1
        blobs = self.spool.read(epoch, seq, limit)
        return blobs, codec.peek(blobs[-1]).seq + 1

    def _hear(self, frames: list[bytes]) -> None:
        kind, body = (frames[0], frames[-1]) if frames else (b"", b"")
        try:
            if kind == protocol.ACK:
                if self.connected:
                    ack = protocol.unpack(body, protocol.Ack)
                    self._note(ack, rewind=False)
            elif kind == protocol.WELCOME:
                welcome = protocol.unpack(body, protocol.Welcome)
                if welcome.nonce == self._nonce and not self.connected:
                    self._adopt(welcome.run_id)
                    self._note(welcome, rewind=True)
                    _log.info("%s welcomes start %d of %s", self._endpoint, self.epoch, self._actor_id)
            elif kind == protocol.RESYNC:
                self.connected = False
                self._greeted = -1e9
            elif kind == protocol.REFUSED:
                reason = protocol.unpack(body, protocol.Refusal).reason
                _log.error("the learner refuses this actor: %s", reason)
                with self._changed:
                    self.refused, self.connected = reason, False
                    self._changed.notify_all()
        except SpecError as error:
            _log.warning("ignored a message of the learner: %s", error)

    def _note(self, said: protocol.Ack | protocol.Welcome, *, rewind: bool) -> None:
        self._heard, self._complained = time.monotonic(), False
        before = self.window.acknowledged(self.epoch)
        with self._changed:
            self.connected = True
            self.window.acknowledge(said.marks, rewind=rewind)
            self.window.size = max(1, min(self._most_flying, said.window))
            self.progress = said.progress
            self._changed.notify_all()
        acked = self.window.acknowledged(self.epoch)
        for seq in range(before, acked):
            self._recent_bytes -= len(self._recent.pop(seq, b""))
        while self._unsafe and self._unsafe[0][1] <= acked:
            self._unsafe.popleft()

    def _release(self, now: float) -> None:
        """Let go of acknowledged steps in the spool, now and then."""
        if now - self._released >= _RELEASE_EVERY_S:
            self._released = now
            for epoch, (acked, _) in self.window.held.items():
                self.spool.release(epoch, acked)
            with self._changed:
                self.window.forget_done(self.epoch)
