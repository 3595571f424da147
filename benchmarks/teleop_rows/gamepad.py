"""G1: an SDL gamepad is unplugged at full deflection, and plugged in again."""

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from robot_hil.clock import MonotonicClock
from robot_hil.data.robot import ActionScale, ToolState
from robot_hil.data.teleop import SampleStatus, TeleopSample
from robot_hil.teleop.gamepad import Gamepad, GamepadConfig, find_gamepads
from teleop_rows.row import Row, at_least, at_most, exactly

if TYPE_CHECKING:
    from virtual_pad import VirtualPad

DEAD_MAN = "rightshoulder"
SCALE = ActionScale(axes=("x", "y", "z", "gripper"), linear_m=0.01, gripper_m=0.01)
NOTE = "virtual pad inside SDL, real reader thread"


def _tool() -> ToolState:
    upright = np.array([1.0, 0.0, 0.0, 0.0])
    return ToolState(pos_base=np.zeros(3), quat_base=upright, gripper_width=0.04, joint_pos=np.zeros(7))


def _until(device: Gamepad, done: Callable[[TeleopSample], bool], seen: list[TeleopSample] | None = None) -> float:
    """Ask as often as possible until `done`; return how long it took [s]."""
    begin = time.monotonic()
    while not done(sample := device.latest()):
        if seen is not None:
            seen.append(sample)
        if time.monotonic() - begin > 10.0:
            raise RuntimeError(f"waited 10 s in vain; last was {sample}")
        time.sleep(0.0002)
    return time.monotonic() - begin


def _drive(device: Gamepad, pad: "VirtualPad") -> None:
    pad.press(DEAD_MAN)
    pad.axis("leftx", 1.0)
    _until(device, lambda sample: sample.action is not None and float(np.abs(sample.action).max()) == 1.0)


def g1(quick: bool) -> list[Row]:
    """Measure unplugging, plugging in, and the reader's rate."""
    sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
    from virtual_pad import VirtualPad

    pad = VirtualPad("Benchmark Pad", 4711)
    device = Gamepad(SCALE, _tool, MonotonicClock(), GamepadConfig(choose="Benchmark Pad"))
    device.start()
    time.sleep(0.4)  # the first presses do not count
    gone, back, idle, unasked = [], [], 0, 0
    for _ in range(10 if quick else 100):
        _drive(device, pad)
        seen: list[TeleopSample] = []
        pad.unplug()
        gone.append(_until(device, lambda sample: sample.status is SampleStatus.DISCONNECTED, seen))
        idle += sum(not sample.engaged for sample in seen)
        pad.plug()
        pad.press(DEAD_MAN)
        pad.axis("leftx", 1.0)
        back.append(_until(device, lambda sample: sample.status is SampleStatus.OK))
        time.sleep(0.4)
        unasked += device.latest().engaged
        pad.release(DEAD_MAN)
        time.sleep(0.05)
    rate = _beats(device, 1.0 if quick else 10.0)
    info = next(info for info in find_gamepads() if info.name == "Benchmark Pad")
    pad.release(DEAD_MAN)
    pad.remap(info.guid, "rightshoulder:b10,leftx:a3,lefty:a1,rightx:a0,righty:a2")
    time.sleep(0.1)
    pad.press(DEAD_MAN)
    pad.axis("leftx", 0.0)
    pad.axis("righty", 1.0)
    time.sleep(0.1)
    action = device.latest().action
    swapped = 0.0 if action is None else float(action[1])
    device.stop()
    pad.unplug()
    ms = 1000.0
    return [
        at_most("G1 unplugged: DISCONNECTED, worst", max(gone) * ms, 100, "ms", f"{len(gone)} times; {NOTE}"),
        at_most("G1 unplugged: DISCONNECTED, median", statistics.median(gone) * ms, 100, "ms", NOTE),
        exactly("G1 unplugged: samples that looked idle", idle, 0, "samples", NOTE),
        at_most("G1 plugged in again: OK, worst", max(back) * ms, 2000, "ms", NOTE),
        exactly("G1 plugged in with the dead-man held: drove without a fresh press", unasked, 0, "times", NOTE),
        at_least("G1 reader", rate, 100, "Hz", NOTE),
        exactly("G1 layout by SDL's mapping: y of joystick axis 3", swapped, -1.0, ""),
    ]


def _beats(device: Gamepad, seconds: float) -> float:
    """Return signs of life per second."""
    seen, begin = set(), time.monotonic()
    while time.monotonic() - begin < seconds:
        seen.add(device.latest().t)
        time.sleep(0.0002)
    return len(seen) / seconds


ROWS = {"G1": g1}
