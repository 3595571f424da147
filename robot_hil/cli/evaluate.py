"""`robot-hil eval` and `robot-hil report`: what a policy can do alone, and tables and plots of runs."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from robot_hil.actor.seeding import Stream
from robot_hil.cli import compose
from robot_hil.cli.finish import CURVE_FILE, load_policy
from robot_hil.cli.operator_options import NOBODY, OperatorOptions
from robot_hil.cli.robot import Robot
from robot_hil.cli.runfolder import RunFolder, next_free
from robot_hil.cli.signals import StopRequest
from robot_hil.errors import StorageError
from robot_hil.learner import checkpoint
from robot_hil.report.metrics import EpisodeRow, JsonlSink, write_json
from robot_hil.report.summary import Summary, mean_cycle, read_summary, wilson_interval

if TYPE_CHECKING:
    from robot_hil.experiments.base import Experiment

_FIRST_EPISODE = 100_000
"""Far from the episodes of the run's own evaluation, so that these are fresh."""


def find_run(path: Path) -> tuple[RunFolder, Path | None]:
    """Return the run of `path`, a run folder or one of its checkpoints, and that checkpoint."""
    if path.name.startswith("checkpoint-"):
        return RunFolder(path.resolve().parent.parent), path
    return RunFolder(path), None


def evaluate(
    experiment: "Experiment",
    run: RunFolder,
    saved_at: Path | None,
    seed: int,
    episodes: int,
    operator: OperatorOptions = NOBODY,
) -> int:
    """Let the policy act alone for `episodes`; print and write the result into a new folder of the run."""
    compose.limit_threads(experiment, 1)
    saved = checkpoint.load(saved_at) if saved_at else checkpoint.load_newest(run.checkpoints)
    out = RunFolder(next_free(run.path, "eval"))
    out.create(experiment, run.config()["argv"], seed)  # a run folder of its own: a console may be attached
    agent = compose.make_agent(experiment)
    robot = Robot(experiment, out, agent, seed, operator=operator)
    stop = StopRequest(robot.request_stop)
    rows: list[EpisodeRow] = []
    by_env = 0
    try:
        robot.start()
        load_policy(robot, agent, saved)
        with JsonlSink(out.actor_rows) as sink:
            while len(rows) < episodes and not stop:
                row = robot.run(Stream.EVAL, _FIRST_EPISODE + len(rows))
                if row is not None and not stop:
                    sink.write(row)
                    rows.append(row)
                    by_env += robot.env_success
    finally:
        robot.close()
    good = sum(row.success for row in rows)
    low, high = wilson_interval(good, len(rows))
    cycle = mean_cycle(rows)
    result = {
        "checkpoint": str(saved.path), "episodes": len(rows), "success_rate": good / max(1, len(rows)),
        "success_ci95": (low, high), "cycle_steps": cycle, "seed": seed,
    }  # fmt: skip
    if experiment.reward_model:
        result |= {"reward_model": experiment.reward_model, "env_success_rate": by_env / max(1, len(rows))}
    write_json(out.path / "eval.json", result)
    print(
        f"{good} of {len(rows)} succeeded ({good / max(1, len(rows)):.0%}, 95 % interval {low:.0%} to {high:.0%}), "
        f"{'-' if cycle is None else f'{cycle:.1f}'} steps per success. Policy: {saved.path}. Result: {out.path}"
    )
    if experiment.reward_model:
        print(f"So says {experiment.reward_model}; {by_env} of them ended as a success of the environment's own.")
    return 130 if stop else 0


def report(paths: Sequence[Path], out: Path) -> None:
    """Print a table of the runs and write their curves."""
    from robot_hil.report.plots import plot_comparison, plot_learning_curve

    runs = [RunFolder(path) for path in paths]
    configs = [run.config() for run in runs]
    table = Table(title="runs")
    columns = ("run", "experiment", "seed", "env steps", "to 95 %", "success", "steps", "person", "human", "train s")
    for name in columns:
        table.add_column(name, justify="left" if name in columns[:2] else "right", no_wrap=True, overflow="fold")
    groups: dict[str, list[list[EpisodeRow]]] = {}
    for run, config in zip(runs, configs, strict=True):
        episodes = run.episodes()
        if not episodes:
            raise StorageError(f"{run.path} has no episodes yet; there is nothing to report.")
        name = str(config["experiment"]["name"])
        groups.setdefault(name, []).append(episodes)
        table.add_row(str(run.path), name, str(config["seed"]), *_cells(run, episodes))
        plot_learning_curve(run.path / CURVE_FILE, episodes, name, f"seed {config['seed']}")
    console = Console()
    if not console.is_terminal:
        console = Console(width=140)
    console.print(table)
    if len(runs) > 1:
        plot_comparison(out, groups, "comparison")
        print(f"Comparison: {out}")
    print("Curves: " + ", ".join(str(run.path / CURVE_FILE) for run in runs))


def _cells(run: RunFolder, episodes: Sequence[EpisodeRow]) -> list[str]:
    summary: Summary | None = read_summary(run.summary) if run.summary.exists() else None
    if summary is None:
        steps = max(row.env_steps for row in episodes)
        return [f"{steps:,}", "unfinished", "-", "-", "-", "-", "-"]

    def cell(value: float | None, text: str) -> str:
        return "-" if value is None else text.format(value)

    return [
        f"{summary.env_steps:,}",
        cell(summary.env_steps_to_95, "{:,}"),
        cell(summary.success_rate, "{:.0%}"),
        cell(summary.cycle_steps, "{:.1f}"),
        cell(summary.demo_cycle_steps, "{:.1f}"),
        f"{summary.human_steps:,}",
        cell(summary.extras.get("train_s"), "{:.0f}"),
    ]
