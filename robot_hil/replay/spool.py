"""The actor's spool: a folder that holds steps until the learner's disk has them.

Steps are appended to the last of a chain of files and never changed; a file goes when all in it was released. So a step
costs one write and at most one wait for the disk, and a release none.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

from robot_hil.data import codec
from robot_hil.errors import StorageError
from robot_hil.replay.chain import Chain
from robot_hil.replay.segment import Segment

_SEGMENT_BYTES = 64 << 20


class _State(msgspec.Struct):
    """What a segment says about the earlier ones, which may be gone."""

    last_epoch: int = 0
    last_episode: int = -1
    run_id: str = ""


class Spool:
    """The steps of one actor, by epoch (number of its start) and sequence number. For one thread at a time.

    `append` hands steps to the system: they survive the death of this process. After `sync` they survive a power cut.
    `meta` (actor, specification...) is compared with that of the last start, so that a folder of another task is
    refused instead of mixed up. `max_bytes` bounds the folder; beyond it appending raises.
    """

    def __init__(self, path: Path | str, meta: Mapping[str, Any], *, max_bytes: int = 1 << 40) -> None:
        self.path = Path(path)
        advice = "Start the learner, which takes them, or raise the limit."
        self._chain = Chain(self.path, "spool", meta, max_bytes, advice)
        self._state = _State()
        self._released: dict[int, int] = {}

    @property
    def epoch(self) -> int:
        """Number of the newest start, from 1; 0 before the first."""
        return self._state.last_epoch

    @property
    def run_id(self) -> str:
        """The run whose steps these are; empty before `adopt`."""
        return self._state.run_id

    @property
    def last_episode(self) -> int:
        """Largest episode id ever appended; -1 for none. For numbering on after a restart."""
        return self._state.last_episode

    @property
    def steps(self) -> int:
        """Steps held and not released."""
        return sum(len(one) - self._gone(one) for one in self._chain.segments)

    @property
    def size(self) -> int:
        """Bytes in the folder."""
        return self._chain.size

    def open(self) -> "Spool":
        """Take possession of the folder, find its steps and compare `meta`; legal twice. Raises `StorageError`."""
        if not self._chain.is_open:
            self._chain.open()
            try:
                for one in list(self._chain.segments):
                    self._state = msgspec.msgpack.decode(one.header.state, type=_State)
                    self._note(self._chain.verify(one))
            except BaseException:
                self.close()
                raise
        return self

    def close(self) -> None:
        """Let go of the folder; legal twice."""
        self._chain.close()
        self._state = _State()

    def __enter__(self) -> "Spool":
        return self.open()

    def __exit__(self, *_: object) -> None:
        self.close()

    def begin_epoch(self) -> int:
        """Return a number that this spool never gave before, from 1; durable. Steps appended from now on are of it."""
        self._begin(self.epoch + 1, self.run_id)
        return self.epoch

    def adopt(self, run_id: str) -> None:
        """Bind the spool to a run, durably."""
        if run_id != self.run_id:
            self._begin(self.epoch, run_id)

    def epochs(self) -> dict[int, tuple[int, int]]:
        """Return the first sequence number held and the end (exclusive) of each epoch that has any."""
        found: dict[int, tuple[int, int]] = {}
        for one in self._chain.segments:
            if len(one):
                epoch = one.header.epoch
                found[epoch] = (found.get(epoch, (one.seqs[0], 0))[0], one.seqs[-1] + 1)
        return found

    def append(self, blobs: Sequence[bytes], keys: Sequence[codec.StepKey] | None = None) -> None:
        """Add steps of the newest epoch, in order of their sequence numbers; when it raises, none is added.

        `keys` say who each of `blobs` is; without them their headers are read.
        """
        keys = [codec.peek(blob) for blob in blobs] if keys is None else keys
        if not self.epoch:
            raise StorageError(f"spool {self.path} has no epoch; call open() and begin_epoch() first.")
        seqs = [*self._chain.last.seqs[-1:], *(key.seq for key in keys)]
        if any(after <= before for before, after in pairwise(seqs)) or any(key.epoch != self.epoch for key in keys):
            raise StorageError(f"steps {seqs} do not rise, or are not of start {self.epoch}; spool them in order.")
        self._chain.append(blobs, keys)
        self._note(keys)

    def sync(self) -> None:
        """Wait until what was appended is on the disk."""
        self._chain.sync()

    def read(self, epoch: int, seq: int, limit: int) -> list[bytes]:
        """Return up to `limit` steps of one epoch in order of sequence number, from `seq`; CRC checked."""
        found: list[bytes] = []
        for one in self._chain.segments:
            if one.header.epoch == epoch and len(one):
                start = bisect_left(one.seqs, seq)
                found += [one.blob(index) for index in range(start, min(len(one), start + limit - len(found)))]
                if one is not self._chain.last:
                    one.close()
        return found

    def release(self, epoch: int, end: int) -> None:
        """Let go of the steps of one epoch below `end`, which are on another disk. Files go when all in them may."""
        self._released[epoch] = max(end, self._released.get(epoch, 0))
        for one in self._chain.segments[:-1]:
            if self._gone(one) == len(one):
                self._chain.remove(one)
        if self._chain.segments and self._chain.last.size > _SEGMENT_BYTES:
            self._begin(self.epoch, self.run_id)

    def compact(self) -> None:
        """Leave no file with steps when all of them were released; for a spool that is about to be closed."""
        if self._chain.segments and self.steps == 0 and len(self._chain.last):
            self._begin(self.epoch, self.run_id)
            self.release(self.epoch, 0)

    def _gone(self, one: Segment) -> int:
        return bisect_left(one.seqs, self._released.get(one.header.epoch, 0))

    def _note(self, keys: Sequence[codec.StepKey]) -> None:
        self._state.last_episode = max([self._state.last_episode, *(key.episode_id for key in keys)])

    def _begin(self, epoch: int, run_id: str) -> None:
        if not self._chain.is_open:
            raise StorageError(f"spool {self.path} is not open; call open() first.")
        state = _State(epoch, self.last_episode, run_id)
        self._chain.begin(epoch, state)
        self._state = state
