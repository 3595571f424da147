"""Which SpaceMice are there, and the HID libraries beneath: real ones, missing ones, and ours with devices in it."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import fake_hidapi
import pytest
from fake_hidapi import COMPACT, PRO, WIRELESS, FakeHidraw, FakePuck, motion
from puck_rig import wait_until

from robot_hil.errors import ConfigError, DependencyError
from robot_hil.teleop.spacemouse_hid import EasyHid, HidEntry, HidWheel, load_hid
from robot_hil.teleop.spacemouse_puck import (
    MULTI_AXIS,
    Source,
    choose,
    find_spacemice,
    spacemice,
    why_closed,
)

# -- which ones are there ----------------------------------------------------------------------------------------------


class Port:
    """An open device that says nothing."""

    def read(self, timeout_ms: int) -> bytes:
        return b""

    def write(self, data: bytes) -> None:
        pass

    def close(self) -> None:
        pass


class Listed:
    """A HID library with these devices, none of which opens."""

    def __init__(self, *entries: HidEntry) -> None:
        self._entries = list(entries)

    def entries(self) -> list[HidEntry]:
        return self._entries

    def open(self, path: str):
        raise OSError(path)


def entry(path: str, ids: tuple[int, int] = COMPACT, usage: tuple[int, int] = (0, 0)) -> HidEntry:
    return HidEntry(path=path, vendor_id=ids[0], product_id=ids[1], usage=usage)


def test_only_spacemice_are_listed_each_once_and_only_their_interface_with_axes():
    keyboard, strange = (0x046D, 0xC31C), (0x256F, 0xC6FF)
    receiver = (0x256F, 0xC652)
    hid = Listed(
        entry("/dev/hidraw5", strange, MULTI_AXIS), entry("/dev/hidraw9", (0x256F, 0xC650), (1, 2)),
        entry("/dev/hidraw1", keyboard, (1, 6)), entry("/dev/hidraw2", receiver, (1, 6)),
        entry("/dev/hidraw3", receiver, (0xFF00, 1)), entry("/dev/hidraw3", receiver, MULTI_AXIS),
        entry("/dev/hidraw0"), entry("/dev/hidraw0"),
    )  # fmt: skip
    found = [(entry.path, entry.model) for entry in spacemice(hid)]
    assert found == [
        ("/dev/hidraw0", "SpaceMouseCompact"), ("/dev/hidraw3", "UniversalReceiver"), ("/dev/hidraw5", ""),
    ]  # fmt: skip


def test_choosing_says_what_is_there():
    two = spacemice(Listed(entry("/dev/hidraw4"), entry("/dev/hidraw7", WIRELESS)))
    listed = r"0: /dev/hidraw4 SpaceMouseCompact \(256f:c635\); 1: /dev/hidraw7 SpaceMouseWireless \(256f:c62e\)"
    assert choose(two, "", 1).path == "/dev/hidraw7"
    assert choose(two, "/dev/hidraw4", None).path == "/dev/hidraw4"
    assert choose(two[:1], "", None).path == "/dev/hidraw4"
    for index in (2, -1):
        with pytest.raises(ConfigError, match=rf"number {index}.*{listed}"):
            choose(two, "", index)
    with pytest.raises(ConfigError, match=rf"hidraw9.*{listed}"):
        choose(two, "/dev/hidraw9", None)
    with pytest.raises(ConfigError, match=rf"several.*{listed}"):
        choose(two, "", None)
    with pytest.raises(ConfigError, match="plug it in"):
        choose([], "", None)
    with pytest.raises(ConfigError, match=r"Not supported.*c6ff"):
        choose(spacemice(Listed(entry("/dev/hidraw5", (0x256F, 0xC6FF), MULTI_AXIS))), "", None)


def test_a_symbolic_link_is_a_path(tmp_path):
    node, link = tmp_path / "hidraw4", tmp_path / "left"
    node.touch()
    link.symlink_to(node)
    assert choose(spacemice(Listed(entry(str(node)))), str(link), None).path == str(node)


def test_a_device_that_does_not_open_is_found_with_its_problem():
    (found,) = find_spacemice(Listed(entry("/nowhere/hidraw4")))
    assert (found.path, found.id, found.model, found.openable) == (
        "/nowhere/hidraw4", "256f:c635", "SpaceMouseCompact", False,
    )  # fmt: skip
    assert "plug it in again" in found.problem


@pytest.mark.parametrize("opens", [True, False])
def test_an_unknown_model_is_found_but_is_of_no_use(opens):
    strange = entry("/nowhere/hidraw5", (0x256F, 0xC6FF), MULTI_AXIS)
    (found,) = find_spacemice(Opens(strange) if opens else Listed(strange))
    assert (found.model, found.openable) == ("", False)
    assert ("pyspacemouse" in found.problem) is opens


def test_two_equal_ones_are_never_confused_when_one_comes_back():
    left, right = entry("/dev/hidraw1"), entry("/dev/hidraw2")
    hid = Opens(left, right)
    source = Source(hid, "", 0, "ros")
    source.open()
    hid.now = [right]
    with pytest.raises(ConfigError, match="hidraw1"):
        source.open()
    hid.now = [right, entry("/dev/hidraw8")]
    source.open()
    hid.now = [entry("/dev/hidraw8"), entry("/dev/hidraw9")]
    with pytest.raises(ConfigError, match="plug it in"):
        source.open()
    hid.now = [left, entry("/dev/hidraw8")]
    source.open()
    assert hid.opened == ["/dev/hidraw1", "/dev/hidraw8", "/dev/hidraw1"]


def test_another_model_does_not_take_its_place():
    hid = Opens(entry("/dev/hidraw1"))
    source = Source(hid, "", None, "ros")
    source.open()
    hid.now = [entry("/dev/hidraw1", PRO)]
    with pytest.raises(ConfigError, match="plug it in"):
        source.open()


class Opens(Listed):
    """Devices that open, and may change."""

    def __init__(self, *entries: HidEntry) -> None:
        super().__init__()
        self.now = list(entries)
        self.opened: list[str] = []

    def entries(self) -> list[HidEntry]:
        return self.now

    def open(self, path: str):
        self.opened.append(path)
        return Port()


# -- HID libraries -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def library(tmp_path_factory) -> Path:
    return fake_hidapi.build(tmp_path_factory.mktemp("hidapi"))


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "d"  # paths of sockets must be short
    made.mkdir()
    return made


@pytest.fixture
def serve(folder):
    made: list[FakePuck] = []

    def plug(name: str, ids: tuple[int, int] = COMPACT) -> FakePuck:
        made.append(FakePuck(folder, name, ids))
        return made[-1]

    yield plug
    for device in made:
        device.unplug()


@pytest.fixture(params=["easyhid", "wheel"])
def hid(request, library, folder, monkeypatch):
    """Both libraries, over the same devices."""
    if request.param == "easyhid":
        with fake_hidapi.installed(library, folder):
            yield EasyHid()
    else:
        monkeypatch.setitem(sys.modules, "hidraw" if sys.platform == "linux" else "hid", FakeHidraw(folder))
        yield HidWheel()


def test_both_libraries_list_open_read_and_notice_the_end(hid, serve):
    left, right = serve("left"), serve("right", WIRELESS)
    found = find_spacemice(hid)
    assert [(one.path, one.model, one.openable, one.problem) for one in found] == [
        (str(left.path), "SpaceMouseCompact", True, ""), (str(right.path), "SpaceMouseWireless", True, ""),
    ]  # fmt: skip
    port = hid.open(str(right.path))
    assert port.read(1) == b""
    assert port.read(0) == b""
    wait_until(lambda: right.opened == 1)
    sent = [*motion((350, 175, -350, 35, 70, 105), combined=True), b"\x03\x01", b"\x17\x32\x00\x00"]
    right.send(*sent)
    assert [port.read(1000) for _ in sent] == sent  # at their true length
    port.write(bytearray(b"\x04\x01"))
    wait_until(lambda: right.written() == [b"\x04\x01"])
    right.unplug()
    with pytest.raises(OSError, match="read"):
        port.read(1000)
    port.close()
    port.close()
    with pytest.raises(OSError, match=r"open|refused"):
        hid.open(str(right.path))


def test_the_real_libraries_load_and_refuse_what_is_no_device(tmp_path):
    for library in (HidWheel(), load_hid()):
        assert isinstance(library.entries(), list)
        with pytest.raises(OSError, match=r"open|refused"):
            library.open(str(tmp_path / "none"))


def test_libraries_that_are_missing_say_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "easyhid", None)
    monkeypatch.setitem(sys.modules, "hidraw", None)
    monkeypatch.setitem(sys.modules, "hid", None)
    with pytest.raises(DependencyError, match=r"robot_hil\[spacemouse\].*libhidapi-hidraw0.*pip install hidapi"):
        load_hid()
    monkeypatch.setitem(sys.modules, "pyspacemouse", None)
    with pytest.raises(DependencyError, match=r"robot_hil\[spacemouse\]"):
        spacemice(Listed())


def test_the_wheel_takes_over_when_the_systems_library_is_missing(monkeypatch):
    from easyhid import easyhid

    monkeypatch.setattr(easyhid, "hidapi", easyhid.ffi.dlopen(None))  # what easyhid does when it finds none
    assert isinstance(load_hid(), HidWheel)


def test_the_library_is_found_by_the_loader_and_importing_needs_none(library, folder, serve):
    device = serve("left")
    code = (
        "import sys; from robot_hil.teleop import spacemouse; from robot_hil.teleop.spacemouse_puck import *; "
        "print(sorted({'easyhid', 'hid', 'hidraw', 'pyspacemouse'} & set(sys.modules))); print(find_spacemice())"
    )
    env = os.environ | {"LD_LIBRARY_PATH": str(library.parent), "FAKE_HIDAPI": str(folder)}
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    loaded, found = done.stdout.splitlines()
    assert loaded == "[]"
    assert str(device.path) in found
    assert "openable=True" in found


def test_a_missing_permission_is_told_with_the_rule_that_grants_it(library):
    """The question is asked by a process that may not: root may everything."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        device = FakePuck(folder, "left")
        device.path.chmod(0)
        done = asked_by_nobody(library, folder)
        device.unplug()
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("False\nno permission")
    assert 'ATTRS{idVendor}=="256f"' in done.stdout
    assert "/etc/udev/rules.d" in done.stdout


def asked_by_nobody(library: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Look for SpaceMice in a process that has loaded everything and then gave up its rights."""
    code = (
        "import os, sys; import pyspacemouse; from robot_hil.teleop import spacemouse_puck as p; "
        "pyspacemouse.get_device_specs(); p.load_hid(); os.getuid() or os.setuid(65534); "
        "(found,) = p.find_spacemice(); print(found.openable); print(found.problem)"
    )
    env = os.environ | {"LD_LIBRARY_PATH": str(library.parent), "FAKE_HIDAPI": str(folder)}
    return subprocess.run([sys.executable, "-W", "error", "-c", code], env=env, capture_output=True, text=True)


def test_a_path_that_is_gone_is_no_question_of_permission():
    assert "permission" not in why_closed("/nowhere/hidraw4")
