"""Create .venv and install robot_hil into it, with the torch build that suits this machine; standard library only.

Usage: python3 .ci/bootstrap.py [--dev]

With an NVIDIA GPU torch comes with CUDA; without one the CPU build is taken, which saves gigabytes.
With --dev also a browser and the other programs that tests need, where that can be done here.
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
import json
import os
import platform
import shutil
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass
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
NODE = VENV / "node"
IWER = "2.5.0"


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


@dataclass(frozen=True)
class Tool:
    """Something outside Python that tests need; those that do not find it skip and say so."""

    name: str
    purpose: str
    packages: tuple[str, ...]
    """Of Debian and Ubuntu."""
    found: Callable[[], bool]


def on_path(*programs: str) -> bool:
    """Tell whether one of the programs is on the PATH."""
    return any(shutil.which(program) for program in programs)


BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
TOOLS = (
    Tool(
        "Chromium",
        "tests of the operator's pages",
        ("chromium",),
        # Asked for its version, because Ubuntu has a program of this name that only says where to get it.
        lambda: any(works(name, "--version") for name in BROWSERS),
    ),
    Tool("certutil", "tests of the pages' certificate", ("libnss3-tools",), lambda: on_path("certutil")),
    Tool(
        "libhidapi-hidraw", "tests of the SpaceMouse", ("libhidapi-hidraw0",), lambda: can_load("libhidapi-hidraw.so.0")
    ),
    Tool(
        "gcc",
        "tests of the SpaceMouse",
        ("gcc", "libc6-dev"),
        lambda: on_path("gcc") and Path("/usr/include/stdio.h").exists(),
    ),
    Tool("npm", "tests of the VR page", ("npm", "nodejs"), lambda: on_path("npm")),
)


def quietly(command: Iterable[str | Path]) -> bool:
    """Run `command` without its ordinary output; return whether it exists and succeeded."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        return subprocess.run([*command], env=environment, stdout=subprocess.DEVNULL).returncode == 0
    except OSError:
        return False


def install_tools(tools: Iterable[Tool] = TOOLS) -> None:
    """Install the tools that are missing, as root on Debian or Ubuntu, else say how; never fails."""
    missing = [tool for tool in tools if not tool.found()]
    if missing and platform.system() == "Linux" and os.geteuid() == 0 and on_path("apt-get"):
        quietly(["apt-get", "update"])
        for tool in missing:  # one by one: what one distribution lacks must not keep the others out
            say(f"{tool.name} not found (for {tool.purpose}): installing {' '.join(tool.packages)} with apt-get")
            quietly(["apt-get", "install", "-y", "--no-install-recommends", *tool.packages])
    for tool in missing:
        if not tool.found():
            say(
                f"{tool.name} is missing; {tool.purpose} are skipped without it. "
                f"On Debian or Ubuntu: sudo apt-get install {' '.join(tool.packages)}"
            )


def installed_iwer() -> str | None:
    """Return the version of the simulated headset in the environment, None without one."""
    try:
        version: str = json.loads((NODE / "node_modules" / "iwer" / "package.json").read_text())["version"]
    except (OSError, ValueError, KeyError):
        return None
    return version


def install_iwer() -> None:
    """Fetch the simulated headset, or say how; never fails."""
    if installed_iwer() == IWER:
        return
    command = [
        "npm",
        "install",
        "--prefix",
        NODE,
        "--no-audit",
        "--no-fund",
        "--loglevel=error",
        "--fetch-retries=1",
        f"iwer@{IWER}",
    ]
    if on_path("npm"):
        say(f"fetching iwer {IWER}, the headset simulated in tests, with npm")
        NODE.mkdir(parents=True, exist_ok=True)
        if quietly(command):
            return
    say(f"tests of the VR page need iwer and are skipped without it. With npm: {' '.join(map(str, command))}")


def main() -> None:
    """Bring the environment up to date and leave a stamp file for make."""
    parser = argparse.ArgumentParser(description="Create .venv and install robot_hil into it.")
    parser.add_argument(
        "--dev", action="store_true", help="also install what tests and checks need, a browser included"
    )
    dev: bool = parser.parse_args().dev
    make_venv()
    install_torch()
    say("installing robot_hil and its dependencies")
    if not pip("--editable", ".[dev]" if dev else "."):
        sys.exit("robot_hil could not be installed; see the message of pip above, then run the same command again")
    install_gl()
    if dev:
        install_tools()
        install_iwer()
    (VENV / ".installed").touch()
    if dev:
        (VENV / ".installed-dev").touch()


if __name__ == "__main__":
    main()
