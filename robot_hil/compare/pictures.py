"""Pictures of a comparison: success against the person's work for each method, and where imitation loses its lead."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import numpy as np

from robot_hil.compare.rows import Seeds, family
from robot_hil.errors import StorageError
from robot_hil.report.plots import INK

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

QUIET, LINES = "#5b6570", "#e7eaee"
FAMILIES = {
    "imitation": ("#0b3c6f", "#9cc3e6"),
    "reinforcement": ("#8a2d06", "#f3b489"),
    "": ("#22272e", "#9aa4b0"),
}
"""Family -> colour of its mean and of single methods; what is no published method has none."""
HUES = ("#1b6ca8", "#d1495b", "#2e933c", "#edae49", "#7b4b94", "#5b6570")
STYLES = ("-", (0, (4, 1.5)), (0, (1, 1.2)))
"""Methods of a family are told apart by hue first, then by line style."""
_LEFT, _PANEL, _LEGEND = 0.75, 3.5, 2.05
_HEAD, _ROW, _FOOT = 0.85, 2.9, 0.6
_LETTER, _LINE = 0.075, 0.17
"""Widths and heights [inch]; a letter and a line are those of a subtitle."""
_TITLE: dict[str, Any] = {"fontsize": 10.5, "color": INK, "loc": "left"}


def plot_costs(path: Path, found: Sequence[Seeds], task: str, title: str) -> None:
    """Write success alone against human steps, means over seeds: a row for each family, a column for each person.

    Where not every entry is a published method all share one row: there they are compared with each other.
    """
    here = [one for one in found if one.task == task and one.way == "online" and one.results]
    persons = list(dict.fromkeys(one.person for one in here))
    entries = list(dict.fromkeys(one.entry for one in here))
    split = all(map(family, entries))
    rows = (
        {name: [entry for entry in entries if family(entry) == name] for name in FAMILIES} if split else {"": entries}
    )
    rows = {name: some for name, some in rows.items() if some}
    subtitle = "success with the person off, against the person's steps until then; a line is a method"
    figure, axes = _figure(title, subtitle, len(persons), len(rows))
    for row, (name, some) in zip(axes, rows.items(), strict=True):
        styles = _styles(some)
        for ax, person in zip(row, persons, strict=True):
            for one in here:
                if one.entry in styles and one.person == person:
                    _draw(ax, one, *styles[one.entry])
            ax.set_title(f"{name}, person: {person}" if name else f"person: {person}", **_TITLE)
            ax.set_xlim(left=0)
        _legend(figure, row, name)
    for ax in axes[-1] if axes else []:
        ax.set_xlabel("human steps, without demonstrations", color=INK)
    save(figure, path)


def plot_crossover(path: Path, rows: Sequence[Mapping[str, Any]], found: Sequence[Seeds], title: str) -> None:
    """Write success alone against persons, as `crossover` has it: means of both families, methods as dots."""
    tasks = list(dict.fromkeys(str(row["task"]) for row in rows))
    figure, [axes] = _figure(
        title, "final success with the person off, of the same methods with each person", len(tasks)
    )
    for ax, task in zip(axes, tasks, strict=True):
        here = [row for row in rows if row["task"] == task]
        persons = [str(row["person"]) for row in here]
        ax.set_title(task, **_TITLE)
        ax.set_xlabel("who helps, from good to bad", color=INK)
        ax.set_xticks(range(len(persons)), persons)
        ax.set_xlim(-0.4, len(persons) - 0.6)
        for shift, name in ((-0.07, "imitation"), (0.07, "reinforcement")):
            dark, light = FAMILIES[name]
            of = [one for one in found if (one.task, one.way) == (task, "online") and family(one.entry) == name]
            dots = [
                (
                    persons.index(one.person) + shift,
                    100 * np.mean([measures.final.success for measures in one.measures()]),
                )
                for one in of
                if one.results and one.person in persons
            ]
            ax.plot(*zip(*dots, strict=True), "o", color=light, ms=4, zorder=1, label=f"_{name}")
            means = [100 * row[name] for row in here]
            ax.plot(range(len(here)), means, color=dark, lw=2.4, marker="o", ms=5, label=name)
    _legend(figure, axes, "lines: means,\ndots: methods")
    save(figure, path)


def _draw(ax: "Axes", one: Seeds, colour: str, style: Any) -> None:
    x, y = _curve(one)
    ax.plot(x, 100 * y, color=colour, ls=style, lw=1.6, marker="o", ms=2.5, label=one.entry)


def _legend(figure: "Figure", row: "Sequence[Axes]", title: str) -> None:
    """Name every line of a row of panels once, beside it."""
    handles = {label: line for ax in row for line, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    if not handles:
        return
    box = row[-1].get_position()
    legend = figure.legend(
        handles.values(), handles.keys(), loc="center left", bbox_to_anchor=(box.x1, (box.y0 + box.y1) / 2),
        frameon=False, fontsize=8.5, labelcolor=QUIET, handlelength=2.6, title=title or None, alignment="left",
    )  # fmt: skip
    legend.get_title().set_color(INK)


def _curve(seeds: Seeds) -> tuple["np.ndarray[Any, Any]", "np.ndarray[Any, Any]"]:
    """Return human steps and success, (points,) each: means over seeds of what was evaluated at equal env steps."""
    count = min(len(measures.points) for measures in seeds.measures())
    points = [measures.points[:count] for measures in seeds.measures()]
    x = np.array([[point.human_steps for point in line] for line in points], np.float64)
    y = np.array([[point.success for point in line] for line in points])
    return x.mean(axis=0), y.mean(axis=0)


def _styles(entries: Sequence[str]) -> dict[str, tuple[str, Any]]:
    """Return colour and line style of each entry."""
    return {
        entry: (HUES[number % len(HUES)], STYLES[number // len(HUES) % len(STYLES)])
        for number, entry in enumerate(entries)
    }


def sheet(title: str, subtitle: str, width: float, body: float) -> "tuple[Figure, float]":
    """Return a figure without any global state of matplotlib, and where its title ends, as a share of its height.

    Below the title are `body` inches, `width` wide.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    lines = wrap(subtitle, int((width - _LEFT) / _LETTER))
    head = _HEAD + _LINE * (len(lines) - 1)
    height = head + body
    figure = Figure(figsize=(width, height), dpi=110, facecolor="white")
    FigureCanvasAgg(figure)
    left = _LEFT / width
    figure.text(left, 1.0 - 0.32 / height, title, fontsize=13, fontweight="bold", color=INK)
    figure.text(left, 1.0 - 0.42 / height, "\n".join(lines), fontsize=9.5, color=QUIET, va="top")
    return figure, 1.0 - head / height


def _figure(title: str, subtitle: str, columns: int, rows: int = 1) -> "tuple[Figure, list[list[Axes]]]":
    """Return a figure and rows of panels with room for legends beside them."""
    rows, columns = max(1, rows), max(1, columns)
    width = _LEFT + _PANEL * columns + _LEGEND
    figure, top = sheet(title, subtitle, width, _ROW * rows + _FOOT)
    axes: list[list[Axes]] = [list(row) for row in figure.subplots(rows, columns, sharey=True, squeeze=False)]
    gap = 0.55 / (_ROW - 0.55)
    figure.subplots_adjust(
        left=_LEFT / width, right=1.0 - _LEGEND / width, top=top, bottom=_FOOT / figure.get_figheight(), wspace=0.06,
        hspace=gap,
    )  # fmt: skip
    for row in axes:
        row[0].set_ylabel("success alone [%]", color=INK)
        row[0].set_ylim(-3, 104)
        for ax in row:
            tidy(ax)
    return figure, axes


def tidy(ax: "Axes") -> None:
    """Give a panel the look that all panels share."""
    ax.grid(True, color=LINES, lw=0.8)
    ax.set_axisbelow(True)
    ax.tick_params(colors=QUIET, length=0, labelsize=9)
    for side, spine in ax.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color("#c8ced6")


def save(figure: "Figure", path: Path) -> None:
    """Write `figure`; raises `StorageError` where that cannot be done."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error}. Free space or choose another folder.") from error
