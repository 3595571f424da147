"""`robot-hil doctor` as a user starts it: real checks, a real page's messages, SpaceMice below the HID library."""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import aiohttp
import fake_hidapi
import pytest
from servo_bus import ServoRig
from virtual_pad import VirtualPad

from robot_hil.cli.checks.base import Finding, Verdict
from robot_hil.cli.checks.devices import gamepads
from robot_hil.cli.checks.page import page
from robot_hil.cli.doctor import Doctor, doctor, measure, show, spacemouse
from robot_hil.clock import MonotonicClock
from robot_hil.console.host import free_port
from robot_hil.errors import ConfigError, UnknownNameError
from robot_hil.teleop.spacemouse_hid import load_hid
from robot_hil.transport.keys import make_keys

RUN = "import sys; from robot_hil.cli.doctor import doctor; sys.exit(doctor(sys.argv[1:]))"


def run(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "XDG_CONFIG_HOME": str(folder.parent / "config")}
    command = [sys.executable, "-W", "error", "-c", RUN, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "here"
    made.mkdir()
    return made


def test_it_looks_at_everything_and_prints_json(folder: Path) -> None:
    finished = run(folder, "--json")
    found = json.loads(finished.stdout)
    assert {one["group"] for one in found} == {"software", "computer", "devices", "network"}
    failed = [one for one in found if one["verdict"] == "fail"]
    assert finished.returncode == (1 if failed else 0)
    assert {one["name"] for one in found} >= {"Python", "packages", "rendering", "GPU", "disk", "keys", "certificate"}
    assert not any(one["text"].startswith("could not be looked at") for one in found)
    assert list(folder.iterdir()) == []  # it only looks
    assert not (folder.parent / "config" / "robot_hil").exists()


def test_what_is_broken_is_told_with_the_fix_and_by_the_exit_code(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    make_keys("robot_hil.keys")
    Path("robot_hil.keys").chmod(0o644)
    assert doctor([]) == 1
    output = capsys.readouterr().out
    assert "WHAT TO DO" in output
    assert "chmod 600 robot_hil.keys" in output
    assert "\x1b[" not in output  # plain when this is no terminal


def test_a_table_has_every_finding_and_whole_commands(capsys: pytest.CaptureFixture[str]) -> None:
    long = "sudo do this " + "and that " * 60
    show(
        [
            Finding(group="a", name="good", verdict=Verdict.PASS, text="fine [bold]"),
            Finding(group="a", name="bad", verdict=Verdict.FAIL, text="broken", fix=long),
            Finding(group="b", name="extra", verdict=Verdict.ABSENT, text="none", fix="pip install x"),
        ]
    )
    output = capsys.readouterr().out
    assert "fine [bold]" in output
    assert f"bad: {long}" in output
    assert "IF YOU WANT THEM\nextra: pip install x" in output
    assert "1 failed, 0 with a drawback, 3 looked at" in output


def test_a_wrong_command_line_says_what_is_allowed(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="spacemouse"):
        doctor(["--device", "piano"])
    with pytest.raises(ConfigError, match=r"0\.5 to 3600"):
        doctor(["--seconds", "-1"])


def test_a_device_that_is_not_there_fails(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    said: list[str] = []
    (found,) = measure(Doctor(device=f"camera:{tmp_path / 'none.avi'}", seconds=1.0), said.append)
    assert found.verdict is Verdict.FAIL
    assert said
    assert doctor(["--device", "spacemouse:/dev/no-such-puck", "--seconds", "1"]) == 1
    assert "FAIL" in capsys.readouterr().out


def test_a_gamepad_is_listed_and_measured() -> None:
    pad = VirtualPad("Doctor's Pad")
    try:
        assert any("Doctor's Pad" in one.text and one.verdict is Verdict.PASS for one in gamepads())
        asked = Doctor(device="gamepad:Doctor's Pad", seconds=1.0)
        found = {one.name: one for one in measure(asked, lambda text: None)}
    finally:
        pad.unplug()
    assert "p99" in found["gamepad: age"].text
    assert "per second" in found["gamepad: signs of life"].text
    assert found["gamepad: lost reports"].verdict is Verdict.PASS


def test_a_leader_arm_is_measured_at_its_port() -> None:
    (found,) = measure(Doctor(device="leader", seconds=0.5), lambda text: None)
    assert "at which port" in found.text
    rig = ServoRig([1, 2])
    try:
        found_by_name = {
            one.name: one
            for one in measure(Doctor(device=f"leader:{rig.port}", seconds=0.5, ids=(1, 2)), lambda text: None)
        }
    finally:
        rig.close()
    assert found_by_name["leader: servos moved"].text.startswith("0, 0 ticks")


def test_a_spacemouse_is_measured_report_by_report(tmp_path: Path) -> None:
    library, sockets = fake_hidapi.build(tmp_path), tmp_path / "devices"
    sockets.mkdir()
    puck = fake_hidapi.FakePuck(sockets, "hidraw0")
    done, pushing = threading.Event(), threading.Event()

    def person() -> None:
        while not done.wait(0.004):
            raw = (200, 0, 0, 0, 0, 0) if pushing.is_set() else (100, 0, 0, 0, 0, 0)  # the puck drifts at rest
            puck.send(*fake_hidapi.motion(raw))

    def obey(text: str) -> None:
        (pushing.set if text.startswith("Now push") else pushing.clear)()

    hand = threading.Thread(target=person)
    hand.start()
    try:
        with fake_hidapi.installed(library, sockets):
            found = {one.name: one for one in spacemouse("", MonotonicClock(), 2.0, obey, load_hid())}
    finally:
        done.set()
        hand.join()
        puck.unplug()
    assert found["spacemouse: at rest"].verdict is Verdict.FAIL
    assert 0.2 < float(found["spacemouse: at rest"].text.partition("bias ")[2].partition(",")[0]) < 0.29
    assert "per second" in found["spacemouse: reports"].text
    assert found["spacemouse: broken reports"].verdict is Verdict.PASS
    assert found["spacemouse: lost reports"].verdict is Verdict.PASS
    assert "p99" in found["spacemouse: age"].text


def test_a_page_is_measured_through_the_real_console() -> None:
    asked: list[str] = []
    told = threading.Event()

    def say(text: str) -> None:
        asked.append(text)
        told.set()

    async def keyboard(address: str, token: str) -> None:
        async with aiohttp.ClientSession() as http:
            for _ in range(400):  # until the console listens
                try:
                    socket = await http.ws_connect(f"{address}/ws", headers={"Origin": address})
                    break
                except aiohttp.ClientError:
                    await asyncio.sleep(0.05)
            async with socket:
                await socket.send_json({"type": "hello", "token": token, "name": "ada"})
                seq = 0
                while not ended.is_set():
                    seq += 1 if seq % 20 else 3  # two get lost now and then
                    await socket.send_json({"type": "keys", "seq": seq, "t": 0.0, "down": []})
                    await asyncio.sleep(0.02)

    def browser() -> None:
        told.wait(60)
        address, _, token = asked[0].split()[1].partition("/#t=")
        with contextlib.suppress(aiohttp.ClientError):  # the console ends when it has measured
            asyncio.run(keyboard(address, token))

    ended = threading.Event()
    thread = threading.Thread(target=browser)
    thread.start()
    try:
        port = free_port("127.0.0.1", 0)
        found: dict[str, Any] = {
            one.name: one for one in page("127.0.0.1", port, MonotonicClock(), 3.0, say, wait_s=60.0)
        }
    finally:
        ended.set()
        thread.join(60)
    assert set(found) == {"page, keyboard: reports", "page, keyboard: age", "page, keyboard: lost reports"}
    assert int(found["page, keyboard: lost reports"].text.partition(";")[0]) >= 2
    assert found["page, keyboard: lost reports"].verdict is Verdict.FAIL
    assert "per second" in found["page, keyboard: reports"].text


def test_no_page_within_the_time_fails() -> None:
    (found,) = page("127.0.0.1", free_port("127.0.0.1", 0), MonotonicClock(), 1.0, lambda text: None, wait_s=0.2)
    assert found.verdict is Verdict.FAIL
    assert "no page spoke" in found.text
