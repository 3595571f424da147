"""A search for numbers as a picture: what trials scored on tuning seeds, and what was left of that on test seeds."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from robot_hil.errors import StorageError
from robot_hil.report.plots import COLOURS, FAINT, INK


def plot_search(path: Path, result: Mapping[str, Any]) -> None:
    """Write the picture of a result of `robot-hil tune`; raises `StorageError` when it cannot be written."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.0, 4.5), dpi=110, facecolor="white")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(2, 1))
    scored = [(i, row["score"]) for i, row in enumerate(result["trials"]) if row["score"] is not None]
    best, line = float("-inf"), []
    for _, score in scored[1:]:
        best = max(best, score)
        line.append(best)
    left.scatter([i for i, _ in scored[1:]], [score for _, score in scored[1:]], color=COLOURS[0], label="trial")
    left.plot([i for i, _ in scored[1:]], line, color=COLOURS[0], lw=1, label="best so far")
    left.axhline(scored[0][1], color=FAINT, ls=(0, (2, 1)), label="default")
    left.set_xlabel("trial", color=INK)
    left.set_ylabel("score", color=INK)
    left.set_title(f"{result['experiment']}: tuning seeds", fontsize=10, color=INK)
    left.legend(frameon=False, fontsize=8)
    for place, key in enumerate(("default", "chosen")):
        scores = [_score(one) for one in result["test"][key]]
        right.scatter([place] * len(scores), scores, color=COLOURS[place + 1], alpha=0.6)
        right.plot([place - 0.2, place + 0.2], [sum(scores) / len(scores)] * 2, color=COLOURS[place + 1], lw=2)
    right.set_xticks((0, 1), ("default", result["chosen"]))
    right.set_xlim(-0.5, 1.5)
    right.set_title("test seeds", fontsize=10, color=INK)
    for ax in (left, right):
        ax.grid(True, color="#e7eaee", lw=0.8)
        ax.set_axisbelow(True)
    try:
        figure.savefig(path)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error}. Free space or choose another folder.") from error


def _score(outcome: Any) -> float:
    return float(outcome["score"] if isinstance(outcome, Mapping) else outcome.score)
