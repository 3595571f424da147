"""A whole station for tests and benchmarks: page in Chromium with a simulated headset, console, link, device, arm.

The page is the shipped one; only scripts that run before it differ. Console and proxy are processes or threads of their
own, the robot's side is in this process: link, device, arbiter and an arm that goes where it is told.
"""

import asyncio
import json
import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import browser
import numpy as np

from robot_hil.actor.arbiter import Arbiter, ArbiterConfig, ArbiterState, Decision
from robot_hil.clock import MonotonicClock
from robot_hil.console.link import RobotLink
from robot_hil.console.messages import Ack, FromPage, Gone, Haptic, Status, ToRobot, Welcome, allowed
from robot_hil.data.operator_input import Button, XrEvent, XrFrame
from robot_hil.data.robot import ActionScale, ToolState
from robot_hil.data.rotation import from_rotvec, multiply
from robot_hil.data.teleop import EventKind, SampleStatus, TeleopEvent, TeleopSample
from robot_hil.teleop.webxr.config import WebXRConfig
from robot_hil.teleop.webxr.device import WebXR

SHIM = Path(__file__).parent / "teleop/webxr/iwer_shim.js"
PAGE = browser.ROOT / "teleop/webxr/static"
TOKEN = "a-token-for-tests-only"
AXES = ("x", "y", "z", "rx", "ry", "rz", "gripper")


class Robot:
    """The robot's process: control loop at `hz`, arm that obeys exactly, link to the console. Records what it got."""

    def __init__(self, hz: float = 50.0, config: WebXRConfig | None = None, max_age_s: float = 0.2) -> None:
        self.clock, self.period = MonotonicClock(), 1.0 / hz
        self.scale = ActionScale(
            axes=AXES, linear_m=0.25 / hz, angular_rad=1.0 / hz, gripper_m=0.1 / hz, period_s=1.0 / hz
        )
        self.pos, self.quat, self.width = np.array([0.4, 0.0, 0.3]), (0.0, 1.0, 0.0, 0.0), 0.08
        self.link = RobotLink(
            Welcome(experiment="demo", task="Pick up the cube.", cameras=["front", "wrist"], control_hz=hz,
                    folder=""),
            self._hear,
        )  # fmt: skip
        self.device = WebXR(
            self.scale, self.tool, self.clock, config=config or WebXRConfig(), send_haptic=self._send_haptic
        )
        self.arbiter = Arbiter(ArbiterConfig(action_dim=len(AXES), max_sample_age_s=max_age_s))
        self.frames: list[FromPage] = []
        self.arrived: list[float] = []
        """When each of these frames came here [s]."""
        self.heard: list[FromPage] = []
        self.gone: list[tuple[float, Gone]] = []
        self.events: list[TeleopEvent] = []
        self.path: list[tuple[float, Any, Decision, TeleopSample]] = []
        """Per period: time, commanded position after it, decision, sample."""
        self.problem = ""
        self.clients: list[str] = []
        self._posted: list[TeleopEvent] = []
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._control, name="control")

    def tool(self) -> ToolState:
        return ToolState(
            pos_base=self.pos.copy(), quat_base=np.array(self.quat), gripper_width=self.width, joint_pos=np.zeros(7)
        )

    def start(self) -> None:
        self.link.start()
        self.device.start()
        self._thread.start()

    def stop(self) -> None:
        self._done.set()
        self._thread.join()
        self.device.stop()
        self.link.stop()

    def post(self, kind: EventKind) -> None:
        """A person presses something elsewhere."""
        self._posted.append(TeleopEvent(kind=kind, t=self.clock.now(), source="test"))

    def resume(self) -> None:
        self.post(EventKind.RESUME)

    @property
    def state(self) -> ArbiterState:
        return self.arbiter.state

    def _send_haptic(self, client: str, hand: str, strength: float, seconds: float) -> None:
        self.link.send(Haptic(client, hand, strength, seconds))

    def _hear(self, message: ToRobot) -> None:
        if isinstance(message, Gone):
            self.gone.append((self.clock.now(), message))
            self.device.gone(message.client, message.reason)
        elif isinstance(message, FromPage):
            reason = allowed(message)
            if isinstance(message.body, XrFrame | XrEvent) and not reason:
                self.device.feed(
                    message.body, client=message.client, operator=message.operator, t_recv=message.t_recv,
                    t_page=message.t_page,
                )  # fmt: skip
                if message.client not in self.clients:
                    self.clients.append(message.client)
                if isinstance(message.body, XrFrame):
                    self.arrived.append(self.clock.now())
                    self.frames.append(message)
                else:
                    self.heard.append(message)
            elif isinstance(message.body, Button):
                self.heard.append(message)
                if not reason:
                    self.post(EventKind(message.body.kind))
                self.link.send(Ack(message.body.id, message.client, not reason, reason))

    def _control(self) -> None:
        due, said, shown = self.clock.now(), -1.0, None
        while not self._done.is_set():
            now = self.clock.now()
            sample = self.device.latest()
            posted, self._posted = self._posted, []
            events = [*self.device.drain_events(), *posted]
            self.events += events
            decision = self.arbiter.update(now, np.zeros(len(AXES), np.float32), sample, events)
            self._obey(decision.action)
            self.path.append((now, self.pos.copy(), decision, sample))
            if decision.state is not shown or now - said >= 0.1:
                shown, said = decision.state, now
                self.link.send(self._status(now, decision, sample))
            due = max(due + self.period, now)
            self.clock.sleep_until(due)

    def _obey(self, action: Any) -> None:
        scale = self.scale
        self.pos = self.pos + scale.linear_m * action[:3].astype(float)
        self.quat = multiply(from_rotvec([scale.angular_rad * float(a) for a in action[3:6]]), self.quat)
        self.width = min(max(self.width + scale.gripper_m * float(action[6]), 0.0), 0.08)

    def _status(self, now: float, decision: Decision, sample: TeleopSample) -> Status:
        lost = decision.state is ArbiterState.HOLD and bool(sample.problem)
        human = decision.state is ArbiterState.HUMAN
        return Status(
            t=now,
            state="LOST" if lost else decision.state.name,
            reason=sample.problem or decision.reason,
            phase="train",
            message="Take over when the fingers miss the cube.",
            driver=f"{sample.device} {sample.operator}" if human else "policy",
        )


class Proxy:
    """A bad network between page and console: delay with jitter, in order, stalls and torn connections."""

    def __init__(self, target: int) -> None:
        self.target, self.port = target, 0
        self.delay = self.jitter = 0.0
        """One way, each piece of data: `delay` + uniform up to `jitter` [s]."""
        self.rate = np.inf
        """From the page to the console [bytes/s]."""
        self.accepted: list[float] = []
        """When connections came [s], monotonic."""
        self.stalled_until = 0.0
        """Nothing passes before that time of `time.monotonic`."""
        self.torn = False
        self._links: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="proxy")
        self._ready = threading.Event()
        self._stop = asyncio.Event()

    def start(self) -> None:
        self._thread.start()
        self._ready.wait()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def reset(self) -> None:
        """Tear all connections."""
        self.torn = True
        self._loop.call_soon_threadsafe(self._tear)

    def _tear(self) -> None:
        for writer in tuple(self._links):
            writer.transport.abort()

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        listening = socket.create_server(("127.0.0.1", 0))
        # What is slow must be felt by the sender: a small window, and segments that fit into it as on a real network.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 1400)
        server = await asyncio.start_server(self._connect, sock=listening, limit=8192)
        self.port = listening.getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        self._tear()
        if tasks := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(tasks, timeout=2.0)  # torn connections end by themselves

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted.append(time.monotonic())
        with suppress(OSError):
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
            self._links |= {writer, far_writer}
            try:
                await asyncio.gather(self._pipe(reader, far_writer, slow=True), self._pipe(far_reader, writer))
            finally:
                self._links -= {writer, far_writer}
                far_writer.transport.abort()
        writer.transport.abort()

    async def _pipe(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, slow: bool = False) -> None:
        """Pass data on; each piece waits for itself, none overtakes another."""
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        passing = asyncio.create_task(self._pass_on(queue, writer))
        try:
            free = 0.0
            while data := await reader.read(1024 if self.rate < np.inf else 65536):
                if slow and self.rate < np.inf:
                    free = max(free, time.monotonic()) + len(data) / self.rate
                    await asyncio.sleep(free - time.monotonic())
                queue.put_nowait((time.monotonic() + self.delay + random.uniform(0.0, self.jitter), data))
        finally:
            queue.put_nowait((0.0, b""))
            with suppress(OSError):
                await passing
            writer.close()

    async def _pass_on(self, queue: "asyncio.Queue[tuple[float, bytes]]", writer: asyncio.StreamWriter) -> None:
        while True:
            due, data = await queue.get()
            while (wait := max(due, self.stalled_until) - time.monotonic()) > 0:
                await asyncio.sleep(wait)
            if not data:
                return
            writer.write(data)
            await writer.drain()


def serve_console(link: str, certificate: str, key: str) -> None:
    """Serve the console in this process until it is ended; prints its port."""
    from robot_hil.console.server import ConsoleConfig, ConsoleServer

    async def run() -> None:
        files = (Path(certificate), Path(key))
        server = ConsoleServer(ConsoleConfig(token=TOKEN, link=link, port=0, tls=files, pages={"/xr": PAGE}))
        await server.start()
        print(server.port, flush=True)  # noqa: T201
        await server.wait()

    asyncio.run(run())


class Console:
    """The console's process."""

    def __init__(self, link: str, trust: browser.Trust) -> None:
        command = [sys.executable, __file__, link, str(trust.certificate), str(trust.key)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    def stop(self) -> None:
        self.process.terminate()
        self.process.communicate()


class Page:
    """The page in the browser, and the simulated headset that it runs in."""

    def __init__(self, context: Any, port: int) -> None:
        self.page = context.new_page()
        self.errors: list[str] = []
        self.console_pid = 0
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda line: line.type == "error" and self.errors.append(line.text))
        self.url = f"https://localhost:{port}/xr/#t={TOKEN}"

    def open(self, name: str = "Kim") -> None:
        self.page.goto(self.url)
        self.page.wait_for_selector("body[data-link=open]")
        if name:
            self.page.fill("#name", name)
            self.page.press("#name", "Enter")
            self.page.wait_for_selector("body[data-link=open]")

    def enter(self) -> None:
        """Put the headset on and become pilot."""
        self.page.click("#enter:enabled")
        self.page.wait_for_selector("body[data-session=on][data-pilot=true]")

    def do(self, call: str, *values: object) -> Any:
        """Call a function of `headset` (see iwer_shim.js)."""
        return self.page.evaluate(f"headset.{call}({', '.join(json.dumps(value) for value in values)})")

    def set(self, name: str, value: object) -> None:
        self.page.evaluate(f"headset.{name} = {json.dumps(value)}; null")

    def word(self) -> str:
        return str(self.page.inner_text("#state"))


def wait_for(condition: Callable[[], Any], what: str, seconds: float = 30.0) -> None:
    """Wait until `condition` holds; fails after `seconds`."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not happen within {seconds:g} s")
        time.sleep(0.002)


def drive(page: Page, robot: Robot, side: str = "right") -> None:
    """Squeeze afresh until the arm follows, again when the machine was too busy; a person resumes after a loss."""
    for _ in range(20):
        page.do("button", side, "squeeze", 0)
        wait_for(lambda: robot.device.info().status is SampleStatus.OK, "an idle headset that works")
        if robot.state is ArbiterState.HOLD:
            robot.resume()
        page.do("button", side, "squeeze", 1)
        with suppress(AssertionError):
            wait_for(lambda: robot.state is ArbiterState.HUMAN, "a takeover", 1.0)
            return
    raise AssertionError(f"the headset cannot take over: {robot.device.info()}, {robot.arbiter.reason}")


@contextmanager
def station(
    chromium: Any,
    trust: browser.Trust,
    robot: Robot,
    *,
    hz: float = 90,
    see_through: bool = False,
    fine: bool = False,
    proxied: bool = False,
) -> Iterator[tuple[Page, Proxy]]:
    """Start everything but `chromium`, open a page that is not loaded yet, and end everything."""
    with ExitStack() as stack:
        robot.start()
        stack.callback(robot.stop)
        console = Console(robot.link.endpoint, trust)
        stack.callback(console.stop)
        proxy = Proxy(console.port)
        proxy.start()
        stack.callback(proxy.stop)
        context = stack.enter_context(chromium.new_context(viewport={"width": 480, "height": 320}))
        context.add_init_script(
            f"window.HEADSET_HZ = {hz}; window.HEADSET_AR = {json.dumps(see_through)}; "
            f"window.HEADSET_FINE = {json.dumps(fine)};"
        )
        context.add_init_script(path=browser.IWER)
        context.add_init_script(path=SHIM)
        page = Page(context, proxy.port if proxied else console.port)
        page.console_pid = console.process.pid
        yield page, proxy


if __name__ == "__main__":
    serve_console(*sys.argv[1:])
