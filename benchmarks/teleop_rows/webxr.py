"""V1 to V8: the shipped VR page in headless Chromium with a simulated headset, over TLS, console in its own process.

Times are on this machine's clocks: the page's from its wall clock, the robot's mapped from monotonic time.
"""

import math
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from teleop_rows.row import Row, at_least, at_most, exactly

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

import browser
import headset

from robot_hil.actor.arbiter import ArbiterState
from robot_hil.data.teleop import SampleStatus

HOLD, POLICY = ArbiterState.HOLD, ArbiterState.POLICY
NOTE = "IWER in Chromium, software rendering at 480x320, page to robot over TLS and the console's own process"
MEMORY_MIB = 5.0


@contextmanager
def worn(robot: headset.Robot, **options: Any) -> Iterator[tuple[headset.Page, headset.Proxy]]:
    """Give a page in its immersive session, as pilot."""
    with tempfile.TemporaryDirectory() as folder:
        trust = browser.make_trust(Path(folder))
        with browser.chromium(trust.home) as chromium, headset.station(chromium, trust, robot, **options) as station:
            page, proxy = station
            page.open()
            page.enter()
            headset.wait_for(lambda: len(robot.frames) > 30, "frames of the headset")
            yield page, proxy


def monotonic(wall: float) -> float:
    """Map a wall clock time of this machine to its monotonic clock [s]."""
    return wall - time.time() + time.monotonic()


def since(robot: headset.Robot, t: float) -> list[Any]:
    """Return the control periods from `t` on."""
    return [entry for entry in robot.path if entry[0] >= t]


def held_at(robot: headset.Robot, t: float) -> float:
    """Wait for HOLD after `t` and return when it came [s]."""
    headset.wait_for(lambda: any(entry[2].state is HOLD for entry in since(robot, t)), "hold")
    return float(next(entry[0] for entry in since(robot, t) if entry[2].state is HOLD))


def ages(page: headset.Page, robot: headset.Robot, first: int) -> Any:
    """Return page to robot's device of all frames from `first` on, (n,) [s]."""
    origin = monotonic(page.page.evaluate("performance.timeOrigin") / 1e3)
    made = np.array([message.body.t / 1e3 for message in robot.frames[first:]]) + origin
    return np.array(robot.arrived[first : first + len(made)]) - made


def v1(quick: bool) -> list[Row]:
    """Rate, gaps and age of frames at 90 Hz."""
    seconds, robot = (6.0 if quick else 60.0), headset.Robot()
    with worn(robot, hz=90) as (page, _):
        time.sleep(2.0)  # the browser compiles what it found hot
        first = len(robot.frames)
        time.sleep(seconds)
        frames, age = robot.frames[first:], ages(page, robot, first) * 1e3
    seqs = np.array([message.body.seq for message in frames])
    made = np.array([message.body.t for message in frames]) / 1e3
    rate = float((len(frames) - 1) / (made[-1] - made[0]))
    return [
        at_least(
            "V1 frames of the page",
            rate,
            88,
            "Hz",
            f"mean over {seconds:g} s; {NOTE}",
        ),
        exactly("V1 gaps in sequence", int((np.diff(seqs) != 1).sum()), 0, "", f"{len(frames)} frames"),
        at_most("V1 one way, p50", float(np.percentile(age, 50)), 5, "ms", "page to the robot's device"),
        at_most("V1 one way, p99", float(np.percentile(age, 99)), 25, "ms", f"max {age.max():.1f}"),
    ]


def v2(quick: bool) -> list[Row]:
    """A hand that is not seen, or only guessed, for a second and comes back elsewhere."""
    rows = []
    for what, name in (("unseen", "null pose"), ("guessed", "estimated pose")):
        robot = headset.Robot(100.0)
        with worn(robot) as (page, _):
            headset.drive(page, robot)
            page.do("glide", "right", 0.0, 0.05, -0.05, 0.5)
            time.sleep(0.8)
            page.set(f"{what}.right", True)
            t = held_at(robot, time.monotonic() - 0.05)
            at = robot.pos.copy()
            time.sleep(0.3 if quick else 1.0)
            page.do("glide", "right", 0.73, 0.0, 0.0, 0.001)
            time.sleep(0.1)
            page.set(f"{what}.right", False)
            time.sleep(1.0)
            held = since(robot, t)
            robot.resume()  # refused while the clutch is held
            time.sleep(0.3)
            moved = max(float(np.abs(entry[1] - at).max()) for entry in since(robot, t))
            headset.drive(page, robot)
            page.do("glide", "right", 0.0, 0.3, 0.0, 0.5)  # faster than the arm may be
            time.sleep(1.0)
            places = np.array([entry[1] for entry in since(robot, t)])
            step = float(np.abs(np.diff(places, axis=0)).max()) / robot.scale.linear_m
            driven = sum(entry[3].action is not None for entry in held)
        rows += [
            exactly(f"V2 {name}: commands while lost", driven, 0, "", f"of {len(held)} periods"),
            at_most(f"V2 {name}: displacement until the next press", moved * 1e3, 0.0, "mm", "0.73 m jump while held"),
            at_most(f"V2 {name}: largest step afterwards", step, 1.0 + 1e-6, "v_max dt", "hand at 0.6 m/s"),
        ]
    return rows


def v3(quick: bool) -> list[Row]:
    """The first command after a squeeze is the commanded pose, also when the arm was moved by others meanwhile."""
    robot = headset.Robot(100.0)
    worst_m = worst_rad = 0.0
    tries = 3 if quick else 20
    with worn(robot) as (page, _):
        for i in range(tries):
            page.do("glide", "right", 0.0, 0.04 * (-1) ** i, 0.03 * (-1) ** i, 0.4)
            t = time.monotonic()
            headset.drive(page, robot)
            first = next(entry[3].action for entry in since(robot, t) if entry[3].action is not None)
            worst_m = max(worst_m, robot.scale.linear_m * float(np.linalg.norm(first[:3])))
            worst_rad = max(worst_rad, robot.scale.angular_rad * float(np.linalg.norm(first[3:6])))
            time.sleep(0.3)
            page.do("button", "right", "squeeze", 0)
            headset.wait_for(lambda: robot.state is POLICY, "the policy's turn")
            robot.pos = robot.pos + np.array([0.1, 0.0, 0.0]) * (-1) ** i
    note = f"{tries} presses with a moving hand; the arm moved 10 cm by itself in between"
    return [
        at_most("V3 first command: position", worst_m, 1e-6, "m", note),
        at_most("V3 first command: orientation", worst_rad, 1e-6, "rad", note),
    ]


def _wall(page: headset.Page, name: str, *values: object) -> float:
    return monotonic(page.do("at", name, *values))


def _reset(_: headset.Page, proxy: headset.Proxy) -> float:
    t = time.monotonic()
    proxy.reset()
    return t


def _close(page: headset.Page, _: headset.Proxy) -> float:
    t = time.monotonic()
    page.page.close()
    return t


def _freeze(_: headset.Page, proxy: headset.Proxy) -> float:
    t = time.monotonic()
    proxy.stalled_until = t + 0.5
    return t


LOSSES: dict[str, Callable[[headset.Page, headset.Proxy], float]] = {
    "hidden": lambda page, proxy: _wall(page, "see", "hidden"),
    "blurred": lambda page, proxy: _wall(page, "see", "visible-blurred"),
    "session end": lambda page, proxy: _wall(page, "leave"),
    "tab closed": _close,
    "socket reset": _reset,
    "page stalled 500 ms": lambda page, proxy: _wall(page, "stall", 500),
    "network stalled 500 ms": _freeze,
}


def v4(quick: bool) -> list[Row]:
    """How fast each kind of loss holds the arm, stepped at 100 Hz, and that nothing buffered moves it afterwards."""
    rows, tries = [], 1 if quick else 5
    for name, lose in LOSSES.items():
        worst = moved = 0.0
        done = spoilt = 0
        while done < tries and spoilt < 5:
            taken = _lose(lose)
            done, spoilt = (done + 1, spoilt) if taken else (done, spoilt + 1)
            worst, moved = (max(worst, taken[0]), max(moved, taken[1])) if taken else (worst, moved)
        note = f"worst of {done}, while the hand goes round at 0.1 m/s; {spoilt} more were held before"
        limit = 1e3 * 0.25 * 0.1
        if not done:
            worst = moved = math.inf
        rows.append(at_most(f"V4 {name}: until HOLD", worst * 1e3, 150, "ms", note))
        rows.append(at_most(f"V4 {name}: displacement afterwards", moved * 1e3, limit, "mm", "clutch held on"))
    return rows


def _lose(lose: Callable[[headset.Page, headset.Proxy], float]) -> tuple[float, ...]:
    """Lose a driving hand; return time until HOLD [s] and displacement afterwards [m], nothing if held already."""
    robot = headset.Robot(100.0)
    with worn(robot, proxied=True) as (page, proxy):
        headset.drive(page, robot)
        page.do("circle", "right", 0.1, 0.1)
        time.sleep(1.0)
        t_lost = lose(page, proxy)
        t = held_at(robot, t_lost)
        if any(entry[2].state is HOLD for entry in since(robot, t_lost - 0.2) if entry[0] < t_lost):
            return ()  # the machine was too busy for the watchdogs
        at = next(entry[1] for entry in since(robot, t))
        if not page.page.is_closed():
            page.do("see", "visible")
        time.sleep(1.0)
        robot.resume()
        time.sleep(0.3)
        return t - t_lost, max(float(np.linalg.norm(entry[1] - at)) for entry in since(robot, t))


def v5(quick: bool) -> list[Row]:
    """A torn connection comes back and moves nothing before a fresh press."""
    sockets, poses, moved, tries = [], [], 0.0, 2 if quick else 10
    robot = headset.Robot(100.0)
    with worn(robot, proxied=True) as (page, proxy):
        for _ in range(tries):
            headset.drive(page, robot)
            page.do("glide", "right", 0.0, 0.05, 0.0, 1.0)
            time.sleep(0.5)
            client, frames = robot.frames[-1].client, len(robot.frames)
            t = time.monotonic()
            proxy.reset()
            headset.wait_for(lambda client=client: robot.frames[-1].client != client, "frames of a new connection")
            new = next(i for i in range(frames, len(robot.frames)) if robot.frames[i].client != client)
            sockets.append(next(accepted for accepted in proxy.accepted if accepted > t) - t)
            poses.append(robot.arrived[new] - t)
            at = next(entry[1] for entry in since(robot, held_at(robot, t)))
            time.sleep(0.5)
            robot.resume()
            time.sleep(0.2)
            moved = max(moved, float(np.linalg.norm(robot.pos - at)))
    note = f"worst of {tries}"
    return [
        at_most("V5 until the socket is back", max(sockets) * 1e3, 500, "ms", note),
        at_most("V5 until the first pose", max(poses) * 1e3, 600, "ms", note),
        at_most("V5 displacement before a fresh press", moved * 1e3, 0.0, "mm", "clutch held on, hand moving"),
    ]


def v6(quick: bool) -> list[Row]:
    """A recentred view ends driving and moves nothing."""
    robot, worst, moved, tries = headset.Robot(100.0), 0.0, 0.0, 2 if quick else 10
    with worn(robot) as (page, _):
        for _ in range(tries):
            page.page.evaluate("headset.device.position.set(0.3, 1.6, 0.2)")
            headset.drive(page, robot)
            time.sleep(0.3)
            before = robot.pos.copy()
            t_lost = _wall(page, "recentre")
            worst = max(worst, held_at(robot, t_lost) - t_lost)
            page.page.evaluate("headset.device.position.set(0, 1.6, 0)")
            time.sleep(0.3)
            moved = max(moved, float(np.linalg.norm(robot.pos - before)))
    return [
        at_most("V6 recentred: until HOLD", worst * 1e3, 150, "ms", f"worst of {tries}"),
        at_most("V6 recentred: displacement", moved * 1e3, 1e-3, "mm", "hand at rest in the room"),
    ]


def v7(quick: bool) -> list[Row]:
    """A circle of 0.1 m radius at 0.1 m/s over a bad network: commanded tool against where the hand was then."""
    rows, seconds = [], 8.0 if quick else 60.0
    for delay, jitter, limit in ((0.005, 0.010, 5.0), (0.040, 0.060, 15.0)):
        robot = headset.Robot(50.0)
        with worn(robot, proxied=True) as (page, proxy):
            proxy.delay, proxy.jitter = delay, jitter
            time.sleep(3.0)  # the page learns its clock anew
            headset.drive(page, robot)
            first, start = len(robot.frames), robot.pos.copy()
            began = monotonic(page.do("circle", "right", 0.1, 0.1))
            time.sleep(seconds)
            path = [entry for entry in since(robot, began) if entry[0] <= began + seconds]
            age = ages(page, robot, first) * 1e3
            gap = float(np.diff(robot.arrived[first:]).max()) * 1e3
        t = np.array([entry[0] for entry in path]) - began
        hand = np.stack([0 * t, 0.1 * (1 - np.cos(t)), 0.1 * np.sin(t)], axis=1)  # right of the operator is -y
        error = np.linalg.norm(np.array([entry[1] for entry in path]) - start - hand, axis=1)
        trips = sum(entry[3].status is not SampleStatus.OK or not entry[3].engaged for entry in path)
        rms, name = math.sqrt(float((error**2).mean())) * 1e3, f"V7 {delay * 1e3:g}+{jitter * 1e3:g} ms"
        rows += [
            at_most(
                f"{name}: tracking RMS", rms, limit, "mm",
                f"{seconds:g} s at 0.1 m/s, 50 Hz loop, lag not subtracted; max {error.max() * 1e3:.1f} mm; "
                f"frames' age p50 {np.percentile(age, 50):.0f}, p99 {np.percentile(age, 99):.0f}, gap {gap:.0f} ms",
            ),
            exactly(f"{name}: periods without a valid hand", trips, 0, "", f"of {len(path)}"),
        ]  # fmt: skip
    return rows


def v8(quick: bool) -> list[Row]:
    """A page at 258 Hz into a connection that takes less than half of what it would like to send."""
    seconds, robot = (8.0 if quick else 60.0), headset.Robot()
    with worn(robot, hz=258, proxied=True) as (page, proxy):
        tools = page.page.context.new_cdp_session(page.page)
        proxy.rate = 50_000.0
        time.sleep(3.0)
        page.set("buffered", 0)
        heaps, sizes, first = [_heap(tools)], [_resident(page.console_pid)], len(robot.frames)
        time.sleep(seconds)
        heaps.append(_heap(tools))
        sizes.append(_resident(page.console_pid))
        age = ages(page, robot, first) * 1e3
        buffered = page.page.evaluate("headset.buffered")
    passed = f"{len(age) / seconds:.0f} frames/s came through 50 kB/s"
    return [
        at_most("V8 slow network: buffer of the page", buffered / 1024, 64, "KiB", passed),
        at_most("V8 slow network: age, p99", float(np.percentile(age, 99)), 150, "ms", f"max {age.max():.0f} ms"),
        at_most("V8 memory of the page", heaps[1] - heaps[0], MEMORY_MIB, "MiB", f"growth in {seconds:g} s, after GC"),
        at_most("V8 memory of the console", sizes[1] - sizes[0], MEMORY_MIB, "MiB", f"growth in {seconds:g} s"),
    ]


def _heap(tools: Any) -> float:
    """Return what the page's scripts hold after a collection [MiB]."""
    tools.send("HeapProfiler.collectGarbage")
    return float(tools.send("Runtime.getHeapUsage")["usedSize"]) / 2**20


def _resident(pid: int) -> float:
    """Return a process's resident memory [MiB]."""
    text = Path(f"/proc/{pid}/status").read_text()
    return float(next(line for line in text.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024


ROWS = {"V1": v1, "V2": v2, "V3": v3, "V4": v4, "V5": v5, "V6": v6, "V7": v7, "V8": v8}
