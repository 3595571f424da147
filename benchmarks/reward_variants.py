"""What the accuracy of a classifier depends on: `python benchmarks/reward_variants.py`, on tuning episodes.

Every variant changes one thing of what `benchmarks/reward.py` measures and of its numbers; it is trained and measured
on episodes of other seeds, so that nothing is chosen by the episodes that are reported. Precision and recall are of
single frames, means over data sets that share no episode. Rows go to benchmarks/results/reward_variants.json.
"""

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from reward import HEADS, Size, judged, store
from reward_episodes import FAILURES, Episode, Scene

from robot_hil.policies.reward.model import train
from robot_hil.policies.reward.report import Report
from robot_hil.report.machine import Result, write_results

RESULTS = Path(__file__).parent / "results" / "reward_variants.json"
TAUGHT, FRESH = 100_000, 700_000
"""First seeds of the tuning episodes to train and to measure with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """What is different."""

    demos: int = Size().demos
    failures: int = Size().failures
    changes: Mapping[str, Any] = field(default_factory=dict)
    """Of the classifier's numbers."""


VARIANTS = {
    "as reported": Variant(),
    "half of the episodes": Variant(demos=10, failures=12),
    "shift of 1 pixel": Variant(changes={"shift": 1}),
    "shift of 3 pixels": Variant(changes={"shift": 3}),
    "proprioception beside the images": Variant(changes={"vectors": ("proprio",)}),
    "wrist's camera alone": Variant(changes={"cameras": ("wrist",)}),
    "half the caution": Variant(changes={"caution": 0.5}),
}


def taught(scene: Scene, number: int, variant: Variant) -> list[Episode]:
    """Play one data set."""
    seed = TAUGHT + 10_000 * number
    return scene.play_many(variant.demos, ("demo",), seed) + scene.play_many(variant.failures, FAILURES, seed + 5_000)


def reports(scene: Scene, variant: Variant, fresh: Sequence[Episode], sets: int) -> list[Report]:
    """Train and measure a classifier on each of some data sets."""
    found = []
    for number in range(sets):
        with tempfile.TemporaryDirectory() as folder:
            frames = store(Path(folder) / "set", scene.spec, taught(scene, number, variant), "binary")
            model = train(frames, replace(Size().classifier, **variant.changes), seed=0, backend="torch")
            found.append(judged(model, fresh, HEADS["binary"][1]))
    return found


def rows_of(label: str, found: Sequence[Report]) -> list[Result]:
    """Return means over data sets, the single values in the note."""
    wanted = {
        "precision": [report.precision for report in found],
        "recall": [report.recall for report in found],
        "episodes confirmed too early or falsely": [report.false_episodes.value for report in found],
        "successes never confirmed": [report.missed_episodes.value for report in found],
    }
    return [
        Result(
            name=f"{label}: {name}", value=float(np.mean(values)), unit="",
            higher_is_better=name in ("precision", "recall"),
            note=", ".join(f"{value:.3f}" for value in values),
        )
        for name, values in wanted.items()
    ]  # fmt: skip


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=("pick_cube", "peg_insertion"), action="append", help="both by default")
    parser.add_argument("--only", choices=tuple(VARIANTS), action="append", help="all by default")
    parser.add_argument("--sets", type=int, default=2, help="data sets that each is trained on")
    parser.add_argument("--quick", action="store_true", help="one data set, and few fresh episodes")
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    sets, count = (1, 4) if args.quick else (args.sets, 30)
    for task in args.task or ("pick_cube", "peg_insertion"):
        scene = Scene(task)
        fresh = scene.play_many(count, ("demo",), FRESH) + scene.play_many(count, FAILURES, FRESH + 50_000)
        for name in args.only or VARIANTS:
            rows = rows_of(f"{task}, binary, tuning, {name}", reports(scene, VARIANTS[name], fresh, sets))
            write_results(args.out, rows)
            for row in rows:
                print(f"{row.name:85s} {row.value:.3f}  {row.note}", flush=True)
        scene.close()


if __name__ == "__main__":
    main()
