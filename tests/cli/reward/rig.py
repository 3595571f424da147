"""A robot that does `Seen` in this process, without a learner."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from cli.reward import seen
from cli.shell import rows

from robot_hil.actor.seeding import Stream
from robot_hil.cli import compose
from robot_hil.cli.reward.online import OnlineReward
from robot_hil.cli.robot import Robot
from robot_hil.cli.runfolder import RunFolder
from robot_hil.data.step import Step
from robot_hil.data.teleop import EventKind, TeleopEvent
from robot_hil.experiments import registry
from robot_hil.replay.step_log import StepLog
from robot_hil.report.metrics import EpisodeRow


class Rig:
    """A robot in a run folder of its own, judged by the model in a folder if one is given."""

    def __init__(self, run: Path, model: Path | None = None) -> None:
        experiment = compose.with_env(registry.get("pick_cube"), seen.Seen.env_spec.env_id)
        agent = replace(experiment.agent, hidden=(8, 8))  # type: ignore[arg-type]
        experiment = replace(experiment, agent=agent, reward_model=str(model or ""))
        self.run, self.steps = RunFolder(run), list[Step]()
        self.run.create(experiment, ["pick_cube", "--env", "Seen-v0"], 0)
        made = compose.make_agent(experiment)
        self.robot = Robot(experiment, self.run, made, 0, sink=self.steps.append)
        state = made.init(self.robot.spec, 0)
        self.robot.policy.set_params(0, made.load_actor(made.actor_params(state)))
        self.robot.start()

    @property
    def reward(self) -> OnlineReward:
        assert self.robot.reward is not None
        return self.robot.reward

    def trials(self, count: int) -> list[EpisodeRow]:
        """Run so many episodes and log them; return their rows."""
        found = [self.robot.run(Stream.TRAIN, episode) for episode in range(count)]
        with StepLog(self.run.steps) as log:
            log.append_many([replace(step, epoch=1, seq=seq) for seq, step in enumerate(self.steps)])
        return [row for row in found if row is not None]

    def say(self) -> bool:
        return self.reward.contradicted(TeleopEvent(kind=EventKind.FALSE_POSITIVE, t=time.monotonic(), source="Ann"))

    def told(self) -> list[dict[str, Any]]:
        return rows(self.run.path / "reward.jsonl")
