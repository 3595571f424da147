"""The reward model of a run: it judges, a person contradicts it, it learns from that and comes back one version on."""

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from robot_hil.actor.rewarding import Judge, Judged
from robot_hil.cli.children import Child
from robot_hil.cli.reward.frames import success_of, unlike
from robot_hil.cli.reward.logged import key_in_set
from robot_hil.cli.reward.models import LoadedModel, frames_of, load_model
from robot_hil.console.messages import Reward
from robot_hil.data.labels import EpisodeKey, Verdict
from robot_hil.data.reward import LabelledFrame
from robot_hil.data.specs import EnvSpec, Observation
from robot_hil.data.teleop import TeleopEvent
from robot_hil.errors import ConfigError, RobotHilError
from robot_hil.policies.reward.dataset import HARD_NEGATIVE, FrameSet
from robot_hil.report.metrics import JsonlSink

if TYPE_CHECKING:
    from robot_hil.cli.robot import Robot

_log = logging.getLogger(__name__)
ROWS_FILE = "reward.jsonl"
"""In the run folder: which version judged from when on, what was contradicted, what was learnt."""
OWN_FRAMES = "false_positives"
"""Data set in the run folder for what fooled a model whose own data set is not there."""
FRAMES_EACH = 8
"""Frames of an episode that become hard negatives: neighbours look alike."""


class OnlineReward:
    """Belongs to the thread of the control loop; disk and training have a thread and a process of their own."""

    def __init__(self, robot: "Robot", folder: Path, *, beside: bool) -> None:
        self._robot, self._folder = robot, folder
        self._model = load_model(folder)
        self._spec, sight = _sight(robot)
        if words := unlike(self._model.spec, self._spec, self._model.spec.images):
            raise ConfigError(
                f"{folder} was made for other cameras: {words}. Record frames with these and train a model of them."
            )
        model = self._model
        self.judge = Judge(model.judge(), model.threshold, beside=beside, dense=model.dense, sight=sight)
        self.false_positives = 0
        """How often a person said that a success was none."""
        self._rows = JsonlSink(robot.run_folder.path / ROWS_FILE)
        self._now: tuple[EpisodeKey, bool] | None = None
        """The episode under way, and whether it is recorded."""
        self._before: tuple[EpisodeKey, bool] | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="reward-learning")
        self._learning: list[Future[LoadedModel | None]] = []
        self._child: Child | None = None
        self._closed = False
        self._told = False

    def begin_episode(self, key: EpisodeKey, *, recorded: bool) -> None:
        """Take a newer version if there is one; the episode `key` begins."""
        if not self._told:
            self._told = True
            self._tell("judges")
        for done in [work for work in self._learning if work.done()]:
            self._learning.remove(done)
            newer = done.result()
            if newer is not None and newer.version > self._model.version:
                self._model = newer
                self.judge.replace(newer.judge(), newer.threshold)
                self._tell("judges")
                self._robot.log("info", f"reward model v{newer.version} judges from here on{_rate(newer)}")
        self._before, self._now = self._now, (key, recorded)

    def contradicted(self, event: TeleopEvent) -> bool:
        """A person says that a success was none; return whether that is about the episode under way."""
        present = bool(self.judge.hits)
        hits = tuple(self.judge.hits) or self.judge.ended
        episode = self._now if present or not self._running else self._before
        if not hits or episode is None:
            self._robot.log("warning", f"{event.source}: not a success - but nothing was taken for one")
            return False
        self.judge.forget_hits()
        key, recorded = episode
        self.false_positives += 1
        self._rows.write(
            {"t_wall_s": self._robot.run_folder.now(), "event": "false_positive", "episode_id": key[2],
             "version": self._model.version, "frames": len(hits), "operator": event.source}
        )  # fmt: skip
        self._robot.on_contradicted(key[2])
        if recorded:
            self._robot.label(key, Verdict.FAIL, event.source, "false positive")
        self._learning.append(self._thread.submit(self._learn, _spread(hits), key, event.source))
        return present

    def status(self) -> Reward:
        """Return what the console shows; any thread may ask."""
        last = self.judge.last
        return Reward(
            version=self._model.version,
            probability=None if last is None else last.judgement.probability,
            false_positive=self._model.false_positive,
            false_positives=self.false_positives,
            late=self.judge.late,
            training=any(not work.done() for work in tuple(self._learning)),
        )

    def close(self) -> None:
        """End what is being learnt; its frames are stored, and the next training has them. Legal twice."""
        self._closed = True
        if self._child is not None:
            self._child.end()
        self._thread.shutdown()
        self.judge.close()
        self._rows.close()

    @property
    def _running(self) -> bool:
        return self._robot.loop is not None and self._robot.loop.running

    def _tell(self, event: str) -> None:
        self._rows.write(
            {"t_wall_s": self._robot.run_folder.now(), "event": event, "version": self._model.version,
             "threshold": self._model.threshold, "false_positive_rate": self._model.false_positive}
        )  # fmt: skip

    # -- in the thread that learns -----------------------------------------------------------------------------------

    def _learn(self, hits: Sequence[Judged], key: EpisodeKey, operator: str) -> LoadedModel | None:
        """Store the frames, train in a child process, and return the next version; None when that did not work."""
        try:
            frames = self._store(hits, key, operator)
            return None if frames is None or self._closed else self._retrain()
        except RobotHilError as error:
            _log.warning("the reward model did not learn: %s", error)
            self._robot.log("error", f"the reward model did not learn: {error}")
            return None

    def _store(self, hits: Sequence[Judged], key: EpisodeKey, operator: str) -> FrameSet | None:
        """Add hard negatives to the model's data set and return it; where that is gone keep them in the run: None."""
        path = frames_of(self._folder)
        run = self._robot.run_folder
        if path is None:
            own = run.path / OWN_FRAMES
            classes = self._model.classes
            frames = FrameSet.open(own) if own.exists() else FrameSet.create(own, classes, self._spec)
            why = "learns from whole episodes only" if self._model.dense else "is without its data set"
            self._robot.log("warning", f"{self._folder} {why}: what fooled it is kept in {own}")
        else:
            frames = FrameSet.open(path)
        for hit in hits:
            frames.add(
                LabelledFrame(
                    obs=hit.obs,
                    label=success_of(frames.classes) - 1,
                    episode=key_in_set(run, key),
                    step_index=hit.index,
                    source=HARD_NEGATIVE,
                    operator=operator,
                    t=time.time(),
                )
            )
        return None if path is None else frames

    def _retrain(self) -> LoadedModel | None:
        log = self._robot.run_folder.log("reward")
        child = Child("reward", ["reward", "retrain", str(self._folder), "--nice"], log, {"OMP_NUM_THREADS": "1"})
        self._child = child
        child.start()
        assert child.process is not None
        code = child.process.wait()
        if code:
            if not self._closed:
                self._robot.log("error", f"the reward model did not learn: {child.last_words()}")
            return None
        return load_model(self._folder)


def make_reward(robot: "Robot") -> OnlineReward:
    """Return the reward model that the robot's experiment names."""
    return OnlineReward(robot, Path(robot.experiment.reward_model), beside=robot.experiment.realtime)


def _sight(robot: "Robot") -> tuple[EnvSpec, Callable[[], Observation] | None]:
    """Return what the judge sees and a function that shows it; None where the policy's observations have the images."""
    if robot.spec.images:
        return robot.spec, None
    from robot_hil.envs.base import pixels_of

    return pixels_of(robot.env)


def _spread(hits: Sequence[Judged]) -> list[Judged]:
    """Return at most `FRAMES_EACH` of the hits, evenly spread, the last one among them."""
    places = np.linspace(len(hits) - 1, 0, min(FRAMES_EACH, len(hits))).round().astype(int)
    return [hits[place] for place in places[::-1]]


def _rate(model: LoadedModel) -> str:
    known = model.false_positive
    return "" if known is None else f", {known[0]:.1%} false positives"
