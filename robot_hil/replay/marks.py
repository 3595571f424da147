"""Which sequence numbers of each actor's epochs a step log has, in two tables of its LMDB folder."""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from robot_hil.errors import SpecError

_ACTOR_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_EPOCH = struct.Struct(">I")
_SEQ = struct.Struct(">Q")
_MARK = struct.Struct(">QQQ")


@dataclass(slots=True)
class Mark:
    """What of one epoch a log has."""

    next: int = 0
    """First sequence number not yet in the contiguous run."""
    end: int = 0
    """One more than the largest sequence number seen."""
    missing: int = 0
    """Numbers below `end` that never came."""


class Marks:
    """The tables `index`, which leads from (epoch, sequence number) to the record, and `marks`, with a `Mark` for each.

    An epoch is named by `epoch_name`. Every function works in the transaction it is given.
    """

    def __init__(self, env: Any) -> None:
        self._index, self._marks = env.open_db(b"index"), env.open_db(b"marks")

    def read(self, txn: Any, name: bytes) -> Mark:
        """Return the mark of an epoch, a fresh one when it is not known."""
        value = txn.get(name, db=self._marks)
        return Mark(*_MARK.unpack(value)) if value else Mark()

    def write(self, txn: Any, name: bytes, mark: Mark) -> None:
        """Store the mark of an epoch."""
        txn.put(name, _MARK.pack(mark.next, mark.end, mark.missing), db=self._marks)

    def names(self, txn: Any) -> list[bytes]:
        """Return the names of all epochs."""
        return [bytes(name) for name, _ in txn.cursor(db=self._marks)]

    def enter(self, txn: Any, name: bytes, mark: Mark, seq: int, record: bytes) -> bool:
        """Take in that step `seq` lies in `record`; return False, and change nothing, when it is there or given up."""
        if seq < mark.next or not txn.put(name + _SEQ.pack(seq), record, overwrite=False, db=self._index):
            return False
        if seq >= mark.end:
            mark.missing += seq - mark.end
            mark.end = seq + 1
        else:
            mark.missing -= 1
        if seq == mark.next:
            mark.next += 1
            self._advance(txn, name, mark)
        return True

    def give_up(self, txn: Any, name: bytes, mark: Mark, seq: int) -> int:
        """Wait no longer for what is missing below `seq`; return how many numbers these are."""
        if seq <= mark.next:
            return 0
        lost = seq - mark.next - sum(1 for _ in self._entries(txn, name, mark.next, seq))
        mark.missing += max(0, seq - max(mark.end, mark.next))
        mark.next, mark.end = seq, max(mark.end, seq)
        self._advance(txn, name, mark)
        return lost

    def newest(self, txn: Any, name: bytes) -> bytes | None:
        """Return the record of the step of one epoch with the largest sequence number; None for no step."""
        cursor = txn.cursor(db=self._index)
        found = cursor.prev() if cursor.set_range(name + b"\xff" * 9) else cursor.last()
        return bytes(cursor.value()) if found and cursor.key().startswith(name) else None

    def _advance(self, txn: Any, name: bytes, mark: Mark) -> None:
        while mark.next < mark.end and txn.get(name + _SEQ.pack(mark.next), db=self._index) is not None:
            mark.next += 1

    def _entries(self, txn: Any, name: bytes, start: int, stop: int) -> Iterator[bytes]:
        cursor = txn.cursor(db=self._index)
        found, end = cursor.set_range(name + _SEQ.pack(start)), name + _SEQ.pack(stop)
        while found and cursor.key() < end:
            yield cursor.key()
            found = cursor.next()


def epoch_name(actor_id: str, epoch: int) -> bytes:
    """Return the name of an epoch; raises `SpecError` for an actor that cannot be called so."""
    check_actor(actor_id)
    return actor_id.encode() + b"\0" + _EPOCH.pack(epoch)


def actor_of(name: bytes) -> str:
    """Return the actor of the epoch that `epoch_name` named."""
    return name[: -_EPOCH.size - 1].decode()


def check_actor(actor_id: str) -> None:
    """Raise `SpecError` unless this can be the name of an actor."""
    if not _ACTOR_ID.fullmatch(actor_id):
        raise SpecError(f"actor id {actor_id!r} is not 1 to 64 letters, digits, '_', '.' or '-'.")
