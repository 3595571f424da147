"""What a run cannot do without, looked for before its folder is made: a GPU, a reward model, a committee that fits."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robot_hil.errors import ConfigError, RobotHilError

if TYPE_CHECKING:
    from robot_hil.experiments.base import Experiment


def require_parts(experiment: "Experiment", *, acts: bool = True) -> None:
    """Raise `RobotHilError` when a GPU cannot be used, or, for what `acts`, reward model or committee not be read."""
    for part, what in _wanted(experiment, acts):
        _REQUIRE[part](what)


def require_parts_apart(experiment: "Experiment") -> None:
    """The same, seen from a process that ends: this one is to load no library that learns, nor take hold of a GPU."""
    wanted = _wanted(experiment, acts=True)
    if not wanted:
        return
    words = [sys.executable, "-m", __name__, json.dumps(wanted)]
    done = subprocess.run(words, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise ConfigError((done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1])


def _wanted(experiment: "Experiment", acts: bool) -> list[tuple[str, Any]]:
    """Return what to look for, each with what is known of it."""
    from robot_hil.cli.supervise import check_asking
    from robot_hil.policies import registry

    check_asking(experiment)
    wanted: list[tuple[str, Any]] = []
    backend = registry.choose(experiment.backend, experiment.agent, experiment.observation == "pixels")
    if experiment.device == "gpu":
        wanted.append(("gpu", backend))
    if acts and experiment.reward_model:
        wanted.append(("reward model", experiment.reward_model))
    if acts and experiment.committee:
        seen = {name: getattr(experiment, name) for name in ("name", "env_id", "env_kwargs", "observation")}
        wanted.append(("committee", {"path": experiment.committee, **seen}))
    return wanted


def _gpu(backend: str) -> None:
    from robot_hil.policies import registry

    registry.make_engine(backend, device="gpu")


def _reward_model(path: str) -> None:
    from robot_hil.cli.reward.models import load_model

    load_model(Path(path))


def _committee(asked: dict[str, Any]) -> None:
    from robot_hil.cli import committee
    from robot_hil.cli.episodes import spec_of_env
    from robot_hil.experiments.base import Experiment

    path = Path(asked.pop("path"))
    committee.same_task(committee.load(path), spec_of_env(Experiment(**asked)), path)


_REQUIRE: dict[str, Callable[[Any], None]] = {"gpu": _gpu, "reward model": _reward_model, "committee": _committee}


if __name__ == "__main__":
    try:
        for wanted_part, known in json.loads(sys.argv[1]):
            _REQUIRE[wanted_part](known)
    except RobotHilError as error:
        sys.exit(str(error))
