"""A folder with a chain of segments, of which only the last is written: what spool and step log have in common."""

import fcntl
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from robot_hil.data import codec
from robot_hil.data.fingerprint import differences
from robot_hil.data.step import Step
from robot_hil.errors import StorageError
from robot_hil.replay.segment import SUFFIX, Segment, SegmentHeader, create, repair

_log = logging.getLogger(__name__)
_FORMAT = 2
LOCK = "lock"
_EARLIER_FORMS = ("data.mdb", "*.spool")


class Chain:
    """Segments by arrival number, in a folder that one process at a time has. For one thread at a time.

    `meta` (specification, task...) is written into each segment and compared with that of the last one, so that a
    folder of another task is refused instead of mixed up. `max_bytes` bounds the folder; beyond it appending raises.
    `name` is what people call it, `advice` what they may do when it is full.
    """

    def __init__(self, path: Path, name: str, meta: Mapping[str, Any], max_bytes: int, advice: str) -> None:
        self.path = path
        self.segments: list[Segment] = []
        self._name, self._advice = f"{name} {path}", advice
        self._meta = {"format": _FORMAT, **meta}
        self._max_bytes = max_bytes
        self._older = 0
        """Bytes in all files but the last."""
        self._lock = -1
        self._dirty: list[Segment] = []
        """Segments with steps that may not be on the disk."""

    @property
    def is_open(self) -> bool:
        """Whether the folder is this chain's now."""
        return self._lock >= 0

    @property
    def last(self) -> Segment:
        """The segment that is written."""
        return self.segments[-1]

    @property
    def end(self) -> int:
        """Arrival number of the next step."""
        return self.last.header.first + len(self.last) if self.segments else 0

    @property
    def size(self) -> int:
        """Bytes in the folder."""
        return self._older + (self.last.size if self.segments else 0)

    def open(self) -> None:
        """Take possession of the folder, find its segments and compare `meta`. Raises `StorageError`."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._load()
        except OSError as error:
            self.close()
            raise StorageError(
                f"{self._name} cannot be opened: {error}. Check that the disk has room, the folder is yours, and no "
                f"other process is using it."
            ) from error
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the folder; legal twice."""
        for one in self.segments:
            one.close()
        self.segments, self._older, self._dirty = [], 0, []
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def verify(self, one: Segment) -> list[codec.StepKey]:
        """Look at every step of a segment that was found, drop what is none, and return who the others are.

        Whoever wrote them may have died before they were on the disk: `sync` makes sure.
        """
        try:
            found = one.scan(checksums=True)
            if one.damaged:
                _log.error("%s has %d bytes that are no step; the steps there are lost", one.path, one.damaged)
            self.segments[self.segments.index(one)] = whole = repair(one)
            whole.close()
            self._dirty += [whole] if len(whole) else []
        except OSError as error:
            raise self._unwritable(error) from error
        self._count_older()
        return found

    def begin(self, epoch: int, state: Any) -> None:
        """Begin a segment, durably, of which no sync of earlier ones is part; one without steps gives way to it."""
        header = SegmentHeader(self.end, epoch, self._meta, msgspec.Raw(msgspec.msgpack.encode(state)))
        try:
            fresh = create(self.path, header)
        except OSError as error:
            raise self._unwritable(error) from error
        if self.segments:
            self.last.close()
            if not len(self.last):
                self.segments.pop()
        self.segments.append(fresh)
        self._count_older()

    def append(self, blobs: Sequence[codec.Blob], keys: Sequence[codec.StepKey | Step]) -> None:
        """Hand steps to the system; when it raises, none is added."""
        if sum(map(len, blobs)) + self.size > self._max_bytes:
            raise StorageError(
                f"{self._name} has reached its limit of {self._max_bytes} bytes; nothing was lost, but the newest "
                f"steps are not stored. {self._advice}"
            )
        try:
            self.last.append(blobs, keys)
        except OSError as error:
            raise self._unwritable(error) from error
        if self.last not in self._dirty:
            self._dirty.append(self.last)

    def sync(self) -> None:
        """Wait until what was appended is on the disk. Another thread may append meanwhile, if `begin` is kept out."""
        dirty, self._dirty = self._dirty, []
        for place, one in enumerate(dirty):
            try:
                one.sync()
                if one is not self.last:
                    one.close()
            except OSError as error:
                self._dirty = dirty[place:] + self._dirty
                raise self._unwritable(error) from error

    def remove(self, one: Segment) -> None:
        """Delete a segment and the steps in it."""
        self.segments.remove(one)
        self._dirty = [other for other in self._dirty if other is not one]
        self._older -= one.size
        one.close()
        one.path.unlink(missing_ok=True)

    def _load(self) -> None:
        refuse_earlier_form(self.path)
        self.segments = []
        for path in sorted(self.path.glob(f"*{SUFFIX}")):
            self.segments.append(Segment(path))
            self.last.close()
        self._count_older()
        if self.segments:
            stored = self.last.header.meta
            lines = differences({key: stored.get(key) for key in self._meta}, self._meta, "the folder", "this run")
            if lines:
                raise StorageError(
                    f"{self.path} holds the steps of another run: {'; '.join(lines)}. "
                    f"Choose another folder (--out), or start with the settings it was made with."
                )

    def _count_older(self) -> None:
        self._older = sum(one.path.stat().st_size for one in self.segments[:-1])

    def _unwritable(self, error: OSError) -> StorageError:
        return StorageError(
            f"{self._name} cannot be written: {error}. All earlier steps are safe, the newest are not stored. "
            f"Free some room on the disk and start again with --resume."
        )


def refuse_earlier_form(path: Path) -> None:
    """Raise `StorageError` for a folder of steps that an earlier version wrote."""
    if any(next(path.glob(form), None) for form in _EARLIER_FORMS):
        raise StorageError(
            f"{path} holds steps as an earlier version stored them, which this one cannot read. Let that version "
            f"finish the run, or begin another one in a new folder (--out)."
        )
