"""Choose how MuJoCo renders without a display. Must run before anything imports mujoco."""

import ctypes
import os
import sys

from robot_hil.errors import ConfigError, DependencyError

_EGL_PLATFORM_DEVICE = 0x313F
_LIBRARIES = ("egl", "osmesa", "glfw", "glx")
_SWITCHES = ("disable", "disabled", "off", "false", "0", "enable", "enabled", "on", "true", "1")
"""What else MuJoCo takes on Linux; with another value its import fails, with or without pictures."""

_INSTALL = "`apt-get install libegl1 libgl1-mesa-dri` or `apt-get install libosmesa6`, or use obs_type='state'."


def choose_gl(*, needed: bool) -> str:
    """Set MUJOCO_GL to what works here, EGL before OSMesa, unless the user chose already; return the choice.

    MuJoCo reads the variable when it is first imported, so this runs for every simulation: one without pictures may be
    followed by one with. Raises `DependencyError` naming the packages to install when neither exists and one is
    `needed` or where the user's choice is OSMesa and that is missing, and `ConfigError` when the choice is none that
    MuJoCo knows.
    """
    chosen = os.environ.get("MUJOCO_GL", "").strip().lower()
    if sys.platform != "linux":
        return chosen
    if chosen:
        if chosen not in (*_LIBRARIES, *_SWITCHES):
            raise ConfigError(
                f"MUJOCO_GL is {os.environ['MUJOCO_GL']!r}, which MuJoCo does not know. Set it to one of "
                f"{', '.join(_LIBRARIES)}, or unset it to have one chosen."
            )
        if chosen == "osmesa" and not osmesa_works():  # MuJoCo's import then fails, with or without pictures
            raise DependencyError(
                "MUJOCO_GL is 'osmesa', which is not installed. Unset MUJOCO_GL to have one chosen, or "
                "`apt-get install libosmesa6`."
            )
        return chosen
    for name, works in (("egl", egl_works), ("osmesa", osmesa_works)):
        if works():
            os.environ["MUJOCO_GL"] = name
            os.environ["PYOPENGL_PLATFORM"] = name
            return name
    if needed:
        raise DependencyError(f"camera images need EGL or OSMesa and neither works here. Install one: {_INSTALL}")
    return ""


def cannot_render(error: Exception) -> DependencyError:
    """Return what to tell when the chosen library gave no context."""
    chosen = os.environ.get("MUJOCO_GL", "")
    return DependencyError(
        f"MuJoCo cannot render with MUJOCO_GL={chosen!r}: {error}. Unset MUJOCO_GL to have one chosen, make "
        f"environments of robot_hil before importing mujoco yourself, or install a library: {_INSTALL}"
    )


def egl_works() -> bool:
    """Return whether an EGL device can be initialised; libraries without a driver behind them do not count."""
    try:
        egl = ctypes.CDLL("libEGL.so.1")
    except OSError:
        return False
    egl.eglGetProcAddress.restype = ctypes.c_void_p
    query = egl.eglGetProcAddress(b"eglQueryDevicesEXT")
    get_display = egl.eglGetProcAddress(b"eglGetPlatformDisplayEXT")
    if not query or not get_display:
        return False
    devices, count = (ctypes.c_void_p * 16)(), ctypes.c_int(0)
    query_devices = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)(query)
    if not query_devices(16, ctypes.byref(devices), ctypes.byref(count)):
        return False
    display_of = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)(get_display)
    egl.eglInitialize.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
    for device in list(devices)[: count.value]:
        display = display_of(_EGL_PLATFORM_DEVICE, device, None)
        if display and egl.eglInitialize(display, None, None):
            return True
    return False


def osmesa_works() -> bool:
    """Return whether the OSMesa library can be loaded."""
    for name in ("libOSMesa.so.8", "libOSMesa.so.6", "libOSMesa.so"):
        try:
            ctypes.CDLL(name)
        except OSError:
            continue
        return True
    return False
