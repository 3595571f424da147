"""N1, E1, E2, C1, C2: the console's doors, e-stop through it, its death, its video and its buttons."""

import asyncio
import json
import os
import signal
import ssl
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import numpy as np

from robot_hil.console import tls
from robot_hil.console.address import machine_addresses
from robot_hil.console.auth import UNAUTHORIZED
from robot_hil.console.host import ConsoleHost
from teleop_rows.console_rig import Page, Robot, robot_process
from teleop_rows.row import Row, at_least, at_most, exactly

ROOT = Path(__file__).resolve().parents[2]
CHAIN = "page, console process, link, guard, gate, simulated arm at 20 Hz"


# -- E1, E2: stopping --------------------------------------------------------------------------------------------------


def e1(quick: bool) -> list[Row]:
    """E-stop by page, observer's page and HTTP until the arm's driver is told to stop; latched over everything."""
    with robot_process() as robot:
        return asyncio.run(_stops(robot, 5 if quick else 50))


async def _stops(robot: Robot, count: int) -> list[Row]:
    rows = []
    async with aiohttp.ClientSession() as http, Page(robot, "pilot").open(http) as pilot:
        async with Page(robot, "observer", observer=True).open(http) as observer:
            ways: dict[str, Callable[[], Any]] = {
                "page": lambda: pilot.press("estop"),
                "observer's page": lambda: observer.press("estop"),
                "HTTP": lambda: _post(http, pilot, pilot.token),
                "HTTP, observer": lambda: _post(http, pilot, observer.token),
            }
            for name, stop in ways.items():
                taken = [await _stop_once(robot, pilot, stop) for _ in range(count)]
                note = f"{count} stops while driving; median {np.median(taken):.1f} ms; {CHAIN}"
                rows.append(at_most(f"E1 e-stop by {name}, p99", float(np.percentile(taken, 99)), 100, "ms", note))
        rows += await _latched(robot, pilot, http)
    return rows


async def _post(http: aiohttp.ClientSession, page: Page, token: str) -> None:
    async with http.post(page.origin + "/api/estop", headers={"Authorization": f"Bearer {token}"}) as answer:
        await answer.read()


async def _stop_once(robot: Robot, pilot: Page, stop: Callable[[], Any]) -> float:
    """Drive, stop, and return how long the stop took [ms]."""
    await pilot.drive()
    await asyncio.sleep(0.2)
    robot.report()
    begin = time.monotonic()
    await stop()
    took = await robot.stopped_since(begin) - begin
    pilot.down = []
    await pilot.until("ESTOP")
    return 1e3 * took


async def _latched(robot: Robot, pilot: Page, http: aiohttp.ClientSession) -> list[Row]:
    """Reload pages and kill the console after an e-stop; then clear in two steps."""
    await _stop_once(robot, pilot, lambda: pilot.press("estop"))
    latched = robot.report()["latched"]
    async with Page(robot, "reloaded").open(http) as again:
        await again.until("ESTOP")
    os.kill(robot.report()["console"], signal.SIGKILL)
    await asyncio.sleep(0.1)
    async with Page(robot, "reconnected").open(http) as back:
        await back.until("ESTOP")
        report = robot.report()
        latched = latched and report["latched"]
        await _answer(back, "clear", "")
        unreasoned = not robot.report()["latched"]
        await _answer(back, "resume", "")
        resumed = not robot.report()["latched"]
        robot.report()
        back.down = ["KeyA"]
        await asyncio.sleep(0.5)
        moved = len(robot.report()["moved"])
        back.down = []
        await _answer(back, "clear", "benchmark: nobody is here")
        await back.until("HOLD", "IDLE")
        back.down = ["KeyA"]
        await asyncio.sleep(0.5)
        moved += len(robot.report()["moved"])
    return [
        exactly("E1 latched after page reload and console kill -9", float(latched), 1, "yes"),
        exactly("E1 cleared without a reason, or by resume alone", float(unreasoned or resumed), 0, "times"),
        exactly("E1 commands to the arm before clear and resume", float(moved), 0, "commands"),
    ]


async def _answer(page: Page, kind: str, reason: str) -> dict[str, Any]:
    number = await page.press(kind, reason)
    async with asyncio.timeout(20):
        while number not in page.acks:
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.2)
    return page.acks[number]


def e2(quick: bool) -> list[Row]:
    """Kill the console's process with SIGKILL while its page drives."""
    with robot_process() as robot:
        return asyncio.run(_deaths(robot, 3 if quick else 20))


async def _deaths(robot: Robot, count: int) -> list[Row]:
    stopped, back, after = [], [], 0
    async with aiohttp.ClientSession() as http:
        for _ in range(count):
            async with Page(robot, "pilot").open(http) as pilot:
                await pilot.drive()
                await asyncio.sleep(0.3)
                console = robot.report()["console"]
                killed = time.monotonic()
                os.kill(console, signal.SIGKILL)
                stopped.append(1e3 * (await robot.stopped_since(killed) - killed))
            robot.report()
            async with Page(robot, "pilot").open(http) as pilot:
                back.append(time.monotonic() - killed)  # [s] after the kill
                pilot.down = ["KeyA"]
                await pilot.until("HOLD", "LOST")
                await asyncio.sleep(0.3)
                after += sum(t > killed + back[-1] for t in robot.report()["moved"])
    note = f"{count} deaths; median {np.median(stopped):.0f} ms; guard's thread, whatever the control loop does"
    return [
        at_most("E2 console killed with kill -9 while driving: arm stopped, worst", max(stopped), 200, "ms", note),
        exactly("E2 commands to the arm after the console came back, before a resume", float(after), 0, "commands"),
        at_most(
            "E2 console back at the same address, worst", max(back), 10, "s", "started anew by the robot's process"
        ),
    ]


# -- N1: doors ---------------------------------------------------------------------------------------------------------


def n1(_: bool) -> list[Row]:
    """Knock with wrong tokens and origins; look at certificates and at what is shipped."""
    from robot_hil.console.link import RobotLink
    from robot_hil.console.messages import Welcome

    welcome = Welcome(experiment="doors", task="", cameras=[], control_hz=10.0, folder="")
    link = RobotLink(welcome, lambda message: None)
    link.start()
    host = ConsoleHost(link.endpoint, None, port=0)
    host.start()
    try:
        rows = asyncio.run(_doors(host))
    finally:
        host.stop()
        link.stop()
    return [*rows, *_certificates(), _shipped()]


async def _doors(host: ConsoleHost) -> list[Row]:
    address = host.url.partition("/#")[0]

    async def hello(http: aiohttp.ClientSession, token: str) -> tuple[int | None, str]:
        async with http.ws_connect(address + "/ws", headers={"Origin": address}) as socket:
            await socket.send_json({"type": "hello", "token": token})
            first = await socket.receive(timeout=20)
            role = first.json()["role"] if first.type is aiohttp.WSMsgType.TEXT else ""
            if role == "pilot":
                async with http.ws_connect(address + "/ws", headers={"Origin": address}) as second:
                    await second.send_json({"type": "hello", "token": token})
                    role = (await second.receive_json(timeout=20))["role"]
            return socket.close_code, role

    async with aiohttp.ClientSession() as http:
        for _ in range(600):
            try:
                async with http.get(address):
                    break
            except aiohttp.ClientError:
                await asyncio.sleep(0.05)
        async with http.post(address + "/api/estop", headers={"Authorization": "Bearer wrong"}) as answer:
            http_status = answer.status
        origins = []
        for headers in ({}, {"Origin": "https://evil.example"}):
            try:
                async with http.ws_connect(address + "/ws", headers=headers):
                    origins.append(101)
            except aiohttp.WSServerHandshakeError as refusal:
                origins.append(refusal.status)
        async with http.get(address, headers={"Host": "evil.example"}) as answer:
            host_status = answer.status
        closed, _ = await hello(http, "wrong" * 5)
        _, role = await hello(http, host.token)
    return [
        exactly("N1 wrong token by HTTP", http_status, 401, "status"),
        exactly("N1 wrong token by WebSocket", float(closed or 0), UNAUTHORIZED, "close code"),
        exactly("N1 missing Origin", origins[0], 403, "status"),
        exactly("N1 foreign Origin", origins[1], 403, "status"),
        exactly("N1 foreign Host (rebound name)", host_status, 421, "status"),
        Row("N1 second pilot", role, "role", "observer", role == "observer"),
    ]


def _certificates() -> list[Row]:
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        for folder in (one, two):
            tls.own_certificate(Path(folder))
        same = sum((Path(one) / name).read_bytes() == (Path(two) / name).read_bytes() for name in ("ca.key", "ca.crt"))
        modes = {(Path(one) / name).stat().st_mode & 0o777 for name in ("ca.key", "server.key")}
        context = ssl.create_default_context(cafile=Path(one) / "ca.crt")
        missing = sum(not _accepts(context, Path(one), address) for address in machine_addresses())
    return [
        exactly("N1 files that two installations share", same, 0, "files"),
        Row("N1 mode of keys", " ".join(oct(mode) for mode in modes), "", "0o600", modes == {0o600}),
        exactly("N1 addresses of this machine that its certificate does not cover", missing, 0, "addresses"),
    ]


def _accepts(context: ssl.SSLContext, folder: Path, address: str) -> bool:
    """Return whether a client that trusts the authority accepts the certificate for `address`: a real handshake."""
    server = tls.server_context(folder / "server.crt", folder / "server.key")
    at_client, at_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(at_client, at_server, server_hostname=address)
    other = server.wrap_bio(at_server, at_client, server_side=True)
    try:
        for _ in range(4):
            for side in (client, other):
                try:
                    side.do_handshake()
                except ssl.SSLWantReadError:
                    continue
    except ssl.SSLCertVerificationError:
        return False
    return client.cipher() is not None


def _shipped() -> Row:
    """Build the wheel from what is committed and look for private keys in it."""
    marker = b"PRIVATE " + b"KEY-----"
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "source"
        source.mkdir()
        packed = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout
        subprocess.run(["tar", "-x", "-C", str(source)], input=packed, check=True)
        options = ("--quiet", "--no-deps", "--no-build-isolation", "-w", folder)
        subprocess.run([sys.executable, "-m", "pip", "wheel", *options, str(source)], check=False)
        wheels = list(Path(folder).glob("*.whl"))
        if not wheels:
            return Row("N1 private keys in the wheel", "no wheel could be built", "", "0", False)
        with zipfile.ZipFile(wheels[0]) as wheel:
            found = sum(marker in wheel.read(name) for name in wheel.namelist())
            return exactly(
                "N1 private keys in the wheel", found, 0, "files", f"{len(wheel.namelist())} files looked at"
            )


# -- C1, C2: video and buttons in a browser ----------------------------------------------------------------------------

_SPY = """(() => {
  const Native = WebSocket;
  window.spy = { drawn: [], taken: new Map(), asked: new Map(), acked: [] };
  window.WebSocket = class extends Native {
    constructor(...rest) {
      super(...rest);
      this.addEventListener("message", (event) => {
        if (event.data instanceof ArrayBuffer) {
          const size = new DataView(event.data).getUint32(0, true);
          const head = JSON.parse(new TextDecoder().decode(new Uint8Array(event.data, 4, size)));
          window.spy.taken.set(head.camera + head.seq, head.t);
        } else if (event.data.includes('"ack"')) {
          const { id } = JSON.parse(event.data);
          const began = window.spy.asked.get(id);
          if (began !== undefined) window.spy.acked.push(performance.now() - began);
          window.spy.asked.delete(id);
        }
      });
    }
    send(data) {
      if (data.includes('"got"')) {
        const { camera, seq } = JSON.parse(data);
        window.spy.drawn.push([camera, window.spy.taken.get(camera + seq), performance.timeOrigin + performance.now()]);
        window.spy.taken.delete(camera + seq);
      } else if (data.includes('"event"')) {
        const { id } = JSON.parse(data);
        if (!window.spy.asked.has(id)) window.spy.asked.set(id, performance.now());
      }
      super.send(data);
    }
  };
})();"""


def c1(quick: bool) -> list[Row]:
    """Three cameras to a browser: rate, delay, the server's processor time and memory, the control loop's lateness."""
    length = 15.0 if quick else 600.0
    with _cameras() as (ask, known):
        time.sleep(3.0)
        ask()
        time.sleep(length / 5)
        without = ask()["p99_ms"]
        with _watching(known["url"]) as page:
            time.sleep(5.0)
            page.evaluate("() => { window.spy.drawn.length = 0 }")
            ask()
            cpu, memory, begin = _cpu_s(known["pid"]), _memory_mb(known["pid"]), time.monotonic()
            time.sleep(length)
            took = time.monotonic() - begin
            cpu, memory = _cpu_s(known["pid"]) - cpu, _memory_mb(known["pid"]) - memory
            during = ask()["p99_ms"]
            drawn = page.evaluate("() => window.spy.drawn")
    offset_ms = 1e3 * (time.time() - time.monotonic())
    delays = [at - t - offset_ms for _, t, at in drawn]
    rates = [sum(name == one for one, _, _ in drawn) / took for name in {name for name, _, _ in drawn}]
    note = f"{len(rates)} cameras of 640x480 at 30 Hz for {took:.0f} s; the shipped page in headless Chromium"
    middle = f"{note}; median {np.median(delays):.0f} ms"
    jitter = f"without {without:.2f} ms, with {during:.2f} ms; 100 Hz in the robot's process"
    return [
        at_least("C1 rate, slowest camera", min(rates) if len(rates) == 3 else 0.0, 25, "fps", note),
        at_most("C1 capture to drawn, p95", float(np.percentile(delays, 95)), 120, "ms", middle),
        at_most("C1 processor of the console", 100 * cpu / took, 30, "% of a core", note),
        at_most("C1 growth of the console's memory", memory, 50, "MB", f"in {took:.0f} s"),
        at_most("C1 control lateness p99, added by three watched cameras", during - without, 2, "ms", jitter),
    ]


def c2(quick: bool) -> list[Row]:
    """Click a button of the page, with three cameras on, until its acknowledgement is there."""
    count = 20 if quick else 300
    with _cameras() as (_, known), _watching(known["url"]) as page:
        time.sleep(2.0)
        for _ in range(count):
            page.click("#actions [data-kind=reset]")
            time.sleep(0.05)
        page.wait_for_function(f"() => window.spy.acked.length >= {count}")
        taken = page.evaluate("() => window.spy.acked")
    note = f"{count} clicks in headless Chromium, three cameras on; median {np.median(taken):.1f} ms"
    return [at_most("C2 button to acknowledgement, p95", float(np.percentile(taken, 95)), 60, "ms", note)]


@contextmanager
def _cameras() -> Iterator[tuple[Callable[[], dict[str, float]], dict[str, Any]]]:
    """Run the robot's process with cameras; give a function that asks for its lateness, and where the console is."""
    process = subprocess.Popen(
        [sys.executable, "-m", "teleop_rows.console_cameras"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True, cwd=ROOT / "benchmarks",
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    source, sink = process.stdout, process.stdin

    def ask() -> dict[str, float]:
        sink.write("lateness\n")
        sink.flush()
        said: dict[str, float] = json.loads(source.readline())
        return said

    try:
        yield ask, json.loads(source.readline())
    finally:
        sink.close()
        process.wait()
        source.close()


@contextmanager
def _watching(url: str) -> Iterator[Any]:
    """Open the page and wait until all cameras are drawn."""
    sys.path.insert(0, str(ROOT / "tests"))
    from browser import chromium

    _wait_for(urlsplit(url).port or 0)
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1600, "height": 1000})
        page.add_init_script(_SPY)
        page.goto(url)
        page.wait_for_function("() => new Set(window.spy.drawn.map((one) => one[0])).size === 3")
        yield page


def _wait_for(port: int) -> None:
    import socket

    for _ in range(600):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            time.sleep(0.05)


def _cpu_s(pid: int) -> float:
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def _memory_mb(pid: int) -> float:
    rows = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(row.split()[1]) for row in rows if row.startswith("VmRSS")) / 1024


ROWS = {"N1": n1, "E1": e1, "E2": e2, "C1": c1, "C2": c2}
