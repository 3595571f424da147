"""Reads an actor's spool beside the actor that writes it. Writes nothing."""

from pathlib import Path

from robot_hil.data import codec
from robot_hil.errors import SpecError, StorageError
from robot_hil.replay.segment import SUFFIX, Segment
from robot_hil.replay.spool import LOCK

_CHUNK = 512


class SpoolReader:
    """The steps in a spool by arrival number; for one thread at a time. Files that the actor deleted are let go of."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._segments: dict[tuple[str, int], Segment] = {}
        """By name and inode: an empty file may have been replaced by another of its name."""

    @property
    def file(self) -> tuple[int, int] | None:
        """What tells this spool from another in the same place, None while there is none."""
        try:
            stat = (self.path / LOCK).stat()
        except OSError:
            return None
        return stat.st_dev, stat.st_ino

    def bounds(self) -> tuple[int, int]:
        """Return the arrival numbers held: the first, and one more than the last; (0, 0) for none."""
        held = [one for one in self._look() if len(one)]
        return (held[0].header.first, held[-1].header.first + len(held[-1])) if held else (0, 0)

    def headers(self, start: int) -> list[tuple[int, codec.Header]]:
        """Return (arrival number, header) of some of the next steps from `start` on; none when there are no more."""
        found: list[tuple[int, codec.Header]] = []
        try:
            for one in self._look():
                first = one.header.first
                begin = max(start, first)
                for number in range(begin, min(first + len(one), begin + _CHUNK - len(found))):
                    found.append((number, one.step_header(number - first)))
                one.close()
        except FileNotFoundError:  # deleted in this moment, and all before it
            return self.headers(start)
        except (SpecError, OSError) as error:
            raise StorageError(f"spool {self.path} cannot be read: {error}.") from error
        return found

    def blob(self, arrival: int) -> bytes | None:
        """Return the step with this arrival number as it was encoded, None when it is not there (any more)."""
        for one in self._look():
            if one.header.first <= arrival < one.header.first + len(one):
                try:
                    return one.blob(arrival - one.header.first)
                except FileNotFoundError:  # deleted in this moment
                    return None
                finally:
                    one.close()
        return None

    def close(self) -> None:
        """Let go of the files; legal twice. A later call opens them again."""
        for one in self._segments.values():
            one.close()
        self._segments = {}

    def _look(self) -> list[Segment]:
        """Take in what was written, and let go of what was deleted, since the last look."""
        there: dict[tuple[str, int], Segment] = {}
        for path in sorted(self.path.glob(f"*{SUFFIX}")):
            try:
                key = path.name, path.stat().st_ino
                one = self._segments.pop(key) if key in self._segments else Segment(path)
                one.scan(checksums=False)
                one.close()
            except FileNotFoundError:  # deleted in this moment
                continue
            there[key] = one
        self.close()
        self._segments = there
        return list(there.values())
