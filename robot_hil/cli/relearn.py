"""`robot-hil relearn`: learn anew, by any method, from what a run has recorded; the robot itself only evaluates."""

import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tyro

from robot_hil.cli import committee, compose, options
from robot_hil.cli.bar import Bar
from robot_hil.cli.episodes import spec_of_env
from robot_hil.cli.finish import evaluate_run
from robot_hil.cli.help import UsageError
from robot_hil.cli.pinned import pinned
from robot_hil.cli.runfolder import RunFolder, next_free
from robot_hil.cli.signals import StopRequest
from robot_hil.data.labels import Verdict
from robot_hil.errors import ConfigError, StorageError
from robot_hil.learner import checkpoint
from robot_hil.learner.learner import Learner
from robot_hil.methods import registry
from robot_hil.protocols import Agent
from robot_hil.replay.step_log import StepLog
from robot_hil.report.labels import read_labels
from robot_hil.report.metrics import JsonlSink, LearnerRow, write_json
from robot_hil.report.summary import mean_cycle, wilson_interval

if TYPE_CHECKING:
    from robot_hil.experiments.base import Experiment

RESULT_FILE = "relearn.json"
"""What was learnt from, how, and what came of it."""
SAVE_EVERY_S = 30.0
ROW_EVERY_S = 1.0
_TASK = ("env_id", "env_kwargs", "observation", "person", "reward_model", "demos", "eval_episodes")
"""What the recorded run says about the task; everything else is the experiment's and the method's.

So a log outlives the numbers that its run was made with, and methods that are no more.
"""
_OWN = {"--resume": 1, "--out": 1, "--seed": 1, "--steps": 1, "--compatible-with": 1}

Progress = Callable[[str, int, int], None]
"""Told what is being done, how many of it are done, and of how many."""


@dataclass(frozen=True, kw_only=True)
class Relearn:
    """Learn from the step log of a run, by any method: robot-hil relearn RUN --method NAME."""

    method: str = "anchored"
    """Published method; `robot-hil methods` lists them."""
    steps: int = 2000
    """Training rounds after the warm start."""
    seed: int = 0
    """Seed of everything random."""
    out: Path | None = None
    """Folder of the new run; default runs/<experiment>_<method>-<n>."""
    compatible_with: Path | None = None
    """Leave out demonstrations that do not fit the committee of this run (`robot-hil committee RUN`)."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """What to learn, from what, and where it goes."""

    experiment: "Experiment"
    method: str
    source: Path
    """Run folder whose log is learnt from."""
    steps: int
    seed: int
    compatible_with: Path | None = None
    """Run whose committee says which demonstrations are left out; None leaves none out."""


class Relearning:
    """A learner filled from a log, with checkpoints and rows in a run folder of its own."""

    def __init__(self, job: Job, run: RunFolder, agent: Agent | None = None) -> None:
        """`agent`, if given, is the experiment's, from an earlier run: what it has compiled is not compiled again."""
        compose.prepare_training(job.experiment, int(os.environ.get("OMP_NUM_THREADS", "0")) or 1)
        self._job, self._run = job, run
        self._done = 0
        self.trained = False
        """Whether `run` has changed the policy."""
        agent = agent or compose.make_agent(job.experiment)
        with _log_of(job.source) as log:
            config = job.experiment.learner
            if log.info().steps * 3 > config.capacity:  # each step may need a slot more, demonstrations half of them
                config = replace(config, capacity=log.info().steps * 3)
            self.learner = Learner(agent, job.experiment.method, spec_of_env(job.experiment), config, job.seed)
            self.learner.add_all(log.steps())
        self.learner.judge({key: row.verdict for key, row in read_labels(job.source).items()})
        if job.compatible_with is not None:
            unfit = committee.incompatible(job.source, committee.load(job.compatible_with))
            self.learner.judge(dict.fromkeys(unfit, Verdict.DISCARD))
        self._check()

    def run(self, stop: Callable[[], bool], progress: Progress) -> None:
        """Train until all rounds are done or `stop` says so; saved in either case, unless the warm start was cut."""
        self._run.start_clock()
        if checkpoint.has_checkpoint(self._run.checkpoints):
            saved = checkpoint.load_newest(self._run.checkpoints)
            self.learner.load(saved.arrays["agent"], saved.state["learner"])
            self._done = int(saved.state["rounds_done"])
        else:
            self.learner.warm_start(progress, stop)
            if stop():
                return
        try:
            with JsonlSink(self._run.learner_rows) as rows:
                self._train(stop, progress, rows)
            self._save()
        finally:
            self.learner.close()

    def _train(self, stop: Callable[[], bool], progress: Progress, rows: JsonlSink) -> None:
        saved_at = row_at = time.monotonic()
        before = self._done
        while self._done < self._job.steps and not stop():
            metrics = self.learner.train_round()
            self._done += 1
            self.trained = True
            progress(f"learning by {self._job.method}", self._done, self._job.steps)
            now = time.monotonic()
            if now - row_at >= ROW_EVERY_S or self._done == self._job.steps:
                rows.write(self._row(metrics, (self._done - before) / max(now - row_at, 1e-9)))
                row_at, before = now, self._done
            if now - saved_at >= SAVE_EVERY_S:
                self._save()
                saved_at = now

    def _row(self, metrics: dict[str, float], rounds_per_s: float) -> LearnerRow:
        parts, online = self.learner.agent.updates_per_round, self.learner.online_steps
        return LearnerRow(
            t_wall_s=self._run.now(),
            updates=self._done * parts,
            env_steps=online,
            updates_per_s=rounds_per_s * parts,
            utd=self._done * parts / max(1, online),
            losses={name: float(value) for name, value in metrics.items()},
            replay=self.learner.replay.sizes,
        )

    def _save(self) -> None:
        arrays, numbers = self.learner.export()
        state = {
            "learner": numbers,
            "rounds_done": self._done,
            "counters": {"online_steps": self.learner.online_steps},
            "experiment": self._job.experiment.name,
            "seed": self._job.seed,
        }
        checkpoint.save(self._run.checkpoints, {"agent": arrays}, state)

    def _check(self) -> None:
        """Raise `ConfigError` where the log has nothing of what the method learns from."""
        replay = self.learner.replay
        rows = np.concatenate([replay.rows(pool) for pool in ("demo", "online")])
        if not len(rows):
            raise ConfigError(f"{self._job.source} holds no steps that anything could be learnt from.")
        lacks = registry.get(self._job.method).lacks(replay.columns(rows))
        if lacks:
            raise ConfigError(
                f"{self._job.source} cannot be learnt from by {self._job.method}: it holds no "
                + ", and no ".join(lacks)
                + ". `robot-hil methods` says what each method needs."
            )


def relearn(argv: Sequence[str]) -> int:
    """Train on a log, evaluate, and leave a run folder; return the exit code."""
    resumed = options.value_of(argv, "--resume")
    if resumed is not None:
        job, run = _resumed(Path(resumed), argv)
    else:
        job, out, stored = _parsed(argv)
        run = RunFolder(out or next_free(Path("runs"), job.experiment.name))
        learning = Relearning(job, run)  # a log that lacks something leaves no folder behind
        run.create(job.experiment, stored, job.seed)
        write_json(run.path / RESULT_FILE, _noted(job))
    run.lock("relearn")
    if resumed is not None:
        learning = Relearning(job, run)
    stop = StopRequest()
    print(f"run folder {run.path}", flush=True)
    with Bar() as bar:
        learning.run(lambda: bool(stop), bar.show)
        if not stop:
            if learning.trained:
                run.actor_rows.unlink(missing_ok=True)  # trials of an earlier policy
            total = job.experiment.eval_episodes
            evaluate_run(job.experiment, run, job.seed, stop, lambda: bar.count("evaluating", run.episodes, total))
            bar.show("evaluating", total, total)
    if stop:
        print(f"\nStopped and saved. Go on with: robot-hil relearn --resume {run.path}")
        return 130
    _finish(job, run)
    return 0


def _finish(job: Job, run: RunFolder) -> None:
    """Write and print what came of it."""
    rows = [row for row in run.episodes() if row.phase == "eval"]
    good, cycle = sum(row.success for row in rows), mean_cycle(rows)
    low, high = wilson_interval(good, len(rows))
    result = {
        **_noted(job), "seed": job.seed, "episodes": len(rows),
        "success_rate": good / max(1, len(rows)), "success_ci95": (low, high), "cycle_steps": cycle,
        "wall_s": run.now(),
    }  # fmt: skip
    write_json(run.path / RESULT_FILE, result)
    print(
        f"{job.method}: {good} of {len(rows)} succeeded ({good / max(1, len(rows)):.0%}, 95 % interval {low:.0%} to "
        f"{high:.0%}), {'-' if cycle is None else f'{cycle:.1f}'} steps per success; {run.now():.0f} s in all.\n"
        f"Next: robot-hil eval {run.path} --episodes 100"
    )


def _noted(job: Job) -> dict[str, Any]:
    """Return what `--resume` needs to know of a job."""
    fits = None if job.compatible_with is None else str(job.compatible_with)
    return {"log": str(job.source), "method": job.method, "steps": job.steps, "compatible_with": fits}


def _parsed(argv: Sequence[str]) -> tuple[Job, Path | None, list[str]]:
    """Return the job that `argv` asks for, its folder, and the command line by which `eval` knows the run."""
    usage = "relearn needs a run folder and a method: robot-hil relearn RUN --method NAME [--steps N]."
    if not argv or argv[0].startswith("-"):
        if argv and argv[0] in ("-h", "--help"):
            tyro.cli(Relearn, args=["--help"], prog="robot-hil relearn RUN")
        raise UsageError(usage)
    from robot_hil.experiments import registry as experiments

    source, rest = RunFolder(Path(argv[0])), list(argv[1:])
    method = options.value_of(rest, "--method")
    if method is None:
        raise UsageError(usage)
    stored = options.without(rest, _OWN)
    recorded = source.config()
    stored = [recorded["argv"][0], *_env_of(recorded["argv"]), *stored]
    experiment = options.changed(experiments.get(stored[0]), stored)
    task = source.stored()
    experiment = pinned(experiment, {name: task[name] for name in _TASK if name in task})
    experiment = replace(experiment, learner=replace(experiment.learner, prefetch=0))
    made = options.with_numbers(Relearn, experiment, rest, f"robot-hil relearn {argv[0]}")
    fits = None if made.compatible_with is None else made.compatible_with.resolve()
    job = Job(
        experiment=made.experiment,
        method=method,
        source=source.path.resolve(),
        steps=made.steps,
        seed=made.seed,
        compatible_with=fits,
    )
    return job, made.out, stored


def _env_of(argv: Sequence[str]) -> list[str]:
    env_id = options.value_of(argv, "--env")
    return [] if env_id is None else ["--env", env_id]


def _resumed(folder: Path, argv: Sequence[str]) -> tuple[Job, RunFolder]:
    run = RunFolder(folder)
    config = run.config()
    try:
        noted: dict[str, Any] = json.loads((folder / RESULT_FILE).read_text())
    except (OSError, ValueError) as error:
        raise StorageError(f"{folder} cannot be gone on with: its {RESULT_FILE} cannot be read ({error}).") from error
    rest = options.without(argv, _OWN)
    if rest:
        raise UsageError(f"relearn --resume {folder} takes --steps alone; leave out {' '.join(rest)}.")
    steps = options.value_of(argv, "--steps") or str(noted["steps"])
    if not steps.isdecimal():
        raise UsageError(f"--steps is {steps!r}; give a number of training rounds.")
    experiment = options.parse("train", options.Train, config["argv"], folder).experiment
    job = Job(
        experiment=experiment,
        method=noted["method"],
        source=Path(noted["log"]),
        steps=int(steps),
        seed=int(config["seed"]),
        compatible_with=None if noted.get("compatible_with") is None else Path(noted["compatible_with"]),
    )
    return job, run


def _log_of(source: Path) -> StepLog:
    steps = RunFolder(source).steps
    if not steps.is_dir():
        raise StorageError(f"{source} has no step log ({steps}); give the folder of a run that has recorded one.")
    return StepLog(steps)
