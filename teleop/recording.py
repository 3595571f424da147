"""Record what any device says, and play it again as a device: what went wrong can be looked at as often as wanted."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from robot_hil.clock import Clock
from robot_hil.data.specs import Array
from robot_hil.data.teleop import DeviceInfo, SampleStatus, TeleopEvent, TeleopSample
from robot_hil.errors import SpecError
from robot_hil.protocols import EpisodeAware, Feedback, Monitored, ProposalAware, TeleopDevice
from robot_hil.teleop.recording_file import SLACK_S, VERSION, Recording, Writer, load, plain_event, plain_sample


class Recorder:
    """A device that passes on what `device` says and writes it down.

    A thread does the writing, so the control loop never waits for the disk. A disk that is full costs the rest of the
    recording, not the control of the robot: `info` says so. Recording begins with `start`, which makes the file and
    raises `StorageError` when there is one already; started again after `stop` it goes on in the same file.
    """

    def __init__(self, device: TeleopDevice, path: Path | str, clock: Clock, *, axes: Sequence[str]) -> None:
        self._device, self._path, self._clock, self._axes = device, Path(path), clock, tuple(axes)
        self._writer: Writer | None = None
        self._made = False
        self._status = SampleStatus.DISCONNECTED
        self._t = -np.inf

    @property
    def name(self) -> str:
        return self._device.name

    def start(self) -> None:
        if self._writer is not None:
            return
        writer = Writer(self._path, append=self._made)
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
            self._writer.put({"at": at, "sample": plain_sample(sample)})
        return sample

    def drain_events(self) -> list[TeleopEvent]:
        at = self._clock.now()
        events = self._device.drain_events()
        if self._writer is not None and events:
            self._writer.put({"at": at, "events": [plain_event(event) for event in events]})
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

    def _elapsed(self, recording: Recording) -> float:
        return self._clock.now() - self._began + SLACK_S

    def _shift(self, recording: Recording) -> float:
        return self._began - recording.t0

    def _without(self, status: SampleStatus, now: float, problem: str) -> TeleopSample:
        return TeleopSample(status=status, t=now, device=self.name, problem=problem)
