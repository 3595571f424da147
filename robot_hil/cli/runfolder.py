"""A run's folder: what lies where in it, which configuration it belongs to, and since when the run lasts."""

import fcntl
import json
import os
import secrets
import time
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from robot_hil.data.fingerprint import differences
from robot_hil.errors import ConfigError, StorageError
from robot_hil.report.machine import describe_machine, git_hash, today
from robot_hil.report.metrics import (
    ACTOR_FILE,
    LEARNER_FILE,
    LIVE_FILE,
    EpisodeRow,
    plain,
    read_episodes,
    read_rows,
    write_json,
)
from robot_hil.report.summary import SUMMARY_FILE

CONFIG_FILE = "config.json"
LIBRARIES = ("gymnasium", "mujoco", "numpy", "pyzmq", "robot_hil", "torch")
CHANGEABLE = ("goal", "eval_episodes", "backend", "device")
"""What may differ when a run is resumed: it decides when to stop, not what is learnt."""


class RunFolder:
    """Paths and facts of one run folder; making the object touches nothing."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._clock_start: float | None = None
        self._locks: list[int] = []

    @property
    def steps(self) -> Path:
        """The learner's step log."""
        return self.path / "steps"

    @property
    def spool(self) -> Path:
        """The actor's steps that the learner does not have yet."""
        return self.path / "spool"

    @property
    def checkpoints(self) -> Path:
        """Folder of checkpoints."""
        return self.path / "checkpoints"

    @property
    def actor_rows(self) -> Path:
        """One row per episode."""
        return self.path / ACTOR_FILE

    @property
    def learner_rows(self) -> Path:
        """About one row per second."""
        return self.path / LEARNER_FILE

    @property
    def live(self) -> Path:
        """What is going on now."""
        return self.path / LIVE_FILE

    @property
    def summary(self) -> Path:
        """The result."""
        return self.path / SUMMARY_FILE

    def log(self, who: str) -> Path:
        """Return where the output of the process `who` goes."""
        return self.path / f"{who}.log"

    def episodes(self) -> list[EpisodeRow]:
        """Return all episodes so far."""
        return read_episodes(self.actor_rows)

    def config(self) -> dict[str, Any]:
        """Return what `config.json` holds; raises `StorageError` when this is no run folder."""
        try:
            content = json.loads((self.path / CONFIG_FILE).read_text())
        except FileNotFoundError as error:
            raise StorageError(
                f"{self.path} is no run folder: it has no {CONFIG_FILE}. Runs lie in runs/ unless --out said otherwise."
            ) from error
        except (OSError, ValueError) as error:
            raise StorageError(f"{self.path / CONFIG_FILE} cannot be read: {error}.") from error
        if not isinstance(content, dict) or not isinstance(content.get("argv"), list):
            raise StorageError(f"{self.path / CONFIG_FILE} is not the configuration of a run.")
        return content

    def stored(self) -> dict[str, Any]:
        """Return the experiment that the folder holds, as JSON; empty when it holds none."""
        experiment: dict[str, Any] = self.config().get("experiment", {}) if (self.path / CONFIG_FILE).exists() else {}
        return experiment

    def create(self, experiment: Any, argv: Sequence[str], seed: int) -> None:
        """Make a new run here; refuses a folder that holds anything."""
        try:
            if self.path.is_dir() and any(self.path.iterdir()):
                hint = f" To go on with the run in it: robot-hil train --resume {self.path}"
                raise ConfigError(
                    f"folder {self.path} is not empty and is not overwritten. Choose another --out, or remove it."
                    + (hint if (self.path / CONFIG_FILE).exists() else "")
                )
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"run folder {self.path} cannot be made: {error}. Choose another --out.") from error
        self._write(experiment, argv, seed)

    def join(
        self, experiment: Any, argv: Sequence[str], seed: int, changeable: Sequence[str] = (), stored: Any = None
    ) -> None:
        """Make a new run here or go on with the one there; refuses one of another configuration with the differences.

        What is in CHANGEABLE or `changeable` may differ. `stored` is the folder's experiment where it is known as more
        than JSON: numbers that are newer than the folder then have their defaults.
        """
        if not (self.path / CONFIG_FILE).exists():
            self.create(experiment, argv, seed)
            return
        config = self.config()
        ours, theirs = plain(experiment), plain(self.stored() if stored is None else stored)
        for name in (*CHANGEABLE, *changeable):
            ours.pop(name, None)
            theirs.pop(name, None)
        lines = differences(
            {"seed": config.get("seed"), **theirs}, {"seed": seed, **ours}, "the folder", "this command"
        )
        if lines:
            hint = "Of a run that exists only the goal, the number of evaluation episodes and the backend may change."
            if stored is None:
                hint = "Numbers that you did not give have changed in the program since; give the folder's as options."
            raise ConfigError(
                f"{self.path} belongs to another run:\n  "
                + "\n  ".join(lines)
                + f"\nGo on with that run by `robot-hil train --resume {self.path}`, or choose another --out. {hint}"
            )

    def lock(self, who: str) -> None:
        """Keep other processes from being `who` in this folder, until `unlock` or the end of this one."""
        try:
            handle = os.open(self.path / f".{who}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            self._locks.append(handle)
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self.unlock()
            raise ConfigError(
                f"{self.path} is in use: another process is its {who}. Wait for its end, or choose another --out."
            ) from error
        except OSError as error:
            raise StorageError(f"{self.path} cannot be locked: {error}.") from error

    def unlock(self) -> None:
        """Let others in again; legal twice."""
        while self._locks:
            os.close(self._locks.pop())

    def run_id(self) -> str:
        """Return the random name that actor and learner know this run by."""
        return str(self.config()["run_id"])

    def now(self) -> float:
        """Return seconds that the run has lasted; the time between a stop and a resume does not count."""
        if self._clock_start is None:
            rows = [*read_rows(self.actor_rows)[-1:], *read_rows(self.learner_rows)[-1:]]
            self._clock_start = time.monotonic() - max((float(row["t_wall_s"]) for row in rows), default=0.0)
        return time.monotonic() - self._clock_start

    def start_clock(self, origin: float | None = None) -> float:
        """Count from here, or from monotonic time `origin` that another process of this run returned."""
        if origin is None:
            self.now()
        else:
            self._clock_start = origin
        assert self._clock_start is not None
        return self._clock_start

    def _write(self, experiment: Any, argv: Sequence[str], seed: int) -> None:
        versions = {}
        for name in LIBRARIES:
            try:
                versions[name] = version(name)
            except PackageNotFoundError:
                versions[name] = ""
        content = {
            "experiment": plain(experiment),
            "seed": seed,
            "argv": list(argv),
            "run_id": secrets.token_hex(8),
            "git": git_hash(),
            "date": today(),
            "machine": str(describe_machine()),
            "versions": versions,
        }
        write_json(self.path / CONFIG_FILE, content)


def next_free(root: Path, stem: str) -> Path:
    """Return `root/stem-N` with the smallest N from 1 that does not exist."""
    number = 1
    while (root / f"{stem}-{number}").exists():
        number += 1
    return root / f"{stem}-{number}"
