"""The actor's end: every step goes to the spool, then to the learner, and leaves the spool when its disk has it."""

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Self

from robot_hil.data.specs import EnvSpec
from robot_hil.data.step import Step
from robot_hil.errors import RobotHilError, SpecError, StorageError, TransportError
from robot_hil.transport import protocol
from robot_hil.transport.background import Background
from robot_hil.transport.delivery import Delivery
from robot_hil.transport.keys import Keys
from robot_hil.transport.protocol import Progress

_log = logging.getLogger(__name__)
_STEPS_PER_TURN = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class UplinkInfo:
    """Counters since `start`."""

    connected: bool
    """Welcomed by the learner and heard from within the last 2 s."""
    put: int
    """Steps given to `put`."""
    logged: int
    """Of these, on a disk, the actor's or the learner's."""
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


class Uplink(Background):
    """Takes steps from the control loop and never makes it wait.

    `put` only queues: encoding, disk and network belong to a thread. The arrays of a step belong to the uplink once
    it was put; whoever writes into them afterwards changes what is recorded. One `start` is one epoch.

    A step survives the death of this process before it is sent. It survives a power cut once the learner's disk has it,
    or the actor's, which is waited for at once while no learner is there, and after `sync_after` [s] while one is. At
    most `window` steps are on their way, or fewer if the learner has many actors. `stop` writes what is queued to disk;
    `flush` first to wait for the learner.
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
        files: Mapping[str, str] | None = None,
        keys: Keys | None = None,
        window: int = 128,
        max_queue: int = 4096,
        sync_after: float = 0.05,
    ) -> None:
        super().__init__()
        self._check = protocol.StepCheck(spec)
        self._max_queue = max_queue
        self._changed = threading.Condition()
        self._delivery = Delivery(
            spool,
            protocol.identity(spec, task, files),
            endpoint=endpoint,
            actor_id=actor_id,
            run_id=run_id,
            keys=keys,
            window=window,
            sync_after=sync_after,
            changed=self._changed,
        )
        self._queue: deque[tuple[int, Step]] = deque()
        self._put = 0
        self._error: RobotHilError | None = None

    @property
    def epoch(self) -> int:
        """Number of this start of the actor, from 1; 0 before `start`."""
        return self._delivery.epoch

    @property
    def next_episode(self) -> int:
        """First episode id not used by earlier starts."""
        return self._delivery.next_episode

    @property
    def progress(self) -> Progress:
        """What the learner last said; all zero before it spoke."""
        return self._delivery.progress

    @property
    def error(self) -> RobotHilError | None:
        """Why the uplink is unusable (disk failed) or refused by the learner; None while all is well."""
        return self._error or (TransportError(self._delivery.refused) if self._delivery.refused else None)

    def start(self) -> Self:
        """Open the spool, begin a new epoch and connect in the background; legal twice. The learner may come later."""
        if self._thread is None:
            self._delivery.open(self._waker)
            self._work("uplink", self._run)
        return self

    def put(self, step: Step) -> int:
        """Queue `step` and return its sequence number; tens of microseconds, whatever disk and network do.

        Raises `SpecError` for a step that is not of the specification (it is not recorded), `StorageError` when steps
        can no longer be recorded: the actor must then stop.
        """
        self._check(step)
        with self._changed:
            if self._error is not None:
                raise self._error
            if self._thread is None or self._stopping:
                raise TransportError("the uplink is not running; call start() before put().")
            if len(self._queue) >= self._max_queue:
                raise StorageError(
                    f"{self._max_queue} steps wait to be written to {self._delivery.spool.path}: the disk does not "
                    f"keep up. Put the run folder on a faster disk."
                )
            seq = self._put
            self._put += 1
            idle = not self._queue
            self._queue.append((seq, step))
        if idle:  # who has not taken all of it looks again by itself
            self._waker.wake()
        return seq

    def report(self, report: Mapping[str, Any]) -> None:
        """Send a small dict (an episode's result) to the learner, best effort: dropped while disconnected for long."""
        body = protocol.pack(report)
        if len(body) > protocol.MAX_CONTROL:
            raise SpecError(f"report has {len(body)} bytes; allowed are {protocol.MAX_CONTROL}.")
        self._delivery.outbox.append(body)
        self._waker.wake()

    def flush(self, timeout: float) -> bool:
        """Wait until the learner has every step on disk; False after `timeout` [s], on refusal or failure."""
        self._wait(lambda: self._unacked() == 0, timeout)
        return self._unacked() == 0

    def wait_welcome(self, timeout: float) -> None:
        """Return once the learner welcomed this actor; raises `TransportError` on refusal or after `timeout` [s]."""
        self._wait(lambda: self._delivery.connected, timeout)
        if self.error is not None:
            raise self.error
        if not self._delivery.connected:
            raise TransportError(self._delivery.nobody())

    def may_step(self) -> bool:
        """True while the learner's budget allows a simulated actor one more step. Real-time actors do not ask."""
        progress = self.progress
        return progress.step_budget < 0 or progress.steps_ingested + self._unacked() < progress.step_budget

    def throttle(self, timeout: float) -> bool:
        """Wait until `may_step`, a stop, or `timeout` [s]; return whether a step is allowed now."""
        self._wait(lambda: self.may_step() or self.progress.stop, timeout)
        return self.may_step() and not self.progress.stop

    def info(self) -> UplinkInfo:
        """Return counters."""
        with self._changed:
            window = self._delivery.window
            return UplinkInfo(
                connected=self._delivery.connected,
                put=self._put,
                logged=self._delivery.safe,
                sent=window.sent,
                acked=window.confirmed,
                unacked=self._unacked(),
                repeated=window.repeated,
                refused=self._delivery.refused,
            )

    def _wait(self, done: Callable[[], bool], timeout: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: done() or self.error is not None, timeout)

    def _unacked(self) -> int:
        return self._delivery.window.waiting + self._put - self._delivery.end

    def _run(self) -> None:
        try:
            while not (self._stopping and not self._queue):
                self._record()
                self._delivery.turn(wait=not self._queue and not self._stopping)
                self._waker.drain()
        except RobotHilError as error:
            self._fail(error)
        except Exception as error:  # a thread must not die in silence
            _log.exception("uplink failed")
            path = self._delivery.spool.path
            self._fail(TransportError(f"uplink failed: {error!r}. What was logged is safe in {path}."))
        finally:
            self._close()

    def _record(self) -> None:
        """Move queued steps into the spool; they count as waiting all the time."""
        if not self._queue:
            return
        recorded = self._delivery.record(list(islice(self._queue, _STEPS_PER_TURN)))
        for _ in range(recorded):
            self._queue.popleft()

    def _close(self) -> None:
        try:
            self._delivery.close()
        except RobotHilError as error:
            self._fail(error)

    def _fail(self, error: RobotHilError) -> None:
        _log.error("%s", error)
        with self._changed:
            self._error = self._error or error
            self._delivery.connected = False
            self._changed.notify_all()
