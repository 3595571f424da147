"""A whole run in one thread: the same parts without sockets, and the same seed gives the same policy, bit by bit."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from robot_hil.cli import compose
from robot_hil.cli.actor import Demonstrator, Memory
from robot_hil.cli.goal import GoalTracker
from robot_hil.cli.operator_options import NOBODY, OperatorOptions
from robot_hil.cli.robot import Robot
from robot_hil.cli.runfolder import RunFolder
from robot_hil.cli.signals import StopRequest
from robot_hil.cli.training import Training
from robot_hil.data.step import Step
from robot_hil.protocols import Agent
from robot_hil.replay.step_log import StepLog
from robot_hil.report.metrics import EpisodeRow, JsonlSink

if TYPE_CHECKING:
    from robot_hil.experiments.base import Experiment

_ACTOR_ID = "actor"


class InProcess:
    """Robot and learner taking turns. A stop waits for the end of the episode, so that a resumed run goes on exactly.

    Steps become durable at the end of their episode, before its row and before any checkpoint that knows them.
    """

    def __init__(
        self,
        experiment: "Experiment",
        run: RunFolder,
        seed: int,
        stop: StopRequest,
        refresh: Callable[[], object],
        operator: OperatorOptions = NOBODY,
        agent: Agent | None = None,
    ) -> None:
        """`agent`, if given, is the experiment's, from an earlier run: what it has compiled is not compiled again."""
        compose.prepare_training(experiment, 1)
        self.experiment, self.stop = experiment, stop
        self.agent = agent or compose.make_agent(experiment)
        self.log = StepLog(run.steps, meta={"experiment": experiment.name}).open()
        self.robot = Robot(
            experiment, run, self.agent, seed,
            sink=self._keep, between=refresh, throttle=self._train, operator=operator,
        )  # fmt: skip
        self.robot.epoch = lambda: self._epoch
        self.training = Training(experiment, self.agent, self.robot.spec, run, seed, prefetch=False)
        self.rows = JsonlSink(run.actor_rows)
        self.memory = Memory(run)
        self.tracker = GoalTracker(experiment.goal)
        self._run_folder, self._seed = run, seed
        self._pending: list[Step] = []
        self._epoch = self._seq = 0

    def run(self) -> str:
        """Work until the goal is reached or a stop is asked for; return why it ended."""
        try:
            self.training.restore(self.log)
            self._epoch = self.log.new_epoch(_ACTOR_ID)
            self.robot.start()
            earlier, memory = self._run_folder.episodes(), self.memory.load()
            self.tracker = GoalTracker(self.experiment.goal, earlier)
            self.robot.env_steps = self.tracker.env_steps
            self.robot.on_contradicted = self.tracker.contradict
            self.robot.persons.restore(memory.get("person", {}))
            episode = max(int(memory.get("next_episode", 0)), self.log.last_episode(_ACTOR_ID) + 1)
            episode = self._demonstrate(episode)
            if not self.training.warm and not self.stop:
                self.robot.tell("imitating the demonstrations", "train")
                self.training.warm_start(stop=lambda: bool(self.stop))
            return self._episodes(episode)
        finally:
            self._close()

    def _demonstrate(self, episode: int) -> int:
        demonstrator = Demonstrator(self.robot, self._keep, stop=lambda: bool(self.stop))
        episode = demonstrator.record(self.experiment.demos, self.tracker.demos, episode, self._finish_episode)
        self.robot.persons.restore(self.robot.persons.state())
        self.memory.save(episode, self.robot.persons.state())
        return episode

    def _episodes(self, episode: int) -> str:
        while not self.stop:
            if reason := self.tracker.done():
                self.robot.tell(reason)
                return reason
            self._publish()  # at every episode, so that a resumed run acts with the same weights
            row = self.robot.try_next(self.tracker.check_due(), episode)
            self._train()
            episode += 1
            if row is not None:
                self._finish_episode(row)
            self.memory.save(episode, self.robot.persons.state())
            if self.training.save_due():
                self.training.save()
        return "stopped"

    def _keep(self, step: Step) -> None:
        step = replace(step, actor_id=_ACTOR_ID, epoch=self._epoch, seq=self._seq)
        self._seq += 1
        self._pending.append(step)
        self.training.take(step)

    def _finish_episode(self, row: EpisodeRow) -> None:
        self.log.append_many(self._pending)
        self._pending.clear()
        self.rows.write(row)
        self.tracker.add(row)

    def _train(self) -> bool:
        """Make the rounds that are due, between two steps; the robot never has to wait longer."""
        learner = self.training.learner
        while self.training.governor.updates_due():
            self.training.round()
            if learner.rounds % learner.config.publish_every == 0:
                self._publish()
        self.training.row()
        return False

    def _publish(self) -> None:
        self.robot.policy.set_params(self.training.learner.rounds, self.agent.load_actor(self.training.actor_params()))

    def _close(self) -> None:
        try:
            if self._pending:
                self.log.append_many(self._pending)
                self._pending.clear()
            if self.training.warm:
                self.training.save()
            self.training.row(force=True)
        finally:
            self.training.close()
            self.rows.close()
            self.log.close()
            self.robot.close()
