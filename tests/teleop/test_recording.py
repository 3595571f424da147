"""A session that was recorded drives the arbiter again exactly as it did then."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from cli.shell import until
from contracts import TeleopContract

from robot_hil.actor.arbiter import Arbiter, ArbiterConfig, ArbiterState, Decision
from robot_hil.clock import VirtualClock
from robot_hil.data.specs import Array
from robot_hil.data.teleop import DeviceInfo, EventKind, SampleStatus, TeleopEvent, TeleopSample
from robot_hil.errors import SpecError, StorageError
from robot_hil.teleop.recording import Recorder, Replayer
from robot_hil.teleop.recording_file import load

AXES = ("x", "y", "z", "gripper")
PERIOD = 0.1


class Scripted:
    """A device that says something new in each period: every status, odd numbers, several edges at once."""

    name = "scripted"

    def __init__(self, clock: VirtualClock, seed: int = 0) -> None:
        self._clock, self._rng, self._started = clock, np.random.default_rng(seed), False
        self.episodes: list[int] = []
        self.proposals: list[Array] = []
        self.pulses: list[tuple[str, float, float]] = []

    def start(self) -> None:
        self._started = True

    def stop(self) -> None:
        self._started = False

    def latest(self) -> TeleopSample:
        now, rng = self._clock.now(), self._rng
        if not self._started:
            return TeleopSample(status=SampleStatus.DISCONNECTED, t=now, device=self.name)
        if rng.random() < 0.1:
            bad = [SampleStatus.ESTIMATED, SampleStatus.LOST, SampleStatus.DISCONNECTED][rng.integers(3)]
            return TeleopSample(status=bad, t=now, device=self.name, problem="wobbly cable")
        engaged = bool(rng.random() < 0.5)
        return TeleopSample(
            status=SampleStatus.OK,
            t=now,
            engaged=engaged,
            action=rng.uniform(-1, 1, len(AXES)).astype(np.float32) if engaged else None,
            mask=rng.random(len(AXES)) < 0.5 if engaged and rng.random() < 0.3 else None,
            device=self.name,
            operator="Åsa",
            tail_s=float(rng.uniform(0, 0.3)) if rng.random() < 0.5 else None,
            words="left 2 cm" if engaged and rng.random() < 0.3 else "",
        )

    def drain_events(self) -> list[TeleopEvent]:
        chosen = self._rng.choice([EventKind.RESUME, EventKind.PAUSE, EventKind.SUCCESS, EventKind.CLEAR], 3)
        kinds = [kind for kind in chosen if self._started and self._rng.random() < 0.3]
        now = self._clock.now()
        return [TeleopEvent(kind=k, t=now, source=self.name, reason="because", value=k.value) for k in kinds]

    def begin_episode(self, seed: int) -> None:
        self.episodes.append(seed)

    def observe_proposal(self, action: Array) -> None:
        self.proposals.append(action)

    def pulse(self, hand: str, strength: float, seconds: float) -> None:
        self.pulses.append((hand, strength, seconds))


def drive(device: Recorder | Replayer, clock: VirtualClock, steps: int) -> list[tuple[TeleopSample, Decision]]:
    """Return sample and decision of every period."""
    arbiter, rng = Arbiter(ArbiterConfig(action_dim=len(AXES))), np.random.default_rng(7)
    said = []
    for _ in range(steps):
        proposal = rng.uniform(-1, 1, len(AXES)).astype(np.float32)
        sample, events = device.latest(), device.drain_events()
        said.append((sample, arbiter.update(clock.now(), proposal, sample, events)))
        clock.advance(PERIOD)
    return said


def same(a: object, b: object) -> bool:
    """Compare two frozen records field by field, arrays bit for bit."""
    for field in fields(a):  # type: ignore[arg-type]
        one, other = getattr(a, field.name), getattr(b, field.name)
        if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
            if one.dtype != other.dtype or one.tobytes() != other.tobytes():
                return False
        elif one != other:
            return False
    return True


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "session.jsonl"


def record(path: Path, steps: int = 300, start: float = 12.3) -> list[tuple[TeleopSample, Decision]]:
    clock = VirtualClock(start)
    recorder = Recorder(Scripted(clock), path, clock, axes=AXES)
    recorder.start()
    said = drive(recorder, clock, steps)
    recorder.stop()
    return said


def test_replay_gives_the_same_samples_and_decisions(path: Path) -> None:
    recorded = record(path)
    states = {decision.state for _, decision in recorded}
    assert {ArbiterState.POLICY, ArbiterState.HUMAN, ArbiterState.RELEASING, ArbiterState.HOLD} <= states
    clock = VirtualClock(12.3)
    replayer = Replayer(path, clock, axes=AXES)
    replayer.start()
    replayed = drive(replayer, clock, len(recorded))
    assert all(same(a[0], b[0]) for a, b in zip(recorded, replayed, strict=True))
    assert all(same(a[1], b[1]) for a, b in zip(recorded, replayed, strict=True))


def test_replay_on_another_clock_moves_the_times_and_nothing_else(path: Path) -> None:
    recorded = record(path)
    clock = VirtualClock(98_765.4321)
    replayer = Replayer(path, clock)
    replayer.start()
    replayed = drive(replayer, clock, len(recorded))
    assert all(same(a[1], b[1]) for a, b in zip(recorded, replayed, strict=True))
    for (a, _), (b, _) in zip(recorded, replayed, strict=True):
        assert b.t - a.t == pytest.approx(98_765.4321 - 12.3, abs=1e-9)


def test_a_replay_that_is_asked_more_often_repeats_the_newest_sample(path: Path) -> None:
    recorded = record(path, steps=20)
    clock = VirtualClock(12.3)
    replayer = Replayer(path, clock)
    replayer.start()
    for sample, _ in recorded:
        for _ in range(4):
            assert same(replayer.latest(), sample)
            clock.advance(PERIOD / 4)


def test_after_the_end_the_device_is_disconnected_and_says_why(path: Path) -> None:
    record(path, steps=3)
    clock = VirtualClock()
    replayer = Replayer(path, clock)
    replayer.start()
    assert not replayer.over
    clock.advance(10.0)
    assert replayer.over
    assert replayer.latest().status is SampleStatus.DISCONNECTED
    assert "is over" in replayer.latest().problem
    assert replayer.info().kind == "replay"
    replayer.stop()
    replayer.start()  # from the beginning
    assert not replayer.over


def test_extreme_numbers_survive(path: Path) -> None:
    clock = VirtualClock(0.1 + 0.2)
    values = np.array([-0.0, 1e-45, np.nextafter(np.float32(1), np.float32(0)), 0.1], np.float32)

    class Odd(Scripted):
        def latest(self) -> TeleopSample:
            return TeleopSample(status=SampleStatus.OK, t=self._clock.now(), engaged=True, action=values, tail_s=0.0)

    recorder = Recorder(Odd(clock), path, clock, axes=AXES)
    recorder.start()
    said = recorder.latest()
    recorder.stop()
    sample = load(path).samples[0]
    assert same(sample, said)
    assert sample.action is not None
    assert sample.action.tobytes() == values.tobytes()


def test_a_torn_last_line_is_left_out(path: Path) -> None:
    record(path, steps=10)
    whole = load(path)
    text = path.read_text()
    path.write_text(text[:-9])
    torn = load(path)
    assert len(torn.samples) + len(torn.events) < len(whole.samples) + len(whole.events)
    assert all(same(a, b) for a, b in zip(torn.samples, whole.samples, strict=False))


def test_a_killed_recorder_leaves_a_recording_that_can_be_read(path: Path) -> None:
    code = f"""
import time
from robot_hil.clock import MonotonicClock
from robot_hil.data.teleop import SampleStatus, TeleopSample
from robot_hil.teleop.recording import Recorder
class Device:
    name = "endless"
    def start(self): pass
    def latest(self): return TeleopSample(status=SampleStatus.OK, t=time.monotonic())
    def drain_events(self): return []
recorder = Recorder(Device(), {str(path)!r}, MonotonicClock(), axes=("x",))
recorder.start()
while True:
    recorder.latest()
    time.sleep(0.0005)
"""
    with subprocess.Popen([sys.executable, "-c", code]) as process:
        until(lambda: path.exists() and path.read_text().count("\n") > 1001)
        os.kill(process.pid, signal.SIGKILL)
    recording = load(path)
    assert recording.device == "endless"
    assert len(recording.samples) >= 1000


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "no recording"),
        ('{"robot_hil_recording": 99}\n', "no recording of version 1"),
        ("[1, 2]\n", "no recording"),
        ('{"robot_hil_recording": 1, "device": "d", "axes": ["x"], "t0": 0}\nhello\n{}\n', "damaged in line 2"),
        ('{"robot_hil_recording": 1, "device": "d", "axes": ["x"]}\n', "no sample or event"),
        (
            '{"robot_hil_recording": 1, "device": "d", "axes": [], "t0": 0}\n{"at": 0, "sample": {"status": "fine"}}\n',
            "no sample or event",
        ),
    ],
)
def test_what_is_no_recording_is_refused(text: str, complaint: str, path: Path) -> None:
    path.write_text(text)
    with pytest.raises(StorageError, match=complaint):
        Replayer(path, VirtualClock()).start()


def test_a_missing_file_other_axes_and_an_existing_file_are_refused(path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be read"):
        Replayer(path, VirtualClock()).start()
    record(path, steps=1)
    with pytest.raises(SpecError, match="Replay it with its own task"):
        Replayer(path, VirtualClock(), axes=("x",)).start()
    with pytest.raises(StorageError, match="not overwritten"):
        record(path)


def test_a_recorder_that_is_started_again_goes_on(path: Path) -> None:
    clock = VirtualClock()
    recorder = Recorder(Scripted(clock), path, clock, axes=AXES)
    for _ in range(2):
        recorder.start()
        drive(recorder, clock, 5)
        recorder.stop()
        recorder.latest()  # not recorded
    statuses = [sample.status for sample in load(path).samples]
    assert len(statuses) == 12
    assert statuses[5] is statuses[11] is SampleStatus.DISCONNECTED
    assert sum("robot_hil_recording" in json.loads(line) for line in path.read_text().splitlines()) == 1


def test_a_full_disk_costs_the_recording_and_not_the_control() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("/dev/full is missing")
    clock = VirtualClock()
    recorder = Recorder(Scripted(clock), "/dev/full", clock, axes=AXES)
    recorder._made = True  # a device file exists already
    recorder.start()
    recorder.latest()
    recorder._writer._thread.join(30)  # type: ignore[union-attr]
    assert "No space left" in recorder.info().problem
    assert all(sample.device == "scripted" for sample, _ in drive(recorder, clock, 50))
    recorder.stop()


def test_a_recorder_passes_on_what_the_device_wants_to_know(path: Path) -> None:
    clock = VirtualClock()
    device = Scripted(clock)
    recorder = Recorder(device, path, clock, axes=AXES)
    recorder.begin_episode(3)
    recorder.observe_proposal(np.ones(4, np.float32))
    recorder.pulse("left", 0.5, 0.1)
    assert (device.episodes, len(device.proposals), device.pulses) == ([3], 1, [("left", 0.5, 0.1)])


def test_a_recorder_shows_the_device_as_it_is(path: Path) -> None:
    clock = VirtualClock()
    shown = DeviceInfo(name="scripted", kind="test", status=SampleStatus.OK, age_s=0.0, battery=0.5)
    device = Scripted(clock)
    recorder = Recorder(device, path, clock, axes=AXES)
    assert recorder.info().status is SampleStatus.DISCONNECTED
    device.info = lambda: shown  # type: ignore[attr-defined]
    assert recorder.info() == shown


class TestRecorderContract(TeleopContract):
    action_dim = len(AXES)

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.path, self.clock = tmp_path / "contract.jsonl", VirtualClock()

    def make_device(self) -> Recorder:
        return Recorder(Scripted(self.clock), self.path, self.clock, axes=AXES)

    def advance(self, device: object) -> None:
        self.clock.advance(PERIOD)


class TestReplayerContract(TestRecorderContract):
    def make_device(self) -> Replayer:  # type: ignore[override]
        record(self.path, steps=50)
        return Replayer(self.path, self.clock, axes=AXES)
