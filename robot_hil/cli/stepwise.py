"""The live display for a loop that runs in the same thread: cheap enough to call at every step."""

import time
from typing import Self

from robot_hil.report.display import Display

REFRESH_S = 0.25


class StepwiseDisplay(Display):
    """A display that may be refreshed far more often than it is redrawn."""

    _shown = 0.0

    def __enter__(self) -> Self:
        self.start()
        return self

    def refresh_seldom(self) -> None:
        """Refresh when the last time was long enough ago."""
        now = time.monotonic()
        if now - self._shown >= REFRESH_S:
            self._shown = now
            self.refresh()
