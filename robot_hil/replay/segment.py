"""A segment: a file of encoded steps, written at its end only. Spool and step log are chains of them.

Layout, little endian: magic, CRC-32 and length of the header, msgpack header (`SegmentHeader`); then the steps as the
codec made them. Header and steps each start at a multiple of 16 bytes. A file is named after the arrival number of its
first step. What a kill or a power cut left half written fails its checksum and is passed over.
"""

import os
import struct
import zlib
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from robot_hil.data import codec
from robot_hil.data.step import Step
from robot_hil.data.step_header import aligned
from robot_hil.errors import SpecError, StorageError

SUFFIX = ".steps"
_MAGIC = b"RHSEGM02"
_PREFIX = struct.Struct("<8sII")
_LOOK = 1 << 16
_HEADER = 2048
"""Bytes read at once of a step of which only the header is wanted; nearly every header is shorter."""
_BUFFERS = 512
"""Most parts in one write; systems allow 1024."""


class SegmentHeader(msgspec.Struct, frozen=True):
    """What a segment says before its steps."""

    first: int
    """Arrival number of its first step: how many steps the chain took in before."""
    epoch: int
    """Whose steps these are: one actor's, of this start and in order of their sequence numbers; 0: anybody's."""
    meta: dict[str, Any]
    """What the chain is for; see `Chain`."""
    state: msgspec.Raw = msgspec.Raw(b"\xc0")
    """What the owner of the chain wants to know about all earlier segments, as msgpack."""


class Segment:
    """One segment file, opened when it is needed and until `close`. For one thread at a time."""

    def __init__(self, path: Path) -> None:
        """Open the file and read its header; raises `StorageError` when there is no valid one."""
        self.path = path
        self._writable = False
        self._fd = -1
        try:
            self.header, self._begin = self._read_header()
        except BaseException:
            self.close()
            raise
        self.seqs = array("q")
        """Sequence number of each step."""
        self.damaged = 0
        """Bytes before the last whole step that are no whole step."""
        self._end = self._begin
        self._starts = array("q")
        self._sizes = array("q")

    def __len__(self) -> int:
        return len(self.seqs)

    @property
    def size(self) -> int:
        """Bytes of the file that are known."""
        return self._end

    @property
    def torn(self) -> int:
        """Bytes after the last whole step."""
        return max(0, os.fstat(self._open()).st_size - self._end)

    def close(self) -> None:
        """Let go of the file, which a later call opens again: a chain may have more files than a process may open."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            self._writable = False

    def scan(self, *, checksums: bool) -> list[codec.StepKey]:
        """Return who the steps are that were written since the last look; what is half written stays for the next."""
        size = os.fstat(self._open()).st_size
        place = self._end
        found: list[codec.StepKey] = []
        while place + codec.PREFIX_BYTES <= size:
            head = self._whole_step(place, size, checksums)
            if head is None:
                place = self._next_magic(place + 1, size)
                continue
            self.damaged += place - self._end
            self._note(head[0].seq, head[1], place)
            found.append(head[0])
            place = self._end
        return found

    def step_header(self, index: int) -> codec.Header:
        """Return the scalars of step `index`; the rest of it is not read."""
        place = self._starts[index]
        start = self._pread(_HEADER, place)
        end, _ = codec.extent(start)
        return codec.header(start if end <= len(start) else self._pread(end, place), whole=False)

    def blob(self, index: int) -> bytes:
        """Return step `index` as it was encoded, CRC checked; raises `StorageError` when it is damaged."""
        blob = self._pread(self._sizes[index], self._starts[index])
        try:
            codec.verify(blob)
        except SpecError as error:
            raise StorageError(f"step {self.seqs[index]} in {self.path} is damaged: {error}") from error
        return blob

    def append(self, blobs: Sequence[codec.Blob], keys: Sequence[codec.StepKey | Step]) -> None:
        """Hand steps to the system, which keeps them whatever happens to this process; `sync` makes them durable.

        When the system takes only a part (`OSError`), none of them is in the file.
        """
        fd = self._open_to_write()
        parts: list[codec.Blob] = []
        for blob in blobs:
            parts += [blob, bytes(-len(blob) % 16)] if len(blob) % 16 else [blob]
        place = self._end
        try:
            while parts:
                place += (written := os.pwritev(fd, parts[:_BUFFERS], place))
                while parts and written >= len(parts[0]):
                    written -= len(parts.pop(0))
                if written:
                    parts[0] = memoryview(parts[0])[written:]
        except OSError:
            os.ftruncate(fd, self._end)
            raise
        for blob, key in zip(blobs, keys, strict=True):
            self._note(key.seq, len(blob), self._end)

    def sync(self) -> None:
        """Wait until all steps are on the disk."""
        os.fdatasync(self._open())

    def cut(self, count: int) -> None:
        """Forget the steps after the first `count`, and whatever else follows these."""
        del self.seqs[count:], self._starts[count:], self._sizes[count:]
        self._end = aligned(self._starts[-1] + self._sizes[-1]) if count else self._begin
        os.ftruncate(self._open_to_write(), self._end)

    def _note(self, seq: int, size: int, place: int) -> None:
        self.seqs.append(seq)
        self._starts.append(place)
        self._sizes.append(size)
        self._end = aligned(place + size)

    def _whole_step(self, place: int, size: int, checksums: bool) -> tuple[codec.StepKey, int] | None:
        """Return who the step at `place` is, and its bytes; None when there is no whole one of this segment."""
        start = self._pread(_HEADER, place)
        end, total = codec.extent(start)
        if total == 0 or place + total > size:
            return None
        try:
            blob = self._pread(total, place) if checksums else start if end <= len(start) else self._pread(end, place)
            head = codec.peek(blob, whole=checksums)
            if checksums:
                codec.verify(blob)
        except SpecError:
            return None
        if self.header.epoch and (head.epoch != self.header.epoch or head.seq <= max(self.seqs[-1:], default=-1)):
            return None
        return head, total

    def _next_magic(self, place: int, size: int) -> int:
        """Return the next place from `place` on where a step may start; `size` for none."""
        place = aligned(place)
        while place < size:
            piece = self._pread(_LOOK, place)
            found = piece.find(codec.MAGIC)
            while found >= 0 and found % 16:
                found = piece.find(codec.MAGIC, found + 1)
            if found >= 0:
                return place + found
            place += _LOOK
        return size

    def _pread(self, count: int, place: int) -> bytes:
        return os.pread(self._open(), count, place)

    def _open(self) -> int:
        if self._fd < 0:
            self._fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        return self._fd

    def _open_to_write(self) -> int:
        if not self._writable:
            self.close()
            self._fd = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
            self._writable = True
        return self._fd

    def _read_header(self) -> tuple[SegmentHeader, int]:
        start = self._pread(_PREFIX.size, 0)
        if len(start) == _PREFIX.size:
            magic, crc, length = _PREFIX.unpack(start)
            body = self._pread(length, _PREFIX.size) if magic == _MAGIC else b""
            if len(body) == length and zlib.crc32(body) == crc:
                return msgspec.msgpack.decode(body, type=SegmentHeader), aligned(_PREFIX.size + length)
        raise StorageError(
            f"{self.path} does not begin as a file of steps does: it is damaged or of another program. Restore it, "
            f"or move it elsewhere to go on without the steps in it."
        )


def create(folder: Path, header: SegmentHeader, blobs: Sequence[bytes] = ()) -> Segment:
    """Make a segment that holds `blobs`, durably and in place of one of the same number, if there is one."""
    body = msgspec.msgpack.encode(header)
    path = folder / f"{header.first:016d}{SUFFIX}"
    fresh = path.with_suffix(".new")
    with fresh.open("wb") as file:
        for part in (_PREFIX.pack(_MAGIC, zlib.crc32(body), len(body)) + body, *blobs):
            file.write(part + bytes(-len(part) % 16))
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    sync_folder(folder)
    return Segment(path)


def repair(one: Segment) -> Segment:
    """Return a scanned segment with its whole steps only, durably; a file with damage among them stays as `*.damaged`.

    What follows the last whole step was being written when the machine or the process died; it is dropped.
    """
    if one.damaged:
        one.path.with_suffix(".damaged").unlink(missing_ok=True)
        os.link(one.path, one.path.with_suffix(".damaged"))
        fresh = create(one.path.parent, one.header, [one.blob(index) for index in range(len(one))])
        one.close()
        fresh.scan(checksums=False)
        return fresh
    if one.torn:
        one.cut(len(one))
        one.sync()
    return one


def sync_folder(folder: Path) -> None:
    """Wait until the names in `folder` are on the disk."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
