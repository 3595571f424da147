"""What an ingest server counts."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestInfo:
    """Counters since `start`; `lost` is what the log knows."""

    actors: int = 0
    """Connected now."""
    steps: int = 0
    """New steps written into the log."""
    duplicates: int = 0
    """Steps that came again and were not stored twice."""
    lost: int = 0
    """Sequence numbers an actor no longer has and the log never got."""
    refused: int = 0
    """Messages and greetings that were malformed or did not match, and were dropped."""
    unwelcome: int = 0
    """Messages of peers that had not been welcomed, dropped unread; some after each reconnection are normal."""


class Counters:
    """Counts for `IngestInfo`; for one thread, others may look."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def add(self, **counts: int) -> dict[str, int]:
        """Add to what is named, and return all counts."""
        self._counts = self._counts | {name: self._counts.get(name, 0) + more for name, more in counts.items()}
        return self._counts

    def info(self, actors: int) -> IngestInfo:
        """Return all of it."""
        return IngestInfo(actors=actors, **self._counts)
