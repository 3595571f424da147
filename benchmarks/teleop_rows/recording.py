"""R1: a recorded session, played again, decides the same."""

import tempfile
from dataclasses import fields
from pathlib import Path

import numpy as np

from robot_hil.actor.arbiter import Arbiter, ArbiterConfig, Decision
from robot_hil.actor.sharing import Mode
from robot_hil.clock import VirtualClock
from robot_hil.data.teleop import EventKind, SampleStatus, TeleopEvent, TeleopSample
from robot_hil.protocols import TeleopDevice
from robot_hil.teleop.recording import Recorder, Replayer
from teleop_rows.row import Row, at_least, exactly

AXES = ("x", "y", "z", "rx", "ry", "rz", "gripper")
HZ = 100


class Wanderer:
    """A person who takes over and lets go at random, with a device that fails at times and buttons that get pressed."""

    name = "wanderer"

    def __init__(self, clock: VirtualClock) -> None:
        self._clock, self._rng = clock, np.random.default_rng(1)
        self._engaged = self._started = False
        self._bad_until = -1.0

    def start(self) -> None:
        """Begin."""
        self._started = True

    def stop(self) -> None:
        """End."""
        self._started = False

    def latest(self) -> TeleopSample:
        """Say something new."""
        now, rng = self._clock.now(), self._rng
        if rng.random() < 0.002:
            self._bad_until = now + 0.3
        if not self._started or now < self._bad_until:
            return TeleopSample(status=SampleStatus.LOST, t=now, device=self.name, problem="pulled out")
        self._engaged ^= bool(rng.random() < 0.03)
        action = rng.uniform(-1, 1, len(AXES)).astype(np.float32) if self._engaged else None
        mask = rng.random(len(AXES)) < 0.5 if self._engaged and rng.random() < 0.3 else None
        return TeleopSample(
            status=SampleStatus.OK, t=now, engaged=self._engaged, action=action, mask=mask, device=self.name
        )

    def drain_events(self) -> list[TeleopEvent]:
        """Press a button now and then, resume most often."""
        kinds = [EventKind.RESUME] * 6 + [EventKind.PAUSE, EventKind.SUCCESS]
        if self._rng.random() > 0.05:
            return []
        return [TeleopEvent(kind=kinds[self._rng.integers(len(kinds))], t=self._clock.now(), source=self.name)]


def _drive(device: TeleopDevice, clock: VirtualClock, steps: int) -> list[Decision]:
    arbiter, rng = Arbiter(ArbiterConfig(action_dim=len(AXES), mode=Mode.MASKED)), np.random.default_rng(2)
    decisions = []
    for _ in range(steps):
        proposal = rng.uniform(-1, 1, len(AXES)).astype(np.float32)
        decisions.append(arbiter.update(clock.now(), proposal, device.latest(), device.drain_events()))
        clock.advance(1 / HZ)
    return decisions


def _bytes(decision: Decision) -> list[bytes]:
    values = (getattr(decision, field.name) for field in fields(decision))
    return [value.tobytes() if isinstance(value, np.ndarray) else repr(value).encode() for value in values]


def r1(quick: bool) -> list[Row]:
    """Record ten minutes at 100 Hz in virtual time, replay them twice, compare every decision byte by byte."""
    steps = HZ * (60 if quick else 600)
    with tempfile.TemporaryDirectory() as folder:
        path, clock = Path(folder) / "session.jsonl", VirtualClock(1.0)
        recorder = Recorder(Wanderer(clock), path, clock, axes=AXES)
        recorder.start()
        recorded = _drive(recorder, clock, steps)
        recorder.stop()
        size_mb = path.stat().st_size / 1e6
        different = {}
        for name, start in (("same clock", 1.0), ("another clock", 54_321.987)):
            clock = VirtualClock(start)
            replayer = Replayer(path, clock, axes=AXES)
            replayer.start()
            replayed = _drive(replayer, clock, steps)
            different[name] = sum(_bytes(a) != _bytes(b) for a, b in zip(recorded, replayed, strict=True))
    states = {decision.state.value for decision in recorded}
    note = f"{steps} decisions, {sum(d.onset for d in recorded)} takeovers, states {', '.join(sorted(states))}"
    rows = [exactly(f"R1 decisions that differ, {name}", count, 0, "", note) for name, count in different.items()]
    return [*rows, at_least("R1 states of the arbiter visited", len(states), 4, "", f"file {size_mb:.1f} MB")]


ROWS = {"R1": r1}
