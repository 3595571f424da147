"""Practice without resets: a policy gets better where nobody resets, and seldom asks for it.

A peg into a slot and back, after 10 demonstrations of each goal by a person who fails in four of ten; nobody watches.
Success is the environment's own. After RoboFuME, Yang et al. 2023, arXiv 2310.15145.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from lab import Claim, Size, main

from robot_hil.cli.practice import ROWS_FILE
from robot_hil.experiments import registry
from robot_hil.report.metrics import read_rows
from runs import folder, trained

BASE = registry.get("peg_slot")
DEMOS, TRIALS, STEPS = 20, 50, 6000


def resets_of(path: Path) -> float:
    """Return the resets per trial in the last quarter."""
    rows = read_rows(path / ROWS_FILE)
    last = rows[-max(1, len(rows) // 4) :]
    return sum(bool(row["reset"]) for row in last) / len(last)


def measure(seed: int, size: Size) -> Mapping[str, float]:
    """Run the experiment once."""
    person = replace(BASE.person, profile="sixty_percent", gate="never")
    base = replace(BASE, backend="torch", demos=max(2, size.of(DEMOS)), person=person, practice="reset_free")
    base = replace(base, learner=replace(base.learner, clone_updates=size.of(base.learner.clone_updates)))
    begin = 100  # no training round before: `start_after`
    with folder() as path:
        points = trained(base, path, seed, (begin, size.of(STEPS)), size.of(TRIALS))
        resets = resets_of(path)
    return {
        "offline": points[0].success, "final": points[-1].success, "gain": points[-1].success - points[0].success,
        "resets": resets,
    }  # fmt: skip


CLAIMS = (
    Claim(key="gain", what="success after practice less that of imitation", target=0.15),
    Claim(key="resets", what="resets per trial in the last quarter", target=0.05, higher_is_better=False),
    Claim(key="offline", what="success before practice"),
    Claim(key="final", what="success after practice"),
)

if __name__ == "__main__":
    main("reset_free", CLAIMS, measure, __doc__ or "")
