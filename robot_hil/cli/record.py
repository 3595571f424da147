"""`robot-hil record`: demonstrations into a step log, and the way back from such a log into a run."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from robot_hil.cli import committee, compose
from robot_hil.cli.actor import Demonstrator
from robot_hil.cli.against import Against
from robot_hil.cli.episodes import spec_of_env
from robot_hil.cli.goal import GoalTracker
from robot_hil.cli.operator_options import NOBODY, OperatorOptions
from robot_hil.cli.robot import Robot
from robot_hil.cli.runfolder import RunFolder
from robot_hil.cli.signals import StopRequest
from robot_hil.cli.stepwise import StepwiseDisplay
from robot_hil.data.labels import EpisodeKey, Verdict
from robot_hil.data.step import Segment, Step
from robot_hil.errors import ConfigError
from robot_hil.replay.log_reader import StepLogReader
from robot_hil.replay.step_log import StepLog
from robot_hil.report.labels import read_labels
from robot_hil.report.metrics import EpisodeRow, JsonlSink
from robot_hil.transport import protocol

if TYPE_CHECKING:
    from robot_hil.experiments.base import Experiment

DEMO_ACTOR = "demos"


def record(
    experiment: "Experiment",
    run: RunFolder,
    seed: int,
    operator: OperatorOptions = NOBODY,
    against: Against | None = None,
) -> int:
    """Record until the folder holds the experiment's number of demonstrations; return how many it holds.

    `against` judges each, and shows what it thinks; it is kept in any case.
    """
    compose.require_person(experiment, bool(operator.teleop))
    earlier = run.episodes()
    tracker, pending = GoalTracker(experiment.goal, earlier), list[Step]()
    first = max((row.episode_id for row in earlier), default=-1) + 1
    title = f"{experiment.name} · demonstrations"
    agent = compose.make_agent(experiment)
    robot = Robot(experiment, run, agent, seed, actor_id=DEMO_ACTOR, operator=operator)
    stop = StopRequest(robot.request_stop)
    with (
        closing(robot),
        StepLog(run.steps, meta={"experiment": experiment.name}) as log,
        JsonlSink(run.actor_rows) as rows,
    ):
        robot.start()
        demonstrator = Demonstrator(robot, pending.append, stop=lambda: bool(stop))
        epoch = log.new_epoch(DEMO_ACTOR)
        robot.epoch = lambda: epoch
        seq = 0

        def keep(row: EpisodeRow) -> None:
            nonlocal seq
            if against is not None:
                robot.tell(against.judge(row.episode_id, pending), "demo")
                robot.log("info", robot.message)
            log.append_many([replace(step, epoch=epoch, seq=seq + i) for i, step in enumerate(pending)])
            seq += len(pending)
            pending.clear()
            rows.write(row)
            tracker.add(row)

        with StepwiseDisplay(run.path, title) as display:
            robot.between = display.refresh_seldom
            demonstrator.record(experiment.demos, tracker.demos, first, keep)
            robot.tell("done", "demo")
    return tracker.demos


def adopt(source: Path, experiment: "Experiment", run: RunFolder, compatible_with: Path | None = None) -> int:
    """Copy the demonstrations of another run into `run` before it begins; return how many there are.

    Those that a person has called a failure or discarded since stay behind, and those that do not fit the committee of
    the run `compatible_with`. Raises when there are none, or when they are not of this experiment's environment.
    """
    other = RunFolder(source)
    other.config()
    spec = spec_of_env(experiment)
    bad = {key for key, row in read_labels(source).items() if row.verdict is not Verdict.SUCCESS}
    if compatible_with is not None:
        bad |= set(committee.incompatible(source, committee.load(compatible_with)))
    with closing(StepLogReader(other.steps)) as log:
        demos = [step for step in log.steps() if step.segment is Segment.DEMO]
    steps = [step for step in demos if (step.actor_id, step.epoch, step.episode_id) not in bad]
    if not steps:
        rejected = " that were not rejected afterwards" if demos else ""
        rejected += f" and fit {compatible_with}" if demos and compatible_with is not None else ""
        raise ConfigError(
            f"{source} holds no demonstrations{rejected}. Record some: robot-hil record {experiment.name} --out ..."
        )
    ids: dict[EpisodeKey, int] = {}
    renamed = []
    for seq, step in enumerate(steps):
        protocol.check_step(spec, step)
        episode = ids.setdefault((step.actor_id, step.epoch, step.episode_id), len(ids))
        renamed.append(replace(step, actor_id=DEMO_ACTOR, epoch=1, seq=seq, episode_id=episode))
    with StepLog(run.steps, meta={"experiment": experiment.name}) as log:
        log.append_many(renamed)
    numbers = {key[2]: number for key, number in ids.items()}
    with JsonlSink(run.actor_rows) as rows:
        for row in other.episodes():
            if row.phase == "demo" and row.episode_id in numbers:
                rows.write(replace(row, t_wall_s=0.0, env_steps=0, episode_id=numbers[row.episode_id]))
    return len(ids)
