"""A policy taught by images' reward alone, beside one taught by the environment's.

    python benchmarks/reward_learning.py --seeds 0 1 2      # the test seeds; tuning used seed 100 and above
    python benchmarks/reward_learning.py --quick            # one short run of each kind

As a user would, by the command line: frames of success and failure are recorded while a person drives of whose
attempts four in ten fail, a classifier is trained on them and checked, and then `pick_cube_state` is trained with it.
The policy sees the state, the classifier the images of two cameras, and nothing but the classifier's word is learnt
from or ends an episode in success (`--method.reward-sources classifier`). What the environment knows is written down,
and counts in the trials of the learnt policy. The other run has the environment's reward; all else is equal.

Runs go into runs/reward_learning/ and are not repeated; rows go to benchmarks/results/reward_learning.json.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from robot_hil.cli.reward.logged import stored_episodes
from robot_hil.cli.runfolder import RunFolder
from robot_hil.data.codec import Header
from robot_hil.policies.reward.dataset import FrameSet
from robot_hil.report.machine import Result, write_results
from robot_hil.report.summary import SUMMARY_FILE, wilson_interval

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "reward_learning.json"
RUNS = ROOT / "runs" / "reward_learning"
TASK, SEEN_AS = "pick_cube_state", "pick_cube"
PERSON = "sixty_percent"
LENGTH = (
    "--goal.settle-episodes", "1000000", "--goal.max-train-s", "1000000", "--eval-episodes", "1",
)  # fmt: skip
"""Runs end after their steps and by nothing else; what is reported is tried afterwards."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is recorded, trained and tried."""

    successes: int = 300
    failures: int = 1500
    trials: int = 50
    model: tuple[str, ...] = ("--shift", "1")
    """Of the classifier, as chosen with seed 100."""
    steps: int = 1000
    """Environment steps of both runs, so that both policies have learnt from as much."""
    run: tuple[str, ...] = ()


QUICK = Size(
    successes=40, failures=200, trials=5, model=("--updates", "30", "--shift", "1"),
    steps=200, run=("--learner.clone-updates", "200"),
)  # fmt: skip


def command(*words: str) -> int:
    """Call `robot-hil` and return its exit code; stop where that is no verdict but an error."""
    done = subprocess.run([sys.executable, "-m", "robot_hil.cli.main", *words], cwd=ROOT, check=False).returncode
    if done not in (0, 1):
        raise SystemExit(f"robot-hil {' '.join(words)} ended with exit code {done}.")
    return done


def teach_judge(folder: Path, seed: int, size: Size) -> list[Result]:
    """Record frames, train a classifier on them, check it."""
    frames, model, label = folder / "frames", folder / "model", f"pick_cube classifier, seed {seed}"
    if not (model / "reward.json").exists():
        command(
            "reward", "record", SEEN_AS, "--person.profile", PERSON, "--seed", str(seed), "--out", str(frames),
            "--successes", str(size.successes), "--failures", str(size.failures),
        )  # fmt: skip
        command("reward", "train", str(frames), "--out", str(model), "--seed", str(seed), *size.model)
    passed = command("reward", "check", str(model)) == 0
    kept = FrameSet.open(frames)
    about = json.loads((model / "reward.json").read_text())["report"]
    counts = ", ".join(f"{count} {name}" for name, count in kept.counts.items())
    rows = [
        Result(
            name=f"{label}: check passes", value=float(passed), unit="", higher_is_better=True,
            note=f"{counts} frames of {len(kept.episodes)} episodes",
        )
    ]  # fmt: skip
    for name in ("false_positive", "false_negative", "false_episodes", "missed_episodes"):
        rate = about[name]
        note = f"{rate['events']} of {rate['trials']}, 95 % interval {rate['low']:.3f} to {rate['high']:.3f}"
        value = rate["events"] / max(1, rate["trials"])
        rows.append(Result(name=f"{label}: {name}", value=value, unit="share", higher_is_better=False, note=note))
    return rows


def teach_policy(out: Path, seed: int, size: Size, model: Path | None) -> dict[str, Any]:
    """Train, then let the policy act alone, judged by the environment; return the summary with that verdict."""
    if not (out / SUMMARY_FILE).exists():
        judged = () if model is None else ("--reward-model", str(model), "--method.reward-sources", "classifier")
        resumed = ("--resume",) if out.exists() else ()
        command(
            "train", TASK, "--in-process", "--seed", str(seed), "--out", str(out), *resumed, *judged,
            "--goal.max-env-steps", str(size.steps), *LENGTH, *size.run,
        )  # fmt: skip
    if not (found := sorted(out.glob("eval*/eval.json"))):
        command("eval", str(out), "--episodes", str(size.trials), "--reward-model", "")
        found = sorted(out.glob("eval*/eval.json"))
    summary: dict[str, Any] = json.loads((out / SUMMARY_FILE).read_text())
    return summary | {"by_env": json.loads(found[-1].read_text())}


def policy_rows(label: str, summary: dict[str, Any], target: float | None) -> list[Result]:
    """Turn a summary into rows."""
    truth = summary["by_env"]
    low, high = truth["success_ci95"]
    rows = [
        Result(
            name=f"{label}: success alone", value=truth["success_rate"], unit="share", higher_is_better=True,
            target=target, note=f"says the environment, {truth['episodes']} trials, 95 % {low:.2f} to {high:.2f}",
        )
    ]  # fmt: skip
    wanted = (("env_steps_to_95", "steps to goal"), ("env_steps", "steps in all"), ("human_steps", "human steps"))
    return rows + [
        Result(name=f"{label}: {words}", value=summary[key], unit="steps", higher_is_better=False)
        for key, words in wanted
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdicts:
    """What a classifier made of episodes, beside what the environment knew."""

    confirmed: int
    """Episodes that it ended as a success."""
    false: int
    """Those of them whose last frame was none."""
    held: int
    """Episodes with a success of two frames running, enough to be confirmed."""
    missed: int
    """Those of them that it did not end."""


def verdicts_of(episodes: Iterable[Sequence[Header]]) -> Verdicts:
    """Compare verdicts and truth of whole episodes."""
    confirmed = false = held = missed = 0
    for headers in episodes:
        last = headers[-1]
        ended = last.terminated and last.reward.get("classifier", 0.0) > 0.5
        confirmed += ended
        false += ended and not last.success
        lasting = any(one.success and other.success for one, other in pairwise(headers))
        held += lasting
        missed += lasting and not ended
    return Verdicts(confirmed=confirmed, false=false, held=held, missed=missed)


def verdict_rows(label: str, out: Path) -> list[Result]:
    """Turn the verdicts in a run's step log into rows."""
    reader, episodes = stored_episodes(RunFolder(out))
    reader.close()
    found = verdicts_of(episode.headers for episode in episodes)
    rows = []
    for words, events, trials in (
        ("confirmed falsely", found.false, found.confirmed), ("successes missed", found.missed, found.held),
    ):  # fmt: skip
        low, high = wilson_interval(events, trials)
        note = f"{events} of {trials} episodes, demonstrations among them; 95 % interval {low:.3f} to {high:.3f}"
        value = events / max(1, trials)
        rows.append(Result(name=f"{label}: {words}", value=value, unit="share", higher_is_better=False, note=note))
    return rows


def measure(seed: int, size: Size, folder: Path) -> Iterator[list[Result]]:
    """Do all of it for one seed; yield the rows of each part as they come."""
    yield teach_judge(folder, seed, size)
    for source, model in (("images", folder / "model"), ("environment", None)):
        label = f"{TASK}, reward from {source}, seed {seed}"
        out = folder / source
        yield policy_rows(label, teach_policy(out, seed, size, model), 0.9 if model is not None else None)
        if model is not None:
            yield verdict_rows(label, out)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of everything, for trying out")
    parser.add_argument("--seeds", type=int, nargs="+")
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    for seed in args.seeds or ([0] if args.quick else [0, 1, 2]):
        folder = RUNS / f"{seed}{'-quick' if args.quick else ''}"
        for rows in measure(seed, QUICK if args.quick else Size(), folder):
            write_results(args.out, rows)
            for row in rows:
                print(f"{row.name:75s} {row.value} {row.unit}  {row.note}", flush=True)


if __name__ == "__main__":
    main()
