"""A robot that asks for help: what tells it when, level of autonomy and call put together; `autonomy.jsonl` says when.

What tells is a committee (`robot-hil committee RUN`), or the agent's own doubt and foresight (`--method thrifty`).
"""

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from robot_hil.actor.supervised import Reliability, SupervisedPolicy
from robot_hil.cli import committee
from robot_hil.clock import Clock
from robot_hil.errors import ConfigError
from robot_hil.help.autonomy import Autonomy, AutonomyConfig, Change, Level
from robot_hil.help.thrifty import Foresight, ThriftyReliability
from robot_hil.report.metrics import JsonlSink

if TYPE_CHECKING:
    from robot_hil.cli.robot import Robot
    from robot_hil.experiments.base import Experiment
    from robot_hil.protocols import Agent
    from robot_hil.teleop.simulated.approver import Approver

ROWS_FILE = "autonomy.jsonl"
"""In the run folder, a row per change of level: episode, time, level, reliability, cause."""
APPROVAL_S = 1.0
"""How long a person's approval counts [s]."""
THRIFTY = AutonomyConfig(
    low=0.5, alarm=0.5, high=0.5, patience=1, smooth_s=0.0, recover_s=0.0, dwell_s=0.0, pardon_s=1.0
)
"""A robot that asks by its own gate, which is either shut or open: it is held until the gate opens. A person who says
to go on instead has a second to see what comes of it."""
_WORDS = {
    Level.FULL: "the robot is reliable again and goes on by itself",
    Level.SLOWED: "the robot is unsure and goes slowly",
    Level.APPROVED: "the robot proposes and waits for approval",
    Level.HELD: "the robot asks for help",
}


def check_asking(experiment: "Experiment") -> None:
    """Raise `ConfigError` for ways to ask that do not work together; loads nothing that computes."""
    ask = experiment.ask
    if ask.by == "committee" and ask.changed and not experiment.committee:
        raise ConfigError(
            "--ask.… has nothing that says when: give --committee RUN, or --ask.by thrifty with --method thrifty."
        )
    if ask.by == "thrifty" and experiment.committee:
        raise ConfigError(f"--ask.by thrifty asks without a committee; leave out --committee {experiment.committee}.")
    if ask.by == "thrifty" and not _foresees(experiment):
        raise ConfigError(
            f"--ask.by thrifty needs an agent that foresees success, which {experiment.agent.algorithm} does not: add "
            "--method thrifty."
        )


def _foresees(experiment: "Experiment") -> bool:
    from robot_hil.policies.base import Foreseer
    from robot_hil.policies.registry import make_algorithm

    return isinstance(make_algorithm(experiment.agent), Foreseer)


def supervision_of(robot: "Robot", agent: "Agent", clock: Clock) -> "Supervision | None":
    """Return what lets `robot`, whose policy is of `agent`, ask for help; None where nothing was asked for."""
    experiment = robot.experiment
    check_asking(experiment)
    if experiment.ask.by == "thrifty":
        thrifty = ThriftyReliability(_foresight(robot, agent), experiment.ask.budget)
        return Supervision(robot, thrifty, THRIFTY, clock)
    if not experiment.committee:
        return None
    folder = Path(experiment.committee)
    made = committee.load(folder)
    committee.same_task(made, robot.spec, folder)
    return Supervision(robot, made, made.trigger, clock)


class Supervision:
    """Belongs to the thread of the control loop."""

    def __init__(self, robot: "Robot", reliability: Reliability, trigger: AutonomyConfig, clock: Clock) -> None:
        self._robot = robot
        ask, spec = robot.experiment.ask, robot.spec
        trigger = replace(
            trigger, per_minute=ask.per_minute, approve_s=APPROVAL_S if ask.approve else 0.0,
            alarm=trigger.alarm if ask.at_once else 0.0,
        )  # fmt: skip
        slowed = np.array([not name.split(".")[-1].startswith("gripper") for name in spec.action.names])
        self.policy = SupervisedPolicy(
            robot.policy, reliability, Autonomy(trigger, 1.0 / spec.control_hz),
            np.resize(slowed, spec.action.shape) if slowed.size else np.ones(spec.action.shape, bool),
            decided=lambda: robot.loop.last_decision if robot.loop is not None else None,
            now=clock.now,
            hold=robot.arbiter.request_hold if robot.operator is not None else None,
            approves=_approver(robot, clock) if ask.approve else None,
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
        robot.log("warning" if change.level <= Level.APPROVED else "info", words)
        self._rows.write(
            {"episode_id": robot.episode, "step": robot.steps, **asdict(change), "level": int(change.level)}
        )


def _foresight(robot: "Robot", agent: "Agent") -> Foresight:
    """Return what the robot's policy foresees, with the weights that it acts with."""
    from robot_hil.policies.agent import ForeseeingAgent

    assert isinstance(agent, ForeseeingAgent)  # `check_asking` has seen to that
    return lambda obs: agent.foresee(robot.policy.params, obs)


def _approver(robot: "Robot", clock: Clock) -> "Approver | None":
    """Return the simulated person as one who approves, None where there is none, or a real one."""
    from robot_hil.envs.base import privileged_of
    from robot_hil.teleop.simulated import experts
    from robot_hil.teleop.simulated.approver import Approver
    from robot_hil.teleop.simulated.profile import PROFILES

    person = robot.experiment.person
    if person.expert == "none":
        return None
    delay_s = PROFILES[person.profile].reaction_steps / robot.spec.control_hz
    return Approver(experts.make(person.expert), lambda: privileged_of(robot.env), clock, delay_s)
