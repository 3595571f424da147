"""What every suite needs: its package, or one sentence that says how to get it; and limits of what can be asked for."""

import warnings
from importlib import import_module
from typing import Any

from robot_hil.envs.mujoco.gl import choose_gl
from robot_hil.errors import ConfigError, DependencyError


def library(module: str, *, pictures: bool) -> Any:
    """Import `module` of a suite, after a way to render was chosen, which MuJoCo wants first.

    Raises `DependencyError` when it, or something that it needs, is not installed.
    """
    choose_gl(needed=pictures)
    try:
        with warnings.catch_warnings():  # about versions of tasks that nobody here uses
            warnings.simplefilter("ignore")
            return import_module(module)
    except ModuleNotFoundError as error:
        raise DependencyError(
            f'this task comes from another suite, and {error.name} is not installed: pip install "robot_hil[suites]"'
        ) from error


def check(obs_type: str, image_size: int, render_mode: str | None) -> None:
    """Raise `ConfigError` for options of an environment that no suite here can fulfil."""
    if obs_type not in ("state", "pixels"):
        raise ConfigError(f"obs_type is {obs_type!r}; choose 'state' or 'pixels'.")
    if render_mode not in (None, "rgb_array"):
        raise ConfigError(f"render_mode is {render_mode!r}; choose None or 'rgb_array'.")
    if not 16 <= image_size <= 640:
        raise ConfigError(f"image_size is {image_size}; allowed are 16 to 640 pixels.")


def draw_plainly(model: Any) -> None:
    """Leave out shadows and smooth edges: without a GPU they take nine tenths of a picture's time.

    Before the first picture of `model` is drawn.
    """
    model.vis.quality.offsamples = 0
    model.light_castshadow[:] = 0


def whole_frames(control_hz: float, frame_hz: float) -> int:
    """Return how many frames of a suite's simulation make a control period; raises `ConfigError` unless it divides."""
    frames = round(frame_hz / control_hz) if 1.0 <= control_hz <= frame_hz else 0
    if frames < 1 or abs(frames * control_hz - frame_hz) > 1e-6 * frame_hz:
        rates = ", ".join(f"{frame_hz / n:g}" for n in (1, 2, 4, 5, 8, 10))
        raise ConfigError(
            f"control_hz is {control_hz}; the suite computes {frame_hz:g} frames per second, so use that number "
            f"divided by a whole one: {rates}, ..."
        )
    return frames
