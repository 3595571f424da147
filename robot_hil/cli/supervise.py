"""A robot that asks for help: committee, level of autonomy and call put together; `autonomy.jsonl` says what came."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from robot_hil.actor.supervised import SupervisedPolicy
from robot_hil.cli import committee
from robot_hil.help.autonomy import Autonomy, Change, Level
from robot_hil.protocols import Policy
from robot_hil.report.metrics import JsonlSink

if TYPE_CHECKING:
    from robot_hil.cli.robot import Robot

ROWS_FILE = "autonomy.jsonl"
"""In the run folder, a row per change of level: episode, time, level, reliability, cause."""
_WORDS = {
    Level.FULL: "the robot is reliable again and goes on by itself",
    Level.SLOWED: "the robot is unsure and goes slowly",
    Level.HELD: "the robot asks for help",
}


class Supervision:
    """Belongs to the thread of the control loop."""

    def __init__(self, robot: "Robot", folder: Path, policy: Policy) -> None:
        self._robot = robot
        made = committee.load(folder)
        committee.same_task(made, robot.spec, folder)
        slowed = np.array([not name.split(".")[-1].startswith("gripper") for name in robot.spec.action.names])
        self.policy = SupervisedPolicy(
            policy, made, Autonomy(made.trigger, 1.0 / robot.spec.control_hz),
            np.resize(slowed, robot.spec.action.shape) if slowed.size else np.ones(robot.spec.action.shape, bool),
            decided=lambda: robot.loop.last_decision if robot.loop is not None else None,
            now=lambda: robot.loop.clock.now() if robot.loop is not None else 0.0,
            hold=robot.arbiter.request_hold if robot.operator is not None else None,
            on_change=self._changed,
        )  # fmt: skip
        self._rows = JsonlSink(robot.run_folder.path / ROWS_FILE)

    def close(self) -> None:
        """Close the file; legal twice."""
        self._rows.close()

    def _changed(self, change: Change) -> None:
        robot, words = self._robot, _WORDS[change.level]
        if change.cause and change.level is not Level.FULL:
            words = f"{words}: {change.cause}"
        robot.message = words
        robot.log("warning" if change.level is Level.HELD else "info", words)
        self._rows.write(
            {"episode_id": robot.episode, "step": robot.steps, **asdict(change), "level": int(change.level)}
        )
