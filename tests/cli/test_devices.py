"""Devices by name, and where the operator stands."""

import math

import gymnasium
import numpy as np
import pytest

import robot_hil.envs  # noqa: F401
from robot_hil.cli.devices import PAGE_INPUT, make_devices, page_devices
from robot_hil.clock import VirtualClock
from robot_hil.data.operator_input import Keys
from robot_hil.errors import ConfigError, RobotHilError, SpecError, UnknownNameError


@pytest.fixture
def env():
    made = gymnasium.make("robot_hil/PickCube-v0", obs_type="state", disable_env_checker=True)
    made.reset(seed=0)
    yield made
    made.close()


def test_what_does_not_exist_is_named_with_the_choices(env):
    with pytest.raises(UnknownNameError, match="spacemouse"):
        make_devices(["joystick"], env, VirtualClock())
    with pytest.raises(ConfigError, match="twice"):
        make_devices(["spacemouse", "spacemouse"], env, VirtualClock())
    with pytest.raises(ConfigError, match="port"):
        make_devices(["leader"], env, VirtualClock())
    with pytest.raises(RobotHilError, match="calibration"):
        make_devices(["leader:/dev/ttyUSB0,gone.toml"], env, VirtualClock())


def test_two_pucks_have_two_names(env):
    names = [d.name for d in make_devices(["spacemouse:/dev/a", "console", "spacemouse:/dev/b"], env, VirtualClock())]
    assert len(set(names)) == 2


def test_an_environment_without_a_tool_cannot_be_driven():
    with pytest.raises(SpecError, match="no robot with a tool"):
        make_devices(["spacemouse"], gymnasium.make("Pendulum-v1"), VirtualClock())


def test_every_device_of_the_page_has_its_messages(env):
    devices = page_devices(env, VirtualClock(), lambda *pulse: None)
    assert [device.name for device in devices] == list(PAGE_INPUT)


@pytest.mark.parametrize(("facing", "moves"), [(0.0, [1, 0]), (math.pi, [-1, 0]), (math.pi / 2, [0, 1])])
def test_away_is_where_the_operator_looks(env, facing: float, moves: list[float]):
    clock = VirtualClock()
    keyboard = page_devices(env, clock, lambda *pulse: None, facing)[0]
    keyboard.start()
    for seq, down in enumerate([[], ["KeyW"]]):
        keyboard.feed(Keys(seq=seq, t=0.0, down=down), client="page", operator="", t_recv=0.0, t_page=0.0)
        sample = keyboard.latest()
    np.testing.assert_allclose(sample.action[:2], moves, atol=1e-6)
