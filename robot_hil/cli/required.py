"""What a run cannot do without, looked for before its folder is made: a GPU that was asked for, a reward model."""

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from robot_hil.errors import ConfigError, RobotHilError

if TYPE_CHECKING:
    from robot_hil.experiments.base import Experiment


def require_parts(experiment: "Experiment", *, acts: bool = True) -> None:
    """Raise `RobotHilError` when the GPU cannot be used, or, for what `acts`, the reward model not be read."""
    for backend, reward_model in _wanted(experiment, acts):
        _require(backend, reward_model)


def require_parts_apart(experiment: "Experiment") -> None:
    """The same, seen from a process that ends: this one is to load no library that learns, nor take hold of a GPU."""
    for words in _wanted(experiment, acts=True):
        done = subprocess.run([sys.executable, "-m", __name__, *words], stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            raise ConfigError((done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1])


def _wanted(experiment: "Experiment", acts: bool) -> list[tuple[str, str]]:
    """Return backend and reward model to look for, each empty where it is not wanted; nothing if neither is."""
    from robot_hil.policies import registry

    backend = registry.choose(experiment.backend, experiment.agent, experiment.observation == "pixels")
    wanted = backend if experiment.device == "gpu" else "", experiment.reward_model if acts else ""
    return [wanted] if any(wanted) else []


def _require(backend: str, reward_model: str) -> None:
    if backend:
        from robot_hil.policies import registry

        registry.make_engine(backend, device="gpu")
    if reward_model:
        from robot_hil.cli.reward.models import load_model

        load_model(Path(reward_model))


if __name__ == "__main__":
    try:
        _require(*sys.argv[1:])
    except RobotHilError as error:
        sys.exit(str(error))
