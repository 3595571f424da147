"""Picture of an ablation: what the default gains by each of its terms."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from robot_hil.compare.claims import ALL
from robot_hil.compare.pictures import QUIET, save, tidy
from robot_hil.report.plots import INK

EARNS, COSTS, UNCLEAR = "#0b3c6f", "#8a2d06", "#9aa4b0"
MARKS = ("o", "s", "^", "D", "v", "P")
"""Tasks are told apart by them."""
_WIDTH, _HEAD, _ROW, _FOOT = 8.4, 0.95, 0.24, 1.0


def plot_terms(path: Path, rows: Sequence[Mapping[str, Any]], title: str) -> None:
    """Write the gains of `claims.ablations` as points with 95 % intervals, a line for each term, the largest on top.

    Over all tasks where there are several, with each task as a faint mark; else those of the one task.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    whole = [row for row in rows if row["task"] == ALL] or list(rows)
    whole = sorted(whole, key=lambda row: row["success"] + row["area"])
    tasks = list(dict.fromkeys(row["task"] for row in rows if row["task"] != ALL)) if len(whole) < len(rows) else []
    height = _HEAD + _ROW * len(whole) + _FOOT
    figure = Figure(figsize=(_WIDTH, height), dpi=110, facecolor="white")
    FigureCanvasAgg(figure)
    figure.subplots_adjust(left=0.2, right=0.97, top=1 - _HEAD / height, bottom=_FOOT / height, wspace=0.08)
    figure.text(0.02, 1 - 0.32 / height, title, fontsize=13, fontweight="bold", color=INK)
    subtitle = "gain over the default without the term, points with 95 % intervals; grey: it may be none"
    figure.text(0.02, 1 - 0.56 / height, subtitle, fontsize=9.5, color=QUIET)
    for ax, (what, name) in zip(
        figure.subplots(1, 2, sharey=True), (("success", "success alone at the end"), ("area", "area")), strict=True
    ):
        tidy(ax)
        ax.axvline(0, color=INK, lw=0.8)
        ax.set_title(name, fontsize=10.5, color=INK, loc="left")
        ax.set_xlabel("percent points", color=INK)
        for y, row in enumerate(whole):
            low, high = row[f"{what}_ci95"]
            colour = EARNS if low > 0 else COSTS if high < 0 else UNCLEAR
            ax.plot([100 * low, 100 * high], [y, y], color=colour, lw=2)
            ax.plot([100 * row[what]], [y], "o", color=colour, ms=6)
            for task, mark in zip(tasks, MARKS, strict=False):
                here = [
                    100 * one[what]
                    for one in rows
                    if (one["entry"], one["person"], one["task"]) == (row["entry"], row["person"], task)
                ]
                ax.plot(here, [y] * len(here), mark, color=QUIET, alpha=0.4, ms=3.5, label=task if not y else None)
        ax.set_yticks(range(len(whole)), [row["entry"].removeprefix("no_") for row in whole])
    if tasks:
        handles, labels = ax.get_legend_handles_labels()
        figure.legend(
            handles, labels, loc="lower left", ncols=len(tasks), frameon=False, fontsize=8.5, labelcolor=QUIET
        )
    save(figure, path)
