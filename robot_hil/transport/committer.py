"""Makes groups of steps durable in a thread of its own, so that the next group is received and checked meanwhile."""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from robot_hil.errors import RobotHilError, TransportError
from robot_hil.replay.step_log import Appended, StepLog
from robot_hil.transport.group import Group

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Committed:
    """A group, and what the log did with it."""

    group: Group
    result: Appended


class Committer:
    """Between the thread that receives, which calls `write`, and those that hear of it from the thread in here.

    Whatever was written while the disk was waited for is the next to be waited for, as one. `done` is called with what
    the disk has, in the order of the log; `failed` once, when the disk or `done` fails.
    """

    def __init__(
        self,
        log: StepLog,
        done: Callable[[Sequence[Committed]], None],
        failed: Callable[[RobotHilError], None],
    ) -> None:
        self._step_log = log
        self._done, self._failed = done, failed
        self._written: SimpleQueue[Committed | None] = SimpleQueue()
        self._handed = self._finished = 0
        """Groups that the thread was given, and those that it is done with."""
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to wait for groups."""
        self._thread = threading.Thread(target=self._run, name="commit", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Make what was written durable, and end; legal twice, and before `start`."""
        self._written.put(None)
        if self._thread is not None:
            self._thread.join()

    def write(self, group: Group) -> Appended:
        """Write a group into the log and leave the rest to the thread. Raises `StorageError`.

        A single step, as from control loops, the caller makes durable itself where nothing is before it: waking the
        thread would only cost time.
        """
        # what is missing in between the actor itself no longer has
        result = self._step_log.write(group.blobs, group.steps, gaps_are_lost=True)
        if len(group.steps) > 1 or self._handed > self._finished:
            self._handed += 1
            self._written.put(Committed(group, result))
        else:
            self._step_log.sync()
            self._done([Committed(group, result)])
        return result

    def _run(self) -> None:
        try:
            while some := self._take():
                self._step_log.sync()
                self._done(some)
                self._finished += len(some)
        except RobotHilError as error:
            self._failed(error)
        except Exception as error:  # a thread must not die in silence
            _log.exception("committing failed")
            self._failed(TransportError(f"committing failed: {error!r}. Nothing acknowledged is lost; start again."))

    def _take(self) -> list[Committed]:
        """Wait for a group and return all that wait; none at the end."""
        some: list[Committed] = []
        one = self._written.get()
        while one is not None:
            some.append(one)
            try:
                one = self._written.get_nowait()
            except Empty:
                return some
        if some:
            self._written.put(None)  # to be seen again
        return some
