"""Batches prepared ahead in a thread, in arrays that are used again and again."""

import logging
import queue
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from robot_hil.errors import ConfigError, StorageError
from robot_hil.replay.sampling import Batch

_LOG = logging.getLogger(__name__)


class Prefetcher:
    """Calls `make(out)` ahead of need and hands the batches over in order.

    A batch from `get` is the consumer's until its next `get`; then its arrays are filled again. There are `depth + 1`
    sets of arrays: one at the consumer, the others ready or being filled. An exception in `make` is raised by `get`,
    after the batches made before it; then the prefetcher is finished.

    Without a thread (`threaded=False`) `get` makes the batch itself, from the newest data: one
    thread, one order of events, bit-reproducible. With it a batch may be `depth` batches older than the data.
    """

    def __init__(
        self, make: Callable[[Batch], Batch], empty: Callable[[], Batch], depth: int = 2, threaded: bool = True
    ) -> None:
        """`empty()` makes one set of arrays, e.g. `lambda: buffer.empty_batch(256)`; nothing happens before `start`."""
        if depth < 1:
            raise ConfigError(f"prefetch depth is {depth}; it must be at least 1.")
        self._make = make
        self._empty = empty
        self._depth = depth
        self._threaded = threaded
        self._spare: queue.SimpleQueue[Batch | None] = queue.SimpleQueue()
        self._ready: queue.SimpleQueue[tuple[Batch, Batch] | BaseException] = queue.SimpleQueue()
        self._lent: Batch | None = None
        self._thread: threading.Thread | None = None
        self._running = False
        self._stopped = False

    def start(self) -> None:
        """Begin; legal twice. A stopped prefetcher does not start again."""
        if self._running:
            return
        if self._stopped:
            raise StorageError("the prefetcher was stopped; make a new one.")
        for _ in range(self._depth + 1 if self._threaded else 1):
            self._spare.put(self._empty())
        self._running = True
        if self._threaded:
            self._thread = threading.Thread(target=self._work, name="prefetch", daemon=True)
            self._thread.start()

    def get(self) -> Batch:
        """Return the next batch and take back the arrays of the one before; waits for it."""
        if not self._running:
            raise StorageError("the prefetcher is not running; call start() before get().")
        if self._lent is not None:
            self._spare.put(self._lent)
            self._lent = None
        if not self._threaded:
            self._lent = self._spare.get()
            assert self._lent is not None
            return self._make(self._lent)
        made = self._ready.get()
        if isinstance(made, BaseException):
            self.stop()
            raise made
        self._lent, batch = made
        return batch

    def stop(self) -> None:
        """End the thread, after the batch it is making; a waiting `get` raises. Legal twice and before `start`."""
        self._running = False
        self._stopped = True
        self._spare.put(None)
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
            self._thread = None
        self._ready.put(StorageError("the prefetcher was stopped while a batch was waited for."))

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _work(self) -> None:
        while self._running:
            out = self._spare.get()
            if out is None:
                return
            try:
                self._ready.put((out, self._make(out)))
            except Exception as error:  # whatever it is, the consumer must learn of it
                _LOG.debug("making a batch failed; the consumer will raise it", exc_info=True)
                self._ready.put(error)
                return
