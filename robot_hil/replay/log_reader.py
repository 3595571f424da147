"""Reads a step log, or a spool, beside the process that writes it, for people who look at what was recorded."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar

import lmdb

from robot_hil.data import codec
from robot_hil.data.step import Step
from robot_hil.errors import SpecError, StorageError
from robot_hil.replay.spool_reader import SpoolReader
from robot_hil.replay.step_log import arrival_key, arrival_of

T = TypeVar("T")
_CHUNK = 512


class _Source(Protocol):
    """What is read, in either form; see `StepLogReader`."""

    @property
    def file(self) -> tuple[int, int] | None: ...
    def bounds(self) -> tuple[int, int]: ...
    def headers(self, start: int) -> list[tuple[int, codec.Header]]: ...
    def blob(self, arrival: int) -> bytes | None: ...
    def close(self) -> None: ...


class StepLogReader:
    """A learner's log or an actor's spool as another process has written it so far; for one thread at a time.

    The log need not exist yet: then there is nothing in it. Every call sees the newest state. Nothing is written, and
    the writer is not kept from anything. The process that writes a log must not open it here as well.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._sources: tuple[_Source, ...] = (_LmdbLog(path), SpoolReader(path))

    @property
    def file(self) -> tuple[int, int] | None:
        """What tells this log from another in the same place, None while there is none."""
        return self._source.file

    def bounds(self) -> tuple[int, int]:
        """Return the arrival numbers held: the first, and one more than the last; (0, 0) for none."""
        return self._source.bounds()

    def headers(self, start: int) -> list[tuple[int, codec.Header]]:
        """Return (arrival number, header) of some of the next steps from `start` on; none when there are no more.

        Only the headers are read from the disk. A damaged one raises `StorageError`.
        """
        return self._source.headers(start)

    def step(self, arrival: int) -> Step | None:
        """Return the step with this arrival number, None when it is not there (any more)."""
        blob = self._source.blob(arrival)
        try:
            return None if blob is None else codec.decode(blob)
        except SpecError as error:
            raise StorageError(f"record {arrival} in step log {self.path} is damaged: {error}") from error

    def close(self) -> None:
        """Let go of the log; legal twice. A later call opens it again."""
        for source in self._sources:
            source.close()

    @property
    def _source(self) -> _Source:
        """Return the one that is there, the first while there is none."""
        return next((source for source in self._sources if source.file is not None), self._sources[0])


class _LmdbLog:
    """The learner's log. Every look is a transaction of its own, so that the writer may use its pages again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._env: Any = None
        self._steps: Any = None
        self._file: tuple[int, int] | None = None

    @property
    def file(self) -> tuple[int, int] | None:
        try:
            stat = (self.path / "data.mdb").stat()
        except OSError:
            return None
        return stat.st_dev, stat.st_ino

    def bounds(self) -> tuple[int, int]:
        def read(txn: Any) -> tuple[int, int]:
            cursor = txn.cursor(db=self._steps)
            if not cursor.first():
                return 0, 0
            first = arrival_of(cursor.key())
            cursor.last()
            return first, arrival_of(cursor.key()) + 1

        return self._read(read, (0, 0))

    def headers(self, start: int) -> list[tuple[int, codec.Header]]:
        def read(txn: Any) -> list[tuple[int, codec.Header]]:
            cursor = txn.cursor(db=self._steps)
            found: list[tuple[int, codec.Header]] = []
            more = cursor.set_range(arrival_key(start))
            while more and len(found) < _CHUNK:
                found.append((arrival_of(cursor.key()), codec.header(cursor.value())))
                more = cursor.next()
            return found

        return self._read(read, [])

    def blob(self, arrival: int) -> bytes | None:
        def read(txn: Any) -> bytes | None:
            value = txn.get(arrival_key(arrival), db=self._steps)
            return None if value is None else bytes(value)

        return self._read(read, None)

    def close(self) -> None:
        if self._env is not None:
            self._env.close()
            self._env = None

    def _read(self, work: Callable[[Any], T], empty: T) -> T:
        if not self._open():
            return empty
        while True:
            try:
                with self._env.begin(buffers=True) as txn:
                    return work(txn)
            except lmdb.MapResizedError:  # the writer has made room for more
                self._env.set_mapsize(0)
            except (lmdb.Error, SpecError) as error:
                self.close()
                raise StorageError(f"step log {self.path} cannot be read: {error}.") from error

    def _open(self) -> bool:
        """Open the log that is there now; return whether there is one."""
        file = self.file
        if self._env is not None and file != self._file:
            self.close()
        if self._env is not None or file is None:
            return self._env is not None
        try:
            self._env = lmdb.open(str(self.path), readonly=True, max_dbs=4, readahead=False)
            self._env.reader_check()  # lets go of what a reader held that was killed
            self._steps = self._env.open_db(b"steps", create=False)
        except lmdb.NotFoundError:  # its writer has only just begun
            self.close()
            return False
        except (lmdb.Error, OSError) as error:
            self.close()
            raise StorageError(f"step log {self.path} cannot be read: {error}. Try again in a moment.") from error
        self._file = file
        return True
