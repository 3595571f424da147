"""The SpaceMouse as a device: over reports in virtual time, and with everything real over a HID library of our own."""

import threading
import time
from collections import deque
from dataclasses import replace

import fake_hidapi
import numpy as np
import pytest
from contracts import TeleopContract
from fake_hidapi import COMPACT, PRO, REST, WIRELESS, FakePuck, motion

from robot_hil.actor.arbiter import Arbiter, ArbiterConfig, ArbiterState
from robot_hil.clock import MonotonicClock, VirtualClock
from robot_hil.data.robot import ActionScale, ToolState
from robot_hil.data.teleop import EventKind, SampleStatus, TeleopEvent
from robot_hil.errors import ConfigError, DependencyError
from robot_hil.protocols import Monitored
from robot_hil.teleop.deflection import FACING_ROBOT, DeflectionConfig
from robot_hil.teleop.spacemouse import SpaceMouse, SpaceMouseConfig, default_buttons
from robot_hil.teleop.spacemouse_hid import HidEntry
from robot_hil.teleop.spacemouse_reader import ReaderConfig, Rest

SCALE = ActionScale(axes=("x", "y", "z", "rx", "ry", "rz", "gripper"), linear_m=0.01, angular_rad=0.05, gripper_m=0.01)
FORWARD = (0, -350, 0, 0, 0, 0)  # away from the operator; the device's y points towards him
PATIENT = SpaceMouseConfig(max_age_s=5.0, idle_age_s=5.0, silent_s=60.0)
"""For tests in real time: a busy machine is no fault of the device."""
OK, LOST, DISCONNECTED = SampleStatus.OK, SampleStatus.LOST, SampleStatus.DISCONNECTED


def tool(width: float = 0.04) -> ToolState:
    return ToolState(
        pos_base=np.zeros(3), quat_base=np.array([1.0, 0, 0, 0]), gripper_width=width, joint_pos=np.zeros(6)
    )


def counts(value: float, axis: int = 1) -> tuple[int, ...]:
    return tuple(round(350 * value) if i == axis else 0 for i in range(6))


def wait_until(condition) -> None:
    """A thread needs a moment; how long is not asked."""
    for _ in range(5000):
        if condition():
            return
        time.sleep(0.002)
    raise AssertionError("it did not happen within 10 s")


class Bench:
    """A HID library with one device, whose reports and troubles the test decides; also the port of that device."""

    def __init__(self, ids: tuple[int, int] = COMPACT) -> None:
        self.ids = ids
        self.plugged = True
        self.refuses = False
        self.thawed = threading.Event()
        self.thawed.set()
        self.breaks: BaseException | None = None
        self.waits = 0
        self.closed = 0
        self.written: list[bytes] = []
        self._reports: deque[bytes] = deque()

    def entries(self) -> list[HidEntry]:
        path = "/dev/hidraw1"
        return [HidEntry(path=path, vendor_id=self.ids[0], product_id=self.ids[1])] if self.plugged else []

    def open(self, path: str) -> "Bench":
        if self.refuses or not self.plugged:
            raise OSError(path)
        self._reports.clear()
        return self

    def read(self, timeout_ms: int) -> bytes:
        self.thawed.wait()
        if self.breaks:
            raise self.breaks
        if not self.plugged:
            raise OSError("gone")
        if self._reports:
            return self._reports.popleft()
        if timeout_ms:
            self.waits += 1
            time.sleep(0.0005)
        return b""

    def write(self, data: bytes) -> None:
        self.written.append(bytes(data))

    def close(self) -> None:
        self.closed += 1

    def settle(self) -> None:
        """Wait until the reader has shown all that was sent, at the present time."""
        seen = self.waits
        wait_until(lambda: self.waits >= seen + 3 and not self._reports)

    def send(self, *reports: bytes) -> None:
        self._reports.extend(reports)
        self.settle()


class Rig:
    """A device on a `Bench`, in virtual time."""

    def __init__(self, ids: tuple[int, int] = COMPACT, width: float = 0.04, **config) -> None:
        self.bench, self.clock, self.width = Bench(ids), VirtualClock(100.0), width
        self.device = SpaceMouse(
            SCALE, lambda: tool(self.width), self.clock, config=SpaceMouseConfig(**config), hid=self.bench
        )
        self.combined = ids == WIRELESS

    def begin(self) -> "Rig":
        """Start and let the look at the untouched puck pass."""
        self.device.start()
        self.wait(0.625)
        return self

    def wait(self, seconds: float) -> None:
        """Let time pass in which the puck says nothing."""
        self.clock.advance(seconds)
        if self.bench.plugged and self.bench.thawed.is_set():
            self.bench.settle()

    def push(self, raw) -> None:
        self.bench.send(*motion(raw, combined=self.combined))

    def latest(self):
        return self.device.latest()


@pytest.fixture
def rig():
    rigs: list[Rig] = []

    def make(*args, **kwargs) -> Rig:
        rigs.append(Rig(*args, **kwargs))
        return rigs[-1]

    yield make
    for one in rigs:
        one.bench.thawed.set()
        one.device.stop()


# -- driving -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ids", [COMPACT, WIRELESS], ids=["two reports", "one report"])
def test_each_axis_moves_the_robot_the_way_the_hand_goes(rig, ids):
    one = rig(ids).begin()
    directions = []
    for axis in range(6):
        one.push(counts(1.0, axis))
        directions.append(one.latest().action[:6].tolist())
        one.push(REST)
        assert not one.latest().engaged
    # Device: x right, y towards the operator, z down. Robot: x away, y left, z up.
    expected = np.zeros((6, 6))
    for axis, out in ((0, 1), (1, 0), (2, 2), (3, 4), (4, 3), (5, 5)):
        expected[axis, out] = -1.0
    assert directions == expected.tolist()


def test_an_operator_who_faces_the_robot(rig):
    one = rig(deflection=DeflectionConfig(rotation=FACING_ROBOT)).begin()
    one.push(FORWARD)
    assert one.latest().action[0] == -1.0


def test_nobody_touches_it(rig):
    one = rig().begin()
    for _ in range(50):
        one.wait(0.01)
        sample = one.latest()
        assert (sample.status, sample.engaged, sample.action) == (OK, False, None)
        assert sample.t == one.clock.now()
    assert one.device.info().problem == ""


def test_the_sample_says_when_the_reader_was_alive_not_when_the_hand_moved(rig):
    one = rig().begin()
    one.push(counts(0.5))
    one.wait(0.1)
    sample = one.latest()
    assert (sample.status, sample.engaged, sample.t) == (OK, True, one.clock.now())


def test_all_reports_are_taken_and_the_newest_counts(rig):
    one = rig().begin()
    before = one.device.reports
    one.bench.send(*(report for i in range(300) for report in motion(counts(i / 299))))
    assert one.device.reports == before + 600
    assert one.latest().action[0] == -1.0


# -- rest and bias -----------------------------------------------------------------------------------------------------


def test_it_does_not_drive_before_it_is_known_to_be_at_rest(rig):
    one = rig()
    one.device.start()
    one.bench.send(motion(FORWARD)[0])
    assert not one.latest().engaged
    one.push(FORWARD)
    assert not one.latest().engaged  # held while it was plugged in
    assert "let go" in one.device.info().problem
    one.push(REST)
    assert not one.latest().engaged
    one.push(FORWARD)
    assert one.latest().engaged
    assert one.device.info().problem == ""


def test_a_bias_at_rest_is_taken_away(rig):
    one = rig(deflection=DeflectionConfig(leave=0.005, enter=0.01))
    one.device.start()
    for _ in range(50):
        one.push(counts(0.04))
        one.wait(0.01)
    one.wait(0.05)
    assert not one.latest().engaged
    one.push(counts(0.54))
    assert one.latest().action[0] == pytest.approx(-0.5, abs=0.004)


@pytest.mark.parametrize("held", [0.06, 0.2, 1.0])
def test_a_hand_on_it_is_no_bias(rig, held):
    one = rig()
    one.device.start()
    for _ in range(150):
        one.push(counts(held))
        one.wait(0.01)
        assert not one.latest().engaged
    one.push(REST)
    assert not one.latest().engaged
    one.push(counts(-0.5))
    assert one.latest().action[0] == pytest.approx((0.5 - 0.04) / 0.96, abs=0.002)


def test_a_tap_during_the_look_is_no_bias():
    rest = Rest(ReaderConfig(), 0.08, 0.0)
    for i in range(100):
        rest.hear((0.3 if 40 <= i < 45 else 0.0,) * 6)
    rest.tick(0.5, (0.0,) * 6)
    assert not rest.known
    for _ in range(100):
        rest.hear((0.02,) * 6)
    rest.tick(0.9, (0.02,) * 6)
    assert not rest.known  # the second look is not over
    rest.tick(1.0, (0.02,) * 6)
    assert rest.known
    assert rest.bias == pytest.approx((0.02,) * 6)


def test_noise_at_rest_never_takes_over(rig):
    one = rig(silent_s=10.0)
    one.device.start()
    rng = np.random.default_rng(3)
    for _ in range(400):
        one.push(rng.integers(-20, 21, 6).tolist())
        one.wait(0.004)
        assert not one.latest().engaged


# -- buttons -----------------------------------------------------------------------------------------------------------


def button(bits: int, *more: int) -> bytes:
    return bytes([3, bits, *more])


def test_left_closes_and_right_opens(rig):
    one = rig().begin()
    one.bench.send(button(1))
    sample = one.latest()
    assert sample.engaged
    assert sample.action.tolist() == [0, 0, 0, 0, 0, 0, -1.0]
    one.bench.send(button(0), button(2))
    assert one.latest().action[6] == 1.0
    one.wait(0.6)
    assert not one.latest().engaged


def test_of_two_presses_in_one_period_the_last_counts(rig):
    one = rig().begin()
    one.bench.send(button(1), button(0), button(2), button(0))
    assert one.latest().action[6] == 1.0


def test_a_held_button_is_one_edge(rig):
    one = rig(buttons={"LEFT": "success"}).begin()
    one.bench.send(button(1), button(1), button(3), button(1))
    one.push(FORWARD)
    assert [event.kind for event in one.device.drain_events()] == [EventKind.SUCCESS]
    one.bench.send(button(0), button(1))
    assert [event.kind for event in one.device.drain_events()] == [EventKind.SUCCESS]


def test_edges_are_kept_until_they_are_taken(rig):
    one = rig(buttons={0: "success", "RIGHT": "fail"}).begin()
    for _ in range(100):
        one.bench.send(button(1), button(0), button(2), button(0))
    one.device.stop()
    events = one.device.drain_events()
    assert [event.kind for event in events] == [EventKind.SUCCESS, EventKind.FAIL] * 100
    assert {(event.source, event.t) for event in events} == {("spacemouse", one.clock.now())}
    assert one.device.drain_events() == []


def test_toggle_begins_with_what_the_gripper_does(rig):
    one = rig(width=0.0, buttons={"LEFT": "toggle"}).begin()
    for expected in (1.0, -1.0, 1.0):
        one.bench.send(button(1), button(0))
        assert one.latest().action[6] == expected
    one.bench.send(button(1), button(0), button(1), button(0))  # twice within a period: as before
    assert one.latest().action[6] == 1.0


def test_models_with_many_keys_have_functions_for_them(rig):
    one = rig(PRO).begin()
    keys = {"MENU": (1, 0, 0, 0), "BTN_1": (0, 16, 0, 0), "BTN_2": (0, 32, 0, 0), "ESC": (0, 0, 64, 0)}
    for pressed in keys.values():
        one.bench.send(button(*pressed), button(0))
    assert one.latest().action[6] == -1.0
    kinds = [event.kind for event in one.device.drain_events()]
    assert kinds == [EventKind.SUCCESS, EventKind.FAIL, EventKind.ESTOP]


def test_every_model_has_sensible_default_buttons():
    import pyspacemouse

    for name, spec in pyspacemouse.get_device_specs().items():
        functions = default_buttons(spec.button_names)
        assert set(functions) <= set(spec.button_names)
        grip = sorted(function for function in functions.values() if function in ("open", "close"))
        assert grip == ([] if name == "SpaceMouseUSB" else ["close", "open"]), name
        assert len(set(functions.values())) == len(functions)
    enterprise = default_buttons(pyspacemouse.get_device_specs()["SpaceMouseEnterprise"].button_names)
    assert enterprise["FIT"] == "open"  # and not the key RIGHT, which is a view


@pytest.mark.parametrize("wanted", [{"MIDDLE": "success"}, {2: "success"}, {-1: "success"}])
def test_a_button_that_is_not_there_is_refused_with_those_that_are(rig, wanted):
    one = rig(buttons=wanted)
    with pytest.raises(ConfigError, match=r"no button.*LEFT, RIGHT"):
        one.device.start()
    assert one.bench.closed == 1
    assert one.latest().status is DISCONNECTED


# -- silence, loss -----------------------------------------------------------------------------------------------------


def test_a_deflected_puck_that_falls_silent_is_lost_until_it_rested(rig):
    one = rig().begin()
    one.push(FORWARD)
    one.wait(0.125)
    assert one.latest().engaged
    one.wait(0.0625)
    sample = one.latest()
    assert (sample.status, sample.engaged, sample.action) == (LOST, False, None)
    assert "silent" in sample.problem
    assert one.device.info().status is LOST
    one.push(FORWARD)  # back within reach, and still pulled
    sample = one.latest()
    assert (sample.status, sample.engaged) == (OK, False)
    one.push(REST)
    one.push(FORWARD)
    assert one.latest().engaged


def test_rotation_that_falls_silent_while_translation_goes_on_is_lost(rig):
    one = rig(WIRELESS).begin()
    one.push(counts(1.0, 5))
    for _ in range(16):
        one.wait(0.01)
        one.bench.send(motion(FORWARD)[0])  # short: says nothing of rotation
    assert one.latest().status is LOST


def test_the_battery_does_not_keep_a_silent_puck_alive(rig):
    one = rig(WIRELESS).begin()
    one.push(FORWARD)
    for _ in range(16):
        one.wait(0.01)
        one.bench.send(b"\x17\x40\x00\x00")
    assert one.latest().status is LOST
    assert one.device.info().battery == 0.64


def test_silence_can_be_trusted_where_hardware_needs_it(rig):
    one = rig(silent_s=float("inf")).begin()
    one.push(FORWARD)
    one.wait(60.0)
    assert one.latest().engaged


@pytest.mark.parametrize("engaged", [True, False])
def test_a_frozen_reader_is_lost_by_age(rig, engaged):
    one = rig(max_age_s=0.0625, idle_age_s=0.125).begin()
    if engaged:
        one.push(FORWARD)
        assert one.latest().engaged
    one.bench.thawed.clear()
    time.sleep(0.01)  # the reader is now in the library and stays there
    before = one.clock.now()
    statuses = []
    step = 1 / 128 if engaged else 1 / 64  # more patience while nobody drives
    for _ in range(14):
        one.clock.advance(step)
        sample = one.latest()
        statuses.append(sample.status)
        assert sample.t == before
        assert one.device.info().status is sample.status
        assert sample.status is OK or not sample.engaged
    assert statuses == [OK] * 8 + [LOST] * 4 + [DISCONNECTED] * 2
    one.bench.thawed.set()
    one.bench.settle()
    sample = one.latest()
    assert (sample.status, sample.engaged) == (OK, False)
    one.push(FORWARD)
    assert one.latest().engaged is not engaged  # what was held has to be let go first


def test_nothing_that_was_queued_while_frozen_moves_the_robot(rig):
    one = rig().begin()
    one.push(FORWARD)
    one.bench.thawed.clear()
    one.clock.advance(0.5)
    assert one.latest().status is DISCONNECTED
    one.bench._reports.extend([*motion(REST), *motion(FORWARD) * 20, button(1)])
    one.bench.thawed.set()
    one.bench.settle()
    assert not one.device.drain_events()
    sample = one.latest()
    assert sample.status is OK
    assert sample.action is None or sample.action[0] == 0.0


def test_a_frozen_reader_does_not_hold_up_stop_and_says_nothing_later(rig):
    one = rig(buttons={"LEFT": "success"}).begin()
    one.bench.thawed.clear()
    time.sleep(0.01)
    one.device.stop()
    one.bench._reports.append(button(1))
    one.bench.thawed.set()
    wait_until(lambda: one.bench.closed == 1)
    assert one.device.drain_events() == []
    assert one.latest().status is DISCONNECTED


@pytest.mark.parametrize("death", [SystemExit(), RuntimeError("a bug"), ValueError("another")], ids=repr)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_dead_reader_is_seen_at_once(rig, death):
    one = rig().begin()
    one.push(FORWARD)
    assert one.latest().engaged
    one.bench.breaks = death
    wait_until(lambda: one.device.latest().status is not OK)
    sample = one.latest()
    assert (sample.status, sample.engaged) == (DISCONNECTED, False)
    assert "reader ended" in sample.problem
    one.bench.breaks = None
    one.device.stop()
    one.device.start()
    one.wait(0.6)
    assert one.latest().status is OK


def test_unplugged_and_plugged_in_again_needs_new_input(rig):
    one = rig(reader=ReaderConfig(retry_s=0.01)).begin()
    one.push(FORWARD)
    assert one.latest().engaged
    one.bench.plugged = False
    wait_until(lambda: one.device.latest().status is DISCONNECTED)
    assert "plug it in" in one.latest().problem
    assert "plug it in" in one.device.info().problem
    one.bench.refuses = one.bench.plugged = True
    wait_until(lambda: "cannot be opened" in one.device.latest().problem)
    one.bench.refuses = False
    wait_until(lambda: one.device.latest().status is OK)
    one.push(FORWARD)
    assert not one.latest().engaged
    one.wait(0.6)
    one.push(FORWARD)
    assert not one.latest().engaged  # time alone does not help
    one.push(REST)
    one.push(FORWARD)
    assert one.latest().engaged


def test_gripper_presses_from_before_a_loss_are_forgotten(rig):
    one = rig().begin()
    one.bench.send(button(1))
    one.bench.thawed.clear()
    one.clock.advance(0.5)
    assert one.latest().status is DISCONNECTED
    one.bench.thawed.set()
    one.bench.settle()
    assert not one.latest().engaged


def test_a_broken_report_is_counted(rig):
    one = rig().begin()
    one.push(counts(0.5))
    one.bench.send(b"\x01\x02", b"\x03", b"\x99")
    assert one.device.info().dropped == 2
    assert one.latest().engaged


# -- start, stop, info -------------------------------------------------------------------------------------------------


def test_nothing_is_touched_before_start(rig):
    one = rig()
    assert one.bench.waits == 0
    info = one.device.info()
    assert (info.name, info.kind, info.status, info.age_s) == ("spacemouse", "spacemouse", DISCONNECTED, np.inf)
    assert "not started" in info.problem
    assert isinstance(one.device, Monitored)


def test_info_tells_rate_and_engagement(rig):
    one = rig().begin()
    for _ in range(30):
        one.push(FORWARD)
        one.wait(0.01)
        one.latest()
    info = one.device.info()
    assert (info.status, info.engaged, info.age_s) == (OK, True, 0.0)
    assert info.rate_hz == 60.0
    assert info.battery is None


def test_the_light_shows_that_it_is_in_use(rig):
    one = rig().begin()
    one.device.stop()
    assert one.bench.written == [b"\x04\x01", b"\x04\x00"]
    dark = rig(reader=ReaderConfig(led=False)).begin()
    dark.device.stop()
    assert dark.bench.written == []


def test_what_is_not_there_is_refused_at_start(rig):
    one = rig(index=3)
    with pytest.raises(ConfigError, match=r"number 3.*0: /dev/hidraw1 SpaceMouseCompact"):
        one.device.start()
    one.bench.plugged = False
    any_one = SpaceMouse(SCALE, tool, one.clock, hid=one.bench)
    with pytest.raises(ConfigError, match="plug it in"):
        any_one.start()
    one.bench.plugged = one.bench.refuses = True
    with pytest.raises(ConfigError, match="cannot be opened"):
        any_one.start()
    with pytest.raises(ConfigError, match="hidraw9"):
        SpaceMouse(SCALE, tool, one.clock, path="/dev/hidraw9", hid=one.bench).start()


def test_without_libraries_start_says_what_to_install(monkeypatch):
    import sys

    for name in ("easyhid", "hidraw", "hid"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(DependencyError, match=r"robot_hil\[spacemouse\]"):
        SpaceMouse(SCALE, tool, VirtualClock()).start()


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"name": ""}, "name"),
        ({"convention": "left-handed"}, "hid_z_up"),
        ({"max_age_s": 0.0}, "max_age_s"),
        ({"max_age_s": float("nan")}, "max_age_s"),
        ({"max_age_s": 0.2}, "idle_age_s"),
        ({"idle_age_s": float("inf")}, "idle_age_s"),
        ({"silent_s": -1.0}, "silent_s"),
        ({"buttons": {"LEFT": "explode"}}, "success"),
        ({"buttons": {"LEFT": "clear"}}, "clear"),
    ],
    ids=str,
)
def test_configurations_that_cannot_work_are_refused(wrong, match):
    with pytest.raises(ConfigError, match=match):
        SpaceMouseConfig(**wrong)


@pytest.mark.parametrize(
    "wrong", [{"rest_s": -1.0}, {"max_bias": 1.0}, {"poll_s": 0.0}, {"poll_s": 0.06}, {"retry_s": 0.0}], ids=str
)
def test_reader_times_that_cannot_work_are_refused(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        ReaderConfig(**wrong)


# -- everything real, over a served HID library ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return fake_hidapi.build(tmp_path_factory.mktemp("hidapi"))


@pytest.fixture
def served(library, tmp_path):
    """Return a function that plugs in a device."""
    folder = tmp_path / "d"
    folder.mkdir()
    made: list[FakePuck] = []

    def plug(name: str, ids: tuple[int, int] = COMPACT) -> FakePuck:
        made.append(FakePuck(folder, name, ids))
        return made[-1]

    with fake_hidapi.installed(library, folder):
        yield plug
    for device in made:
        device.unplug()


def rested(device: SpaceMouse, puck: FakePuck) -> None:
    """Wait until it may drive."""
    wait_until(lambda: puck.opened == 1)
    puck.send(*motion(REST, combined=puck.ids == WIRELESS))
    wait_until(lambda: device.reports > 0 and device.latest().status is OK)


def test_two_devices_by_path_drive_two_arms(served):
    pucks = [served("left"), served("right", WIRELESS)]
    clock = MonotonicClock()
    devices = [
        SpaceMouse(SCALE, tool, clock, path=str(puck.path), config=replace(PATIENT, name=puck.path.name))
        for puck in pucks
    ]
    for device, puck in zip(devices, pucks, strict=True):
        device.start()
        rested(device, puck)
    keep = threading.Event()

    def hold() -> None:
        while not keep.is_set():
            pucks[0].send(*motion(FORWARD))
            pucks[1].send(*motion(counts(-1.0, 0), combined=True))
            time.sleep(0.004)

    pushing = threading.Thread(target=hold)
    pushing.start()
    wait_until(lambda: all(device.latest().engaged for device in devices))
    left, right = (device.latest().action.tolist() for device in devices)
    keep.set()
    pushing.join()
    assert left == [1.0, 0, 0, 0, 0, 0, 0]
    assert right == [0, 1.0, 0, 0, 0, 0, 0]
    pucks[0].unplug()
    wait_until(lambda: devices[0].latest().status is DISCONNECTED)
    assert devices[1].latest().status is not DISCONNECTED
    with pytest.raises(ConfigError, match=r"several|left"):
        SpaceMouse(SCALE, tool, clock, path=str(pucks[0].path)).start()
    for device in devices:
        device.stop()


def test_unplugged_while_driving_holds_the_arm_until_a_person_resumes(served):
    puck, clock = served("left"), MonotonicClock()
    device = SpaceMouse(SCALE, tool, clock, config=PATIENT)
    arbiter, policy = Arbiter(ArbiterConfig(action_dim=7)), np.full(7, 0.25, np.float32)

    def step(*events: TeleopEvent):
        return arbiter.update(clock.now(), policy, device.latest(), (*device.drain_events(), *events))

    device.start()
    rested(device, puck)
    assert step().state is ArbiterState.POLICY
    puck.send(*motion(FORWARD))
    wait_until(lambda: step().state is ArbiterState.HUMAN)
    puck.unplug()
    wait_until(lambda: step().state is ArbiterState.HOLD)
    assert not step().action.any()
    puck.plug()
    wait_until(lambda: device.latest().status is OK)
    puck.send(*motion(FORWARD))
    wait_until(lambda: device.reports > 2)
    assert step().state is ArbiterState.HOLD
    puck.send(*motion(REST))
    wait_until(lambda: device._reader.reading.t_rest > 0)
    resume = TeleopEvent(kind=EventKind.RESUME, t=clock.now(), source="console")
    assert step(resume).state is ArbiterState.POLICY
    device.stop()


def test_many_reports_in_many_threads_are_all_heard(served):
    puck, clock = served("left"), MonotonicClock()
    device = SpaceMouse(SCALE, tool, clock, config=replace(PATIENT, buttons={"LEFT": "success"}))
    device.start()
    rested(device, puck)
    before = device.reports
    for i in range(500):
        puck.send(*motion(counts((i % 100) / 100)), button(1), button(0))
    wait_until(lambda: device.reports == before + 2000)
    device.stop()
    assert len(device.drain_events()) == 500


class TestContract(TeleopContract):
    action_dim = 7

    @pytest.fixture(autouse=True)
    def puck(self, served):
        self.served = served("left")

    def make_device(self):
        return SpaceMouse(SCALE, tool, MonotonicClock(), config=PATIENT)
