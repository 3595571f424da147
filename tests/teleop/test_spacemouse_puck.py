"""SpaceMouse reports below pyspacemouse's parser: all models, frames and buttons, and what must do no harm."""

from collections import deque

import numpy as np
import pytest
from fake_hidapi import REST, motion
from hypothesis import given
from hypothesis import strategies as st

from robot_hil.teleop.deflection import FACING_ROBOT
from robot_hil.teleop.spacemouse_puck import CONVENTIONS, MOTION, Heard, Puck

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
    device, heard = puck(*motion(GOLDEN, combined=True), motion(REST)[0], model="SpaceMouseWireless")
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
    device._port.reports.extend([*motion(REST), b"\x03\x00"])
    while device.read(0) is not None:
        pass
    assert twist == pytest.approx(EXPECTED["ros"])
    assert pressed == {"LEFT"}
