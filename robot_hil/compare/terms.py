"""Picture of an ablation: what the default gains by each of its terms."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robot_hil.compare.claims import ALL
from robot_hil.compare.pictures import QUIET, save, sheet, tidy
from robot_hil.report.plots import INK

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Row = Mapping[str, Any]

EARNS, COSTS, UNCLEAR = "#0b3c6f", "#8a2d06", "#9aa4b0"
MARKS = ("o", "s", "^", "D", "v", "P")
"""Tasks are told apart by them."""
_WIDTH, _NAMES, _LINE, _FOOT = 8.4, 1.7, 0.24, 1.0
"""Of the picture, the terms' names, a term and the legend [inch]."""


def plot_terms(path: Path, rows: Sequence[Row], title: str) -> None:
    """Write the gains of `claims.ablations` as points with 95 % intervals, a line for each term, the largest on top.

    Over all tasks where there are several, with each task as a faint mark; else those of the one task.
    """
    by_task = [row for row in rows if row["task"] != ALL]
    whole = [row for row in rows if row["task"] == ALL]
    marked = by_task if whole else []
    lines = sorted(whole or by_task, key=lambda row: row["success"] + row["area"])
    places = {_term(row): y for y, row in enumerate(lines)}
    subtitle = "gain over the default without the term, points with 95 % intervals; grey: it may be none"
    figure, top = sheet(title, subtitle, _WIDTH, _LINE * len(lines) + _FOOT)
    axes: list[Axes] = list(figure.subplots(1, 2, sharey=True))
    bottom = _FOOT / figure.get_figheight()
    figure.subplots_adjust(left=_NAMES / _WIDTH, right=0.97, top=top, bottom=bottom, wspace=0.08)
    for ax, what, name in zip(axes, ("success", "area"), ("success alone at the end", "area"), strict=True):
        tidy(ax)
        ax.axvline(0, color=INK, lw=0.8)
        ax.set_title(name, fontsize=10.5, color=INK, loc="left")
        ax.set_xlabel("percent points", color=INK)
        _draw(ax, what, lines, marked, places)
    several = len({person for _, person in places}) > 1
    axes[0].set_yticks(range(len(places)), [f"{name}, {person}" if several else name for name, person in places])
    figure.legend(
        *axes[0].get_legend_handles_labels(), loc="lower left", ncols=len(MARKS), frameon=False, fontsize=8.5,
        labelcolor=QUIET,
    )  # fmt: skip
    save(figure, path)


def _draw(ax: "Axes", what: str, lines: Sequence[Row], marked: Sequence[Row], places: Mapping[Any, int]) -> None:
    for row in lines:
        y, (low, high) = places[_term(row)], row[f"{what}_ci95"]
        colour = EARNS if low > 0 else COSTS if high < 0 else UNCLEAR
        ax.plot([100 * low, 100 * high], [y, y], color=colour, lw=2)
        ax.plot([100 * row[what]], [y], "o", color=colour, ms=6)
    for number, task in enumerate(dict.fromkeys(row["task"] for row in marked)):
        here = [(100 * row[what], places[_term(row)]) for row in marked if row["task"] == task]
        mark = MARKS[number % len(MARKS)]
        ax.plot(*zip(*here, strict=True), mark, color=QUIET, alpha=0.4, ms=3.5, label=task)


def _term(row: Row) -> tuple[str, str]:
    return row["entry"].removeprefix("no_"), row["person"]
