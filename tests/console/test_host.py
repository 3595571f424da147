"""The console's process: started, started anew, ended with its parent. Real processes."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import aiohttp
import pytest
from serving import robot_end, until

from robot_hil.cli.main import main
from robot_hil.console.auth import Tokens
from robot_hil.console.host import ConsoleHost, free_port
from robot_hil.console.link import LINK_FILE

PARENT = """
import sys, time
from pathlib import Path
from robot_hil.console.host import ConsoleHost
host = ConsoleHost(sys.argv[1], Path(sys.argv[2]), port=0)
host.start()
while host.pid is None:
    time.sleep(0.01)
print(host.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A stored run."""
    (tmp_path / "config.json").write_text(json.dumps({"argv": ["pick_cube"], "experiment": {"name": "pick_cube"}}))
    return tmp_path


def addresses(folder: Path) -> dict:
    """Return what the running console of `folder` wrote down."""
    until((folder / "console.json").exists)
    return json.loads((folder / "console.json").read_text())


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


class Reached:
    """What `browse` needs to know of a console in another process."""

    scheme = "http"

    def __init__(self, url: str) -> None:
        from types import SimpleNamespace

        address, _, token = url.partition("#t=")
        self.port = int(address.rstrip("/").rpartition(":")[2])
        self.config = SimpleNamespace(token=token)


def test_it_serves_the_robot_and_comes_back_with_the_same_address(robot, folder, browse) -> None:
    host = ConsoleHost(robot.link.endpoint, folder, port=0)
    assert host.url == ""
    host.start()
    host.start()
    try:
        url = host.url
        first = addresses(folder)
        assert first["url"] == url
        assert first["pid"] == host.pid
        assert (folder / "console.json").stat().st_mode & 0o777 == 0o600
        assert host.token not in (folder / "console.log").read_text()
        assert host.token.encode() not in Path(f"/proc/{host.pid}/cmdline").read_bytes()
        until(lambda: robot.heard)

        async def drive(browser):
            async with browser.page() as page:
                await page.say("keys", seq=1, t=1, down=["KeyW"])
                until(robot.pages)
                os.kill(host.pid, signal.SIGKILL)
                await page.close_code()

        browse(Reached(url), drive)
        (folder / "console.json").unlink(missing_ok=True)
        robot.heard.clear()
        second = addresses(folder)
        assert second["url"] == url == host.url
        assert second["pid"] != first["pid"]
        assert host.starts == 2
        until(lambda: robot.heard)

        async def again(browser):
            async with browser.page() as page:
                assert page.welcome["role"] == "pilot"
                await page.say("event", id="one", kind="success")
                assert (await page.hear("ack"))["ok"]
            async with browser.http.get(browser.origin + "/xr/") as answer:
                assert answer.status == 200

        browse(Reached(url), again)
    finally:
        host.stop()
        host.stop()
    assert not alive(second["pid"])
    assert not (folder / "console.json").exists()
    assert host.url == ""


def test_it_ends_with_a_parent_that_is_killed(robot, folder) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, robot.link.endpoint, str(folder)], stdout=subprocess.PIPE, text=True
    )
    try:
        pid = int(parent.stdout.readline())
        assert addresses(folder)["pid"] == pid
        parent.kill()
        parent.wait()
        until(lambda: not alive(pid))
    finally:
        parent.kill()
        parent.wait()
        parent.stdout.close()


def test_a_port_that_is_taken_is_left_alone(robot, folder) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        host = ConsoleHost(robot.link.endpoint, folder, port=port)
        host.start()
        try:
            assert host.port != port
            assert addresses(folder)["port"] == host.port
        finally:
            host.stop()
    assert free_port("127.0.0.1", port) == port


def test_stopped_at_once_it_leaves_nothing(robot, folder) -> None:
    host = ConsoleHost(robot.link.endpoint, folder, port=0)
    host.start()
    host.stop()
    assert host.pid is None
    host.start()
    addresses(folder)
    host.stop()
    assert host.pid is None


def start(folder: Path, *arguments: object) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "robot_hil.cli.main", "console", str(folder), "--port", "0", *map(str, arguments)],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def test_a_stored_run_is_served_to_its_reader_until_ctrl_c_and_only_once(folder, browse) -> None:
    process = start(folder)
    try:
        known = addresses(folder)

        async def look(browser):
            async with browser.page() as page:
                assert page.welcome["experiment"] == "pick_cube"
                assert (await page.hear("state"))["state"] == "NO ROBOT"

        browse(Reached(known["url"]), look)
        second = start(folder)
        output, _ = second.communicate(timeout=60)
        assert second.returncode == 1
        assert known["url"] in output
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        assert known["url"] in output
        assert Tokens(known["url"].partition("#t=")[2]).observer in output
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    assert not (folder / "console.json").exists()


def test_a_console_finds_the_robot_of_its_run_whenever_it_starts(folder, browse) -> None:
    process = start(folder)
    try:
        known = addresses(folder)

        async def see(browser):
            async with browser.page() as page:
                for _ in range(2):
                    with robot_end() as robot:
                        (folder / LINK_FILE).write_text(robot.link.endpoint)
                        with robot.says(state="HOLD"):
                            await page.hear("state", lambda told: told["state"] == "HOLD")
                    await page.hear("state", lambda told: told["state"] == "LOST")
                    page.told.clear()

        browse(Reached(known["url"]), see)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_what_is_served_to_the_network_needs_https_and_shows_a_code(folder, tmp_path, monkeypatch, browse) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    process = start(folder, "--host", "0.0.0.0")
    try:
        known = addresses(folder)
        assert known["url"].startswith("https://")
        assert "0.0.0.0" not in known["url"]
        until((tmp_path / "config/robot_hil/tls/ca.crt").exists)

        async def look(browser):
            browser.origin = browser.origin.replace("http:", "https:")
            async with browser.http.get(browser.origin + "/", ssl=False) as answer:
                assert answer.status == 200
            with pytest.raises(aiohttp.ClientError):
                await browser.http.get(browser.origin.replace("https:", "http:") + "/")

        browse(Reached(known["url"]), look)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
        assert "█" in output
        assert "/ca.crt" in output
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "say what to show"),
        (["nowhere"], "is no run folder"),
        (["--link", "ipc:///x", "--cert", "a.pem"], "come together"),
    ],
)
def test_what_cannot_be_served_is_said(arguments, said, capsys, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["console", *arguments]) == 1
    assert said in capsys.readouterr().err


def test_the_address_says_whether_it_is_https() -> None:
    for host, arguments, scheme in (
        ("127.0.0.1", (), "http:"),
        ("127.0.0.1", ("--tls",), "https:"),
        ("127.0.0.1", ("--cert", "a.pem", "--key", "b.pem"), "https:"),
        ("0.0.0.0", (), "https:"),
    ):
        assert ConsoleHost("ipc:///x", None, host, arguments=arguments).address("/xr/").startswith(scheme)


def test_a_host_never_makes_its_caller_wait_for_a_start() -> None:
    host = ConsoleHost("ipc:///nowhere/link", None, port=0)
    before = time.thread_time()
    host.start()
    spent = time.thread_time() - before
    host.stop()
    assert spent < 1.0
