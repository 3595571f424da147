"""Build sdist and wheel into dist/, and try the wheel in an environment of its own, away from the checkout.

Usage: python .ci/build.py
"""

import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SMOKE_TEST = """
import robot_hil, robot_hil.envs, robot_hil.experiments, robot_hil.policies, robot_hil.teleop
from robot_hil.cli.main import main
for module in (robot_hil, robot_hil.envs, robot_hil.experiments, robot_hil.policies, robot_hil.teleop):
    assert module.__file__.startswith({prefix!r}), module.__file__
import gymnasium
gymnasium.make("robot_hil/PickCube-v0", obs_type="state").reset(seed=0)  # needs the data files
print("the wheel works from", robot_hil.__file__)
"""


def run(*command: str | Path, cwd: Path = ROOT) -> None:
    """Run a command; stop this program when it fails."""
    if subprocess.run(command, cwd=cwd).returncode != 0:
        sys.exit(f"failed: {' '.join(map(str, command))}")


def check_contents(dist: Path, wheel: Path) -> None:
    """Refuse a wheel without all modules and data files of the checkout, or a sdist with a folder missing."""
    names = set(zipfile.ZipFile(wheel).namelist())
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    siblings = ("envs/", "policies/", "teleop/", "experiments/")
    files = [f for f in tracked if f.startswith(("robot_hil/", *siblings)) and Path(ROOT, f).is_file()]
    expected = {f"robot_hil/{f}" if f.startswith(siblings) else f for f in files}
    if missing := sorted(expected - names):
        sys.exit(f"the wheel lacks {', '.join(missing)}; complete [tool.setuptools] in pyproject.toml")
    with tarfile.open(next(dist.glob("*.tar.gz"))) as sdist:
        inside = {name.split("/", 1)[-1] for name in sdist.getnames()}
    if missing := sorted(set(files) - inside):
        sys.exit(f"the sdist lacks {', '.join(missing)}; complete [tool.setuptools] in pyproject.toml")


def main() -> None:
    """Build, look inside, install and import."""
    with tempfile.TemporaryDirectory() as folder:
        room = Path(folder).resolve()
        dist = room / "dist"
        # The wheel is built from the sdist, so both are tried.
        run(sys.executable, "-m", "build", "--outdir", dist, ROOT)
        wheel = next(dist.glob("*.whl"))
        check_contents(dist, wheel)
        # Third-party packages are those of .venv; robot_hil itself must come from the wheel alone.
        run(sys.executable, "-m", "venv", room / "venv")
        python = room / "venv" / "bin" / "python"
        run(python, "-m", "pip", "install", "--quiet", "--no-deps", wheel)
        site = next((room / "venv" / "lib").glob("python*/site-packages"))
        outer = next(Path(sys.prefix, "lib").glob("python*/site-packages"))
        (site / "outer.pth").write_text(f"{outer}\n")
        run(python, "-c", SMOKE_TEST.format(prefix=str(site)), cwd=room)
        run(room / "venv" / "bin" / "robot-hil", "experiments", cwd=room)
        target = ROOT / "dist"
        target.mkdir(exist_ok=True)
        for built in dist.iterdir():
            (target / built.name).write_bytes(built.read_bytes())
            print(f"dist/{built.name}")


if __name__ == "__main__":
    main()
