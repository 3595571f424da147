"""The gamepad at the robot's computer, with pads that exist only inside SDL."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import count

import numpy as np
import pytest
from contracts import TeleopContract
from virtual_pad import VirtualPad

from robot_hil.clock import VirtualClock
from robot_hil.data.robot import ActionScale, ToolState
from robot_hil.data.teleop import EventKind, SampleStatus, TeleopSample
from robot_hil.errors import ConfigError, DependencyError, UnknownNameError
from robot_hil.protocols import Feedback, Monitored
from robot_hil.teleop.gamepad import WAKING_S, Gamepad, GamepadConfig, find_gamepads
from robot_hil.teleop.gamepad_sdl import BUTTONS, HUB, PadHub

AXES = ("x", "y", "z", "rx", "ry", "rz", "gripper")
SCALE = ActionScale(axes=AXES, linear_m=0.01, angular_rad=0.05, gripper_m=0.01)
DEAD_MAN = "rightshoulder"
_products = count(1)


def tool() -> ToolState:
    return ToolState(
        pos_base=np.zeros(3), quat_base=np.array([1.0, 0, 0, 0]), gripper_width=0.04, joint_pos=np.zeros(7)
    )


class Bench:
    """A pad of a model of its own and the device that reads it; time stands still unless advanced."""

    def __init__(self, **config: object) -> None:
        self.product = next(_products)
        self.name = f"Pad {self.product:04d}"
        self.pad = VirtualPad(self.name, self.product)
        self.clock = VirtualClock(10.0)
        self.device = Gamepad(SCALE, tool, self.clock, GamepadConfig(**{"choose": self.name} | config))

    def until(self, done: Callable[[TeleopSample], bool]) -> TeleopSample:
        """Return the first sample for which `done`; the reader has its own pace."""
        end = time.monotonic() + 20
        while not done(sample := self.device.latest()):
            assert time.monotonic() < end, sample
            time.sleep(0.001)
        return sample

    def settle(self) -> TeleopSample:
        """Return the sample after the reader has seen everything that was done to the pad so far."""
        self.clock.advance(0.01)
        now = self.clock.now()
        self.until(lambda sample: sample.t >= now)
        self.clock.advance(0.01)  # a poll that was under way may have begun before
        now = self.clock.now()
        return self.until(lambda sample: sample.t >= now)

    def wait(self, seconds: float) -> None:
        """Let time pass in which the reader is alive."""
        end = self.clock.now() + seconds
        while self.clock.now() < end:
            self.clock.advance(0.05)
            self.settle()

    def action(self) -> dict[str, float]:
        """Return the settled action, without its zeros."""
        action = self.settle().action
        assert action is not None
        return {name: round(float(value), 3) for name, value in zip(AXES, action, strict=True) if value}

    def close(self) -> None:
        self.device.stop()
        self.pad.unplug()


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    bench.device.start()
    bench.wait(WAKING_S)
    yield bench
    bench.close()


class TestContract(TeleopContract):
    action_dim = len(AXES)

    @pytest.fixture(autouse=True)
    def _unplug(self) -> Iterator[None]:
        yield
        self.bench.close()

    def make_device(self) -> Gamepad:
        self.bench = Bench()
        return self.bench.device

    def advance(self, device: Gamepad) -> None:
        self.bench.settle()


def test_it_can_be_watched_and_felt(bench: Bench) -> None:
    assert isinstance(bench.device, Monitored)
    assert isinstance(bench.device, Feedback)
    bench.device.pulse("left", 0.5, 0.1)
    bench.settle()
    assert bench.pad.rumbles[0] == (32767, 32767)


def test_nothing_moves_without_the_dead_man(bench: Bench) -> None:
    bench.pad.axis("leftx", 1.0)
    bench.pad.axis("righttrigger", 1.0)
    sample = bench.settle()
    assert sample.status is SampleStatus.OK
    assert not sample.engaged
    assert sample.action is None
    bench.pad.press(DEAD_MAN)
    assert bench.action() == {"y": -1.0}  # the trigger was pulled before, and is old news
    bench.pad.release(DEAD_MAN)
    assert not bench.settle().engaged


def test_the_held_dead_man_drives_also_with_sticks_at_rest(bench: Bench) -> None:
    bench.pad.press(DEAD_MAN)
    sample = bench.settle()
    assert sample.engaged
    assert sample.action is not None
    assert not sample.action.any()


@pytest.mark.parametrize(
    ("move", "wanted"),
    [
        (("lefty", -1.0), {"x": 1.0}),
        (("leftx", -1.0), {"y": 1.0}),
        (("righty", -1.0), {"z": 1.0}),
        (("rightx", -1.0), {"rz": 1.0}),
        (("lefty", 0.56), {"x": -0.5}),
        (("leftx", 0.11), {}),
        (("righttrigger", 1.0), {"gripper": -1.0}),
        (("lefttrigger", 1.0), {"gripper": 1.0}),
        ("dpup", {"ry": 1.0}),
        ("dpright", {"rx": 1.0}),
    ],
)
def test_sticks_cross_and_triggers(bench: Bench, move: str | tuple[str, float], wanted: dict[str, float]) -> None:
    bench.pad.press(DEAD_MAN)
    bench.settle()
    if isinstance(move, tuple):
        bench.pad.axis(*move)
    else:
        bench.pad.press(move)
    assert bench.action() == wanted


def test_the_slow_button_scales_motion(bench: Bench) -> None:
    bench.pad.press(DEAD_MAN, "leftshoulder")
    bench.pad.axis("lefty", -1.0)
    assert bench.action() == {"x": 0.3}


def test_the_gripper_keeps_what_it_was_told_while_held_and_forgets_it_then(bench: Bench) -> None:
    bench.pad.press(DEAD_MAN)
    bench.settle()
    bench.pad.axis("righttrigger", 1.0)
    bench.settle()
    bench.pad.axis("righttrigger", 0.0)
    bench.wait(2.0)
    assert bench.action() == {"gripper": -1.0}
    bench.pad.axis("lefttrigger", 0.4)
    assert bench.action() == {"gripper": -1.0}
    bench.pad.axis("lefttrigger", 0.6)
    assert bench.action() == {"gripper": 1.0}
    bench.pad.axis("righttrigger", 0.6)
    assert bench.action() == {"gripper": -1.0}
    bench.pad.release(DEAD_MAN)
    assert bench.settle().action is None
    bench.pad.press(DEAD_MAN)
    assert bench.action() == {}


def test_layout_comes_from_sdl_and_not_from_indices() -> None:
    bench = Bench()
    guid = next(pad.guid for pad in find_gamepads() if pad.name == bench.name)
    bench.pad.remap(guid, "a:b1,b:b0,rightshoulder:b2,leftx:a3,lefty:a2,rightx:a1,righty:a0")
    bench.device.start()
    bench.wait(WAKING_S)
    bench.pad.press(BUTTONS[2])  # joystick button 2 is now the right shoulder, and axis 3 the left stick's x
    bench.pad.axis("righty", -1.0)
    assert bench.action() == {"y": 1.0}
    bench.pad.press(BUTTONS[1])
    bench.settle()
    assert [event.kind for event in bench.device.drain_events()] == [EventKind.SUCCESS]
    bench.close()


def test_buttons_say_something_also_while_nobody_drives(bench: Bench) -> None:
    said = {"a": "success", "b": "fail", "y": "false_positive", "x": "reset", "back": "pause", "start": "resume"}
    said["guide"] = "estop"
    for button in said:
        bench.pad.tap(button)
        bench.settle()
    events = bench.device.drain_events()
    assert [event.kind.value for event in events] == list(said.values())
    assert {event.source for event in events} == {"gamepad"}


def test_no_tap_is_lost_between_two_looks(bench: Bench) -> None:
    for _ in range(100):
        bench.pad.tap("a")
    bench.settle()
    assert len(bench.device.drain_events()) == 100


def test_both_sticks_pressed_in_stop_everything_once(bench: Bench) -> None:
    bench.pad.press("leftstick")
    bench.settle()
    assert bench.device.drain_events() == []
    bench.pad.press("rightstick")
    bench.settle()
    bench.settle()
    assert [event.kind for event in bench.device.drain_events()] == [EventKind.ESTOP]


def test_an_unplugged_pad_is_never_idle_and_needs_a_fresh_press_when_it_is_back(bench: Bench) -> None:
    bench.pad.press(DEAD_MAN)
    bench.pad.axis("leftx", 1.0)
    bench.until(lambda sample: sample.action is not None and bool(sample.action.any()))
    seen: list[TeleopSample] = []
    bench.pad.unplug()

    def gone(sample: TeleopSample) -> bool:
        seen.append(sample)
        return sample.status is not SampleStatus.OK

    assert bench.until(gone).status is SampleStatus.DISCONNECTED
    assert all(sample.engaged for sample in seen[:-1])
    assert "plugged" in bench.device.info().problem

    bench.pad.plug()
    bench.pad.press(DEAD_MAN)
    bench.pad.axis("leftx", 1.0)
    bench.until(lambda sample: sample.status is SampleStatus.OK)
    bench.wait(WAKING_S)
    assert not bench.settle().engaged
    bench.pad.release(DEAD_MAN)
    assert not bench.settle().engaged
    bench.pad.press(DEAD_MAN)
    assert bench.settle().engaged


def test_a_blink_between_two_looks_is_told_once(bench: Bench) -> None:
    bench.pad.press(DEAD_MAN)
    assert bench.settle().engaged
    bench.pad.unplug()
    bench.pad.plug()
    end = time.monotonic() + 20
    while bench.device._box.value.session < 2:
        assert time.monotonic() < end
        time.sleep(0.001)
    assert bench.device.latest().status is SampleStatus.DISCONNECTED
    assert bench.settle().status is SampleStatus.OK


def test_a_dead_reader_is_seen_by_its_age_and_needs_a_fresh_press(bench: Bench) -> None:
    bench.pad.press(DEAD_MAN)
    assert bench.settle().engaged
    with HUB._lock:  # the reader hangs
        bench.clock.advance(0.2)
        sample = bench.device.latest()
        assert sample.status is SampleStatus.LOST
        assert sample.action is None
        assert bench.device.info().status is SampleStatus.LOST
    bench.until(lambda sample: sample.status is SampleStatus.OK)
    assert not bench.settle().engaged
    bench.pad.release(DEAD_MAN)
    bench.settle()
    bench.pad.press(DEAD_MAN)
    assert bench.settle().engaged


def test_pads_are_chosen_by_name_guid_and_index_and_taken_once() -> None:
    one, two = Bench(), Bench()
    info = next(pad for pad in find_gamepads() if pad.name == two.name)
    for choose in (two.name.lower(), info.guid, info.index):
        device = Gamepad(SCALE, tool, two.clock, GamepadConfig(choose=choose))
        device.start()
        assert device._box.value.plugged
        with pytest.raises(ConfigError, match=one.name):  # taken; the message lists what there is
            two.device.start()
        device.stop()
    one.close()
    two.close()


def test_a_wrong_choice_is_refused_with_what_there_is(bench: Bench) -> None:
    with pytest.raises(ConfigError, match=f"'no such pad' is not there.*{bench.name}"):
        Gamepad(SCALE, tool, bench.clock, GamepadConfig(choose="no such pad")).start()


def test_without_a_choice_the_first_pad_that_comes_serves() -> None:
    bench = Bench(choose="")
    bench.pad.unplug()
    bench.device.start()
    assert bench.device.latest().status is SampleStatus.DISCONNECTED
    bench.pad.plug()
    bench.until(lambda sample: sample.status is SampleStatus.OK)
    bench.close()


def test_settings_that_cannot_work_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="'trigger' does not exist"):
        GamepadConfig(dead_man="trigger")
    with pytest.raises(ConfigError, match="rightshoulder"):
        GamepadConfig(buttons={"rightshoulder": EventKind.SUCCESS})
    with pytest.raises(ConfigError, match="dead_zone 1"):
        GamepadConfig(dead_zone=1.0)


def test_without_pygame_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pygame", None)
    with pytest.raises(DependencyError, match=r"pip install robot_hil\[gamepad\]"):
        PadHub().present()


ALONE = """
import os, sys, time
from robot_hil.clock import MonotonicClock
from robot_hil.data.robot import ActionScale
from robot_hil.teleop.gamepad import Gamepad, find_gamepads
assert "pygame" not in sys.modules
device = Gamepad(ActionScale(axes=("x",), linear_m=0.01), None, MonotonicClock())
device.start()
assert find_gamepads() == [], find_gamepads()
assert device.latest().status.value == "disconnected"
assert "SDL_VIDEODRIVER" not in os.environ
print("started", flush=True)
time.sleep(60)
"""


def test_it_works_headless_says_nothing_and_leaves_signals_alone() -> None:
    hidden = ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER", "PYGAME_HIDE_SUPPORT_PROMPT")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    command = [sys.executable, "-c", ALONE]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "started\n"  # no banner before it
            process.terminate()
            assert process.wait(timeout=60) == -signal.SIGTERM
        finally:
            process.kill()
