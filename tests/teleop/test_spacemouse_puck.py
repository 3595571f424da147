"""SpaceMouse reports below pyspacemouse's parser, and which devices are there."""

import os
import subprocess
import sys
import tempfile
import time
from collections import deque
from pathlib import Path

import fake_hidapi
import numpy as np
import pytest
from fake_hidapi import COMPACT, PRO, WIRELESS, FakeHidraw, FakePuck, motion
from hypothesis import given
from hypothesis import strategies as st

from robot_hil.errors import ConfigError, DependencyError
from robot_hil.teleop.deflection import FACING_ROBOT
from robot_hil.teleop.spacemouse_hid import EasyHid, HidEntry, HidWheel, load_hid
from robot_hil.teleop.spacemouse_puck import (
    CONVENTIONS,
    MOTION,
    MULTI_AXIS,
    Heard,
    Puck,
    Source,
    choose,
    find_spacemice,
    spacemice,
    why_closed,
)

MODELS = {  # whether one report holds all axes, number of buttons
    "SpaceMouseEnterprise": (True, 22), "SpaceExplorer": (False, 15), "SpaceNavigator": (False, 2),
    "SpaceMouseUSB": (False, 0), "SpaceMouseCompact": (False, 2), "SpaceMouseProWireless": (True, 15),
    "SpaceMouseProWirelessBluetooth": (True, 15), "SpaceMousePro": (False, 15), "SpaceMouseWireless": (True, 2),
    "SpaceMouseWirelessNew": (True, 2), "UniversalReceiver": (True, 15), "SpacePilot": (False, 21),
    "SpacePilotPro": (False, 21),
}  # fmt: skip
GOLDEN = (350, 175, -350, 35, 70, 105)
EXPECTED = {
    "legacy": (1.0, -0.5, 1.0, -0.2, -0.1, 0.3),
    "hid": (1.0, 0.5, -1.0, 0.1, 0.2, 0.3),
    "hid_z_up": (1.0, -0.5, 1.0, 0.1, -0.2, -0.3),
    "ros": (-0.5, -1.0, 1.0, -0.2, -0.1, -0.3),
    "unity": (1.0, 1.0, -0.5, -0.1, 0.3, 0.2),
}


class Reports:
    """A port that hands out what it is given."""

    def __init__(self, *reports: bytes) -> None:
        self.reports = deque(reports)
        self.written: list[bytes] = []

    def read(self, timeout_ms: int) -> bytes:
        return self.reports.popleft() if self.reports else b""

    def write(self, data: bytes) -> None:
        self.written.append(bytes(data))

    def close(self) -> None:
        pass


def puck(*reports: bytes, model: str = "SpaceMouseCompact", convention: str = "ros") -> tuple[Puck, list[Heard]]:
    """Return a puck that has read everything, and what it heard."""
    made = Puck(Reports(*reports), model, convention)
    heard = []
    while (report := made.read(0)) is not None:
        heard.append(report)
    return made, heard


def padded(reports: list[bytes], length: int) -> list[bytes]:
    return [report.ljust(length, b"\0") for report in reports]


# -- golden vector, every model and convention -------------------------------------------------------------------------


def test_the_table_has_the_models_that_are_tested():
    import pyspacemouse

    assert set(pyspacemouse.get_device_specs()) == set(MODELS)
    assert set(EXPECTED) == set(CONVENTIONS)


@pytest.mark.parametrize("length", [0, 7, 13, 64], ids=lambda n: f"padded to {n}")
@pytest.mark.parametrize("convention", EXPECTED)
@pytest.mark.parametrize("model", MODELS)
def test_golden_vector(model, convention, length):
    combined, _ = MODELS[model]
    reports = padded([*motion(GOLDEN, combined=combined), b"\x03\x02\x00", b"\x17\x64\x01\x00"], length)
    device, heard = puck(*reports, model=model, convention=convention)
    assert device.twist == pytest.approx(EXPECTED[convention], abs=1e-6)
    assert device.battery == 1.0
    assert heard[-2:] == [Heard.BUTTONS, Heard.BATTERY]


@pytest.mark.parametrize("convention", EXPECTED)
@pytest.mark.parametrize("model", [name for name, (combined, _) in MODELS.items() if combined])
def test_models_of_one_long_report_understand_two_short_ones(model, convention):
    device, heard = puck(*motion(GOLDEN), model=model, convention=convention)
    assert device.twist == pytest.approx(EXPECTED[convention], abs=1e-6)
    assert heard == [Heard.TRANSLATION, Heard.ROTATION]


@pytest.mark.parametrize("model", MODELS)
def test_two_short_reports_that_were_padded_do_not_turn_rotation_off(model):
    two = padded(motion(GOLDEN), 13)
    device, _ = puck(*two, *two, two[0], model=model)
    assert device.twist == pytest.approx(EXPECTED["ros"], abs=1e-6)


def test_a_short_report_of_a_long_model_keeps_rotation_and_says_that_it_told_nothing_of_it():
    device, heard = puck(*motion(GOLDEN, combined=True), motion(fake_hidapi.REST)[0], model="SpaceMouseWireless")
    assert device.twist == pytest.approx((0, 0, 0, *EXPECTED["ros"][3:]), abs=1e-6)
    assert heard == [MOTION, Heard.TRANSLATION]


def test_a_long_report_of_a_short_model_is_understood():
    device, heard = puck(*motion(GOLDEN, combined=True), model="SpaceMouseCompact")
    assert device.twist == pytest.approx(EXPECTED["ros"], abs=1e-6)
    assert heard == [MOTION]


def test_real_captures():
    navigator, _ = puck(bytes.fromhex("0176000000faff"), model="SpaceNavigator", convention="hid")
    assert navigator.twist == pytest.approx((118 / 350, 0, -6 / 350, 0, 0, 0), abs=1e-9)
    compact, _ = puck(bytes.fromhex("02200000001700"), bytes.fromhex("0112000000f800"), convention="hid")
    assert compact.twist == pytest.approx((18 / 350, 0, 248 / 350, 32 / 350, 0, 23 / 350), abs=1e-9)
    for capture, z in (("01120000001201", 274), ("010d0000002501", 293)):
        compact, _ = puck(bytes.fromhex(capture), convention="hid")
        assert compact.twist[2] == pytest.approx(z / 350, abs=1e-9)


def test_the_convention_of_the_robot_is_a_proper_frame_and_facing_it_is_the_known_mapping():
    axes = np.array([puck(*motion([350 if i == j else 0 for j in range(6)]))[0].twist for i in range(6)])
    xyz, turn = axes[:3, :3], axes[3:, 3:]
    assert np.array_equal(xyz, turn)  # rotations about the axes that translations follow
    assert np.linalg.det(xyz) == pytest.approx(1.0)  # the device's own frame is right-handed
    facing = np.array(FACING_ROBOT)
    x, y, z, rx, ry, rz = 10.0, 20.0, 30.0, 4.0, 5.0, 6.0
    assert (facing @ xyz.T @ [x, y, z]).tolist() == [y, x, -z]
    assert (facing @ turn.T @ [rx, ry, rz]).tolist() == [ry, rx, -rz]


# -- what must do no harm ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("counts", [498, 500, 32767, -32768])
@pytest.mark.parametrize("model", ["SpaceNavigator", "SpaceMouseWireless"])
def test_beyond_the_range_is_full_deflection(counts, model):
    combined, _ = MODELS[model]
    device, _ = puck(*motion([counts] * 6, combined=combined), model=model)
    assert {abs(value) for value in device.twist} == {1.0}


@pytest.mark.parametrize("report", [b"\x01", b"\x01\x00\x00\x00\x00\x00", b"\x02\x10", b"\x03", b"\x17"], ids=bytes.hex)
@pytest.mark.parametrize("model", MODELS)
def test_short_reports_are_refused_and_change_nothing(model, report):
    before = motion(GOLDEN, combined=MODELS[model][0])
    device, heard = puck(*before, report, model=model)
    assert heard[-1] is Heard.BROKEN
    assert device.twist == pytest.approx(EXPECTED["ros"], abs=1e-6)


@pytest.mark.parametrize("model", MODELS)
def test_unknown_reports_and_the_battery_say_nothing_of_motion(model):
    reports = [b"\x00\x01\x02", b"\x1c" + bytes(6), b"\xff" * 13, b"\x17\x32\x00\x00"]
    device, heard = puck(*motion(GOLDEN, combined=MODELS[model][0]), *reports, model=model)
    assert heard[-4:] == [Heard.OTHER] * 3 + [Heard.BATTERY]
    assert device.twist == pytest.approx(EXPECTED["ros"], abs=1e-6)
    assert device.battery == 0.5


@given(
    reports=st.lists(st.binary(min_size=1, max_size=64)),
    model=st.sampled_from(sorted(MODELS)),
    convention=st.sampled_from(CONVENTIONS),
)
def test_no_bytes_do_harm(reports, model, convention):
    device, heard = puck(*reports, model=model, convention=convention)
    assert len(heard) == len(reports)
    assert len(device.twist) == 6
    assert all(abs(value) <= 1 for value in device.twist)
    assert device.pressed <= set(device.buttons)


# -- buttons, light ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS)
def test_every_button_is_known_by_name_padded_or_not(model):
    import pyspacemouse

    specs = pyspacemouse.get_device_specs()[model]
    assert len(specs.button_specs) == MODELS[model][1]
    for name, spec in zip(specs.button_names, specs.button_specs, strict=True):
        report = bytes([3, *(1 << spec.bit if i == spec.byte else 0 for i in range(1, spec.byte + 1))])
        for variant in (report, report.ljust(64, b"\0")):
            assert puck(variant, model=model)[0].pressed == {name}
        assert puck(report, b"\x03\x00", model=model)[0].pressed == set()  # shorter than the last button's place


def test_the_light_is_one_report():
    for model, expected in (("SpaceMouseCompact", [b"\x04\x01", b"\x04\x00"]), ("SpacePilot", [])):
        port = Reports()
        device = Puck(port, model)
        device.light(True)
        device.light(False)
        assert port.written == expected


def test_what_was_heard_before_does_not_change():
    device, _ = puck(*motion(GOLDEN), b"\x03\x01")
    twist, pressed = device.twist, device.pressed
    device._port.reports.extend([*motion(fake_hidapi.REST), b"\x03\x00"])
    while device.read(0) is not None:
        pass
    assert twist == pytest.approx(EXPECTED["ros"])
    assert pressed == {"LEFT"}


# -- which ones are there ----------------------------------------------------------------------------------------------


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
        return Reports()


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
    sent = [*motion(GOLDEN, combined=True), b"\x03\x01", b"\x17\x32\x00\x00"]
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


def wait_until(condition) -> None:
    for _ in range(1000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it did not happen within 10 s")


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
