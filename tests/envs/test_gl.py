"""Headless rendering is chosen by what works, before MuJoCo is imported."""

import os
import subprocess
import sys

import pytest

from robot_hil.envs.mujoco import gl
from robot_hil.errors import ConfigError, DependencyError

RENDER = """
import gymnasium, os, robot_hil.envs
env = gymnasium.make("robot_hil/PickCube-v0", obs_type="pixels", image_size=32)
obs, _ = env.reset(seed=0)
assert obs["wrist"].std() > 5
print(os.environ["MUJOCO_GL"])
env.close()
"""


@pytest.mark.parametrize("backend", ["", "egl", "osmesa"])
def test_pictures_come_out_of_every_backend_that_is_installed(backend: str) -> None:
    works = {"egl": gl.egl_works(), "osmesa": gl.osmesa_works()}
    environment = {k: v for k, v in os.environ.items() if k not in ("MUJOCO_GL", "PYOPENGL_PLATFORM", "DISPLAY")}
    if backend:
        environment["MUJOCO_GL"] = backend
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", RENDER], capture_output=True, text=True, env=environment
    )
    possible = works[backend] if backend else any(works.values())
    assert (result.returncode == 0) == possible, result.stderr
    if not possible:
        assert "robot_hil.errors.DependencyError" in result.stderr
    if possible and not backend:
        assert result.stdout.strip() == ("egl" if works["egl"] else "osmesa")


def test_nothing_installed_names_the_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    monkeypatch.setattr(gl, "egl_works", lambda: False)
    monkeypatch.setattr(gl, "osmesa_works", lambda: False)
    with pytest.raises(DependencyError, match="apt-get install libegl1"):
        gl.choose_gl(needed=True)
    assert gl.choose_gl(needed=False) == ""


def test_a_choice_of_the_user_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    for choice in ("glfw", "osmesa"):
        monkeypatch.setenv("MUJOCO_GL", choice)
        monkeypatch.setattr(gl, "osmesa_works", lambda: True)
        assert gl.choose_gl(needed=True) == choice


@pytest.mark.parametrize("needed", [True, False])
def test_osmesa_that_is_missing_is_refused_before_mujocos_import_fails(
    needed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MUJOCO_GL", "osmesa")
    monkeypatch.setattr(gl, "osmesa_works", lambda: False)
    with pytest.raises(DependencyError, match="MUJOCO_GL is 'osmesa', which is not installed"):
        gl.choose_gl(needed=needed)


@pytest.mark.parametrize("needed", [True, False])
def test_a_choice_that_mujoco_does_not_know_is_named_with_the_choices(
    needed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MUJOCO_GL", "vulkan")
    with pytest.raises(ConfigError, match=r"MUJOCO_GL is 'vulkan'.*egl, osmesa, glfw"):
        gl.choose_gl(needed=needed)


def test_a_library_that_does_not_work_gives_a_clear_error() -> None:
    environment = {k: v for k, v in os.environ.items() if k != "DISPLAY"} | {"MUJOCO_GL": "glfw"}
    result = subprocess.run([sys.executable, "-c", RENDER], capture_output=True, text=True, env=environment)
    assert result.returncode == 1
    assert "DependencyError: MuJoCo cannot render with MUJOCO_GL='glfw'" in result.stderr


def test_pictures_after_a_simulation_without() -> None:
    environment = {k: v for k, v in os.environ.items() if k not in ("MUJOCO_GL", "DISPLAY")}
    code = "import gymnasium, robot_hil.envs\ngymnasium.make('robot_hil/PickCube-v0').reset(seed=0)\n" + RENDER
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert (result.returncode == 0) == (gl.egl_works() or gl.osmesa_works()), result.stderr
