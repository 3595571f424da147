"""The learner's side of a run, without processes: steps in, rounds as governed, rows and checkpoints out."""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from robot_hil.cli.runfolder import RunFolder
from robot_hil.data.specs import Array, EnvSpec
from robot_hil.data.step import Segment, Step
from robot_hil.errors import StorageError
from robot_hil.learner import checkpoint
from robot_hil.learner.governor import UpdateGovernor
from robot_hil.learner.learner import Learner
from robot_hil.learner.values import ValuesFile
from robot_hil.protocols import Agent
from robot_hil.replay.step_log import StepLog
from robot_hil.report.labels import LabelWatch
from robot_hil.report.metrics import JsonlSink, LearnerRow

if TYPE_CHECKING:
    from robot_hil.experiments.base import Experiment

_log = logging.getLogger(__name__)
ROW_EVERY_S = 1.0
SAVE_EVERY_S = 30.0


class Training:
    """Learner, governor, labels, rows and checkpoints of one run; one thread uses it."""

    def __init__(
        self, experiment: "Experiment", agent: Agent, spec: EnvSpec, run: RunFolder, seed: int, *, prefetch: bool = True
    ) -> None:
        config = experiment.learner if prefetch else replace(experiment.learner, prefetch=0)
        self.learner = Learner(agent, experiment.method, spec, config, seed)
        self.governor = UpdateGovernor(
            config.rounds_per_step, config.start_after, config.slack, real_time=experiment.realtime
        )
        self.warm = False
        """Whether the warm start is done."""
        self.demo_steps = 0
        self.demo_episodes = 0
        """Complete demonstrations received."""
        self._experiment, self._run, self._seed = experiment, run, seed
        self._labels = LabelWatch(run.path)
        self._values = ValuesFile(run.path, run.now)
        self._sink = JsonlSink(run.learner_rows)
        self._row_t = self._save_t = run.now()
        self._row_updates = 0
        self._sums: dict[str, float] = {}
        self._count = 0

    @property
    def demos_complete(self) -> bool:
        """Whether all demonstrations of the experiment have come."""
        return self.demo_episodes >= self._experiment.demos

    @property
    def updates(self) -> int:
        """Critic updates on online data so far."""
        return self.governor.updates * self.learner.agent.updates_per_round

    def take(self, step: Step) -> None:
        """Take in one step."""
        self.learner.add(self._count_step(step))

    def take_all(self, steps: Iterable[Step]) -> None:
        """Take in steps that wait."""
        self.learner.add_all(map(self._count_step, steps))

    def restore(self, log: StepLog) -> dict[str, Any]:
        """Rebuild the replay from `log`, then load the newest checkpoint; return its state, empty without one.

        What people said about the episodes meanwhile counts.
        """
        self.learner.judge(self._labels.poll())
        self.take_all(log.steps())
        if not checkpoint.has_checkpoint(self._run.checkpoints):
            return {}
        saved = checkpoint.load_newest(self._run.checkpoints)
        steps = self.governor.steps
        try:
            self.learner.load(saved.arrays["agent"], saved.state["learner"])
            self.governor.load(saved.state["governor"])
        except KeyError as error:
            raise StorageError(f"{saved.path} lacks {error}; it was not made by a run of this program.") from error
        if steps < self.governor.steps:
            raise StorageError(
                f"{saved.path} has seen {self.governor.steps} online steps and the step log {log.path} holds {steps}: "
                f"steps are missing. Restore the folder from a copy."
            )
        self.governor.record_steps(steps - self.governor.steps)
        self.warm = True
        self._row_updates = self.updates
        _log.info("continuing from %s, %d online steps in the log", saved.path, steps)
        return saved.state

    def warm_start(
        self,
        progress: Callable[[str, int, int], None] = lambda name, done, of: None,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        """Learn from the demonstrations alone; abandoned by `stop`, a resumed run begins it again."""
        self.learner.judge(self._labels.poll())
        self._note(self.learner.warm_start(progress, stop))
        self.warm = not stop()

    def round(self) -> None:
        """Do one training round; one without any data, all of it discarded, is passed over, so that nobody waits."""
        if self.learner.has_data:
            self._note(self.learner.train_round())
        self.governor.record_updates(1)

    def row(self, force: bool = False) -> None:
        """About once per second: obey the labels that came, write a row, and now and then the values."""
        now = self._run.now()
        passed = now - self._row_t
        if passed < ROW_EVERY_S and not force:
            return
        self.learner.judge(self._labels.poll())
        self._values.write(self.learner)
        online = self.learner.online_steps
        self._sink.write(
            LearnerRow(
                t_wall_s=now,
                updates=self.updates,
                env_steps=online,
                updates_per_s=(self.updates - self._row_updates) / passed if passed > 0 else 0.0,
                utd=self.updates / max(1, online),
                losses={name: total / max(1, self._count) for name, total in self._sums.items()},
                replay=self.learner.replay.sizes,
            )
        )
        self._row_t, self._row_updates, self._sums, self._count = now, self.updates, {}, 0

    def save_due(self) -> bool:
        """Whether the last checkpoint is old enough for another."""
        return self._run.now() - self._save_t >= SAVE_EVERY_S

    def save(self, more: Mapping[str, Any] | None = None) -> None:
        """Write a checkpoint."""
        arrays, numbers = self.learner.export()
        state = {
            "learner": numbers,
            "governor": self.governor.state(),
            "counters": {"updates": self.updates, "online_steps": self.learner.online_steps},
            "replay_high_water": {"online_steps": self.governor.steps, "demo_steps": self.demo_steps},
            "experiment": self._experiment.name,
            "seed": self._seed,
            "git": self._run.config().get("git", ""),
            **(more or {}),
        }
        checkpoint.save(self._run.checkpoints, {"agent": arrays}, state)
        self._save_t = self._run.now()

    def actor_params(self) -> dict[str, Array]:
        """Return a copy of what acting needs."""
        return self.learner.actor_params()

    def close(self) -> None:
        """End threads and files; legal twice."""
        self.learner.close()
        self._sink.close()

    def _count_step(self, step: Step) -> Step:
        if step.segment is Segment.DEMO:
            self.demo_steps += 1
            self.demo_episodes += step.is_last
        else:
            self.governor.record_steps(1)
        return step

    def _note(self, metrics: Mapping[str, float]) -> None:
        for name, value in metrics.items():
            self._sums[name] = self._sums.get(name, 0.0) + float(value)
        self._count += 1
