"""Create .venv and install robot_hil into it, with the torch build that suits this machine; standard library only.

Usage: python3 .ci/bootstrap.py [--dev]

With an NVIDIA GPU torch comes with CUDA; without one the CPU build is taken, which saves gigabytes.
Running it again is harmless.
"""

import sys

if sys.version_info < (3, 11):  # before anything that an old Python cannot parse or import
    sys.exit(
        "robot_hil needs Python 3.11 or newer; this is {}.{} ({}). Install a newer one and name it: "
        "make PYTHON=python3.12 ...".format(sys.version_info[0], sys.version_info[1], sys.executable)
    )

import argparse
import ctypes
import os
import platform
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
TORCH = "2.13.0"
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
# Newer distributions have no OSMesa any more; EGL alone is enough there.
GL_COMMAND = (
    "apt-get update && (apt-get install -y --no-install-recommends libegl1 libgl1-mesa-dri libosmesa6"
    " || apt-get install -y --no-install-recommends libegl1 libgl1-mesa-dri)"
)


def say(text: str) -> None:
    """Print one line of progress at once."""
    print(f"[set-up] {text}", flush=True)


def works(*command: str | Path) -> bool:
    """Tell whether `command` exists and exits with 0; its output is dropped."""
    try:
        return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0
    except OSError:
        return False


def pip(*arguments: str, quiet: bool = False) -> bool:
    """Run pip of the environment; return whether it succeeded."""
    output = subprocess.DEVNULL if quiet else None
    command = [PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments]
    return subprocess.run(command, cwd=ROOT, stdout=output, stderr=output).returncode == 0


def make_venv() -> None:
    """Create the environment, or repair one whose creation was interrupted."""
    if works(PYTHON, "-m", "pip", "--version"):
        return
    say(f"creating {VENV.name} with Python {platform.python_version()}")
    if subprocess.run([sys.executable, "-m", "venv", "--clear", VENV]).returncode != 0:
        sys.exit("Python could not create a virtual environment; on Debian or Ubuntu run: apt-get install python3-venv")


def has_nvidia_gpu() -> bool:
    """Tell whether an NVIDIA driver with a GPU is present."""
    if Path("/proc/driver/nvidia/version").exists() or Path("/dev/nvidia0").exists():
        return True
    return shutil.which("nvidia-smi") is not None and works("nvidia-smi", "-L")


def installed_torch() -> str | None:
    """Return the version of torch in the environment, None without one."""
    code = "from importlib.metadata import version; print(version('torch'))"
    found = subprocess.run([PYTHON, "-c", code], capture_output=True, text=True)
    return found.stdout.strip() if found.returncode == 0 else None


def install_torch() -> None:
    """Install the CUDA build with an NVIDIA GPU, the CPU build without; a suitable torch is left alone."""
    if platform.system() != "Linux":
        return  # the only build there is comes with the ordinary dependencies
    gpu, present = has_nvidia_gpu(), installed_torch()
    if present is not None and (not gpu or "+cpu" not in present):
        return
    if gpu:
        say("NVIDIA GPU found: installing torch with CUDA (some gigabytes)")
        if not pip(f"torch=={TORCH},!={TORCH}+cpu"):
            sys.exit("torch with CUDA could not be installed; see the message of pip above")
        return
    say("no NVIDIA GPU: installing torch for CPU")
    # A wheel configured locally (find-links, a mirror) is quicker than the download; `+cpu` never matches a CUDA build.
    if pip(f"torch=={TORCH}+cpu", "--retries", "1", "--timeout", "30", quiet=True):
        return
    if not pip(f"torch=={TORCH}+cpu", "--index-url", CPU_INDEX):
        sys.exit(f"torch for CPU could not be installed from {CPU_INDEX}; see the message of pip above")


def can_load(*libraries: str) -> bool:
    """Tell whether one of the shared libraries can be loaded."""
    for library in libraries:
        try:
            ctypes.CDLL(library)
            return True
        except OSError:
            continue
    return False


def install_gl() -> None:
    """Make headless rendering possible on Linux: as root install EGL or OSMesa, else say how; never fails."""
    if platform.system() != "Linux" or can_load("libEGL.so.1", "libOSMesa.so.8", "libOSMesa.so.6", "libOSMesa.so"):
        return
    if os.geteuid() == 0 and shutil.which("apt-get"):
        say("neither EGL nor OSMesa found: installing them with apt-get")
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        if subprocess.run(["sh", "-c", GL_COMMAND], env=environment, stdout=subprocess.DEVNULL).returncode == 0:
            return
    say(f"camera images need EGL or OSMesa, and neither was found. On Debian or Ubuntu: sudo sh -c '{GL_COMMAND}'")


def main() -> None:
    """Bring the environment up to date and leave a stamp file for make."""
    parser = argparse.ArgumentParser(description="Create .venv and install robot_hil into it.")
    parser.add_argument("--dev", action="store_true", help="also install what tests and checks need")
    dev: bool = parser.parse_args().dev
    make_venv()
    install_torch()
    say("installing robot_hil and its dependencies")
    if not pip("--editable", ".[dev]" if dev else "."):
        sys.exit("robot_hil could not be installed; see the message of pip above, then run the same command again")
    install_gl()
    (VENV / ".installed").touch()
    if dev:
        (VENV / ".installed-dev").touch()


if __name__ == "__main__":
    main()
