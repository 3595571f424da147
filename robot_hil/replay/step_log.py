"""The learner's step log: a folder of encoded steps of all actors, appended to a chain of files.

After `append` returned, or `write` and a `sync` begun after it, steps survive a kill and a power cut; when it raises,
none of them is in the log. Steps are known by (actor, epoch, seq), so appending twice changes nothing. What the log
knows besides its steps stands at the beginning of each file; so opening it reads only the last one.
"""

import contextlib
import threading
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from robot_hil.data import codec
from robot_hil.data.step import Step
from robot_hil.errors import SpecError, StorageError
from robot_hil.replay.chain import Chain
from robot_hil.replay.marks import LogState, Mark, check_actor
from robot_hil.replay.segment import Segment

_SEGMENT_BYTES = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class StepLogInfo:
    """Counters of a step log; `duplicates` counts since it was opened, the rest is what the disk says."""

    steps: int
    """Steps held."""
    duplicates: int
    """Steps offered again and not stored twice."""
    lost: int
    """Sequence numbers below the newest one that never came."""
    bytes: int
    """Size of the files."""


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
    of another task is refused instead of mixed up. `max_bytes` bounds the folder; beyond it appending raises. Without
    `sync` nothing waits for the disk: steps survive a kill only.
    """

    def __init__(
        self, path: Path | str, meta: Mapping[str, Any] | None = None, *, max_bytes: int = 1 << 40, sync: bool = True
    ) -> None:
        self.path = Path(path)
        self._chain = Chain(self.path, "step log", meta or {}, max_bytes, "Raise the limit or start another run.")
        self._durable = sync
        self._state = LogState()
        self._duplicates = 0
        self._lock = threading.RLock()
        """Guards everything; held for microseconds, or while a file is begun."""
        self._syncing = threading.RLock()
        """Held by who waits for the disk or begins a file; taken before `_lock`."""
        self._synced = 0
        """Steps that the disk has."""
        self._remember = False
        """Whether the state has changed by more than steps since the last file was begun."""

    def open(self) -> "StepLog":
        """Open or create the folder and compare `meta`; legal twice. Raises `StorageError`."""
        with self._syncing, self._lock:
            if not self._chain.is_open:
                self._chain.open()
                try:
                    self._load()
                except BaseException:
                    self.close()
                    raise
        return self

    def close(self) -> None:
        """Make everything durable and close the folder; legal twice."""
        with self._syncing, self._lock:
            try:
                if self._chain.is_open and self._durable:
                    self._chain.sync()
            finally:
                self._chain.close()

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
        done = self.write(blobs, keys, gaps_are_lost=gaps_are_lost)
        self.sync()
        return done

    def write(
        self, blobs: Sequence[codec.Blob], keys: Sequence[codec.StepKey | Step], *, gaps_are_lost: bool = False
    ) -> Appended:
        """Do as `append`, but leave waiting for the disk to a `sync`, which another thread may be in meanwhile."""
        for key in keys:
            check_actor(key.actor_id)
            if key.seq < 0:
                raise SpecError(f"step {key.episode_id}:{key.step_index} has no sequence number; give it one, from 0.")
        with self._lock:
            self._opened()
            new, seen = [], set[tuple[str, int, int]]()
            for place, key in enumerate(keys):
                name = key.actor_id, key.epoch, key.seq
                if name not in seen and not self._state.mark(*name[:2]).has(key.seq):
                    new.append(place)
                    seen.add(name)
            if new:
                self._chain.append([blobs[place] for place in new], [keys[place] for place in new])
            for place in new:
                self._state.enter(keys[place])
            lost = 0
            if gaps_are_lost:
                marks = [self._state.mark(*epoch) for epoch in dict.fromkeys((key.actor_id, key.epoch) for key in keys)]
                lost = sum(mark.give_up(mark.end) for mark in marks)
                self._remember |= lost > 0
            self._duplicates += len(blobs) - len(new)
            return Appended(new=tuple(new), lost=lost)

    def sync(self) -> None:
        """Wait until all that was written before this call is on the disk.

        When the disk fails, what it does not have leaves the log, which is closed: `open` it again.
        """
        with self._syncing:
            with self._lock:
                self._opened()
                end = self._chain.end
            if end > self._synced:
                self._wait_for_disk()
            with self._lock:
                self._synced = max(end, self._synced)
                if self._remember or self._chain.last.size > _SEGMENT_BYTES:
                    self._wait_for_disk()
                    self._synced = self._chain.end
                    with contextlib.suppress(StorageError):  # for lack of room: the next step will say so
                        self._begin()

    def high_water(self, actor_id: str, epoch: int) -> int:
        """Return the last sequence number up to which nothing is missing; -1 for none."""
        check_actor(actor_id)
        with self._lock:
            self._opened()
            return self._state.marks.get(actor_id, {}).get(epoch, Mark()).next - 1

    def skip_to(self, actor_id: str, epoch: int, seq: int) -> int:
        """Give up on all missing numbers below `seq` (their actor no longer has them); return how many are lost."""
        if seq <= self.high_water(actor_id, epoch) + 1:
            return 0
        with self._syncing, self._lock:
            lost = self._state.mark(actor_id, epoch).give_up(seq)
            self._remember = True
            self._begin()
            return lost

    def new_epoch(self, actor_id: str) -> int:
        """Return a number that this log never gave this actor before, from 1; durable. Call once per actor start."""
        check_actor(actor_id)
        with self._syncing, self._lock:
            self._opened()
            self._state.epochs[actor_id] = epoch = self._state.epochs.get(actor_id, 0) + 1
            self._begin()
            return epoch

    def get_meta(self, key: str) -> Any:
        """Return the plain value stored under `key`; None when there is none."""
        with self._lock:
            self._opened()
            return self._state.values.get(key)

    def set_meta(self, key: str, value: Any) -> None:
        """Store a plain value (dict, list, number, text) under `key`, durably. Begins a file: for rare events."""
        with self._syncing, self._lock:
            self._opened()
            before = self._state.values
            self._state.values = before | {key: value}
            try:
                self._begin()
            except BaseException:
                self._state.values = before
                raise

    def blobs(self, start: int = 0) -> Iterator[tuple[int, bytes]]:
        """Yield (arrival number, blob) in order of arrival from arrival number `start`; CRC checked.

        Appending meanwhile is legal. A damaged record raises `StorageError` that names it.
        """
        number = start
        while (blob := self._blob(number)) is not None:
            yield number, blob
            number += 1

    def steps(self, start: int = 0) -> Iterator[Step]:
        """Yield decoded steps in order of arrival, as `blobs`."""
        return (codec.decode(blob) for _, blob in self.blobs(start))

    def last_episode(self, actor_id: str) -> int:
        """Return the largest episode id ever appended for this actor; -1 for none. For numbering on after a restart."""
        with self._lock:
            self._opened()
            return self._state.last_episodes.get(actor_id, -1)

    def info(self) -> StepLogInfo:
        """Return counters."""
        with self._lock:
            self._opened()
            return StepLogInfo(
                steps=self._chain.end,
                duplicates=self._duplicates,
                lost=sum(mark.missing for epochs in self._state.marks.values() for mark in epochs.values()),
                bytes=self._chain.size,
            )

    def _load(self) -> None:
        self._state, self._remember = LogState(), False
        if not self._chain.segments:
            self._begin()
            return
        self._state = msgspec.msgpack.decode(self._chain.last.header.state, type=LogState)
        for key in self._chain.verify(self._chain.last):
            if not self._state.mark(key.actor_id, key.epoch).has(key.seq):
                self._state.enter(key)
        self._chain.sync()
        self._synced = self._chain.end

    def _begin(self) -> None:
        """Begin a file; what the log knows now stands in it, so all steps must be on the disk."""
        self._wait_for_disk()
        self._chain.begin(0, self._state)
        self._synced, self._remember = self._chain.end, False

    def _wait_for_disk(self) -> None:
        """Sync the last file; when that fails, drop what the disk may not have: it must not seem to be stored later."""
        if not self._durable:
            return
        try:
            self._chain.sync()
        except StorageError:
            with self._lock:
                with contextlib.suppress(OSError):
                    self._chain.last.cut(self._synced - self._chain.last.header.first)
                self._chain.close()
            raise

    def _blob(self, number: int) -> bytes | None:
        with self._lock:
            self._opened()
            if number >= self._chain.end:
                return None
            segments = self._chain.segments
            place = bisect_right(segments, number, key=lambda one: one.header.first) - 1
            one, is_last = segments[place], place == len(segments) - 1
            try:
                blob = self._read(one, number, self._chain.end if is_last else segments[place + 1].header.first)
            except (StorageError, OSError) as error:
                raise StorageError(
                    f"record {number} in step log {self.path} is damaged: {error} Restore the folder."
                ) from error
            if not is_last and number + 1 == segments[place + 1].header.first:
                one.close()
            return blob

    def _read(self, one: Segment, number: int, end: int) -> bytes:
        if not len(one):
            one.scan(checksums=False)
        if one.header.first + len(one) != end:
            raise StorageError(f"{one.path} has {len(one)} whole steps of {end - one.header.first}.")
        return one.blob(number - one.header.first)

    def _opened(self) -> None:
        if not self._chain.is_open:
            raise StorageError(f"step log {self.path} is not open; call open() first.")
