"""The import rules at run time: import is free, siblings cannot be imported by their bare names."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SIBLINGS = ("envs", "experiments", "policies", "teleop")
CORE = ("actor", "data", "help", "learner", "methods", "replay", "report", "transport")
HEAVY = ("torch", "jax", "mujoco", "cv2", "matplotlib", "OpenGL", "glfw", "hid", "pyspacemouse", "franky")


def core_modules() -> list[str]:
    """Return every module of the core, importable names."""
    files = [path for name in CORE for path in (ROOT / "robot_hil" / name).rglob("*.py")]
    files += (ROOT / "robot_hil").glob("*.py")
    names = {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in files}
    return sorted(names)


def python(code: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run `code` in a Python of its own with warnings as errors."""
    return subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=cwd, capture_output=True, text=True)


def test_every_core_module_imports_without_heavy_libraries(tmp_path: Path) -> None:
    code = f"""
import importlib, sys
for name in {core_modules()!r}:
    importlib.import_module(name)
    loaded = [heavy for heavy in {HEAVY!r} if heavy in sys.modules]
    assert not loaded, f"import {{name}} loads {{loaded}}; import them where they are used"
"""
    result = python(code, tmp_path)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("name", ["robot_hil.envs", "robot_hil.teleop", "robot_hil.policies", "robot_hil.experiments"])
def test_sibling_package_imports_without_display_or_learning_library(name: str, tmp_path: Path) -> None:
    code = f"import sys, {name}; loaded = {{'torch', 'jax', 'mujoco'}} & set(sys.modules); assert not loaded, loaded"
    result = python(code, tmp_path)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("name", SIBLINGS)
def test_bare_sibling_import_is_refused(name: str) -> None:
    """`import teleop` in the checkout would load the folder a second time, under a name other projects own."""
    result = python(f"import {name}", ROOT)
    assert result.returncode == 1
    assert f"import robot_hil.{name}, not {name}" in result.stderr
