"""The learner's step log: an LMDB folder of encoded steps of all actors.

Every `append` is one durable transaction: after it returned, the steps survive a kill and a power cut; when it raises,
none of them is in the log. Steps are known by (actor, epoch, seq), so appending twice changes nothing.
"""

import struct
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import lmdb
import msgspec

from robot_hil.data import codec
from robot_hil.data.fingerprint import differences
from robot_hil.data.step import Step
from robot_hil.errors import SpecError, StorageError
from robot_hil.replay.marks import Mark, Marks, actor_of, check_actor, epoch_name

T = TypeVar("T")
_FORMAT = 1
_U64 = struct.Struct(">Q")
_CHUNK = 64


def arrival_key(number: int) -> bytes:
    """Return the key under which the step with this arrival number is stored."""
    return _U64.pack(number)


def arrival_of(key: bytes | memoryview) -> int:
    """Return the arrival number that `arrival_key` made `key` of."""
    return int(_U64.unpack(key)[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class StepLogInfo:
    """Counters of a step log; `duplicates` counts since it was opened, the rest is what the disk says."""

    steps: int
    """Steps held now."""
    appended: int
    """Steps ever appended, trimmed ones included."""
    duplicates: int
    """Steps offered again and not stored twice."""
    lost: int
    """Sequence numbers below the newest one that never came."""
    bytes: int
    """Size of the map in use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Appended:
    """What an `append` did."""

    new: tuple[int, ...]
    """Which of the records offered, by their place, were not there before."""
    lost: int
    """Sequence numbers given up."""


class StepLog:
    """A durable, idempotent log of steps in one folder. Thread-safe; one process at a time (beside `StepLogReader`s).

    `meta` (run id, specification, task...) is stored by the first `open` and compared by later ones, so that a folder
    of another task is refused instead of mixed up. `max_bytes` bounds the folder; beyond it appending raises.
    """

    def __init__(
        self, path: Path | str, meta: Mapping[str, Any] | None = None, *, max_bytes: int = 1 << 40, sync: bool = True
    ) -> None:
        self.path = Path(path)
        self._meta = dict(meta or {})
        self._max_bytes = max_bytes
        self._sync = sync
        self._lock = threading.RLock()
        self._env: Any = None
        self._duplicates = 0

    def open(self) -> "StepLog":
        """Open or create the folder and compare `meta`; legal twice. Raises `StorageError`."""
        with self._lock:
            if self._env is not None:
                return self
            try:
                self.path.mkdir(parents=True, exist_ok=True)
                env = lmdb.open(str(self.path), max_dbs=4, map_size=1 << 26, sync=self._sync, readahead=False)
                self._steps, self._info, self._marks = env.open_db(b"steps"), env.open_db(b"meta"), Marks(env)
            except (lmdb.Error, OSError) as error:
                raise StorageError(
                    f"step log {self.path} cannot be opened: {error}. Check that the disk has room, the folder is "
                    f"yours, and no other process is using it."
                ) from error
            self._env = env
            try:
                self._check_meta()
            except BaseException:
                self.close()
                raise
            return self

    def close(self) -> None:
        """Close the folder; legal twice."""
        with self._lock:
            if self._env is not None:
                self._env.close()
                self._env = None

    def __enter__(self) -> "StepLog":
        return self.open()

    def __exit__(self, *_: object) -> None:
        self.close()

    def append_many(self, records: Sequence[bytes | Step]) -> int:
        """Store what is not yet there, in one durable commit; return how many were new.

        Blobs must come from `codec.encode` or have passed `codec.decode`: only their header is looked at.
        """
        blobs = [codec.encode(record) if isinstance(record, Step) else record for record in records]
        return len(self.append(blobs, [codec.peek(blob) for blob in blobs]).new)

    def append(
        self, blobs: Sequence[codec.Blob], keys: Sequence[codec.StepKey | Step], *, gaps_are_lost: bool = False
    ) -> Appended:
        """Store what is not yet there, in one durable commit; `keys` say who each of `blobs` is.

        With `gaps_are_lost` no number below the newest given is waited for any longer: their actor has them no more.
        """
        for key in keys:
            check_actor(key.actor_id)
            if key.seq < 0:
                raise SpecError(f"step {key.episode_id}:{key.step_index} has no sequence number; give it one, from 0.")

        def store(txn: Any) -> Appended:
            marks: dict[tuple[str, int], tuple[bytes, Mark]] = {}
            first = count = self._next_arrival(txn)
            new: list[int] = []
            for place, (key, blob) in enumerate(zip(keys, blobs, strict=True)):
                epoch = (key.actor_id, key.epoch)
                if epoch not in marks:
                    name = epoch_name(*epoch)
                    marks[epoch] = (name, self._marks.read(txn, name))
                number = arrival_key(count)
                if self._marks.enter(txn, *marks[epoch], key.seq, number):
                    txn.put(number, blob, append=True, db=self._steps)
                    count += 1
                    new.append(place)
            lost = 0
            for name, mark in marks.values():
                if gaps_are_lost:
                    lost += self._marks.give_up(txn, name, mark, mark.end)
                self._marks.write(txn, name, mark)
            if count > first:
                txn.put(b"arrivals", _U64.pack(count), db=self._info)
            return Appended(new=tuple(new), lost=lost)

        done = self._write(store) if blobs else Appended(new=(), lost=0)
        self._duplicates += len(blobs) - len(done.new)
        return done

    def high_water(self, actor_id: str, epoch: int) -> int:
        """Return the last sequence number up to which nothing is missing; -1 for none."""
        name = epoch_name(actor_id, epoch)
        return self._read(lambda txn: self._marks.read(txn, name).next) - 1

    def skip_to(self, actor_id: str, epoch: int, seq: int) -> int:
        """Give up on all missing numbers below `seq` (their actor no longer has them); return how many are lost."""
        if seq <= self.high_water(actor_id, epoch) + 1:
            return 0

        def skip(txn: Any) -> int:
            name = epoch_name(actor_id, epoch)
            mark = self._marks.read(txn, name)
            lost = self._marks.give_up(txn, name, mark, seq)
            self._marks.write(txn, name, mark)
            return lost

        return self._write(skip)

    def new_epoch(self, actor_id: str) -> int:
        """Return a number that this log never gave this actor before, from 1; durable. Call once per actor start."""
        check_actor(actor_id)
        key = b"epoch:" + actor_id.encode()

        def bump(txn: Any) -> int:
            value = txn.get(key, db=self._info)
            epoch = 1 + (msgspec.msgpack.decode(value, type=int) if value else 0)
            txn.put(key, msgspec.msgpack.encode(epoch), db=self._info)
            return epoch

        return self._write(bump)

    def get_meta(self, key: str) -> Any:
        """Return the plain value stored under `key`; None when there is none."""
        value = self._read(lambda txn: txn.get(b"user:" + key.encode(), db=self._info))
        return None if value is None else msgspec.msgpack.decode(value)

    def set_meta(self, key: str, value: Any) -> None:
        """Store a plain value (dict, list, number, text) under `key`, durably."""
        encoded = msgspec.msgpack.encode(value)
        self._write(lambda txn: txn.put(b"user:" + key.encode(), encoded, db=self._info))

    def blobs(self, start: int = 0) -> Iterator[tuple[int, bytes]]:
        """Yield (arrival number, blob) in order of arrival from arrival number `start`; CRC checked.

        Appending meanwhile is legal. A damaged record raises `StorageError` that names it.
        """
        position: int | None = start
        while position is not None:
            rows = self._read(partial(self._scan, first=_U64.pack(position)))
            for number, blob in rows:
                arrival = _U64.unpack(number)[0]
                yield arrival, self._checked(blob, f"record {arrival}")
            position = arrival + 1 if rows else None

    def steps(self, start: int = 0) -> Iterator[Step]:
        """Yield decoded steps in order of arrival, as `blobs`."""
        return (codec.decode(blob) for _, blob in self.blobs(start))

    def last_episode(self, actor_id: str) -> int:
        """Return the largest episode id ever appended for this actor; -1 for none. For numbering on after a restart."""

        def read(txn: Any) -> int:
            last = -1
            for name in self._marks.names(txn):
                record = self._marks.newest(txn, name) if actor_of(name) == actor_id else None
                if record is not None:
                    last = max(last, codec.peek(txn.get(record, db=self._steps)).episode_id)
            return last

        return self._read(read)

    def info(self) -> StepLogInfo:
        """Return counters."""

        def read(txn: Any) -> StepLogInfo:
            return StepLogInfo(
                steps=txn.stat(self._steps)["entries"],
                appended=self._next_arrival(txn),
                duplicates=self._duplicates,
                lost=sum(self._marks.read(txn, name).missing for name in self._marks.names(txn)),
                bytes=(self._env.info()["last_pgno"] + 1) * self._env.stat()["psize"],
            )

        return self._read(read)

    def _next_arrival(self, txn: Any) -> int:
        value = txn.get(b"arrivals", db=self._info)
        return int(_U64.unpack(value)[0]) if value else 0

    def _scan(self, txn: Any, first: bytes) -> list[tuple[bytes, bytes]]:
        """Return the next records by arrival, a bounded number, so that no transaction stays open between them."""
        cursor = txn.cursor(db=self._steps)
        rows: list[tuple[bytes, bytes]] = []
        found = cursor.set_range(first)
        while found and len(rows) < _CHUNK:
            rows.append(cursor.item())
            found = cursor.next()
        return rows

    def _checked(self, blob: bytes, name: str) -> bytes:
        try:
            codec.verify(blob)
        except SpecError as error:
            raise StorageError(f"{name} in step log {self.path} is damaged: {error} Restore the folder.") from error
        return blob

    def _check_meta(self) -> None:
        stored = self.get_meta("log")
        if stored is None:
            self.set_meta("log", {"format": _FORMAT, **self._meta})
            return
        wanted = {"format": _FORMAT, **self._meta}
        lines = differences({key: stored.get(key) for key in wanted}, wanted, "the folder", "this run")
        if lines:
            raise StorageError(
                f"{self.path} holds the steps of another run: {'; '.join(lines)}. "
                f"Choose another folder (--out), or start with the settings it was made with."
            )

    def _read(self, work: Callable[[Any], T]) -> T:
        with self._lock, self._opened().begin() as txn:
            return work(txn)

    def _write(self, work: Callable[[Any], T]) -> T:
        with self._lock:
            env = self._opened()
            while True:
                try:
                    with env.begin(write=True) as txn:
                        return work(txn)
                except lmdb.MapFullError as error:
                    size = env.info()["map_size"]
                    if 2 * size > self._max_bytes:
                        raise StorageError(
                            f"step log {self.path} has reached its limit of {self._max_bytes} bytes; nothing was lost, "
                            f"but the newest steps are not stored. Raise the limit or start another run."
                        ) from error
                    env.set_mapsize(2 * size)
                except (lmdb.Error, OSError) as error:
                    raise StorageError(
                        f"step log {self.path} cannot be written: {error}. All earlier steps are safe, the newest are "
                        f"not stored. Free some room on the disk and start again with --resume."
                    ) from error

    def _opened(self) -> Any:
        if self._env is None:
            raise StorageError(f"step log {self.path} is not open; call open() first.")
        return self._env
