"""Runs in the test's own process, which gets its signals back afterwards, and what is stored of them."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from robot_hil.cli.inprocess import InProcess
from robot_hil.cli.operator_options import NOBODY, OperatorOptions
from robot_hil.cli.runfolder import RunFolder
from robot_hil.cli.signals import StopRequest
from robot_hil.data.step import Step
from robot_hil.experiments.base import Experiment
from robot_hil.replay.step_log import StepLog

SEED = 100


@contextmanager
def signals_kept() -> Iterator[None]:
    """Put back who handles signals, which every `StopRequest` takes over."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run_here(experiment: Experiment, folder: Path, operator: OperatorOptions = NOBODY) -> Path:
    """Make a run in `folder`, from the first demonstration to the end; returns the folder."""
    run = RunFolder(folder)
    run.create(experiment, [experiment.name], SEED)
    with signals_kept():
        InProcess(experiment, run, SEED, StopRequest(), lambda: None, operator).run()
    return folder


def episodes_of(folder: Path) -> dict[int, list[Step]]:
    """Return the steps of a run by the number of their episode."""
    found: dict[int, list[Step]] = {}
    with StepLog(folder / "steps") as log:
        for step in log.steps():
            found.setdefault(step.episode_id, []).append(step)
    return found
