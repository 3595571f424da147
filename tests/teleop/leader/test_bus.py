"""The real Dynamixel library against servos at a pseudo-terminal."""

import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from servo_bus import ServoRig

from robot_hil.errors import ConfigError, DependencyError, RobotHilError
from robot_hil.teleop.leader.bus import BusError, DynamixelBus

IDS = (1, 2, 3, 4, 5, 6, 7)


@pytest.fixture
def rig() -> Iterator[ServoRig]:
    rig = ServoRig(IDS)
    yield rig
    rig.close()


@pytest.fixture
def bus(rig: ServoRig) -> Iterator[DynamixelBus]:
    bus = DynamixelBus(rig.port, ids=IDS)
    patiently(bus.open)
    yield bus
    bus.close()


def patiently(ask):
    """Return the answer of a bus whose other end may be kept waiting by a busy machine."""
    end = time.monotonic() + 30
    while True:
        try:
            return ask()
        except BusError:
            assert time.monotonic() < end
            time.sleep(0.05)


def test_positions_come_in_the_order_of_the_ids_with_their_signs(rig: ServoRig, bus: DynamixelBus) -> None:
    rig.move({1: 0, 2: -1, 3: -70000, 4: 70000, 5: 4095, 6: 1, 7: 2048})
    assert patiently(bus.read) == (0, -1, -70000, 70000, 4095, 1, 2048)


def test_opening_switches_torque_off(rig: ServoRig, bus: DynamixelBus) -> None:
    assert not any(rig.torque(servo) for servo in IDS)


@pytest.mark.parametrize("how", ["crc", "cut", "empty"])
def test_a_damaged_answer_is_an_error_and_the_next_one_is_whole(rig: ServoRig, bus: DynamixelBus, how: str) -> None:
    rig.move(dict.fromkeys(IDS, 1234))
    patiently(bus.read)
    rig.spoil(how)
    with pytest.raises(BusError, match=rig.port):
        bus.read()
    assert patiently(bus.read) == (1234,) * 7


def test_noise_before_an_answer_is_skipped(rig: ServoRig, bus: DynamixelBus) -> None:
    rig.spoil("noise")
    assert patiently(bus.read) == (2048,) * 7


def test_a_dead_bus_is_an_error_and_not_a_position(rig: ServoRig, bus: DynamixelBus) -> None:
    rig.silent = True
    for _ in range(3):
        with pytest.raises(BusError, match="no status packet"):
            bus.read()
    rig.silent = False
    assert patiently(bus.read) == (2048,) * 7


def test_a_pulled_cable_is_an_error(rig: ServoRig, bus: DynamixelBus) -> None:
    rig.close()
    for _ in range(3):
        with pytest.raises(BusError, match=rig.port):
            bus.read()


def test_servos_that_are_missing_are_named(rig: ServoRig) -> None:
    with pytest.raises(BusError, match=r"servos \[.*9.*\] do not answer"):
        DynamixelBus(rig.port, ids=(1, 2, 9)).open()


def test_a_port_that_is_not_there_or_in_use_is_refused(rig: ServoRig, bus: DynamixelBus) -> None:
    with pytest.raises(BusError, match=r"/dev/no-such-port cannot be opened"):
        DynamixelBus("/dev/no-such-port").open()
    with pytest.raises(BusError, match="used by another program"):
        DynamixelBus(rig.port, ids=IDS).open()


def test_an_unknown_baud_rate_is_refused(rig: ServoRig) -> None:
    with pytest.raises(ConfigError, match="baud rate 1234567"):
        DynamixelBus(rig.port, baudrate=1_234_567).open()


def test_a_closed_bus_says_so_and_closes_twice(rig: ServoRig) -> None:
    bus = DynamixelBus(rig.port, ids=IDS)
    bus.close()
    with pytest.raises(RobotHilError, match="not open"):
        bus.read()
    patiently(bus.open)
    bus.close()
    bus.close()


def test_without_the_library_it_says_what_to_install(rig: ServoRig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dynamixel_sdk", None)
    with pytest.raises(DependencyError, match=r"pip install robot_hil\[leader\]"):
        DynamixelBus(rig.port).open()


def test_importing_the_device_loads_no_hardware_library() -> None:
    code = "import sys, robot_hil.teleop.leader.device; print({'dynamixel_sdk', 'serial'} & set(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out == "set()\n"
