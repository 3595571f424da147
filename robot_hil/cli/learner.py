"""`robot-hil learner`: receive steps, train as governed, broadcast weights, save."""

import logging
from typing import TYPE_CHECKING

from robot_hil.cli import compose
from robot_hil.cli.episodes import spec_of_env
from robot_hil.cli.runfolder import RunFolder
from robot_hil.cli.signals import StopRequest
from robot_hil.cli.training import Training
from robot_hil.replay.step_log import StepLog
from robot_hil.transport.ingest import IngestServer
from robot_hil.transport.keys import Keys
from robot_hil.transport.weights import WeightPublisher

if TYPE_CHECKING:
    from robot_hil.experiments.base import Experiment

_log = logging.getLogger(__name__)
_IDLE_S = 0.05


class LearnerProcess:
    """One learner: an open log, two servers and the training between them."""

    def __init__(
        self,
        experiment: "Experiment",
        run: RunFolder,
        seed: int,
        endpoint: str,
        weights_endpoint: str,
        keys: Keys | None,
    ) -> None:
        self.stop = StopRequest()
        spec = spec_of_env(experiment)
        self.log = StepLog(run.steps, meta={"experiment": experiment.name}).open()
        self.training = Training(experiment, compose.make_agent(experiment), spec, run, seed)
        files = self.training.learner.agent.files
        self.ingest = IngestServer(
            self.log, spec, run_id=run.run_id(), task=experiment.name, files=files, endpoint=endpoint, keys=keys
        )
        self.publisher = WeightPublisher(endpoint=weights_endpoint, keys=keys)
        self._publish_every = experiment.learner.publish_every
        self._done = ""

    def run(self) -> None:
        """Work until a stop is asked for or an actor says that it is done; then save."""
        training = self.training
        try:
            training.restore(self.log)
            self.ingest.set_progress(step_budget=-1)
            self.ingest.start()
            self.publisher.start()
            _log.info("listening at %s, weights at %s", self.ingest.endpoint, self.publisher.endpoint)
            self._wait_for_demonstrations()
            if not self._finished():
                if not training.warm:
                    self._warm_start()
                if not self._finished():
                    self._tell_limit()
                    self._publish()
                    self._train()
            self._take_steps()
        finally:
            self._close()

    def _wait_for_demonstrations(self) -> None:
        while not self.training.demos_complete and not self._finished():
            self._take_steps()
            self.ingest.wait(_IDLE_S)

    def _warm_start(self) -> None:
        def progress(_name: str, done: int, of: int) -> None:
            if done % 10 == 0 or done == of:
                self.ingest.set_progress(updates=done)
                self.training.row()

        self.training.warm_start(progress, lambda: bool(self.stop))
        if self.training.warm:
            self.training.save()

    def _train(self) -> None:
        training, learner = self.training, self.training.learner
        while not self._finished():
            self._take_steps()
            if training.governor.updates_due():
                training.round()
                self._tell_limit()
                if learner.rounds % self._publish_every == 0:
                    self._publish()
            else:
                self.ingest.wait(_IDLE_S)
            training.row()
            if training.save_due():
                training.save()

    def _take_steps(self) -> None:
        self.training.take_all(self.ingest.drain())

    def _tell_limit(self) -> None:
        """Tell the actors how many steps they may have made, demonstrations included."""
        limit = self.training.governor.step_limit()
        budget = -1 if limit is None else limit + self.training.demo_steps
        self.ingest.set_progress(updates=self.training.updates, step_budget=budget)

    def _publish(self) -> None:
        rounds = self.training.learner.rounds
        self.publisher.publish(rounds, self.training.actor_params(), learner_step=self.training.updates)

    def _finished(self) -> bool:
        for actor_id, report in self.ingest.reports():
            if report.get("done"):
                self._done = str(report["done"])
                _log.info("actor %s is done: %s", actor_id, self._done)
        return bool(self.stop) or bool(self._done)

    def _close(self) -> None:
        self.ingest.stop()
        self.publisher.stop()
        try:
            self.training.take_all(self.ingest.drain())
            if self.training.warm:
                self.training.save()
            self.training.row(force=True)
        finally:
            self.training.close()
            self.log.close()
            self.stop.finish()
