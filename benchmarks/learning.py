"""Trains experiments on test seeds by the command line and collects their summaries.

    python benchmarks/learning.py pick_cube_state peg_insertion_state --seeds 0 1 2
    python benchmarks/learning.py pick_cube_state --method hil_serl --seeds 0 1 2
    python benchmarks/learning.py peg_insertion_state --further 8000  # goes on with copies of the runs
    python benchmarks/learning.py --table          # what is recorded, as the table of docs/results.md

Runs go one after the other, each with the whole machine, into runs/learning/; a run that is there already is not
repeated. Rows go to benchmarks/results/learning.json. Test seeds are 0, 1, 2; tuning used seed 100 and above.
"""

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path

from robot_hil.report.machine import Result, read_results, write_results
from robot_hil.report.metrics import ACTOR_FILE, read_episodes
from robot_hil.report.summary import SUMMARY_FILE

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "learning.json"
TARGETS = {
    "pick_cube": (0.95, 3500.0),
    "pick_cube_state": (0.98, 2000.0),
    "peg_insertion": (0.90, 15000.0),
    "peg_insertion_state": (0.95, 4000.0),
}


def folder(experiment: str, seed: int, method: str | None) -> Path:
    """Where a run is."""
    return ROOT / "runs" / "learning" / f"{experiment}{f'-{method}' if method else ''}-{seed}"


def seconds_to_goal(run_folder: Path, env_steps_to_95: float | None) -> float | None:
    """Return the time from the last demonstration to the goal [s], imitation included."""
    episodes = read_episodes(run_folder / ACTOR_FILE)
    started = max(row.t_wall_s for row in episodes if row.phase == "demo")
    trained = [row for row in episodes if row.phase == "train"]
    return next((row.t_wall_s - started for row in trained if row.env_steps == env_steps_to_95), None)


def train(options: list[str]) -> bool:
    """Call `robot-hil train`; return whether it went well."""
    done = subprocess.run([sys.executable, "-m", "robot_hil.cli.main", "train", *options], cwd=ROOT, check=False)
    if done.returncode:
        print(f"train {' '.join(options)}: exit code {done.returncode}")
    return done.returncode == 0


def run(experiment: str, seed: int, method: str | None, max_env_steps: int | None) -> dict[str, object] | None:
    """Train once and return the summary, or None when the run failed."""
    out = folder(experiment, seed, method)
    if not (out / SUMMARY_FILE).exists():
        options = [experiment, "--seed", str(seed), "--out", str(out)]
        options += ["--method", method] if method else []
        if not train(options + (["--goal.max-env-steps", str(max_env_steps)] if max_env_steps else [])):
            return None
    return summary_of(out)


def run_further(experiment: str, seed: int, method: str | None, max_env_steps: int) -> dict[str, object] | None:
    """Go on with a copy of a finished run, up to so many steps in all."""
    start = folder(experiment, seed, method)
    out = start.with_name(f"{start.name}-further")
    if not out.exists():
        shutil.copytree(start, out, ignore=shutil.ignore_patterns(SUMMARY_FILE))
    resume = ["--resume", str(out), "--goal.max-env-steps", str(max_env_steps)]
    done = (out / SUMMARY_FILE).exists() or train(resume)  # an interrupted one goes on, too
    return summary_of(out) if done else None


def summary_of(out: Path) -> dict[str, object]:
    """Return the summary of a finished run, with what is derived from it."""
    summary: dict[str, object] = json.loads((out / SUMMARY_FILE).read_text())
    summary["training_s_to_95"] = seconds_to_goal(out, summary["env_steps_to_95"])  # type: ignore[arg-type]
    cycle, demo_cycle = summary["cycle_steps"], summary["demo_cycle_steps"]
    summary["cycle_ratio"] = cycle / demo_cycle if cycle and demo_cycle else None  # type: ignore[operator]
    return summary


def rows(experiment: str, seed: int, method: str | None, further: bool, summary: dict[str, object]) -> list[Result]:
    """Turn one summary into result rows."""
    label = f"{experiment}{f' {method}' if method else ''}, seed {seed}{', further' if further else ''}"
    success, steps = TARGETS[experiment]
    wanted: list[tuple[str, str, bool, float | None]] = [
        ("success_rate", "share", True, None if method else success),
        ("env_steps_to_95", "steps", False, None if method else steps),
        ("training_s_to_95", "s", False, 60.0 if experiment == "pick_cube_state" and not method else None),
        ("cycle_ratio", "share of the demonstrator's steps", False, None if method else 0.6),
        ("cycle_steps", "steps", False, None),
        ("demo_cycle_steps", "steps", False, None),
        ("env_steps", "steps", False, None),
        ("human_steps", "steps", False, None),
        ("wall_s", "s", False, 360.0 if experiment == "pick_cube" and not method else None),
        ("updates_per_s", "1/s", True, None),
        ("steps_lost", "steps", False, 0.0),
        ("steps_duplicated", "steps", False, 0.0),
    ]
    # The run's own commit: this script may have been started from another checkout.
    extras = summary.get("extras")
    ran = f"run at {extras.get('git')}" if isinstance(extras, dict) else ""
    return [
        Result(name=f"{label}: {key}", value=summary[key], unit=unit, higher_is_better=up, target=target, note=ran)  # type: ignore[arg-type]
        for key, unit, up, target in wanted
    ]


def table() -> str:
    """Turn the recorded rows into Markdown."""
    found: dict[str, dict[str, float | None]] = {}
    for row in read_results(RESULTS):
        label, key = row["name"].split(": ")
        found.setdefault(label, {})[key] = row["value"]
    head = ("run", "autonomous success", "env steps to 95 %", "training s to 95 %", "env steps", "human steps",
            "cycle / demonstrator", "wall s", "lost / duplicated")  # fmt: skip
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for label, values in sorted(found.items()):
        text = {key: "-" if value is None else f"{value:.0f}" for key, value in values.items()}
        success, ratio = values["success_rate"], values["cycle_ratio"]
        cycle = "-" if ratio is None else f"{values['cycle_steps']:.1f} / {text['demo_cycle_steps']} = {ratio:.2f}"
        steps = (text[key] for key in ("env_steps_to_95", "training_s_to_95", "env_steps", "human_steps"))
        lost = f"{text['steps_lost']} / {text['steps_duplicated']}"
        lines.append(f"| {' | '.join((label, f'{success:.2f}', *steps, cycle, text['wall_s'], lost))} |")
    return "\n".join(lines)


def main() -> None:
    """Train what is missing and record it, or print what is recorded."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiments", nargs="*", help=f"of {', '.join(TARGETS)}; default pick_cube_state")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--method", help="learn by it instead of what the experiment does by default, e.g. hil_serl")
    parser.add_argument("--max-env-steps", type=int, help="of a new run, instead of the experiment's own limit")
    parser.add_argument("--further", type=int, metavar="N", help="go on with copies of finished runs, up to N steps")
    parser.add_argument("--table", action="store_true", help="print what is recorded and train nothing")
    args = parser.parse_args()
    if args.table:
        print(table())
        return
    if unknown := sorted(set(args.experiments) - set(TARGETS)):
        parser.error(f"no such experiment: {', '.join(unknown)}. Choose from {', '.join(TARGETS)}.")
    for experiment in args.experiments or ["pick_cube_state"]:
        for seed in args.seeds:
            if args.further:
                summary = run_further(experiment, seed, args.method, args.further)
            else:
                summary = run(experiment, seed, args.method, args.max_env_steps)
            if summary is not None:
                write_results(RESULTS, rows(experiment, seed, args.method, bool(args.further), summary))


if __name__ == "__main__":
    main()
