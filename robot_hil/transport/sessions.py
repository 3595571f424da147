"""Which actors are welcome at a learner, and what it wants next of each."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from robot_hil.data.fingerprint import differences
from robot_hil.replay.step_log import StepLog
from robot_hil.transport.protocol import Hello

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Session:
    """One actor that was welcomed."""

    actor_id: str
    epoch: int
    marks: dict[int, int]
    """First sequence number not in the log on the disk, by epoch."""
    received: dict[int, int]
    """First sequence number that did not come, by epoch."""


class Sessions:
    """Actors by the address of their connection; who may be one is kept in the log, so that it survives a restart."""

    def __init__(self, log: StepLog, identity: dict[str, Any], run_id: str) -> None:
        self._step_log = log
        self._identity = identity
        self._run_id = run_id
        self._sessions: dict[bytes, Session] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    def __iter__(self) -> Iterator[bytes]:
        return iter(list(self._sessions))

    def get(self, peer: bytes) -> Session | None:
        """Return the session of a peer, None when it is not welcome (any more)."""
        return self._sessions.get(peer)

    def confirm(self, peer: bytes, epoch: int, end: int) -> None:
        """Take in that the disk has the steps of a peer below `end`; legal for one that is not known."""
        if session := self._sessions.get(peer):
            session.marks[epoch] = max(end, session.marks.get(epoch, 0))

    def drop(self, peer: bytes) -> None:
        """Forget a peer; legal for one that is not known."""
        self._sessions.pop(peer, None)

    def welcome(self, peer: bytes, hello: Hello) -> tuple[Session, int]:
        """Take a peer in, in place of older connections of its actor; return it, and how many steps are lost.

        Call `objection` first. Lost is what the actor holds no more and the log never got.
        """
        fence = [hello.epoch, hello.instance]
        if self._step_log.get_meta(f"fence:{hello.actor_id}") != fence:
            self._step_log.set_meta(f"fence:{hello.actor_id}", fence)
        for other in [peer for peer, session in self._sessions.items() if session.actor_id == hello.actor_id]:
            del self._sessions[other]
        lost, marks = 0, {}
        for epoch, (first, _) in hello.held.items():
            gone = self._step_log.skip_to(hello.actor_id, epoch, first)
            if gone:
                _log.error("actor %s holds %d steps of its start %d no more", hello.actor_id, gone, epoch)
            lost += gone
            marks[epoch] = self._step_log.high_water(hello.actor_id, epoch) + 1
        session = self._sessions[peer] = Session(hello.actor_id, hello.epoch, marks, dict(marks))
        return session, lost

    def objection(self, hello: Hello) -> str:
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
