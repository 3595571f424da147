"""`robot-hil tune EXPERIMENT`: search its numbers on tuning seeds, then compare the best with the default on others."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from robot_hil.cli import options
from robot_hil.cli.help import UsageError
from robot_hil.cli.runfolder import CONFIG_FILE, RunFolder, next_free
from robot_hil.cli.signals import StopRequest
from robot_hil.cli.tune_search import RESULT_FILE, Search, in_words, optuna_or_raise
from robot_hil.cli.tune_space import Seeds, dimensions
from robot_hil.errors import StorageError

PLOT_FILE = "tune.png"


@dataclass(frozen=True, kw_only=True)
class Tune(options.Common):
    """What `tune` takes; `--seed` is that of the search."""

    trials: int = 8
    """Sets of numbers that are tried, besides the experiment's own."""
    space: tuple[str, ...] = ()
    """What is searched: NAME=A,B,... or NAME=LOW..HIGH, with :log behind it for a logarithmic scale."""
    tuning_seeds: tuple[int, ...] = (100, 101, 102, 103, 104)
    """Each set of numbers is trained with all of these, and chosen by them."""
    test_seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    """The best set and the default are compared by these, which nothing else ever sees."""
    human_cost: float = 0.1
    """What a person's help costs: a run that was driven by the person all the time scores so much less."""
    sampler: Literal["tpe", "random", "evolve"] = "tpe"
    """How sets are chosen: by what the earlier ones came to, or by chance; or bred from good ones and given up early,
    for as many trainings as --trials sets take: more sets, of which few see all tuning seeds."""


def tune(argv: Sequence[str]) -> int:
    """Search, test and report; return the exit code, 130 when stopped."""
    optuna_or_raise()
    search, root = _asked(list(argv))
    began = time.monotonic()
    result = search.run()
    if result is None:
        print(f"\nStopped and saved. Go on with: robot-hil tune --resume {root}")
        return 130
    from robot_hil.report.search import plot_search

    plot_search(root / PLOT_FILE, result)
    _show(result)
    print(f"{time.monotonic() - began:.0f} s. Written: {root / RESULT_FILE}, {root / PLOT_FILE}.")
    return 0


def _asked(argv: list[str]) -> tuple[Search, Path]:
    """Return the search that a command line asks for, with its folder, which is made unless it is there."""
    resumed = options.value_of(argv, "--resume")
    if resumed is not None:
        more = options.without(argv, {"--resume": 1, "--trials": 1})
        if more:
            raise UsageError(f"tune --resume {resumed} takes --trials alone; leave out {' '.join(more)}.")
        trials = options.value_of(argv, "--trials")
        argv = [*RunFolder(Path(resumed)).config()["argv"], *([] if trials is None else ["--trials", trials])]
    if not argv or argv[0].startswith("-"):
        raise UsageError("tune needs an experiment: robot-hil tune EXPERIMENT [--trials N], or --resume FOLDER.")
    parsed = options.parse("tune", Tune, argv, None if resumed is None else Path(resumed))
    made = parsed.options
    seeds = Seeds(tuning=tuple(made.tuning_seeds), test=tuple(made.test_seeds))
    space = dimensions(made.space, parsed.experiment)
    if made.trials < 1:
        raise UsageError(f"--trials is {made.trials}; give at least 1.")
    folder = RunFolder(Path(resumed) if resumed else made.out or next_free(Path("runs"), f"{argv[0]}-tune"))
    if resumed is None:
        folder.create(parsed.experiment, parsed.argv, made.seed)
    elif not (folder.path / CONFIG_FILE).exists():
        raise StorageError(f"{folder.path} holds no search.")
    folder.lock("tune")
    print(f"search in {folder.path}", flush=True)
    search = Search(
        experiment=parsed.experiment, root=folder.path, space=space, seeds=seeds, trials=made.trials,
        sampler=made.sampler, seed=made.seed, human_cost=made.human_cost, stop=StopRequest(),
        argv=_of_runs(parsed.argv),
    )  # fmt: skip
    return search, folder.path


def _of_runs(argv: Sequence[str]) -> list[str]:
    """Return the command line by which `eval` knows a run of the search; its numbers are in its folder."""
    kept = [argv[0]]
    for name in ("--method", "--env"):
        if (value := options.value_of(argv, name)) is not None:
            kept += [name, value]
    return kept


def _score_in_words(row: Mapping[str, Any]) -> str:
    if row["score"] is not None:
        return f"{row['score']:.3f}"
    return f"{row['given_up']:.3f} of {row['seeds']}" if "given_up" in row else "refused"


def _show(result: Mapping[str, Any]) -> None:
    """Print the table, best first."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{result['experiment']}: mean score on tuning seeds")
    for name in ("trial", "score", "numbers"):
        table.add_column(name, justify="right" if name == "score" else "left", overflow="fold")
    ranked = sorted(result["trials"], key=lambda row: -1.0 if row["score"] is None else -row["score"])
    for row in ranked:
        table.add_row(row["name"], _score_in_words(row), in_words(row["numbers"]))
    console = Console()
    (console if console.is_terminal else Console(width=140)).print(table)
    low, high = result["difference_ci95"]
    budget, tested = result["budget"], result["test"]["chosen"]
    success = np.mean([one.success for one in tested])
    print(
        f"{result['chosen']}: {result['tuning_score']:.3f} on tuning seeds, {result['test_score']:.3f} on test seeds "
        f"(gap {result['gap']:+.3f}); the default {result['default_test_score']:.3f}. "
        f"Difference {result['difference']:+.3f}, 95 % interval {low:+.3f} to {high:+.3f} over {len(tested)} seeds. "
        f"Success {success:.0%}.\n"
        f"Budget: {budget['runs']} runs, {budget['env_steps']:,} env steps, {budget['wall_s']:.0f} s of training."
    )
    if result["numbers"]:
        print("Use it: " + " ".join(f"--{name} {value}" for name, value in result["numbers"].items()))
