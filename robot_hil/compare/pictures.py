"""Pictures of a comparison: success against the person's work for each method, and where imitation loses its lead."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from robot_hil.compare.rows import Seeds, family
from robot_hil.errors import StorageError
from robot_hil.report.plots import INK

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

QUIET, LINES = "#5b6570", "#e7eaee"
SHADES = {"imitation": ("#0b3c6f", "#9cc3e6"), "reinforcement": ("#8a2d06", "#f3b489"), "": ("#22272e", "#9aa4b0")}
"""Family -> darkest and lightest colour of its methods."""
_LEFT, _PANEL, _LEGEND = 0.75, 3.5, 1.75
"""Widths [inch]."""
STYLES = ("-", (0, (4, 1.5)), (0, (1, 1.2)), (0, (5, 1, 1, 1)))


def plot_costs(path: Path, found: Sequence[Seeds], task: str, title: str) -> None:
    """Write success alone against human steps: a panel for each person, a line for each method, means over seeds."""
    here = [one for one in found if one.task == task and one.way == "online" and one.results]
    persons = list(dict.fromkeys(one.person for one in here))
    figure, axes = _figure(title, "success with the person off, against the person's steps until then", len(persons))
    styles = _styles(list(dict.fromkeys(one.entry for one in here)))
    for ax, person in zip(axes, persons, strict=True):
        ax.set_title(person, fontsize=11, color=INK, loc="left")
        ax.set_xlabel("human steps, without demonstrations", color=INK)
        for one in (one for one in here if one.person == person):
            x, y = _curve(one)
            colour, style = styles[one.entry]
            ax.plot(x, 100 * y, color=colour, ls=style, lw=1.8, marker="o", ms=2.5, label=one.entry)
        ax.set_xlim(left=0)
    handles = {label: line for ax in axes for line, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    if handles:
        figure.legend(
            handles.values(), handles.keys(), loc="center right", frameon=False,
            fontsize=8.5, labelcolor=QUIET, handlelength=2.6,
        )  # fmt: skip
    _save(figure, path)


def plot_crossover(path: Path, rows: Sequence[Mapping[str, Any]], found: Sequence[Seeds], title: str) -> None:
    """Write success alone against persons, as `crossover` has it: means of both families, methods as dots."""
    tasks = list(dict.fromkeys(str(row["task"]) for row in rows))
    figure, axes = _figure(title, "mean final success of each family; a dot is a method", len(tasks))
    for ax, task in zip(axes, tasks, strict=True):
        here = [row for row in rows if row["task"] == task]
        persons = [str(row["person"]) for row in here]
        ax.set_title(task, fontsize=11, color=INK, loc="left")
        ax.set_xticks(range(len(persons)), persons, rotation=20, ha="right")
        ax.set_xlim(-0.4, len(persons) - 0.6)
        for shift, name in ((-0.06, "imitation"), (0.06, "reinforcement")):
            colour = SHADES[name][0]
            ax.plot(range(len(here)), [100 * row[name] for row in here], color=colour, lw=2.2, label=name)
            for one in found:
                if one.task == task and one.way == "online" and family(one.entry) == name and one.results:
                    mean = np.mean([measures.final.success for measures in one.measures()])
                    ax.plot(persons.index(one.person) + shift, 100 * mean, "o", color=SHADES[name][1], ms=4, zorder=1)
        ax.legend(loc="lower left", frameon=False, fontsize=8.5, labelcolor=QUIET)
    _save(figure, path)


def _curve(seeds: Seeds) -> tuple["np.ndarray[Any, Any]", "np.ndarray[Any, Any]"]:
    """Return human steps and success, (points,) each: means over seeds of what was evaluated at equal env steps."""
    count = min(len(measures.points) for measures in seeds.measures())
    points = [measures.points[:count] for measures in seeds.measures()]
    x = np.array([[point.human_steps for point in line] for line in points], np.float64)
    y = np.array([[point.success for point in line] for line in points])
    return x.mean(axis=0), y.mean(axis=0)


def _styles(entries: Sequence[str]) -> dict[str, tuple[Any, Any]]:
    """Return colour and line style of each entry: the family's hue, told apart by shade and style."""
    from matplotlib.colors import LinearSegmentedColormap

    styles = {}
    for name, ends in SHADES.items():
        members = [entry for entry in entries if family(entry) == name]
        shades = LinearSegmentedColormap.from_list(name, ends)
        for number, entry in enumerate(members):
            styles[entry] = shades(number / max(1, len(members) - 1)), STYLES[number % len(STYLES)]
    return styles


def _figure(title: str, subtitle: str, panels: int) -> "tuple[Figure, list[Axes]]":
    """Return a figure without any global state of matplotlib, and its panels side by side, with room for a legend."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    width = _LEFT + _PANEL * max(1, panels) + _LEGEND
    figure = Figure(figsize=(width, 4.6), dpi=110, facecolor="white")
    FigureCanvasAgg(figure)
    axes: list[Axes] = list(figure.subplots(1, max(1, panels), sharey=True, squeeze=False)[0])
    left, right = _LEFT / width, 1.0 - _LEGEND / width
    figure.subplots_adjust(left=left, right=right, top=0.8, bottom=0.2, wspace=0.06)
    figure.text(left, 0.93, title, fontsize=13, fontweight="bold", color=INK)
    figure.text(left, 0.88, subtitle, fontsize=9.5, color=QUIET)
    axes[0].set_ylabel("success alone [%]", color=INK)
    axes[0].set_ylim(-3, 104)
    for ax in axes:
        ax.grid(True, color=LINES, lw=0.8)
        ax.set_axisbelow(True)
        ax.tick_params(colors=QUIET, length=0, labelsize=9)
        for side, spine in ax.spines.items():
            spine.set_visible(side in ("left", "bottom"))
            spine.set_color("#c8ced6")
    return figure, axes[:panels]


def _save(figure: "Figure", path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error}. Free space or choose another folder.") from error
