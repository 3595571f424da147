"""`robot-hil committee`, `robot-hil record --against`: what a committee says, in words and in `compatibility.jsonl`."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import tyro

from robot_hil.cli import committee as members
from robot_hil.cli.committee_make import CommitteeOptions, make
from robot_hil.cli.episodes import experiment_of
from robot_hil.cli.help import UsageError
from robot_hil.cli.runfolder import RunFolder
from robot_hil.data.step import Step
from robot_hil.help.compatibility import Compatibility
from robot_hil.report.metrics import JsonlSink

ROWS_FILE = "compatibility.jsonl"
"""In the folder that is recorded into, a row per demonstration: score, accepted, share of new states, worst steps."""


class Against:
    """Judges demonstrations as they are recorded."""

    def __init__(self, against: Path, run: RunFolder) -> None:
        self._committee = members.load(against)
        self._run, self._against = run, against
        self._judged: dict[int, Compatibility] = {}

    def judge(self, episode_id: int, steps: Sequence[Step]) -> str:
        """Judge and note a demonstration; return what to tell who gave it."""
        judged = self._judged[episode_id] = self._committee.judge(steps)
        with JsonlSink(self._run.path / ROWS_FILE) as rows:
            rows.write({"episode_id": episode_id, "against": str(self._against), **asdict(judged)})
        return in_words(judged)

    def show(self) -> None:
        """Print what was judged."""
        for episode_id, judged in self._judged.items():
            print(f"demonstration {episode_id}: {in_words(judged)}")
        unfit = sum(not judged.accepted for judged in self._judged.values())
        if unfit:
            print(
                f"{unfit} of {len(self._judged)} do not fit what {self._against} has learnt from. All are kept; train "
                f"with --compatible-with {self._against} to leave them out."
            )


def in_words(judged: Compatibility) -> str:
    """Return a judgement in one line."""
    words = f"{judged.score:.0%} like what is known" + (f", {judged.novel:.0%} in new places" if judged.novel else "")
    if judged.accepted:
        return f"fits: {words}"
    where = ", ".join(f"{first} to {last}" for first, last in judged.worst)
    return f"does not fit: {words}" + (f"; look at steps {where}" if where else "")


def committee(argv: Sequence[str]) -> int:
    """Make the committee of a run and print how well it is calibrated; return the exit code."""
    if argv and argv[0] in ("-h", "--help"):
        tyro.cli(CommitteeOptions, args=["--help"], prog="robot-hil committee RUN")
    if not argv or argv[0].startswith("-"):
        raise UsageError("committee needs a run folder: robot-hil committee RUN [--members N] [--updates N].")
    path = Path(argv[0])
    asked = tyro.cli(CommitteeOptions, args=list(argv[1:]), prog=f"robot-hil committee {path}")
    from rich.progress import Progress

    with Progress() as bar:
        task = bar.add_task("teaching the members", total=asked.members * asked.updates)
        made = make(path, asked, lambda name, done, of: bar.update(task, completed=done))
    trigger, steps = made.trigger, sum(len(doubt) for doubt, _ in made.nominal)
    print(
        f"{asked.members} members in {path / members.FOLDER}, measured on {len(made.nominal)} withheld episodes "
        f"({steps} steps): calibration error {made.calibration_error:.3f}. "
        + (
            f"The robot is slowed when its reliability stays below {trigger.low:g}."
            if trigger.low
            else "No trigger keeps false alarms rare enough: record more before using it to ask for help."
        )
        + f"\nJudge new demonstrations: robot-hil record {experiment_of(RunFolder(path)).name} --against {path}"
    )
    return 0
