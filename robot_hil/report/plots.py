"""Learning curves as PNG: success, intervention rate and cycle time against env steps and wall time."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from robot_hil.data.specs import Array
from robot_hil.errors import StorageError
from robot_hil.report.metrics import EpisodeRow
from robot_hil.report.summary import GOAL_HUMAN, GOAL_SUCCESS, WINDOW, Window, mean_cycle, windows

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Axis = Literal["env_steps", "minutes"]
AXES: tuple[Axis, ...] = ("env_steps", "minutes")
AXIS_LABELS = {"env_steps": "online env steps", "minutes": "wall time [min]"}
INK, FAINT = "#22272e", "#9aa4b0"
COLOURS = ("#2563ab", "#d1622b", "#2f8f5b", "#8c4fa8", "#b8922a", "#4b5563")
SUCCESS, HUMAN, CYCLE = COLOURS[2], COLOURS[1], COLOURS[0]


def plot_learning_curve(path: Path, episodes: Sequence[EpisodeRow], title: str, subtitle: str = "") -> None:
    """Write the learning curve of one run; `episodes` of all phases, also none (an empty plot)."""
    figure, axes = _figure(title, subtitle)
    curve, demo_cycle = windows(episodes), _demo_cycle(episodes)
    evaluation = [row for row in episodes if row.phase == "eval"]
    goal = next((window for window in curve if window.is_goal), None)
    for column, axis in enumerate(AXES):
        x = _positions(curve, axis)
        unaided = 100 * _values(curve, "unaided_rate")
        axes[0][column].plot(x, 100 * _values(curve, "success_rate"), color=SUCCESS, lw=2, label="all")
        axes[0][column].plot(x, unaided, color=SUCCESS, lw=1.5, ls=(0, (2, 1)), label="without help")
        axes[0][column].fill_between(x, 0, unaided, color=SUCCESS, alpha=0.12, lw=0)
        axes[1][column].plot(x, 100 * _values(curve, "human_share"), color=HUMAN, lw=2)
        axes[1][column].fill_between(x, 0, 100 * _values(curve, "human_share"), color=HUMAN, alpha=0.12, lw=0)
        axes[2][column].plot(x, _values(curve, "cycle_steps"), color=CYCLE, lw=2)
        _episode_dots(axes[2][column], episodes, axis)
        _reference_lines(axes, column, demo_cycle)
        if goal is not None:
            _mark_goal(axes, column, goal, axis)
    if curve:
        _legend(axes[0][1])
        _legend(axes[2][1])
    if evaluation:
        share = 100 * sum(row.success for row in evaluation) / len(evaluation)
        text = f"evaluation, person off: {share:.0f} % of {len(evaluation)}"
        _note(axes[0][0], text, 0.98, 0.06, "right")
    _save(figure, path)


def plot_comparison(path: Path, runs: Mapping[str, Sequence[Sequence[EpisodeRow]]], title: str) -> None:
    """Write curves of several groups of runs: `runs` maps a label to the episodes of each of its runs (seeds).

    The line is the mean over runs, the band runs from the lowest to the highest; a run that ended earlier counts
    with its last value.
    """
    figure, axes = _figure(title, f"mean and range over runs, windows of {WINDOW} episodes")
    for number, (label, group) in enumerate(runs.items()):
        colour = COLOURS[number % len(COLOURS)]
        curves = [windows(episodes) for episodes in group]
        curves = [curve for curve in curves if curve]
        if not curves:
            continue
        name = label if len(curves) == 1 else f"{label} ({len(curves)} runs)"
        for column, axis in enumerate(AXES):
            end = max(float(_positions(curve, axis)[-1]) for curve in curves)
            grid = np.linspace(0.0, end, 300)
            for row, (key, scale) in enumerate((("success_rate", 100.0), ("human_share", 100.0), ("cycle_steps", 1.0))):
                stack = scale * np.stack([_resample(curve, axis, key, grid) for curve in curves])
                _band(axes[row][column], grid, stack, colour, name)
    demo_cycles = [cycle for group in runs.values() for run in group if (cycle := _demo_cycle(run)) is not None]
    demo_cycle = float(np.mean(demo_cycles)) if demo_cycles else None
    for column in range(len(AXES)):
        _reference_lines(axes, column, demo_cycle)
    if axes[0][1].get_legend_handles_labels()[1]:
        _legend(axes[0][1])
    _save(figure, path)


def _figure(title: str, subtitle: str) -> "tuple[Figure, list[list[Axes]]]":
    """Return a figure without any global state of matplotlib, and its 3 x 2 axes, labelled."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.5, 8.0), dpi=110, facecolor="white")
    FigureCanvasAgg(figure)
    grid = figure.subplots(3, 2, sharex="col", sharey="row")
    axes: list[list[Axes]] = [list(row) for row in grid]
    figure.subplots_adjust(left=0.075, right=0.975, top=0.885, bottom=0.07, hspace=0.14, wspace=0.06)
    figure.text(0.075, 0.955, title, fontsize=15, fontweight="bold", color=INK)
    figure.text(0.075, 0.922, subtitle, fontsize=10, color="#5b6570")
    for row, label in enumerate(("success [%]", "human steps [%]", "cycle time [steps]")):
        axes[row][0].set_ylabel(label, color=INK)
        for ax in axes[row]:
            ax.grid(True, color="#e7eaee", lw=0.8)
            ax.set_axisbelow(True)
            ax.tick_params(colors="#5b6570", length=0, labelsize=9)
            for side, spine in ax.spines.items():
                spine.set_visible(side in ("left", "bottom"))
                spine.set_color("#c8ced6")
    for row in (0, 1):
        axes[row][0].set_ylim(-3, 104)
        axes[row][0].set_yticks(range(0, 101, 25))
    for column, axis in enumerate(AXES):
        axes[2][column].set_xlabel(AXIS_LABELS[axis], color=INK)
        axes[2][column].margins(x=0.02)
    axes[2][0].xaxis.set_major_formatter("{x:,.0f}")
    return figure, axes


def _reference_lines(axes: "list[list[Axes]]", column: int, demo_cycle: float | None) -> None:
    """Draw the goals and the demonstrator's cycle time as dashed lines, named in the first column."""
    lines = [(0, 100 * GOAL_SUCCESS, "goal 95 %"), (1, 100 * GOAL_HUMAN, "goal 5 %")]
    if demo_cycle is not None:
        lines.append((2, demo_cycle, f"demonstrator {demo_cycle:.0f}"))
    for row, height, name in lines:
        ax = axes[row][column]
        ax.axhline(height, color=FAINT, lw=1.2, ls=(0, (5, 3)), zorder=1)
        if column == 0:
            below = row == 0
            ax.annotate(
                name,
                (1, height),
                xycoords=("axes fraction", "data"),
                xytext=(-4, -3 if below else 3),
                textcoords="offset points",
                ha="right",
                va="top" if below else "bottom",
                fontsize=8.5,
                color="#6b7580",
            )
    axes[2][column].set_ylim(bottom=0)


def _band(ax: "Axes", x: Array, stack: Array, colour: str, name: str) -> None:
    """Draw mean and range of `stack` (runs, len(x)); NaN before a run has a value."""
    known = ~np.isnan(stack).all(axis=0)
    x, stack = x[known], stack[:, known]
    if not x.size:
        return
    ax.plot(x, np.nanmean(stack, axis=0), color=colour, lw=2, label=name)
    if len(stack) > 1:
        ax.fill_between(x, np.nanmin(stack, axis=0), np.nanmax(stack, axis=0), color=colour, alpha=0.15, lw=0)


def _episode_dots(ax: "Axes", episodes: Sequence[EpisodeRow], axis: Axis) -> None:
    """Draw every successful online episode as a faint dot: full without help, hollow with help."""
    for helped in (False, True):
        rows = [r for r in episodes if r.phase == "train" and r.success and (r.human_steps > 0) == helped]
        x = [row.env_steps if axis == "env_steps" else row.t_wall_s / 60 for row in rows]
        face = "none" if helped else CYCLE
        label = "with help" if helped else "autonomous"
        ax.scatter(x, [r.steps for r in rows], s=9, facecolors=face, edgecolors=CYCLE, lw=0.6, alpha=0.4, label=label)


def _mark_goal(axes: "list[list[Axes]]", column: int, goal: Window, axis: Axis) -> None:
    """Draw a vertical line where the goal was reached, with its position on top."""
    x = float(_positions([goal], axis)[0])
    for row in range(3):
        axes[row][column].axvline(x, color=INK, lw=1.1, ls=":", zorder=2)
    text = f"goal after {x:,.0f} steps" if axis == "env_steps" else f"goal after {x:.1f} min"
    right = x > 0.6 * axes[0][column].get_xlim()[1]
    axes[0][column].annotate(
        text,
        (x, 52),
        xytext=(-6 if right else 6, 0),
        textcoords="offset points",
        fontsize=9.5,
        color=INK,
        ha="right" if right else "left",
        fontweight="bold",
        bbox={"fc": "white", "ec": "none", "alpha": 0.8, "pad": 1.5},
    )


def _legend(ax: "Axes") -> None:
    """Name the curves in the lower right corner."""
    ax.legend(loc="lower right", frameon=False, fontsize=8.5, ncols=2, labelcolor="#5b6570", handletextpad=0.5)


def _note(ax: "Axes", text: str, x: float, y: float, side: Literal["left", "right"]) -> None:
    """Write a small note at axes fractions."""
    box = {"fc": "white", "ec": "none", "alpha": 0.8, "pad": 1.5}
    ax.text(x, y, text, transform=ax.transAxes, ha=side, fontsize=9, color=INK, bbox=box)


def _demo_cycle(episodes: Sequence[EpisodeRow]) -> float | None:
    return mean_cycle([row for row in episodes if row.phase == "demo"])


def _positions(curve: Sequence[Window], axis: Axis) -> Array:
    """Return float64 (len(curve),) positions on the x axis."""
    return np.array([w.env_steps if axis == "env_steps" else w.t_wall_s / 60 for w in curve], dtype=np.float64)


def _values(curve: Sequence[Window], key: str) -> Array:
    """Return float64 (len(curve),) values of one column, NaN for None."""
    return np.array([np.nan if (value := getattr(w, key)) is None else value for w in curve], dtype=np.float64)


def _resample(curve: Sequence[Window], axis: Axis, key: str, grid: Array) -> Array:
    """Return the value in force at every point of `grid`; NaN before the first, the last one after the end."""
    x, y = _positions(curve, axis), _values(curve, key)
    index = np.searchsorted(x, grid, side="right") - 1
    return np.where(index >= 0, y[np.maximum(index, 0)], np.nan)


def _save(figure: "Figure", path: Path) -> None:
    for ax in figure.axes:
        ax.set_xlim(left=0)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error}. Free space or choose another folder.") from error
