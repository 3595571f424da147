"""A segment: a file of encoded steps of one epoch, written at its end only and deleted whole.

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
from robot_hil.data.step_header import aligned
from robot_hil.errors import SpecError, StorageError

SUFFIX = ".spool"
_MAGIC = b"RHSEGM01"
_PREFIX = struct.Struct("<8sII")
_LOOK = 4096
_BUFFERS = 512
"""Most parts in one write; systems allow 1024."""


class SegmentHeader(msgspec.Struct, frozen=True):
    """What a segment says before its steps."""

    first: int
    """Arrival number of its first step: how many steps the spool took in before."""
    epoch: int
    last_episode: int
    """Largest episode id in earlier segments; -1 for none."""
    run_id: str
    meta: dict[str, Any]


class Segment:
    """One segment file, opened when it is needed and until `close`. For one thread at a time."""

    def __init__(self, path: Path) -> None:
        """Open the file and read its header; raises `StorageError` when there is no valid one."""
        self.path = path
        self._writable = False
        self._fd = -1
        try:
            self.header, self._end = self._read_header()
        except BaseException:
            self.close()
            raise
        self.seqs = array("q")
        """Sequence number of each step, rising."""
        self.last_episode = self.header.last_episode
        """Largest episode id up to here."""
        self.damaged = 0
        """Bytes before the last whole step that are no whole step."""
        self._starts = array("q")
        self._sizes = array("q")

    def __len__(self) -> int:
        return len(self.seqs)

    @property
    def size(self) -> int:
        """Bytes of the file that are known."""
        return self._end

    def close(self) -> None:
        """Let go of the file, which a later call opens again: a spool may have more files than a process may open."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            self._writable = False

    def scan(self, *, checksums: bool) -> None:
        """Look for steps that were written since the last look; what is half written stays for the next one."""
        size = os.fstat(self._open()).st_size
        place = self._end
        while place + codec.PREFIX_BYTES <= size:
            head = self._whole_step(place, size, checksums)
            if head is None:
                place = self._next_magic(place + 1, size)
                continue
            self.damaged += place - self._end
            self._note(*head, place)
            place = self._end

    def step_header(self, index: int) -> codec.Header:
        """Return the scalars of step `index`; the rest of it is not read."""
        place = self._starts[index]
        end, _ = codec.extent(self._pread(codec.PREFIX_BYTES, place))
        return codec.header(self._pread(end, place), whole=False)

    def blob(self, index: int) -> bytes:
        """Return step `index` as it was encoded, CRC checked; raises `StorageError` when it is damaged."""
        blob = self._pread(self._sizes[index], self._starts[index])
        try:
            codec.verify(blob)
        except SpecError as error:
            raise StorageError(f"step {self.seqs[index]} in {self.path} is damaged: {error}") from error
        return blob

    def append(self, blobs: Sequence[bytes], keys: Sequence[codec.StepKey]) -> None:
        """Hand steps to the system, which keeps them whatever happens to this process; `sync` makes them durable.

        When the system takes only a part (`OSError`), none of them is in the file.
        """
        if not self._writable:
            self.close()
            self._fd = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
            self._writable = True
        parts: list[bytes | memoryview] = []
        for blob in blobs:
            parts += [blob, bytes(-len(blob) % 16)] if len(blob) % 16 else [blob]
        place = self._end
        try:
            while parts:
                place += (written := os.pwritev(self._fd, parts[:_BUFFERS], place))
                while parts and written >= len(parts[0]):
                    written -= len(parts.pop(0))
                if written:
                    parts[0] = memoryview(parts[0])[written:]
        except OSError:
            os.ftruncate(self._fd, self._end)
            raise
        for blob, key in zip(blobs, keys, strict=True):
            self._note(key, len(blob), self._end)

    def sync(self) -> None:
        """Wait until all steps are on the disk."""
        os.fdatasync(self._open())

    def _note(self, key: codec.StepKey, size: int, place: int) -> None:
        self.seqs.append(key.seq)
        self._starts.append(place)
        self._sizes.append(size)
        self._end = aligned(place + size)
        self.last_episode = max(self.last_episode, key.episode_id)

    def _whole_step(self, place: int, size: int, checksums: bool) -> tuple[codec.StepKey, int] | None:
        """Return who the step at `place` is, and its bytes; None when there is no whole one of this segment."""
        end, total = codec.extent(self._pread(codec.PREFIX_BYTES, place))
        if total == 0 or place + total > size:
            return None
        try:
            blob = self._pread(total if checksums else end, place)
            head = codec.peek(blob, whole=checksums)
            if checksums:
                codec.verify(blob)
        except SpecError:
            return None
        follows = head.seq > self.seqs[-1] if self.seqs else head.seq >= 0
        return (head, total) if head.epoch == self.header.epoch and follows else None

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

    def _read_header(self) -> tuple[SegmentHeader, int]:
        start = self._pread(_PREFIX.size, 0)
        if len(start) == _PREFIX.size:
            magic, crc, length = _PREFIX.unpack(start)
            body = self._pread(length, _PREFIX.size) if magic == _MAGIC else b""
            if len(body) == length and zlib.crc32(body) == crc:
                return msgspec.msgpack.decode(body, type=SegmentHeader), aligned(_PREFIX.size + length)
        raise StorageError(
            f"{self.path} does not begin as a file of a spool does: it is damaged or of another program. Restore it, "
            f"or move it elsewhere to go on without the steps in it."
        )


def create(folder: Path, header: SegmentHeader) -> Segment:
    """Make a segment without steps, durably; an empty one of the same number is replaced."""
    body = msgspec.msgpack.encode(header)
    content = _PREFIX.pack(_MAGIC, zlib.crc32(body), len(body)) + body
    path = folder / f"{header.first:016d}{SUFFIX}"
    fresh = path.with_suffix(".new")
    with fresh.open("wb") as file:
        file.write(content + bytes(-len(content) % 16))
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    sync_folder(folder)
    return Segment(path)


def sync_folder(folder: Path) -> None:
    """Wait until the names in `folder` are on the disk."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
