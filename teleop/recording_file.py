"""What a recording of a device looks like on disk: lines of JSON, written by a thread and read as a whole.

A header comes first, then samples and events in the order in which they were asked for.
"""

import json
import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np

from robot_hil.data.teleop import EventKind, SampleStatus, TeleopEvent, TeleopSample
from robot_hil.errors import StorageError

_log = logging.getLogger(__name__)
VERSION = 1
SLACK_S = 1e-6  # differences of times are not exact; a sample must not come a period late for it


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A recording as read; `*_at` say how long after its start each thing was said [s]."""

    device: str
    axes: tuple[str, ...]
    t0: float
    """Time of its start, on the clock that was used then [s]."""
    samples: list[TeleopSample]
    sample_at: list[float]
    events: list[TeleopEvent]
    event_at: list[float]

    @property
    def length_s(self) -> float:
        """From the start to a moment after the last thing said [s]."""
        return max([0.0, *self.sample_at[-1:], *self.event_at[-1:]]) + 2 * SLACK_S


def load(path: Path | str) -> Recording:
    """Read a recording; raises `StorageError` when it is none or damaged anywhere but in the last line."""
    path = Path(path)
    try:
        lines = path.read_text().splitlines(keepends=True)
    except (OSError, UnicodeDecodeError) as error:
        raise StorageError(f"recording {path} cannot be read: {error}. Name a file that `Recorder` wrote.") from error
    rows = []
    for number, line in enumerate(lines, 1):
        if number == len(lines) and not line.endswith("\n"):
            break  # the writer died in the middle of it
        try:
            rows.append(json.loads(line))
        except ValueError as error:
            raise StorageError(f"recording {path} is damaged in line {number}: {error}.") from error
    header = rows[0] if rows and isinstance(rows[0], dict) else {}
    if header.get("robot_hil_recording") != VERSION:
        raise StorageError(f"{path} is no recording of version {VERSION}. Name a file that `Recorder` wrote.")
    try:
        return _from_rows(header, rows[1:])
    except (KeyError, TypeError, ValueError) as error:
        raise StorageError(f"recording {path} holds something that is no sample or event: {error!r}.") from error


def _from_rows(header: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> Recording:
    t0 = float(header["t0"])
    recording = Recording(
        device=str(header["device"]),
        axes=tuple(header["axes"]),
        t0=t0,
        samples=[],
        sample_at=[],
        events=[],
        event_at=[],
    )
    for row in rows:
        at = float(row["at"]) - t0
        if "sample" in row:
            recording.samples.append(_sample(row["sample"]))
            recording.sample_at.append(at)
        for event in row.get("events", ()):
            recording.events.append(TeleopEvent(**{**event, "kind": EventKind(event["kind"])}))
            recording.event_at.append(at)
    return recording


def plain_sample(sample: TeleopSample) -> dict[str, Any]:
    """Return `sample` as JSON has it, without what is as usual; a float32 survives as the number it is."""
    plain: dict[str, Any] = {"status": sample.status.value, "t": sample.t}
    for field in fields(sample):
        value = getattr(sample, field.name)
        if field.name not in plain and value is not field.default:
            plain[field.name] = value.tolist() if isinstance(value, np.ndarray) else value
    return plain


def _sample(plain: Mapping[str, Any]) -> TeleopSample:
    values = {**plain, "status": SampleStatus(plain["status"])}
    for field, dtype in (("action", np.float32), ("mask", np.bool_)):
        if field in values:
            values[field] = np.array(values[field], dtype)
            values[field].setflags(write=False)
    return TeleopSample(**values)


def plain_event(event: TeleopEvent) -> dict[str, Any]:
    """Return `event` as JSON has it."""
    plain = {"kind": event.kind.value, "t": event.t, "source": event.source, "reason": event.reason}
    return plain | {"value": event.value} if event.value else plain


class Writer:
    """Writes lines in a thread of its own; `put` never waits and never raises."""

    def __init__(self, path: Path, *, append: bool) -> None:
        self.problem = ""
        self._path = path
        self._lines: SimpleQueue[dict[str, Any] | None] = SimpleQueue()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a" if append else "x")
        except FileExistsError as error:
            raise StorageError(f"recording {path} exists and is not overwritten; name another file.") from error
        except OSError as error:
            raise StorageError(
                f"recording {path} cannot be written: {error.strerror}. Choose another folder."
            ) from error
        self._thread = threading.Thread(target=self._write, name=f"recording {path.name}", daemon=True)
        self._thread.start()

    def put(self, line: dict[str, Any]) -> None:
        """Have `line` written, while the disk takes it."""
        if not self.problem:
            self._lines.put(line)

    def close(self) -> None:
        """Write what is left and close the file."""
        self._lines.put(None)
        self._thread.join()

    def _write(self) -> None:
        try:
            with self._file as file:
                while (line := self._lines.get()) is not None:
                    file.write(json.dumps(line) + "\n")
                    if self._lines.empty():
                        file.flush()
        except OSError as error:
            self.problem = f"the recording {self._path} ended: {error.strerror}"
            _log.error("%s", self.problem)
