"""K1: keys pressed in a real browser, on their way through the console to the devices in the robot's process."""

import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from robot_hil.clock import MonotonicClock
from robot_hil.console.messages import FromPage, Gone
from robot_hil.data.operator_input import Keys
from robot_hil.data.robot import ActionScale, ToolState
from robot_hil.teleop.keyboard import Keyboard
from teleop_rows.row import Row, at_most, exactly

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))  # the browser and a console in a thread

TAP_MS = 15
SCALE = ActionScale(axes=("x", "y", "z", "gripper"), linear_m=0.01, gripper_m=0.01)
PRESSES = """() => {
    // When the browser saw each edge, on the page's clock.
    window.edges = [];
    const note = (event) => event.repeat || window.edges.push(event.timeStamp);
    for (const kind of ['keydown', 'keyup']) addEventListener(kind, note, { capture: true });
}"""


PONGS = """
    // The least of (arrival in the page - console's time of sending): one half of what the clocks' offset needs.
    window.back = Infinity;
    const Native = WebSocket;
    window.WebSocket = class extends Native {
        constructor(...all) {
            super(...all);
            this.addEventListener('message', ({ data }) => {
                const now = performance.now();
                const message = typeof data === 'string' ? JSON.parse(data) : {};
                if (message.type === 'pong') window.back = Math.min(window.back, now - message.s);
            });
        }
    };
"""


def tool() -> ToolState:
    """Return a tool that is open."""
    return ToolState(
        pos_base=np.zeros(3), quat_base=np.array([1.0, 0, 0, 0]), gripper_width=0.08, joint_pos=np.zeros(7)
    )


class Listener:
    """The robot's process: feeds the keyboard, as its link's thread does, and notes when what arrived."""

    def __init__(self, robot: Any) -> None:
        self.keyboard = Keyboard(SCALE, tool, MonotonicClock())
        self.keyboard.start()
        self.heard: list[tuple[float, FromPage]] = []
        self._lock = threading.Lock()
        self._before = robot.link._on_message
        robot.link._on_message = self._hear

    def _hear(self, message: Any) -> None:
        now = time.monotonic()
        self._before(message)
        if isinstance(message, FromPage):
            with self._lock:
                self.heard.append((now, message))
            times = {"t_recv": message.t_recv, "t_page": message.t_page}
            self.keyboard.feed(message.body, client=message.client, operator=message.operator, **times)
        elif isinstance(message, Gone):
            self.keyboard.gone(message.client, message.reason)

    def told(self) -> list[tuple[float, FromPage, Keys]]:
        """Return messages with keys: when they came, the whole, the keys."""
        with self._lock:
            return [(t, one, one.body) for t, one in self.heard if isinstance(one.body, Keys)]

    def edges(self) -> list[tuple[str, float, float]]:
        """Return presses and releases of W and D: which, page's time of the message [ms], time of arrival [s]."""
        found, before = [], frozenset[str]()
        for t, _, body in self.told():
            down = frozenset(key for key in body.down if key in ("KeyW", "KeyD"))
            found += [("press", body.t, t)] * len(down - before) + [("release", body.t, t)] * len(before - down)
            before = down
        return found


def until(holds: Callable[[], Any], seconds: float = 20.0) -> bool:
    """Wait until something holds; return whether it came to be."""
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:
        time.sleep(0.001)
    return bool(holds())


@contextmanager
def desk() -> Iterator[tuple[Any, Listener]]:
    """Give the operator's page, with the pilot's seat, and what listens to it."""
    from browser import chromium
    from serving import console_thread, robot_end

    with robot_end() as robot, console_thread(link=robot.link.endpoint) as server, chromium() as browser:
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        page.add_init_script(PONGS)
        listener = Listener(robot)
        page.goto(server.url())
        page.wait_for_selector("#seat.mine")
        page.wait_for_timeout(1500)  # the clocks are known by then
        yield page, listener


def k1(quick: bool) -> list[Row]:
    """Return edges lost, delays from the event in the page to the robot's process, and what blur and repeats do."""
    taps = 20 if quick else 100
    with desk() as (page, listener):
        page.evaluate(PRESSES)
        for _ in range(taps):
            page.keyboard.down("w")
            page.wait_for_timeout(TAP_MS)
            page.keyboard.up("w")
        until(lambda: len(listener.edges()) >= 2 * taps)
        edges = listener.edges()
        seen = page.evaluate("() => window.edges")
        delays = _delays(page, listener, seen, edges)
        rows = [
            exactly("K1 press edges", sum(kind == "press" for kind, _, _ in edges), taps, "edges"),
            exactly("K1 release edges", sum(kind == "release" for kind, _, _ in edges), taps, "edges"),
        ]
        note = f"key event in the page to the robot's process, p50 {statistics.median(delays):.2f} ms"
        rows.append(at_most("K1 edge to robot p95", float(np.percentile(delays, 95)), 5.0, "ms", note))
        return [*rows, *_blur(page, listener), *_beats(listener)]


def _offset(page: Any, listener: Listener) -> float:
    """Return this machine's monotonic time - the page's [ms], from the quickest messages there and back."""
    there = min(1e3 * one.t_recv - body.t for _, one, body in listener.told())
    return float(there - page.evaluate("() => window.back")) / 2


def _delays(page: Any, listener: Listener, seen: list[float], edges: list[tuple[str, float, float]]) -> list[float]:
    """Return [ms] from each key event in the page to its arrival; one endless delay if their numbers differ."""
    if len(seen) != len(edges):
        return [float("inf")]
    offset = _offset(page, listener)
    return [1e3 * arrived - (stamp + offset) for stamp, (_, _, arrived) in zip(seen, edges, strict=True)]


def _blur(page: Any, listener: Listener) -> list[Row]:
    """Hold a key down with auto-repeat, then take the focus away."""
    before = len(listener.edges())
    page.evaluate(
        "() => addEventListener('blur', (event) => { window.blurred = performance.now(); }, { capture: true })"
    )
    for _ in range(6):
        page.keyboard.down("d")
    until(lambda: len(listener.edges()) > before)
    page.wait_for_timeout(100)
    repeats = len(listener.edges()) - before - 1
    page.evaluate("() => { document.hasFocus = () => false; dispatchEvent(new Event('blur')); }")
    until(lambda: not listener.told()[-1][2].armed)
    arrived, _, last = listener.told()[-1]
    took = 1e3 * arrived - (page.evaluate("() => window.blurred") + _offset(page, listener))
    return [
        exactly("K1 edges of auto-repeat", repeats, 0, "edges"),
        exactly("K1 keys down after blur", len(last.down) - 1, 0, "keys", "the digit of the speed stays"),
        at_most("K1 blur releases all", took, 50.0, "ms", "page and robot: offset of clocks known to a ms or two"),
    ]


def _beats(listener: Listener) -> list[Row]:
    """Look at the heartbeat: its longest pause must stay below what counts as lost."""
    armed = [t for t, _, body in listener.told() if body.armed]
    gaps = np.diff(armed)
    note = f"median {1e3 * float(np.median(gaps)):.1f} ms over {len(armed)} messages; 120 ms counts as lost"
    return [at_most("K1 longest pause of the heartbeat", 1e3 * float(gaps.max()), 120.0, "ms", note)]


ROWS = {"K1": k1}
