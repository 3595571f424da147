"""Each check finds what is broken on purpose, and says how to mend it."""

import datetime
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import fake_hidapi
import pytest
from cli.shell import until

from robot_hil.cli.checks import devices, machine, network, software
from robot_hil.cli.checks.base import Finding, Verdict, run_check
from robot_hil.console.tls import own_certificate
from robot_hil.teleop.spacemouse_hid import load_hid
from robot_hil.transport.keys import make_keys


def only(findings: Iterator[Finding]) -> Finding:
    (found,) = findings
    return found


def test_a_check_that_breaks_is_a_finding() -> None:
    def peculiar_check() -> list[Finding]:
        raise RuntimeError("boom")

    (found,) = run_check("group", peculiar_check)
    assert (found.verdict, found.name, found.group) == (Verdict.FAIL, "peculiar check", "group")
    assert "RuntimeError: boom" in found.text


# -- software ----------------------------------------------------------------------------------------------------------


def test_this_python_and_its_packages_are_good() -> None:
    assert only(software.python()).verdict is Verdict.PASS
    found = only(software.needed_packages())
    assert found.verdict is Verdict.PASS
    assert "torch" in found.text
    extras = {"extra spacemouse", "extra gamepad", "extra leader", "extra tune", "extra suites"}
    assert {one.name for one in software.extras()} == extras


BLOCKED = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name in {names!r}:
            raise ImportError(f"{{name}} is blocked")
sys.meta_path.insert(0, Block())
from robot_hil.cli.checks import software
every = software.requirements()
software.requirements = lambda: [one for one in every if one.extra or one.name == "segno"]
for one in (*software.needed_packages(), *software.extras()):
    print(one.verdict.name, one.name, "|", one.text, "|", one.fix)
"""


def test_a_package_that_does_not_import_is_found_though_it_is_installed() -> None:
    code = BLOCKED.format(names=["pygame", "segno"])
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    lines = {line.split(" | ")[0]: line for line in output.splitlines()}
    assert "segno is blocked" in lines["FAIL segno"]
    assert "--force-reinstall" in lines["FAIL segno"]
    assert "pip install robot_hil[gamepad]" in lines["ABSENT extra gamepad"]
    assert "PASS extra leader" in lines


@pytest.mark.parametrize(
    ("version", "wanted", "good"),
    [
        ("2.1.0", ">=2.1,<3", True),
        ("3.0", "<3,>=2.1", False),
        ("2.0.9", ">=2.1", False),
        ("3.11.7", ">=3.11", True),
        ("1.0", "==1.0.0", True),
        ("1.0", "!=1.0", False),
        ("1.2rc1", ">1", True),
        ("1.2", "<=1.1", False),
    ],
)
def test_versions_are_compared_by_number(version: str, wanted: str, good: bool) -> None:
    assert software.fits(version, wanted) is good


def test_a_version_that_does_not_fit_and_a_missing_package_are_told() -> None:
    assert "is installed, >=9999 is needed" in software.problem_of(software.Requirement("numpy", ">=9999", ""))
    assert software.problem_of(software.Requirement("no-such-package-here", "", "")) == "not installed"


# -- computer ----------------------------------------------------------------------------------------------------------


def test_rendering_works_or_the_packages_are_named() -> None:
    found = only(machine.simulated_pictures())
    assert found.verdict is Verdict.PASS or "apt-get install" in found.fix


def test_an_unknown_way_to_render_is_a_drawback_and_no_crash() -> None:
    code = "from robot_hil.cli.checks import machine\nfor one in machine.simulated_pictures(): print(one)"
    environment = {**os.environ, "MUJOCO_GL": "telepathy"}
    output = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert "WARN" in output.stdout
    assert "unset MUJOCO_GL" in output.stdout


def test_gpu_clock_and_scheduler_are_judged_without_change() -> None:
    scheduler = os.sched_getscheduler(0)
    for check in (machine.gpu, machine.real_time, lambda: machine.punctuality(naps=5)):
        found = only(check())
        assert found.verdict is Verdict.PASS or found.verdict is Verdict.ABSENT or found.fix
    assert os.sched_getscheduler(0) == scheduler


def test_a_full_disk_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "GB free" in next(machine.disk(tmp_path)).text
    monkeypatch.setattr(machine, "NEED_GB", 1e9)
    monkeypatch.setattr(machine, "WANT_GB", 1e9)
    found = next(machine.disk(tmp_path))
    assert found.verdict is Verdict.FAIL
    assert "--out" in found.fix


# -- network -----------------------------------------------------------------------------------------------------------


def test_a_port_in_use_is_found() -> None:
    with socket.socket() as taken, socket.socket() as spare:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        spare.bind(("127.0.0.1", 0))
        free = spare.getsockname()[1]
        spare.close()
        port = taken.getsockname()[1]
        found = {one.name: one for one in network.ports({port: "console", free: "weights"})}
    assert found[f"port {port}"].verdict is Verdict.WARN
    assert f"sport = :{port}" in found[f"port {port}"].fix
    assert str(free) in found["ports"].text


def test_a_key_file_that_others_can_read_fails_with_the_command(tmp_path: Path) -> None:
    path = tmp_path / "run.keys"
    assert only(network.keys(path)).verdict is Verdict.ABSENT
    make_keys(path)
    assert only(network.keys(path)).verdict is Verdict.PASS
    path.chmod(0o644)
    found = only(network.keys(path))
    assert found.verdict is Verdict.FAIL
    assert f"chmod 600 {path}" in found.fix
    path.chmod(0o600)
    path.write_text("nonsense")
    assert only(network.keys(path)).verdict is Verdict.FAIL


def test_the_certificate_is_looked_at_and_none_is_made(tmp_path: Path) -> None:
    folder = tmp_path / "tls"
    assert only(network.certificate(folder)).verdict is Verdict.ABSENT
    assert not folder.exists()
    own_certificate(folder)
    assert only(network.certificate(folder)).verdict is Verdict.PASS
    (folder / "ca.key").chmod(0o640)
    found = only(network.certificate(folder))
    assert found.verdict is Verdict.FAIL
    assert f"chmod 600 {folder / 'ca.key'}" in found.fix
    (folder / "ca.key").chmod(0o600)
    (folder / "server.crt").write_text("no certificate")
    assert only(network.certificate(folder)).verdict is Verdict.WARN


def test_an_old_certificate_is_renewed_later_and_said_so(tmp_path: Path) -> None:
    own_certificate(tmp_path, now=datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1000))
    found = only(network.certificate(tmp_path))
    assert found.verdict is Verdict.WARN
    assert "renewed" in found.text


def test_adb_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert only(network.headset_cable()).verdict is Verdict.ABSENT
    (tmp_path / "adb").touch(mode=0o755)
    assert only(network.headset_cable()).verdict is Verdict.PASS


# -- devices -----------------------------------------------------------------------------------------------------------


def test_spacemice_are_listed_as_the_system_shows_them(tmp_path: Path) -> None:
    library = fake_hidapi.build(tmp_path)
    sockets = tmp_path / "devices"
    sockets.mkdir()
    with fake_hidapi.installed(library, sockets):
        assert only(devices.spacemice(load_hid())).verdict is Verdict.ABSENT
        puck = fake_hidapi.FakePuck(sockets, "hidraw0", fake_hidapi.COMPACT)
        found = only(devices.spacemice(load_hid()))
        assert found.verdict is Verdict.PASS
        assert "SpaceMouseCompact (256f:c635)" in found.text
        until(lambda: bool(puck._clients))  # its thread has seen who tried to open it
        puck.unplug()
        (sockets / "hidraw1.256f.c635").touch()  # there, and it cannot be opened
        found = only(devices.spacemice(load_hid()))
    assert found.verdict is Verdict.FAIL
    assert "plug it in again" in found.fix


def test_gamepads_and_serial_ports_are_listed() -> None:
    for check in (devices.gamepads, devices.serial_ports):
        for found in check():
            assert found.verdict in (Verdict.PASS, Verdict.ABSENT) or found.fix


def test_a_camera_that_may_not_be_opened_fails(tmp_path: Path) -> None:
    assert only(devices.cameras([])).verdict is Verdict.ABSENT
    good, closed = tmp_path / "video0", tmp_path / "video7"
    good.touch()
    found = list(devices.cameras([good, closed]))
    assert [one.verdict for one in found] == [Verdict.FAIL, Verdict.PASS]
    assert "usermod -aG video" in found[0].fix
    assert str(good) in found[1].text
    assert devices.camera_number(closed) == 7
