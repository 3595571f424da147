"""S1 to S6: SpaceMice over a HID library of our own, served by another process; real threads and real time."""

import contextlib
import ctypes
import importlib.util
import random
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import numpy as np

from robot_hil.actor.arbiter import Arbiter, ArbiterConfig, ArbiterState
from robot_hil.actor.pacing import punctual
from robot_hil.clock import MonotonicClock, VirtualClock
from robot_hil.data.robot import ActionScale, ToolState
from robot_hil.data.teleop import EventKind, SampleStatus, TeleopEvent, TeleopSample
from robot_hil.teleop.deflection import DeflectionConfig
from robot_hil.teleop.spacemouse import SpaceMouse, SpaceMouseConfig
from robot_hil.teleop.spacemouse_hid import HidEntry
from teleop_rows.puck_server import HZ, TESTS, Server
from teleop_rows.row import Row, at_most, exactly

COMPACT, WIRELESS = (0x256F, 0xC635), (0x256F, 0xC62E)
FULL = (0, -350, 0, 0, 0, 0)
SCALE = ActionScale(axes=("x", "y", "z", "rx", "ry", "rz"), linear_m=0.01, angular_rad=0.05)
CLOCK = MonotonicClock()
PERIOD_S = 0.01
TAKEN = (ArbiterState.ENGAGING, ArbiterState.HUMAN, ArbiterState.RELEASING)
RIG = "libhidapi of our own, served by another process, real reader thread, loop as urgent as the control loop"


def _tool() -> ToolState:
    upright = np.array([1.0, 0.0, 0.0, 0.0])
    return ToolState(pos_base=np.zeros(3), quat_base=upright, gripper_width=0.04, joint_pos=np.zeros(7))


@contextlib.contextmanager
def _served() -> Iterator[tuple[Path, Server]]:
    """Build the library, use it, and start a process that serves devices."""
    sys.path.insert(0, str(TESTS))
    import fake_hidapi

    with tempfile.TemporaryDirectory() as name:
        library, folder = fake_hidapi.build(Path(name)), Path(name) / "d"
        folder.mkdir()
        server = Server(folder)
        with fake_hidapi.installed(library, folder):
            try:
                yield folder, server
            finally:
                server.close()


def _path(folder: Path, name: str, ids: tuple[int, int]) -> str:
    return str(folder / f"{name}.{ids[0]:x}.{ids[1]:x}")


def _wait(condition: Callable[[], bool], what: str, seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError(f"{what} did not happen within {seconds} s")
        time.sleep(0.001)


@dataclass
class Tick:
    """What one control period saw."""

    t: float
    sample: TeleopSample
    state: ArbiterState
    moves: bool
    """The executed action is not zero."""


@dataclass
class Loop:
    """A control loop of 100 Hz around an arbiter, with a policy that always wants to move."""

    device: SpaceMouse
    arbiter: Arbiter = field(default_factory=lambda: Arbiter(ArbiterConfig(action_dim=6, release_tail_s=0.3)))
    due: float = 0.0

    def run(self, done: Callable[[Tick], bool], what: str, seconds: float = 5.0) -> list[Tick]:
        """Go on until `done`; returns all ticks."""
        ticks: list[Tick] = []
        while not ticks or not done(ticks[-1]):
            if ticks and ticks[-1].t - ticks[0].t > seconds:
                raise RuntimeError(f"{what} did not happen within {seconds} s; last: {ticks[-1]}")
            ticks.append(self.tick())
        return ticks

    def during(self, seconds: float) -> list[Tick]:
        """Go on for a while."""
        end = time.monotonic() + seconds
        return self.run(lambda tick: tick.t >= end, "the end of a pause", seconds + 5.0)

    def tick(self, *events: TeleopEvent) -> Tick:
        """Wait for the next period, and decide."""
        self.due = max(self.due + PERIOD_S, CLOCK.now() - PERIOD_S)
        CLOCK.sleep_until(self.due)
        sample, now = self.device.latest(), CLOCK.now()
        decision = self.arbiter.update(
            now, np.full(6, 0.25, np.float32), sample, (*self.device.drain_events(), *events)
        )
        return Tick(now, sample, decision.state, bool(decision.action.any()))

    def resume(self) -> None:
        """Let a person say that it may go on."""
        self.tick(TeleopEvent(kind=EventKind.RESUME, t=CLOCK.now(), source="benchmark"))


# -- S1 ----------------------------------------------------------------------------------------------------------------


def s1(quick: bool) -> list[Row]:
    """Two devices, 250 samples per second each, a consumer at 10 Hz."""
    seconds = 6 if quick else 60
    samples = round(HZ * seconds)
    with _served() as (folder, server), punctual():
        devices = []
        zone = DeflectionConfig(enter=1e-4, leave=0.0)  # every count drives: the action tells the sample's number
        for name, ids in (("left", COMPACT), ("right", WIRELESS)):
            server.ask("plug", name, ids)
            config = SpaceMouseConfig(name=name, path=_path(folder, name, ids), deflection=zone)
            devices.append(SpaceMouse(SCALE, _tool, CLOCK, config=config))
            devices[-1].start()
        time.sleep(1.0)  # the look at the untouched puck
        for name in ("left", "right"):
            server.ask("hand", name, "count", samples)
        seen: dict[str, list[tuple[float, int]]] = {"left": [], "right": []}
        alive: list[float] = []
        end, due = time.monotonic() + seconds, time.monotonic()
        while due < end:
            due += 0.1
            CLOCK.sleep_until(due)
            for device in devices:
                sample, now = device.latest(), CLOCK.now()
                if sample.action is not None:
                    low, high = (round(350 * float(value)) - 1 for value in sample.action[:2])
                    seen[device.name].append((now, 300 * high + low))
                    alive.append(now - sample.t)
        _wait(lambda: all(server.ask("sent", name) for name in seen), "the end of the stream")
        time.sleep(0.2)
        times = {name: server.ask("sent", name) for name in seen}
        lost = 3 * samples - sum(device.reports for device in devices)
        for device in devices:
            device.stop()
    ages = 1000 * np.array([now - times[name][number] for name, looks in seen.items() for now, number in looks])
    note = f"{RIG}; {seconds} s, {len(ages)} looks; from the moment of sending"
    return [
        exactly("S1 reports lost", lost, 0, "reports", f"of {3 * samples}"),
        at_most("S1 age of the sample, p99", float(np.percentile(ages, 99)), 10, "ms", note),
        at_most("S1 age of the sample, largest", float(ages.max()), 50, "ms", note),
        at_most("S1 age of the sign of life, largest", 1000 * max(alive), 50, "ms"),
    ]


# -- S2 ----------------------------------------------------------------------------------------------------------------


def _reports() -> ModuleType:
    """Return the test of the reports, which holds the golden vector."""
    sys.path.insert(0, str(TESTS))
    path = TESTS / "teleop" / "test_spacemouse_puck.py"
    spec = importlib.util.spec_from_file_location("reports", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def s2(quick: bool) -> list[Row]:  # noqa: ARG001  it takes seconds
    """Golden vector and unpleasant reports, all models and conventions."""
    tests = _reports()
    errors, largest, raised, refreshed, cases = [], 0.0, 0, 0, 0
    harmful = [
        b"\x01", b"\x01\x02\x03", b"\x02", b"\x02\xff", b"\x03", b"\x03\x01", b"\x17", b"\x00", b"\xee" * 13,
    ]  # fmt: skip
    for model, (combined, _) in tests.MODELS.items():
        golden = [tests.motion(tests.GOLDEN, combined=combined), tests.motion(tests.GOLDEN)]
        for convention, expected in tests.EXPECTED.items():
            for length in (0, 7, 13, 64):
                for reports in golden:
                    cases += 1
                    try:
                        first = [*tests.padded(reports, length), *tests.padded([b"\x17\x64\x01\x00"], length), *harmful]
                        puck, heard = tests.puck(*first, model=model, convention=convention)
                        errors.append(max(abs(a - b) for a, b in zip(puck.twist, expected, strict=True)))
                        refreshed += any(tests.MOTION & kind for kind in heard[len(reports) :])
                        over = tests.motion([500, -32768, 32767, -500, 351, 499], combined=combined)
                        puck, _ = tests.puck(*over, model=model, convention=convention)
                        largest = max(largest, *map(abs, puck.twist))
                    except Exception as error:
                        print(f"{model} {convention} {length}: {error!r}")
                        raised += 1
    note = f"{cases} cases: 13 models, 5 conventions, as they are and padded to 7, 13 and 64 bytes, one report or two"
    return [
        at_most("S2 golden vector, largest error", max(errors), 1e-6, "share of full deflection", note),
        exactly("S2 exceptions", raised, 0, "cases", "short and unknown reports among them"),
        at_most("S2 largest value beyond the range", largest, 1.0, "share of full deflection"),
        exactly("S2 battery or other reports taken for motion", refreshed, 0, "cases"),
    ]


# -- S3, S4 ------------------------------------------------------------------------------------------------------------


@dataclass
class Loss:
    """How losses went; times since the loss [ms]."""

    zero: list[float] = field(default_factory=list)
    disconnected: list[float] = field(default_factory=list)
    back: list[float] = field(default_factory=list)
    resumed: int = 0
    """Ticks in which anything moved after the command had become zero."""
    unasked: int = 0
    """Ticks in which the device drove although it had not been let go of."""
    not_held: int = 0
    void: int = 0
    """Attempts that do not count because nothing drove any more when the cut came."""

    def rows(self, row: str, what: str, by_itself: bool = True) -> list[Row]:
        """Return the rows of one kind of loss; `by_itself` says that the device came back without being started."""
        note = f"{RIG}; {len(self.zero)} times at full deflection, arbiter at 100 Hz, from the moment of the loss"
        note += f"; {self.void} more were void, the machine had stalled before" if self.void else ""
        name = f"{row} {what}"
        rows = [
            at_most(f"{name}: command zero, largest", max(self.zero), 100, "ms", note),
            at_most(f"{name}: DISCONNECTED, largest", max(self.disconnected), 150, "ms"),
            exactly(f"{name}: arbiter not in HOLD", self.not_held, 0, "times"),
            exactly(f"{name}: periods that moved before a person resumed", self.resumed, 0, "periods"),
        ]
        if by_itself:
            rows.append(at_most(f"{name}: back, largest", max(self.back), 2000, "ms"))
        if self.back:
            rows.append(exactly(f"{name}: periods that drove before it was let go of", self.unasked, 0, "periods"))
        return rows


def _push(loop: Loop, server: Server) -> None:
    """Let go, resume if need be, and drive at full deflection."""
    server.ask("release", "puck")
    loop.during(0.1)
    if loop.arbiter.state is ArbiterState.HOLD:
        loop.resume()
    server.ask("hand", "puck", "hold", FULL)
    full = np.array([1, 0, 0, 0, 0, 0], np.float32)
    loop.run(lambda tick: tick.sample.action is not None and np.array_equal(tick.sample.action, full), "driving")
    loop.during(random.uniform(0.1, 0.11))  # any phase of the period


def _lose(loop: Loop, loss: Loss, cut: Callable[[], float]) -> None:
    """Cut while driving; the loop goes on in a thread of its own, so that the cut comes at any time."""
    ticks: list[Tick] = []
    over = threading.Event()

    def control() -> None:
        with punctual():
            while not over.is_set():
                ticks.append(loop.tick())

    thread = threading.Thread(target=control)
    thread.start()
    time.sleep(0.05)
    t = cut()
    time.sleep(0.6)
    over.set()
    thread.join()
    if not [tick for tick in ticks if tick.t <= t][-1].sample.engaged:
        loss.void += 1  # the machine had stalled, and the device was lost already
        return
    zero = next(tick.t for tick in ticks if tick.t > t and not tick.moves)
    loss.zero.append(1000 * (zero - t))
    gone = next(tick.t for tick in ticks if tick.t > t and tick.sample.status is SampleStatus.DISCONNECTED)
    loss.disconnected.append(1000 * (gone - t))
    loss.resumed += sum(tick.moves for tick in ticks if tick.t > zero)
    loss.not_held += ticks[-1].state is not ArbiterState.HOLD


def _return(loop: Loop, loss: Loss, t: float) -> None:
    """Wait until it works again; it is still held, so it must not drive."""
    ticks = loop.run(lambda tick: tick.sample.status is SampleStatus.OK, "coming back")
    loss.back.append(1000 * (ticks[-1].t - t))
    ticks = loop.during(0.7)
    loss.unasked += sum(tick.sample.engaged for tick in ticks)
    loss.resumed += sum(tick.moves for tick in ticks)


@contextlib.contextmanager
def _driving() -> Iterator[tuple[Loop, Server]]:
    """One device that is plugged in and may drive."""
    with _served() as (folder, server):
        server.ask("plug", "puck", COMPACT)
        device = SpaceMouse(SCALE, _tool, CLOCK, path=_path(folder, "puck", COMPACT))
        device.start()
        loop = Loop(device)
        try:
            with punctual():
                loop.during(0.7)
                yield loop, server
        finally:
            device.stop()


def s3(quick: bool) -> list[Row]:
    """Unplug at full deflection, and plug in again."""
    loss = Loss()
    with _driving() as (loop, server):
        for _ in range(3 if quick else 30):
            _push(loop, server)
            _lose(loop, loss, lambda: float(server.ask("unplug", "puck")))
            t = server.ask("plug", "puck", COMPACT)
            _return(loop, loss, t)
    return loss.rows("S3", "unplugged")


def s4(quick: bool) -> list[Row]:
    """The reader hangs in the library, the reader's thread is killed, the process that serves the device is killed."""
    frozen, killed, process = Loss(), Loss(), Loss()
    with _driving() as (loop, server):
        for _ in range(3 if quick else 30):
            _push(loop, server)
            _lose(loop, frozen, lambda: float(server.ask("freeze", "puck", 900)))
            _return(loop, frozen, time.monotonic())
    with _driving() as (loop, server):
        for _ in range(3 if quick else 30):
            _push(loop, server)
            _lose(loop, killed, _kill_reader)
            loop.device.stop()
            loop.device.start()
            _return(loop, killed, time.monotonic())
    for _ in range(2 if quick else 5):
        with _driving() as (loop, server):
            _push(loop, server)
            _lose(loop, process, server.kill)
    return [
        *frozen.rows("S4", "reader frozen"),
        *killed.rows("S4", "reader killed", by_itself=False),
        *process.rows("S4", "serving process killed", by_itself=False),
    ]


def _kill_reader() -> float:
    """Raise SystemExit inside the reader's thread, wherever it is."""
    (thread,) = (thread for thread in threading.enumerate() if thread.name == "spacemouse")
    t = time.monotonic()
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(SystemExit))
    return t


# -- S5, S6 ------------------------------------------------------------------------------------------------------------


def s5(quick: bool) -> list[Row]:
    """Let go: when is the human command zero, and when does the takeover end."""
    zero, ended = [], []
    with _driving() as (loop, server):
        for _ in range(5 if quick else 50):
            _push(loop, server)
            t = server.ask("release", "puck")
            ticks = loop.run(lambda tick: tick.state is ArbiterState.POLICY, "the end of the takeover")
            idle = next(tick.t for tick in ticks if tick.t >= t and tick.sample.action is None)
            zero.append(1000 * (idle - t))
            ended.append(ticks[-1].t - t)
    note = f"{RIG}; {len(zero)} times, arbiter at 100 Hz, from the moment the rest was sent"
    off = max(abs(value - 0.3) for value in ended)
    return [
        at_most("S5 human command zero, largest", max(zero), 1000 * PERIOD_S + 20, "ms", note),
        at_most("S5 end of the takeover off 0.30 s, largest", 1000 * off, 20, "ms", note),
    ]


class _Replay:
    """A HID library with one device whose reports are taken in step with virtual time: no more and no fewer."""

    def __init__(self) -> None:
        self._reports: deque[bytes] = deque()
        self._offered, self._taken = threading.Semaphore(0), threading.Semaphore(0)
        self._asked = False

    def entries(self) -> list[HidEntry]:
        return [HidEntry(path="replay", vendor_id=COMPACT[0], product_id=COMPACT[1])]

    def open(self, path: str) -> "_Replay":
        return self

    def read(self, timeout_ms: int) -> bytes:
        if timeout_ms:
            if self._asked:
                self._taken.release()
            self._asked = True
            self._offered.acquire()
        return self._reports.popleft() if self._reports else b""

    def offer(self, *reports: bytes) -> None:
        """Return when the reader has shown what these reports say."""
        self._reports.extend(reports)
        self._offered.release()
        self._taken.acquire()

    def end(self) -> None:
        """Let the reader go."""
        for _ in range(1000):
            self._offered.release()

    def write(self, data: bytes) -> None:
        pass

    def close(self) -> None:
        pass


def _replayed(seconds: int) -> tuple[int, int]:
    """Return takeovers and samples of noise at rest, every sample looked at, in virtual time."""
    sys.path.insert(0, str(TESTS))
    from fake_hidapi import motion

    hid, clock = _Replay(), VirtualClock(10.0)
    device = SpaceMouse(SCALE, _tool, clock, hid=hid)
    device.start()
    rng = np.random.default_rng(6)
    takeovers = 0
    noise = rng.integers(-20, 21, (round(HZ * seconds), 6)).tolist()
    for raw in noise:
        clock.advance(1 / HZ)
        hid.offer(*motion(raw))
        takeovers += device.latest().status is not SampleStatus.OK or device.latest().engaged
    hid.offer(*motion(FULL))
    if not device.latest().engaged:
        raise RuntimeError("the device would not have driven in any case")
    hid.end()
    device.stop()
    return takeovers, len(noise)


def s6(quick: bool) -> list[Row]:
    """Noise of 20 counts at rest."""
    takeovers, samples = _replayed(60 if quick else 600)
    seconds = 6 if quick else 60
    with _driving() as (loop, server):
        server.ask("hand", "puck", "noise", 20)
        ticks = loop.during(seconds)
        server.ask("hand", "puck", "off")
        _push(loop, server)  # it would have driven
    live = sum(tick.sample.engaged or tick.state in TAKEN for tick in ticks)
    good = sum(tick.sample.status is SampleStatus.OK for tick in ticks)
    note = f"uniform, all six axes; {samples} samples at 250 Hz in virtual time, each of them looked at"
    return [
        exactly("S6 takeovers by noise of 20 counts, replayed", takeovers, 0, "samples", note),
        exactly(
            "S6 the same in real time", live, 0, "periods", f"{RIG}; {seconds} s, {good} of {len(ticks)} samples OK"
        ),
    ]


ROWS = {"S1": s1, "S2": s2, "S3": s3, "S4": s4, "S5": s5, "S6": s6}
