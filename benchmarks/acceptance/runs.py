"""Trainings of acceptance experiments: whole runs in folders that are thrown away, tried at points along the way."""

import shutil
import signal
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from robot_hil.cli.finish import evaluate_run, of_final_policy
from robot_hil.cli.inprocess import InProcess
from robot_hil.cli.operator_options import NOBODY, OperatorOptions
from robot_hil.cli.runfolder import RunFolder
from robot_hil.cli.signals import StopRequest
from robot_hil.experiments.base import Experiment

_NEVER = 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A policy on its way."""

    env_steps: int
    episodes: int
    """Of training."""
    human_steps: int
    success: float
    """Of the robot alone, afresh."""


@contextmanager
def folder() -> Iterator[Path]:
    """Make a folder that is gone afterwards."""
    path = Path(tempfile.mkdtemp(prefix="acceptance-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def trained(
    experiment: Experiment, path: Path, seed: int, limits: Sequence[int], trials: int, *, until: float = 2.0,
    operator: OperatorOptions = NOBODY,
) -> list[Point]:  # fmt: skip
    """Train up to each of `limits` online steps, and try the policy there; stop where it succeeds as often as `until`.

    Trials are judged by the environment, whoever tells success in training.
    """
    run, stop = RunFolder(path), StopRequest()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # an experiment is interrupted at once
    base = replace(experiment, eval_episodes=trials)
    found: list[Point] = []
    for limit in limits:
        goal = replace(base.goal, max_env_steps=limit, max_train_s=float(_NEVER), settle_episodes=_NEVER)
        part = replace(base, goal=goal)
        run.join(part, [experiment.name], seed)
        InProcess(part, run, seed, stop, lambda: None, operator).run()
        evaluate_run(replace(part, reward_model=""), run, seed, stop, lambda: None)
        rows = run.episodes()
        alone = [row.success for row in of_final_policy(rows) if row.phase == "eval"]
        train = [row for row in rows if row.phase == "train"]
        found.append(
            Point(
                env_steps=sum(row.steps for row in train), episodes=len(train),
                human_steps=sum(row.human_steps for row in train), success=sum(alone) / len(alone),
            )
        )  # fmt: skip
        if found[-1].success >= until:
            break
    return found


def first(points: Sequence[Point], success: float) -> Point | None:
    """Return the first point at which the robot alone succeeds as often as that."""
    return next((point for point in points if point.success >= success), None)
