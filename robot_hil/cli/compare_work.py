"""One worker of a comparison: takes the next cell that nobody is at, again and again. Any number may do so at once."""

import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from robot_hil.cli import compose, options
from robot_hil.cli.finish import evaluate_run
from robot_hil.cli.inprocess import InProcess
from robot_hil.cli.relearn import Job, Relearning
from robot_hil.cli.runfolder import RunFolder
from robot_hil.cli.signals import StopRequest
from robot_hil.compare.measures import measure
from robot_hil.compare.plan import Cell, Plan
from robot_hil.compare.store import Store
from robot_hil.errors import ConfigError
from robot_hil.protocols import Agent

if TYPE_CHECKING:
    from robot_hil.experiments.base import Experiment

_WAIT_S = 0.5
_NEVER = 10**9


class Agents:
    """Agents by what they are made of, each made once: what one has compiled serves every part of every cell."""

    def __init__(self) -> None:
        self._made: dict[str, Agent] = {}

    def of(self, experiment: "Experiment") -> Agent:
        """Return the agent of `experiment`."""
        parts = (experiment.env_id, experiment.observation, experiment.agent, experiment.backend, experiment.device)
        if repr(parts) not in self._made:
            self._made[repr(parts)] = compose.make_agent(experiment)
        return self._made[repr(parts)]


def work(
    plan: Plan,
    cells: Sequence[Cell],
    store: Store,
    stop: StopRequest,
    told: Callable[[Cell], object] = lambda cell: None,
) -> None:
    """Run `cells` until all are over or `stop` says so; `told` hears of each before it begins.

    What a stop interrupts is saved and gone on with by the next worker. A cell that fails is noted, the others go on.
    """
    agents = Agents()
    while not stop and (left := [cell for cell in cells if not store.is_over(cell)]):
        began = False
        for cell in left:
            if stop:
                return
            began |= _try(plan, cell, store, stop, told, agents)
        if not began:
            time.sleep(_WAIT_S)  # others are at what is left, or at the logs that it needs


def _try(
    plan: Plan, cell: Cell, store: Store, stop: StopRequest, told: Callable[[Cell], object], agents: Agents
) -> bool:
    """Run `cell` if it may begin; return whether it did."""
    recorder = plan.recorder(cell)
    if recorder is not None and not store.is_over(recorder):
        return False
    with _claimed(store, cell) as mine:
        if not mine or store.is_over(cell):
            return False
        told(cell)
        try:
            if recorder is not None and store.failure(recorder):
                raise ConfigError(f"there is no log to learn from: {recorder.name} failed.")
            run_cell(plan, cell, store, stop, agents)
        except SystemExit:
            store.fail(cell, f"its options are refused, the worker's log says why: {' '.join(plan.argv(cell))}")
        except Exception as error:
            traceback.print_exc()
            store.fail(cell, f"{type(error).__name__}: {error}")
    return True


@contextmanager
def _claimed(store: Store, cell: Cell) -> Iterator[bool]:
    """Keep other workers from `cell`; False where another has it. The end of a process, of any kind, lets it go."""
    locks = RunFolder(store.root / "locks")
    locks.path.mkdir(parents=True, exist_ok=True)
    try:
        locks.lock(cell.name)
    except ConfigError:
        yield False
        return
    try:
        yield True
    finally:
        locks.unlock()


def run_cell(plan: Plan, cell: Cell, store: Store, stop: StopRequest, agents: Agents) -> None:
    """Run one cell from where it stands; its result is stored unless `stop` interrupted it."""
    parsed = options.parse("train", options.Train, plan.argv(cell))
    run = RunFolder(store.folder(cell))
    run.join(parsed.experiment, parsed.argv, cell.seed)
    run.lock("train")
    begin = time.process_time()
    try:
        run.start_clock()
        if cell.way == "online":
            _online(plan, cell, parsed.experiment, run, stop, agents)
        else:
            _from_log(plan, cell, parsed.experiment, run, store, stop, agents)
    finally:
        spent = store.spend(cell, time.process_time() - begin)
        stop.on_stop = lambda: None
        run.unlock()
    if not stop:
        store.finish(cell, measure(run.episodes(), run.now(), spent))


def _online(
    plan: Plan, cell: Cell, experiment: "Experiment", run: RunFolder, stop: StopRequest, agents: Agents
) -> None:
    """Train in parts, and let the policy act alone after each."""
    limits = plan.limits(cell.task)
    for limit in limits:
        trials = plan.final_trials if limit == limits[-1] else plan.trials
        goal = replace(experiment.goal, max_env_steps=limit, max_train_s=float(_NEVER), settle_episodes=_NEVER)
        part = replace(experiment, goal=goal, eval_episodes=trials)
        if _evaluated(run, limit) < trials:
            InProcess(part, run, cell.seed, stop, lambda: None, agent=agents.of(part)).run()
            if not stop:
                evaluate_run(part, run, cell.seed, stop, lambda: None, agent=agents.of(part))
        if stop:
            return


def _evaluated(run: RunFolder, limit: int) -> int:
    """Return the trials of the first policy that had learnt from at least `limit` online steps."""
    steps = [row.env_steps for row in run.episodes() if row.phase == "eval" and row.env_steps >= limit]
    return steps.count(min(steps, default=0))


def _from_log(
    plan: Plan, cell: Cell, experiment: "Experiment", run: RunFolder, store: Store, stop: StopRequest, agents: Agents
) -> None:
    recorder = plan.recorder(cell)
    assert recorder is not None
    experiment = replace(experiment, learner=replace(experiment.learner, prefetch=0))
    job = Job(
        experiment=experiment, method=cell.entry, source=store.folder(recorder), steps=plan.rounds, seed=cell.seed
    )
    learning = Relearning(job, run, agents.of(experiment))
    learning.run(lambda: bool(stop), lambda name, done, of: None)
    if not stop:
        if learning.trained:
            run.actor_rows.unlink(missing_ok=True)  # trials of an earlier policy
        evaluate_run(experiment, run, cell.seed, stop, lambda: None, agent=agents.of(experiment))
