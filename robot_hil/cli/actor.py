"""`robot-hil actor`: demonstrations first, then trials with a person at hand, until the goal is reached."""

import json
import time
from typing import TYPE_CHECKING, Any

from robot_hil.actor.seeding import Stream
from robot_hil.cli import compose
from robot_hil.cli.goal import GoalTracker
from robot_hil.cli.operator_options import NOBODY, OperatorOptions
from robot_hil.cli.robot import Robot
from robot_hil.cli.runfolder import RunFolder
from robot_hil.cli.signals import StopRequest
from robot_hil.data.step import Step
from robot_hil.errors import ConfigError
from robot_hil.report.metrics import EpisodeRow, JsonlSink, write_json
from robot_hil.transport.keys import Keys
from robot_hil.transport.uplink import Uplink
from robot_hil.transport.weights import WeightSubscriber

if TYPE_CHECKING:
    from collections.abc import Callable

    from robot_hil.experiments.base import Experiment

_FLUSH_S = 20.0
_MAX_DEMO_ATTEMPTS = 50
"""A person who succeeds in three of ten tries is tried that long by chance about once in 50 million times."""


class Demonstrator:
    """Records demonstrations: only successful ones are passed on, whole."""

    def __init__(self, robot: Robot, sink: "Callable[[Step], object]", stop: "Callable[[], bool]") -> None:
        self._robot, self._sink, self._stop = robot, sink, stop

    def record(self, wanted: int, have: int, first_id: int, done: "Callable[[EpisodeRow], None]") -> int:
        """Record until there are `wanted`, counted from `have`; return the next free episode id.

        Raises `ConfigError` when the person fails far more often than not.
        """
        steps: list[Step] = []
        usual, self._robot.sink = self._robot.sink, steps.append
        try:
            return self._record(wanted, have, first_id, steps, done)
        finally:
            self._robot.sink = usual

    def _record(
        self, wanted: int, have: int, episode: int, steps: list[Step], done: "Callable[[EpisodeRow], None]"
    ) -> int:
        failed, self._robot.demos = 0, have
        while self._robot.demos < wanted and not self._stop():
            self._robot.tell(f"recording demonstration {self._robot.demos + 1} of {wanted}", "demo")
            steps.clear()
            row = self._robot.run(Stream.DEMO, episode)
            if self._robot.stop_requested:
                break
            episode += 1
            if row is not None and row.success:
                failed = 0
                for step in steps:
                    self._sink(step)
                done(row)
                continue
            failed += 1
            if failed >= _MAX_DEMO_ATTEMPTS:
                raise ConfigError(
                    f"{failed} demonstrations in a row failed. Choose a more skilful --person.profile, or --demos-from."
                )
        return episode


class Memory:
    """What an actor must remember beyond its rows, in `actor_state.json`."""

    def __init__(self, run: RunFolder) -> None:
        self._path = run.path / "actor_state.json"

    def load(self) -> dict[str, Any]:
        """Return what was saved; empty for a new run."""
        try:
            found: dict[str, Any] = json.loads(self._path.read_text())
        except (FileNotFoundError, ValueError):
            return {}
        return found

    def save(self, next_episode: int, person: dict[str, int]) -> None:
        """Remember the next episode and how tired the person is."""
        write_json(self._path, {"next_episode": next_episode, "person": person}, durable=False)


class ActorProcess:
    """One actor: robot, uplink, weights, rows."""

    def __init__(
        self, experiment: "Experiment", run: RunFolder, seed: int, endpoint: str, weights_endpoint: str,
        keys: Keys | None, actor_id: str = "actor", operator: OperatorOptions = NOBODY,
    ) -> None:  # fmt: skip
        compose.require_person(experiment, bool(operator.teleop))
        self.experiment, self.run_folder = experiment, run
        self.agent = compose.make_agent(experiment)
        throttle = None if experiment.realtime else self._throttle
        self.robot = Robot(
            experiment, run, self.agent, seed,
            between=self._poll_weights, throttle=throttle, actor_id=actor_id, operator=operator,
        )  # fmt: skip
        self.stop = StopRequest(self.robot.request_stop)
        self.uplink = Uplink(
            run.spool, self.robot.spec, endpoint=endpoint, actor_id=actor_id, task=experiment.name, keys=keys,
            files=self.agent.files,
        )  # fmt: skip
        self.robot.sink = self.uplink.put
        self.robot.epoch = lambda: self.uplink.epoch
        self.weights = WeightSubscriber(endpoint=weights_endpoint, keys=keys)
        self.demonstrator = Demonstrator(self.robot, self.uplink.put, lambda: bool(self.stop))
        self.memory = Memory(run)
        self.rows = JsonlSink(run.actor_rows)
        self._version_key: str = ""

    def run(self) -> str:
        """Work until the goal is reached or a stop is asked for; return why it ended."""
        self.uplink.start()
        self.weights.start()
        try:
            self.robot.start()
            earlier, memory = self.run_folder.episodes(), self.memory.load()
            tracker = GoalTracker(self.experiment.goal, earlier)
            self.robot.env_steps = tracker.env_steps
            self.robot.persons.restore(memory.get("person", {}))
            self.robot.policy_age = self._age
            self.robot.on_contradicted = tracker.contradict
            last = max((row.episode_id for row in earlier if row.phase != "eval"), default=-1)
            episode = max(last + 1, self.uplink.next_episode, int(memory.get("next_episode", 0)))

            def keep(row: EpisodeRow) -> None:
                self.rows.write(row)
                tracker.add(row)

            episode = self.demonstrator.record(self.experiment.demos, tracker.demos, episode, keep)
            self.robot.persons.restore(self.robot.persons.state())
            self.memory.save(episode, self.robot.persons.state())
            return self._train(tracker, episode)
        finally:
            self._close()

    def _train(self, tracker: GoalTracker, episode: int) -> str:
        self._wait_for_weights()
        while not self.stop:
            if reason := tracker.done():
                self.robot.tell(reason)
                self._finish(reason)
                return reason
            row = self.robot.try_next(tracker.check_due(), episode)
            if row is not None:
                self.rows.write(row)
                tracker.add(row)
                self.uplink.report({"episode": episode, "success": row.success, "steps": row.steps})
                episode += 1
            self.memory.save(episode, self.robot.persons.state())
        return "stopped"

    def _wait_for_weights(self) -> None:
        total = self.experiment.learner.clone_updates + self.experiment.learner.critic_warmup
        while not self.stop and not self._poll_weights():
            if self.uplink.error is not None:
                raise self.uplink.error
            done = self.uplink.progress.updates
            what = f": {done} of {total} updates" if 0 < done <= total else ""
            self.robot.tell(f"the learner imitates the demonstrations{what}", "train")
            self.robot.show_alive()
            self.weights.wait(-1, 0.1)

    def _finish(self, reason: str) -> None:
        """Let the learner have everything and tell it that this was all."""
        if self.uplink.flush(_FLUSH_S):
            self.uplink.report({"done": reason})
            time.sleep(0.3)

    def _poll_weights(self) -> bool:
        """Take newer weights if any came; return whether there are any."""
        newest = self.weights.latest()
        if newest is None:
            return False
        if self.robot.checking:
            return True  # one policy is checked, not several
        if newest.sha256 != self._version_key:
            self._version_key = newest.sha256
            self.robot.policy.set_params(newest.version, self.agent.load_actor(newest.params))
        return True

    def _throttle(self) -> bool:
        """Return True while the simulated robot must wait for the learner."""
        if self.uplink.error is not None:
            raise self.uplink.error
        if self.stop or self.uplink.throttle(0.2):
            return False
        self.robot.show_alive()
        return True

    def _age(self) -> float | None:
        newest = self.weights.latest()
        return None if newest is None else newest.age(time.monotonic())

    def _close(self) -> None:
        deadline = time.monotonic() + _FLUSH_S
        # without a learner the rest stays in the spool, which the next start sends
        while self.stop.requested and self.uplink.info().connected and time.monotonic() < deadline:
            if self.uplink.flush(0.2) or self.uplink.error is not None:
                break
        self.uplink.stop()
        self.weights.stop()
        self.rows.close()
        self.robot.close()
        self.stop.finish()
