"""The end of a run: autonomous evaluation, summary, learning curve, film of the learnt policy."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from robot_hil.actor.seeding import Stream
from robot_hil.cli import compose
from robot_hil.cli.operator_options import NOBODY, OperatorOptions
from robot_hil.cli.robot import Robot
from robot_hil.cli.runfolder import RunFolder
from robot_hil.data import codec
from robot_hil.data.specs import Array
from robot_hil.learner import checkpoint
from robot_hil.protocols import Agent
from robot_hil.replay.step_log import StepLog
from robot_hil.report.machine import describe_machine, git_hash, today
from robot_hil.report.metrics import RECORDED, EpisodeRow, JsonlSink, read_learner
from robot_hil.report.summary import SUMMARY_FILE, LogCounts, Summary, summarize, write_summary

if TYPE_CHECKING:
    from robot_hil.cli.signals import StopRequest
    from robot_hil.experiments.base import Experiment

CURVE_FILE, FILM_FILE = "learning_curve.png", "policy.gif"
FILM_EPISODES = 3


def load_policy(robot: Robot, agent: Agent, saved: checkpoint.Checkpoint) -> None:
    """Let `robot` act with the policy in `saved`."""
    state = agent.load(agent.init(robot.spec, 0), saved.arrays["agent"])
    rounds = int(saved.state["learner"]["rounds"])
    robot.policy.set_params(rounds, agent.load_actor(agent.actor_params(state)))


def evaluate_run(
    experiment: "Experiment",
    run: RunFolder,
    seed: int,
    stop: "StopRequest",
    refresh: Callable[[], object],
    operator: OperatorOptions = NOBODY,
    agent: Agent | None = None,
) -> None:
    """Run the evaluation: person off, deterministic policy, fresh episodes; rows go to `actor.jsonl`.

    `agent`, if given, is the experiment's, from an earlier run: what it has compiled is not compiled again.
    """
    compose.limit_threads(experiment, 1)
    saved = checkpoint.load_newest(run.checkpoints)
    earlier = run.episodes()
    done = [row for row in of_final_policy(earlier) if row.phase == "eval"]
    agent = agent or compose.make_agent(experiment)
    robot = Robot(experiment, run, agent, seed, between=refresh, operator=operator)
    stop.on_stop = robot.request_stop
    robot.env_steps = max((row.env_steps for row in earlier), default=0)
    try:
        robot.start()
        load_policy(robot, agent, saved)
        with JsonlSink(run.actor_rows) as rows:
            for episode in range(len(done), experiment.eval_episodes):
                robot.tell(f"evaluation {episode + 1} of {experiment.eval_episodes}: the robot alone", "eval")
                row = robot.run(Stream.EVAL, episode)
                if stop:
                    return
                if row is not None:
                    rows.write(row)
        robot.tell("done", "eval")
    finally:
        robot.close()


def write_results(experiment: "Experiment", run: RunFolder, seed: int) -> Summary:
    """Write summary, curve and film, and print where they are."""
    from robot_hil.report.plots import plot_learning_curve

    episodes = of_final_policy(run.episodes())
    config = run.config()
    train = [row for row in episodes if row.phase == "train"]
    summary = summarize(
        experiment=experiment.name,
        observation=experiment.observation,
        seed=seed,
        wall_s=run.now(),
        episodes=episodes,
        learner=read_learner(run.learner_rows),
        log=count_log(run, episodes),
        extras={
            "git": config.get("git", "") or git_hash(),
            "machine": str(describe_machine()),
            "date": today(),
            "checks": sum(row.phase == "check" for row in episodes),
            "train_s": train[-1].t_wall_s - train[0].t_wall_s if train else 0.0,
        },
    )
    write_summary(run.summary, summary)
    plot_learning_curve(run.path / CURVE_FILE, episodes, experiment.name, f"seed {seed}, {experiment.env_id}")
    print(_verdict(summary))
    try:
        film(experiment, run, seed)
    except Exception as error:  # no GL here, an environment without pictures: whatever it is, the result stands
        print(f"No film of the policy: {error}")
    files = [name for name in (SUMMARY_FILE, CURVE_FILE, FILM_FILE) if (run.path / name).exists()]
    print(f"\nLook into {run.path}: {', '.join(files)}.")
    print(f"Next: robot-hil eval {run.path} --episodes 100, or robot-hil report {run.path}")
    return summary


def of_final_policy(episodes: Sequence[EpisodeRow]) -> list[EpisodeRow]:
    """Return `episodes` without evaluations of policies that were trained further since."""
    final = max((row.env_steps for row in episodes), default=0)
    return [row for row in episodes if row.phase != "eval" or row.env_steps == final]


def film(experiment: "Experiment", run: RunFolder, seed: int) -> None:
    """Write a GIF of a few episodes of the learnt policy."""
    from robot_hil.report.video import write_gif

    agent = compose.make_agent(experiment)
    frames: list[Array] = []
    robot = Robot(experiment, run, agent, seed, render_mode="rgb_array")

    def shoot() -> None:
        picture: Any = robot.env.render()
        if picture is not None:
            frames.append(picture)

    robot.between = shoot
    try:
        robot.start()
        load_policy(robot, agent, checkpoint.load_newest(run.checkpoints))
        for episode in range(FILM_EPISODES):
            robot.run(Stream.EVAL, episode)
        write_gif(run.path / FILM_FILE, frames, fps=robot.spec.control_hz)
    finally:
        robot.close()


def count_log(run: RunFolder, episodes: list[EpisodeRow]) -> LogCounts:
    """Compare what the learner's log holds, record by record, with what the actor executed.

    An episode that was cut by a kill has no row: more may be logged than the rows say.
    """
    executed = sum(row.steps for row in episodes if row.phase in RECORDED)
    with StepLog(run.steps) as log:
        missing = log.info().lost
        keys = [codec.peek(blob) for _, blob in log.blobs()]
    distinct = len({(key.actor_id, key.epoch, key.episode_id, key.step_index) for key in keys})
    return LogCounts(
        steps_logged=len(keys), steps_lost=max(missing, executed - distinct, 0), steps_duplicated=len(keys) - distinct
    )


def _verdict(summary: Summary) -> str:
    def number(value: float | None, text: str) -> str:
        return text.format(value) if value is not None else "-"

    low, high = summary.success_ci95 or (0.0, 1.0)
    return (
        f"\nThe robot alone: {number(summary.success_rate, '{:.0%}')} success in {summary.eval_episodes} episodes "
        f"(95 % interval {low:.0%} to {high:.0%}), {number(summary.cycle_steps, '{:.0f}')} steps per success, "
        f"the person took {number(summary.demo_cycle_steps, '{:.0f}')}.\n"
        f"{summary.env_steps} env steps, goal after {number(summary.env_steps_to_95, '{:.0f}')}, "
        f"{summary.interventions} interventions, {summary.wall_s:.0f} s in all; "
        f"{summary.steps_logged} steps logged, {summary.steps_lost} lost, {summary.steps_duplicated} duplicated."
    )
