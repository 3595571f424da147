"""Record what any device says, and play it again as a device: what went wrong can be looked at as often as wanted.

A recording is a file of JSON lines: a header, then samples and events in the order in which they were asked for.
"""

import json
import logging
import threading
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np

from robot_hil.clock import Clock
from robot_hil.data.specs import Array
from robot_hil.data.teleop import DeviceInfo, EventKind, SampleStatus, TeleopEvent, TeleopSample
from robot_hil.errors import SpecError, StorageError
from robot_hil.protocols import EpisodeAware, Feedback, Monitored, ProposalAware, TeleopDevice

_log = logging.getLogger(__name__)
VERSION = 1
_SLACK_S = 1e-6  # differences of times are not exact; a sample must not come a period late for it


class Recorder:
    """A device that passes on what `device` says and writes it down.

    A thread does the writing, so the control loop never waits for the disk. A disk that is full costs the rest of the
    recording, not the control of the robot: `info` says so. Recording begins with `start`, which makes the file and
    raises `StorageError` when there is one already; started again after `stop` it goes on in the same file.
    """

    def __init__(self, device: TeleopDevice, path: Path | str, clock: Clock, *, axes: Sequence[str]) -> None:
        self._device, self._path, self._clock, self._axes = device, Path(path), clock, tuple(axes)
        self._writer: _Writer | None = None
        self._made = False
        self._status = SampleStatus.DISCONNECTED
        self._t = -np.inf

    @property
    def name(self) -> str:
        return self._device.name

    def start(self) -> None:
        if self._writer is not None:
            return
        writer = _Writer(self._path, append=self._made)
        if not self._made:
            now = self._clock.now()
            writer.put({"robot_hil_recording": VERSION, "device": self.name, "axes": self._axes, "t0": now})
            self._made = True
        try:
            self._device.start()
        except BaseException:
            writer.close()
            raise
        self._writer = writer

    def latest(self) -> TeleopSample:
        at = self._clock.now()
        sample = self._device.latest()
        self._status, self._t = sample.status, sample.t
        if self._writer is not None:
            self._writer.put({"at": at, "sample": _plain_sample(sample)})
        return sample

    def drain_events(self) -> list[TeleopEvent]:
        at = self._clock.now()
        events = self._device.drain_events()
        if self._writer is not None and events:
            self._writer.put({"at": at, "events": [_plain_event(event) for event in events]})
        return events

    def stop(self) -> None:
        """Stop the device, then finish the file: what was said is on the disk when this returns."""
        self._device.stop()
        if self._writer is not None:
            self.latest()  # that it is stopped belongs to what it says
            self._writer.close()
            self._writer = None

    def info(self) -> DeviceInfo:
        if isinstance(self._device, Monitored):
            info = self._device.info()
        else:
            info = DeviceInfo(name=self.name, kind="", status=self._status, age_s=self._clock.now() - self._t)
        writer = self._writer
        if writer is None or not writer.problem:
            return info
        return replace(info, problem="; ".join(filter(None, (info.problem, writer.problem))))

    def pulse(self, hand: str, strength: float, seconds: float) -> None:
        if isinstance(self._device, Feedback):
            self._device.pulse(hand, strength, seconds)

    def begin_episode(self, seed: int) -> None:
        """Pass it on to a simulated person."""
        if isinstance(self._device, EpisodeAware):
            self._device.begin_episode(seed)

    def observe_proposal(self, action: Array) -> None:
        """Pass it on to a device that wants it."""
        if isinstance(self._device, ProposalAware):
            self._device.observe_proposal(action)


class Replayer:
    """A device that says again what was recorded at `path`, at the same times after its `start`.

    Equal call times give equal samples (every action bit for bit) and events; times in them are moved to this clock.
    When the recording ends the device is DISCONNECTED. `start` reads the file and raises `StorageError` for one that
    is no recording, `SpecError` for one of other axes than `axes`; a last line cut short by a crash is left out. After
    `stop` a `start` begins at the beginning.
    """

    def __init__(self, path: Path | str, clock: Clock, *, axes: Sequence[str] | None = None) -> None:
        self._path, self._clock = Path(path), clock
        self._axes = None if axes is None else tuple(axes)
        self._recording: Recording | None = None
        self._began = 0.0
        self._given = 0

    @property
    def name(self) -> str:
        return self._recording.device if self._recording is not None else f"replay of {self._path.name}"

    @property
    def over(self) -> bool:
        """Whether everything has been said."""
        recording = self._recording
        return recording is not None and self._elapsed(recording) > recording.length_s

    def start(self) -> None:
        if self._recording is not None:
            return
        recording = load(self._path)
        if self._axes is not None and recording.axes != self._axes:
            raise SpecError(
                f"recording {self._path} has axes {recording.axes}, the task {self._axes}. Replay it with its own task."
            )
        self._began, self._given = self._clock.now(), 0
        self._recording = recording

    def latest(self) -> TeleopSample:
        recording, now = self._recording, self._clock.now()
        if recording is None:
            return self._without(SampleStatus.DISCONNECTED, now, "not started")
        elapsed = self._elapsed(recording)
        if elapsed > recording.length_s:
            return self._without(SampleStatus.DISCONNECTED, now, f"the recording {self._path.name} is over")
        index = bisect_right(recording.sample_at, elapsed) - 1
        if index < 0:
            return self._without(SampleStatus.LOST, now, "the recording has not begun to speak yet")
        sample = recording.samples[index]
        return replace(sample, t=sample.t + self._shift(recording))

    def drain_events(self) -> list[TeleopEvent]:
        recording = self._recording
        if recording is None:
            return []
        due = bisect_right(recording.event_at, self._elapsed(recording))
        events, self._given = recording.events[self._given : due], max(self._given, due)
        return [replace(event, t=event.t + self._shift(recording)) for event in events]

    def stop(self) -> None:
        self._recording = None

    def info(self) -> DeviceInfo:
        sample, now, recording = self.latest(), self._clock.now(), self._recording
        rate = 0.0
        if recording is not None:
            elapsed, at = self._elapsed(recording), recording.sample_at
            rate = float(bisect_right(at, elapsed) - bisect_right(at, elapsed - 1.0))
        return DeviceInfo(
            name=self.name,
            kind="replay",
            status=sample.status,
            age_s=now - sample.t,
            rate_hz=rate,
            engaged=sample.engaged,
            operator=sample.operator,
            problem=sample.problem,
        )

    def _elapsed(self, recording: "Recording") -> float:
        return self._clock.now() - self._began + _SLACK_S

    def _shift(self, recording: "Recording") -> float:
        return self._began - recording.t0

    def _without(self, status: SampleStatus, now: float, problem: str) -> TeleopSample:
        return TeleopSample(status=status, t=now, device=self.name, problem=problem)


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
        return max([0.0, *self.sample_at[-1:], *self.event_at[-1:]]) + 2 * _SLACK_S


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


def _plain_sample(sample: TeleopSample) -> dict[str, Any]:
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


def _plain_event(event: TeleopEvent) -> dict[str, Any]:
    plain = {"kind": event.kind.value, "t": event.t, "source": event.source, "reason": event.reason}
    return plain | {"value": event.value} if event.value else plain


class _Writer:
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
