"""How far a command is that works through something by itself, e.g. rounds of training."""

import time
from collections.abc import Callable, Sequence
from typing import Any, Literal


class Bar:
    """A progress bar whose task changes; without a terminal a line per task."""

    _SELDOM_S = 0.5

    def __init__(self) -> None:
        from rich.progress import Progress

        self._progress = Progress()
        self._tasks: dict[str, Any] = {}
        self._shown = 0.0

    def __enter__(self) -> "Bar":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> Literal[False]:
        self._progress.stop()
        return False

    def show(self, name: str, done: int, of: int) -> None:
        """Show that `done` of `of` are done; cheap."""
        if done == of or self._is_time():
            self._draw(name, done, of)

    def count(self, name: str, done: Callable[[], Sequence[object]], of: int) -> None:
        """Show how many are `done`, which is asked for seldom."""
        if self._is_time():
            self._draw(name, len(done()), of)

    def _is_time(self) -> bool:
        now = time.monotonic()
        due = now - self._shown >= self._SELDOM_S
        self._shown = now if due else self._shown
        return due

    def _draw(self, name: str, done: int, of: int) -> None:
        if name not in self._tasks:
            self._tasks[name] = self._progress.add_task(name, total=of)
        self._progress.update(self._tasks[name], completed=done)
