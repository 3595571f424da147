"""What talks to other processes in a thread of its own, which any other thread wakes and ends."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Self

from robot_hil.transport.sockets import Waker


class Background(ABC):
    """Runs a thread from `start` to `stop`, or for a `with` block. Making it starts nothing."""

    def __init__(self) -> None:
        self._stopping = False
        """What the thread ends by; it is woken by `_waker` to see it."""
        self._thread: threading.Thread | None = None
        self._waker = Waker()

    @abstractmethod
    def start(self) -> Self:
        """Begin to work in the background; legal twice."""

    def stop(self) -> None:
        """End the work; legal twice."""
        self._stopping = True
        self._waker.wake()
        if self._thread is not None:
            self._thread.join()
        self._waker.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _work(self, name: str, work: Callable[[], None]) -> None:
        """Let a thread called `name` do `work`."""
        self._thread = threading.Thread(target=work, name=name, daemon=True)
        self._thread.start()
