"""`robot-hil reward record EXPERIMENT`: a person drives, and marks by a key what can be seen."""

import time
from collections import deque
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from robot_hil.actor.seeding import Stream
from robot_hil.cli import compose
from robot_hil.cli.reward.frames import Labels, chosen, classes_of, crops_of, success_of
from robot_hil.cli.reward.logged import key_in_set, open_or_create, tell_counts
from robot_hil.cli.robot import Robot
from robot_hil.cli.runfolder import RunFolder
from robot_hil.cli.signals import StopRequest
from robot_hil.cli.stepwise import StepwiseDisplay
from robot_hil.data.reward import THREE_WAY, LabelledFrame
from robot_hil.data.specs import Observation
from robot_hil.data.step import Step
from robot_hil.data.teleop import EventKind, TeleopEvent
from robot_hil.errors import ConfigError
from robot_hil.policies.reward.dataset import FrameSet

if TYPE_CHECKING:
    from robot_hil.cli.reward.options import Live
    from robot_hil.experiments.base import Experiment

ACTOR = "frames"
SESSION = "session"
"""Folder inside the data set with what the console and the display show of a recording."""


class Marker:
    """Turns presses of keys into the label of each frame, in the order in which frames and presses come.

    `person`: keys are pressed by one; else the environment's own success is what a person would have pressed for.
    """

    def __init__(self, classes: tuple[str, ...], press_frames: int, *, person: bool) -> None:
        if press_frames < 1:
            raise ConfigError(f"--press-frames is {press_frames}; it must be at least 1.")
        self.classes, self._person = classes, person
        self._press_frames = press_frames
        self._won = success_of(classes)
        self._staged = len(classes) > 2 and classes != THREE_WAY
        self._presses: deque[TeleopEvent] = deque()
        self._stage = self._marking = 0
        self._mark = 0

    def press(self, event: TeleopEvent) -> None:
        """A key was pressed."""
        self._presses.append(event)

    def begin_episode(self) -> None:
        """The scene was reset: nothing is reached."""
        self._presses.clear()
        self._stage = self._marking = 0

    def label(self, env_success: bool) -> int:
        """Return the label of the next frame, after the presses so far."""
        while self._presses:
            success = self._presses.popleft().kind is EventKind.SUCCESS
            if self._staged:
                self._stage = min(self._won, self._stage + 1) if success else max(0, self._stage - 1)
            elif success or self.classes == THREE_WAY:
                self._mark, self._marking = (self._won if success else THREE_WAY.index("failure")), self._press_frames
            else:
                self._marking = 0
        if not self._person:
            return self._won if env_success else 0
        if self._staged:
            return self._stage
        if not self._marking:
            return 0
        self._marking -= 1
        return self._mark


class Recorder:
    """Keeps the frames of one episode after the other; `counts` is what the data set holds."""

    def __init__(self, frames: FrameSet, run: RunFolder, marker: Marker, negatives: int, operator: str) -> None:
        self._frames, self._run, self._marker = frames, run, marker
        self._negatives, self._operator = negatives, operator
        self._seen: list[Observation] = []
        self._labels: Labels = []
        self._env_success = False
        self.counts = dict(frames.counts)

    def take(self, step: Step) -> None:
        """Take a step of the episode under way."""
        self._keep(step.obs, self._env_success)
        self._env_success = step.success
        if step.final_obs is not None:
            self._keep(step.final_obs, step.success)

    def _keep(self, obs: Observation, env_success: bool) -> None:
        self._seen.append(obs)
        self._labels.append(self._marker.label(env_success))

    def store(self, episode: int) -> None:
        """Store what the episode showed, all successes and a spread of the rest; the next one begins."""
        key = key_in_set(self._run, (ACTOR, 1, episode))
        for index in chosen(self._labels, success_of(self._frames.classes), self._negatives):
            label = self._labels[index]
            assert label is not None
            self._frames.add(
                LabelledFrame(
                    obs=self._seen[index], label=label, episode=key, step_index=index, source="key",
                    operator=self._operator, t=time.time(),
                )
            )  # fmt: skip
        self._seen.clear()
        self._labels.clear()
        self._env_success = False
        self._marker.begin_episode()
        self.counts = dict(self._frames.counts)


def record_live(argv: Sequence[str]) -> int:
    """Record until there are enough frames or the person stops; return the exit code."""
    from robot_hil.cli import options
    from robot_hil.cli.reward.options import Live

    parsed = options.parse("reward record", Live, argv)
    asked: Live = parsed.options
    classes = classes_of(asked.stages, asked.three_way)
    assert asked.out is not None
    run = RunFolder(asked.out / SESSION)
    run.join(parsed.experiment, parsed.argv, asked.seed, changeable=("demos",))
    run.lock("record")
    return _record(parsed.experiment, asked, classes, run)


def _record(experiment: "Experiment", asked: "Live", classes: tuple[str, ...], run: RunFolder) -> int:
    operator, person = asked.operator, bool(asked.teleop)
    experiment = replace(experiment, demos=max(1, experiment.demos), reward_model="")
    compose.require_person(experiment, person)
    marker = Marker(classes, asked.press_frames, person=person)
    robot = Robot(
        experiment, run, compose.make_agent(experiment), asked.seed, actor_id=ACTOR, operator=operator,
        marks=marker.press,
    )  # fmt: skip
    stop = StopRequest(robot.request_stop)
    assert asked.out is not None
    with closing(robot):
        frames = open_or_create(asked.out, classes, lambda: robot.spec, crops_of(asked.crop))
        recorder = Recorder(frames, run, marker, asked.negatives_per_episode, ",".join(asked.teleop) or "simulated")
        robot.sink = recorder.take
        episode = next_episode(frames, run)
        robot.start()
        with StepwiseDisplay(run.path, f"{experiment.name} · frames") as display:
            robot.between = display.refresh_seldom
            while not stop and (words := _wanted(recorder, asked)):
                robot.tell(words, "demo")
                row = robot.run(Stream.DEMO, episode)
                recorder.store(episode)
                episode += row is not None
            robot.tell("done", "demo")
    tell_counts(frames)
    return 130 if stop else 0


def next_episode(frames: FrameSet, run: RunFolder) -> int:
    """Return the first number that no episode of this recording has yet."""
    name = key_in_set(run, (ACTOR, 1, 0))[0]
    return max((episode for actor, _, episode in frames.episodes if actor == name), default=-1) + 1


def _wanted(recorder: Recorder, asked: "Live") -> str:
    """Return how far it is, in words for the person; empty when there is enough."""
    counts, classes = recorder.counts, list(recorder.counts)
    success = counts[classes[success_of(classes)]]
    others = sum(counts.values()) - success
    if success >= asked.successes and others >= asked.failures:
        return ""
    what = "press success when the next stage begins" if asked.stages else "press success while it can be seen"
    return f"frames: {success} of {asked.successes} success, {others} of {asked.failures} other; {what}"
