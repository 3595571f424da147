"""Reads a step log, or a spool, beside the process that writes it, for people who look at what was recorded."""

import os
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

from robot_hil.data import codec
from robot_hil.data.step import Step
from robot_hil.errors import SpecError, StorageError
from robot_hil.replay.chain import LOCK, refuse_earlier_form
from robot_hil.replay.segment import SUFFIX, Segment

T = TypeVar("T")
_CHUNK = 512


class StepLogReader:
    """A learner's log or an actor's spool as its writer has written it so far; for one thread at a time.

    The log need not exist yet: then there is nothing in it. Every call sees the newest state. Nothing is written, and
    the writer is not kept from anything. Files that an actor deleted are let go of.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._segments: dict[tuple[str, int], Segment] = {}
        """By name and inode: an empty file may have been replaced by another of its name."""

    @property
    def file(self) -> tuple[int, int] | None:
        """What tells this log from another in the same place, None while there is none."""
        refuse_earlier_form(self.path)
        try:
            stat = (self.path / LOCK).stat()
        except OSError:
            return None
        return stat.st_dev, stat.st_ino

    def bounds(self) -> tuple[int, int]:
        """Return the arrival numbers held: the first, and one more than the last; (0, 0) for none."""

        def find(held: list[Segment]) -> tuple[int, int]:
            end = _grown(held[-1])
            return (held[0].header.first, end) if end > held[0].header.first else (0, 0)

        return self._read(find, (0, 0))

    def headers(self, start: int) -> list[tuple[int, codec.Header]]:
        """Return (arrival number, header) of some of the next steps from `start` on; none when there are no more.

        Only the headers are read from the disk. A damaged one raises `StorageError`.
        """

        def find(held: list[Segment]) -> list[tuple[int, codec.Header]]:
            found: list[tuple[int, codec.Header]] = []
            for one, end in _with_ends(held):
                if max(start, one.header.first) < end and len(found) < _CHUNK:
                    there = _grown(one, end)
                    wanted = range(max(start, one.header.first), there)[: _CHUNK - len(found)]
                    found += [(number, one.step_header(number - one.header.first)) for number in wanted]
                    one.close()
            return found

        return self._read(find, [])

    def step(self, arrival: int) -> Step | None:
        """Return the step with this arrival number, None when it is not there (any more)."""

        def find(held: list[Segment]) -> bytes | None:
            for one, end in _with_ends(held):
                if one.header.first <= arrival < end and arrival < _grown(one, end):
                    return one.blob(arrival - one.header.first)
            return None

        try:
            blob = self._read(find, None)
            return None if blob is None else codec.decode(blob)
        except (SpecError, StorageError) as error:
            raise StorageError(f"record {arrival} in step log {self.path} is damaged: {error}") from error

    def steps(self) -> Iterator[Step]:
        """Yield all steps in order of arrival, those that come meanwhile included."""
        number, _ = self.bounds()
        while (step := self.step(number)) is not None:
            yield step
            number += 1

    def close(self) -> None:
        """Let go of the log; legal twice. A later call opens it again."""
        for one in self._segments.values():
            one.close()
        self._segments = {}

    def _read(self, find: Callable[[list[Segment]], T], empty: T) -> T:
        """Return what `find` finds in the segments that are there now, `empty` where there are none."""
        while True:
            try:
                held = self._look()
                return find(held) if held else empty
            except FileNotFoundError:  # deleted in this moment, and all before it
                continue
            except (SpecError, StorageError, OSError) as error:
                raise StorageError(f"step log {self.path} cannot be read: {error}") from error
            finally:
                for one in self._segments.values():
                    one.close()

    def _look(self) -> list[Segment]:
        """Take in which files were begun, and let go of those that were deleted, since the last look."""
        refuse_earlier_form(self.path)
        known, self._segments = self._segments, {}
        for path in sorted(self.path.glob(f"*{SUFFIX}")):
            name = path.name, os.stat(path).st_ino
            one = known.get(name)
            # A file without steps gives way to the next of its name, which may get the inode of one before: look anew.
            self._segments[name] = one if one is not None and len(one) else Segment(path)
            self._segments[name].close()
        return list(self._segments.values())


def _with_ends(held: list[Segment]) -> Iterator[tuple[Segment, int]]:
    """Yield each segment and where it ends; only the last one grows."""
    for one, after in pairwise(held):
        yield one, after.header.first
    yield held[-1], _grown(held[-1])


def _grown(one: Segment, end: int | None = None) -> int:
    """Take in what was written into a segment since the last look and return its end.

    It must be `end`, if given. A spool may end earlier: what the learner had the actor's disk was not made to keep.
    """
    if end is None or one.header.first + len(one) < end:
        one.scan(checksums=False)
        one.close()
    found = one.header.first + len(one)
    if end is not None and found < end and not one.header.epoch:
        raise StorageError(f"{one.path} has {found - one.header.first} steps of {end - one.header.first}.")
    return found
