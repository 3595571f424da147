"""The actor's spool: a folder that holds steps until the learner's disk has them.

Steps are appended to the last of a chain of files (`Segment`) and never changed; a file goes when all in it was
released. So a step costs one write and at most one wait for the disk, and a release none.
"""

import fcntl
import logging
import os
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from robot_hil.data import codec
from robot_hil.data.fingerprint import differences
from robot_hil.errors import StorageError
from robot_hil.replay.segment import SUFFIX, Segment, SegmentHeader, create

_log = logging.getLogger(__name__)
_FORMAT = 1
_SEGMENT_BYTES = 64 << 20
LOCK = "lock"


class Spool:
    """The steps of one actor, by epoch (number of its start) and sequence number. For one thread at a time.

    `append` hands steps to the system: they survive the death of this process. After `sync` they survive a power cut.
    `meta` (actor, specification...) is compared with that of the last start, so that a folder of another task is
    refused instead of mixed up. `max_bytes` bounds the folder; beyond it appending raises.
    """

    def __init__(self, path: Path | str, meta: Mapping[str, Any], *, max_bytes: int = 1 << 40) -> None:
        self.path = Path(path)
        self._meta = {"format": _FORMAT, **meta}
        self._max_bytes = max_bytes
        self._lock = -1
        self._segments: list[Segment] = []
        self._released: dict[int, int] = {}
        self._older = 0
        """Bytes in all files but the last."""
        self._dirty = False

    @property
    def epoch(self) -> int:
        """Number of the newest start, from 1; 0 before the first."""
        return self._segments[-1].header.epoch if self._segments else 0

    @property
    def run_id(self) -> str:
        """The run whose steps these are; empty before `adopt`."""
        return self._segments[-1].header.run_id if self._segments else ""

    @property
    def last_episode(self) -> int:
        """Largest episode id ever appended; -1 for none. For numbering on after a restart."""
        return self._segments[-1].last_episode if self._segments else -1

    @property
    def steps(self) -> int:
        """Steps held and not released."""
        return sum(len(one) - self._gone(one) for one in self._segments)

    @property
    def size(self) -> int:
        """Bytes in the folder."""
        return self._older + (self._segments[-1].size if self._segments else 0)

    def open(self) -> "Spool":
        """Take possession of the folder, find its steps and compare `meta`; legal twice. Raises `StorageError`."""
        if self._lock >= 0:
            return self
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._load()
        except OSError as error:
            self.close()
            raise StorageError(
                f"spool {self.path} cannot be opened: {error}. Check that the disk has room, the folder is yours, and "
                f"no other process is using it."
            ) from error
        except BaseException:
            self.close()
            raise
        return self

    def close(self) -> None:
        """Let go of the folder; legal twice."""
        for one in self._segments:
            one.close()
        self._segments, self._older = [], 0
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def __enter__(self) -> "Spool":
        return self.open()

    def __exit__(self, *_: object) -> None:
        self.close()

    def begin_epoch(self) -> int:
        """Return a number that this spool never gave before, from 1; durable. Steps appended from now on are of it."""
        self._grow(self.epoch + 1, self.run_id)
        return self.epoch

    def adopt(self, run_id: str) -> None:
        """Bind the spool to a run, durably."""
        if run_id != self.run_id:
            self._grow(self.epoch, run_id)

    def epochs(self) -> dict[int, tuple[int, int]]:
        """Return the first sequence number held and the end (exclusive) of each epoch that has any."""
        found: dict[int, tuple[int, int]] = {}
        for one in self._segments:
            if len(one):
                epoch = one.header.epoch
                found[epoch] = (found.get(epoch, (one.seqs[0], 0))[0], one.seqs[-1] + 1)
        return found

    def append(self, blobs: Sequence[bytes], keys: Sequence[codec.StepKey] | None = None) -> None:
        """Add steps of the newest epoch, in order of their sequence numbers; when it raises, none is added.

        `keys` say who each of `blobs` is; without them their headers are read.
        """
        keys = [codec.peek(blob) for blob in blobs] if keys is None else keys
        if sum(map(len, blobs)) + self.size > self._max_bytes:
            raise StorageError(
                f"spool {self.path} has reached its limit of {self._max_bytes} bytes; nothing was lost, but the "
                f"newest steps are not stored. Start the learner, which takes them, or raise the limit."
            )
        seqs = [*self._current().seqs[-1:], *(key.seq for key in keys)]
        if any(after <= before for before, after in pairwise(seqs)) or any(key.epoch != self.epoch for key in keys):
            raise StorageError(f"steps {seqs} do not rise, or are not of start {self.epoch}; spool them in order.")
        try:
            self._current().append(blobs, keys)
        except OSError as error:
            raise self._unwritable(error) from error
        self._dirty = True

    def sync(self) -> None:
        """Wait until what was appended is on the disk."""
        if self._dirty:
            try:
                self._current().sync()
            except OSError as error:
                raise self._unwritable(error) from error
            self._dirty = False

    def read(self, epoch: int, seq: int, limit: int) -> list[bytes]:
        """Return up to `limit` steps of one epoch in order of sequence number, from `seq`; CRC checked."""
        found: list[bytes] = []
        for one in self._segments:
            if one.header.epoch == epoch and len(one):
                start = bisect_left(one.seqs, seq)
                found += [one.blob(index) for index in range(start, min(len(one), start + limit - len(found)))]
                if one is not self._current():
                    one.close()
        return found

    def release(self, epoch: int, end: int) -> None:
        """Let go of the steps of one epoch below `end`, which are on another disk. Files go when all in them may."""
        self._released[epoch] = max(end, self._released.get(epoch, 0))
        for one in self._segments[:-1]:
            if self._gone(one) == len(one):
                self._delete(one)
        if self._segments and self._current().size > _SEGMENT_BYTES:
            self._grow(self.epoch, self.run_id)

    def compact(self) -> None:
        """Leave no file with steps when all of them were released; for a spool that is about to be closed."""
        if self._segments and self.steps == 0 and len(self._current()):
            self._grow(self.epoch, self.run_id)
            self.release(self.epoch, 0)

    def _load(self) -> None:
        if (self.path / "data.mdb").exists():
            raise StorageError(
                f"{self.path} holds steps as an earlier version stored them. Let that version deliver them to its "
                f"learner first, or move the folder elsewhere."
            )
        for path in sorted(self.path.glob(f"*{SUFFIX}")):
            one = Segment(path)
            self._add(one)
            one.scan(checksums=True)
            if one.damaged:
                _log.error("%s has %d bytes that are no step; the steps that were there are lost", path, one.damaged)
        if self._segments:
            stored = self._segments[-1].header.meta
            lines = differences({key: stored.get(key) for key in self._meta}, self._meta, "the folder", "this run")
            if lines:
                raise StorageError(
                    f"{self.path} holds the steps of another run: {'; '.join(lines)}. "
                    f"Choose another folder (--out), or start with the settings it was made with."
                )

    def _current(self) -> Segment:
        if not self._segments:
            raise StorageError(f"spool {self.path} has no epoch; call open() and begin_epoch() first.")
        return self._segments[-1]

    def _gone(self, one: Segment) -> int:
        return bisect_left(one.seqs, self._released.get(one.header.epoch, 0))

    def _grow(self, epoch: int, run_id: str) -> None:
        """Begin a file; one without steps gives way to it."""
        if self._lock < 0:
            raise StorageError(f"spool {self.path} is not open; call open() first.")
        if self.steps:
            self.sync()
        self._dirty = False  # or all of it is on another disk
        last = self._segments[-1] if self._segments else None
        header = SegmentHeader(
            first=0 if last is None else last.header.first + len(last),
            epoch=epoch,
            last_episode=self.last_episode,
            run_id=run_id,
            meta=self._meta,
        )
        try:
            fresh = create(self.path, header)
        except OSError as error:
            raise self._unwritable(error) from error
        if last is not None and not len(last):
            self._segments.pop().close()
        self._add(fresh)

    def _add(self, one: Segment) -> None:
        for last in self._segments[-1:]:
            last.close()
        self._segments.append(one)
        self._older = sum(older.size for older in self._segments[:-1])

    def _delete(self, one: Segment) -> None:
        """Remove a file all of which was released; one with damage stays under another name, for a person to judge."""
        self._segments.remove(one)
        self._older -= one.size
        one.close()
        if one.damaged:
            one.path.replace(one.path.with_suffix(".damaged"))
        else:
            one.path.unlink(missing_ok=True)

    def _unwritable(self, error: OSError) -> StorageError:
        return StorageError(
            f"spool {self.path} cannot be written: {error}. All earlier steps are safe, the newest are not stored. "
            f"Free some room on the disk and start again with --resume."
        )
