"""The computer: pictures without a display, GPU, real time, disk."""

import os
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from robot_hil.cli.checks.base import Finding, Verdict
from robot_hil.errors import RobotHilError

GROUP = "computer"
NEED_GB, WANT_GB = 1.0, 10.0
SLEEP_S, LATE_S = 0.002, 0.002
"""Length of the naps of `punctuality`, and how late the latest but one per cent of them may end [s]."""
_SCENE = "<mujoco><worldbody><light pos='0 0 2'/><geom size='.1'/><camera pos='0 0 1'/></worldbody></mujoco>"
_GL_FIX = "sudo apt-get install libegl1 libgl1-mesa-dri   (or libosmesa6), and unset MUJOCO_GL"
_RT_FIX = (
    "echo '{user} - rtprio 50' | sudo tee /etc/security/limits.d/robot_hil.conf, then log in again; "
    "without it start the learner with `nice -n 10`"
)


def simulated_pictures() -> Iterator[Finding]:
    """Render one picture as the simulated cameras do."""
    from robot_hil.envs.mujoco.gl import choose_gl

    try:
        chosen = choose_gl(needed=True)
        import mujoco

        with mujoco.Renderer(mujoco.MjModel.from_xml_string(_SCENE), 32, 32) as renderer:
            data = mujoco.MjData(renderer.model)
            mujoco.mj_forward(renderer.model, data)
            renderer.update_scene(data, camera=0)
            if not renderer.render().any():
                raise RuntimeError("the picture is black")
    except Exception as error:  # drivers fail in many ways
        text = str(error) if isinstance(error, RobotHilError) else f"{type(error).__name__}: {error}"
        yield _found("rendering", Verdict.WARN, f"simulated camera images do not work: {text}", _GL_FIX)
        return
    yield _found("rendering", Verdict.PASS, f"simulated camera images come through {chosen or 'the display'}")


def gpu() -> Iterator[Finding]:
    """Let torch compute something on the GPU."""
    import torch

    driver = Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi") is not None
    if torch.cuda.is_available():
        try:
            total = float(torch.ones(1000, device="cuda").sum())
            memory = torch.cuda.get_device_properties(0).total_memory / 2**30
            text = f"{torch.cuda.get_device_name(0)}, {memory:.0f} GiB, torch {torch.__version__}"
            assert total == 1000
        except Exception as error:
            text = f"torch sees a GPU and cannot use it: {error}"
            yield _found("GPU", Verdict.FAIL, text, "compare `nvidia-smi` with the CUDA version in torch's name")
            return
        yield _found("GPU", Verdict.PASS, text)
    elif driver:
        text = f"an NVIDIA driver is there, but torch {torch.__version__} does not use it"
        yield _found("GPU", Verdict.WARN, text, "python3 .ci/bootstrap.py   (installs torch with CUDA)")
    else:
        text = "no NVIDIA GPU; learning runs on the CPU, which is enough for the demo"
        yield _found("GPU", Verdict.ABSENT, text)


def real_time() -> Iterator[Finding]:
    """Ask for the real-time scheduler, for a thread that ends at once."""
    user = os.environ.get("USER", "your-name")
    refused: list[str] = []

    def ask() -> None:
        try:
            os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(1))
        except (OSError, AttributeError) as error:
            refused.append(str(error))

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    if refused:
        text = f"the control loop may not run before other programs ({refused[0]}); it will be late more often"
        yield _found("real-time scheduler", Verdict.WARN, text, _RT_FIX.format(user=user))
    else:
        yield _found("real-time scheduler", Verdict.PASS, "the control loop may run before other programs")


def punctuality(naps: int = 150) -> Iterator[Finding]:
    """Sleep for moments and see how late it gets."""
    late = []
    for _ in range(naps):
        due = time.monotonic() + SLEEP_S
        time.sleep(SLEEP_S)
        late.append(time.monotonic() - due)
    p99, worst = float(np.percentile(late, 99)), max(late)
    text = f"sleeps end late by {1e3 * p99:.2f} ms (p99), {1e3 * worst:.2f} ms at most"
    good = p99 <= LATE_S
    fix = "" if good else "end other programs; turn off power saving: sudo cpupower frequency-set -g performance"
    yield _found("clock", Verdict.PASS if good else Verdict.WARN, text, fix)


def disk(folder: Path | None = None) -> Iterator[Finding]:
    """Look at the space where runs are written."""
    folder = (folder or Path()).absolute()
    free = shutil.disk_usage(folder).free / 1e9
    text = f"{free:.0f} GB free in {folder}" if free >= 1 else f"{free:.2f} GB free in {folder}"
    verdict = Verdict.PASS if free >= WANT_GB else Verdict.WARN if free >= NEED_GB else Verdict.FAIL
    fix = (
        "" if verdict is Verdict.PASS else "remove old runs, or write elsewhere with --out; a long run needs gigabytes"
    )
    yield _found("disk", verdict, text, fix)
    if not os.access(folder, os.W_OK):
        yield _found("run folder", Verdict.FAIL, f"{folder} may not be written to", "start in a folder of your own")


def _found(name: str, verdict: Verdict, text: str, fix: str = "") -> Finding:
    return Finding(group=GROUP, name=name, verdict=verdict, text=text, fix=fix)
