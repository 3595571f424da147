"""The live terminal display of a run: who drives, how good it is, how far to the goal. Reads the run's files only."""

from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from robot_hil.clock import Clock, MonotonicClock
from robot_hil.report.metrics import (
    ACTOR_FILE,
    LEARNER_FILE,
    LIVE_FILE,
    EpisodeRow,
    JsonlTail,
    LearnerRow,
    LiveState,
    parse_row,
    read_live,
)
from robot_hil.report.summary import GOAL_HUMAN, GOAL_SUCCESS, WINDOW, Window, mean_cycle, wilson_interval, window_of

CONTROL_STYLES = {
    "policy": ("POLICY DRIVES", "bold white on blue"),
    "human": ("PERSON DRIVES", "bold black on bright_yellow"),
    "engaging": ("PERSON TAKES OVER", "bold black on yellow"),
    "releasing": ("PERSON LETS GO", "bold black on cyan"),
    "blended": ("SHARED CONTROL", "bold black on bright_cyan"),
    "hold": ("HOLD", "bold white on magenta"),
    "estop": ("EMERGENCY STOP", "bold white on red"),
}
PHASE_WORDS = {
    "demo": "demonstrations",
    "train": "training",
    "check": "check, person off",
    "eval": "evaluation, person off",
}
BARS = "▁▂▃▄▅▆▇█"
SPARK_WIDTH = 48


@dataclass
class RunState:
    """Everything the display knows about a run folder; `poll` reads on where it stopped."""

    folder: Path
    episodes: list[EpisodeRow] = field(default_factory=list)
    windows: list[Window] = field(default_factory=list)
    """Of the online episodes, as in `report.summary`."""
    learner: LearnerRow | None = None
    live: LiveState | None = None

    def __post_init__(self) -> None:
        self._actor_tail = JsonlTail(self.folder / ACTOR_FILE)
        self._learner_tail = JsonlTail(self.folder / LEARNER_FILE)
        self._online: list[EpisodeRow] = []

    def poll(self) -> None:
        """Read what is new; files that do not exist yet are waited for."""
        for row in self._actor_tail.poll():
            episode = parse_row(EpisodeRow, row)
            self.episodes.append(episode)
            if episode.phase == "train":
                self._online = [*self._online[-WINDOW:], episode]
                self.windows.append(window_of(self._online))
        for row in self._learner_tail.poll():
            self.learner = parse_row(LearnerRow, row)
        self.live = read_live(self.folder / LIVE_FILE) or self.live

    def of_phase(self, phase: str) -> list[EpisodeRow]:
        """Return the finished episodes of one phase."""
        return [row for row in self.episodes if row.phase == phase]

    @property
    def phase(self) -> str:
        """The phase the run is in: that of the live state, else of the last episode."""
        if self.live is not None:
            return self.live.phase
        return self.episodes[-1].phase if self.episodes else "demo"

    @property
    def goal_reached(self) -> bool:
        """Whether a window has met the goal so far."""
        return any(window.is_goal for window in self.windows)


def goal_progress(window: Window | None) -> float:
    """Return how near a window is to the goal, in [0, 1]: success, autonomy and a full window count alike."""
    if window is None:
        return 0.0
    success = min(1.0, window.success_rate / GOAL_SUCCESS)
    autonomy = min(1.0, (1.0 - window.human_share) / (1.0 - GOAL_HUMAN))
    return min(success, autonomy) * min(1.0, window.episodes / WINDOW)


def sparkline(values: list[float], width: int = SPARK_WIDTH) -> str:
    """Return `values` in [0, 1] as a row of bars; more values than `width` are averaged in equal groups.

    >>> sparkline([0.0, 0.5, 1.0])
    '▁▅█'
    """
    if len(values) > width:
        edges = [round(i * len(values) / width) for i in range(width + 1)]
        values = [sum(values[a:b]) / (b - a) for a, b in pairwise(edges)]
    return "".join(BARS[round(min(1.0, max(0.0, value)) * (len(BARS) - 1))] for value in values)


def plain_line(run: RunState) -> str:
    """Return the state of a run as one line of text, for logs and pipes."""
    live, window = run.live, run.windows[-1] if run.windows else None
    parts = [_duration(live.t_wall_s if live else 0.0), PHASE_WORDS[run.phase]]
    if run.phase == "demo":
        parts.append(f"{len(run.of_phase('demo'))} recorded")
    elif run.phase in ("check", "eval"):
        rows = _trials_alone(run)
        parts.append(f"success {sum(row.success for row in rows)}/{len(rows)}")
    elif window is not None:
        cycle = "-" if window.cycle_steps is None else f"{window.cycle_steps:.0f} steps"
        parts += [f"success {window.success_rate:.0%}", f"human {window.human_share:.0%}", f"cycle {cycle}"]
    elif live is not None and live.message:
        parts.append(live.message)  # e.g. how far the imitation of the demonstrations is
    if live is not None and run.phase == "train":
        parts.append(f"{live.env_steps} env steps")
    if run.learner is not None and run.phase == "train":
        parts.append(f"{run.learner.updates_per_s:.0f} updates/s")
    return " | ".join(parts)


def render(run: RunState, title: str) -> RenderableType:
    """Return the panel for a terminal; the same height in every phase, so that nothing jumps."""
    live = run.live
    table = Table.grid(expand=True, padding=(0, 2))
    table.add_column(ratio=1)
    table.add_column(ratio=1)
    table.add_row(_numbers(_skill_rows(run)), _numbers(_machine_rows(run)))
    message = Text(live.message if live else "starting", style="italic", overflow="ellipsis", no_wrap=True)
    body = Group(_control_word(live), Text(), table, Text(), _goal_line(run), _spark_line(run), message)
    elapsed = _duration(live.t_wall_s if live else 0.0)
    return Panel(body, title=f"[bold]{title}[/] · {PHASE_WORDS[run.phase]}", subtitle=elapsed, padding=(0, 2))


def _control_word(live: LiveState | None) -> Padding:
    """Return who is in control, big and coloured."""
    word, style = CONTROL_STYLES.get(live.control if live else "", ("IDLE", "bold white on grey37"))
    return Padding(Text(" ".join(word), justify="center"), (1, 0), style=style)


def _skill_rows(run: RunState) -> list[tuple[str, str, str]]:
    """Return name, value and style of what tells how good the policy is."""
    demo_cycle = mean_cycle(run.of_phase("demo"))
    versus = "" if demo_cycle is None else f" (person {demo_cycle:.0f})"
    evaluation = _trials_alone(run)
    if evaluation:
        good = sum(row.success for row in evaluation)
        low, high = wilson_interval(good, len(evaluation))
        return [
            ("success", f"{good / len(evaluation):.0%} of {len(evaluation)}", _level(good / len(evaluation))),
            ("95 % interval", f"{low:.0%} to {high:.0%}", ""),
            ("cycle time", _cycle(mean_cycle(evaluation)) + versus, ""),
            ("episodes", str(len(run.episodes)), ""),
        ]
    window = run.windows[-1] if run.windows else None
    return [
        ("success", "-" if window is None else f"{window.success_rate:.0%} of last {window.episodes}",
         "" if window is None else _level(window.success_rate)),
        ("intervention rate", "-" if window is None else f"{window.human_share:.0%} of steps",
         "" if window is None else ("green" if window.human_share <= GOAL_HUMAN else "yellow")),
        ("cycle time", _cycle(window.cycle_steps if window else None) + versus, ""),
        ("episodes", str(len(run.episodes)), ""),
    ]  # fmt: skip


def _trials_alone(run: RunState) -> list[EpisodeRow]:
    """Return the episodes of the evaluation or check under way, none in other phases."""
    if run.phase not in ("check", "eval"):
        return []
    trained = max((row.env_steps for row in run.episodes), default=0)
    return [row for row in run.of_phase(run.phase) if row.env_steps == trained]


def _machine_rows(run: RunState) -> list[tuple[str, str, str]]:
    """Return name, value and style of what tells how the machinery runs."""
    live, learner = run.live, run.learner
    age = "-" if live is None or live.policy_age_s is None else f"{live.policy_age_s:.1f} s"
    version = "" if live is None or live.policy_version < 0 else f" (version {live.policy_version})"
    misses = sum(row.deadline_misses for row in run.episodes)
    return [
        ("env steps", "-" if live is None else f"{live.env_steps:,}", ""),
        ("updates/s", "-" if learner is None else f"{learner.updates_per_s:.0f} ({learner.utd:.1f} per step)", ""),
        ("policy age", age + version, ""),
        ("late periods", str(misses), "red" if misses else ""),
    ]


def _numbers(rows: list[tuple[str, str, str]]) -> Table:
    """Return names and values in two columns."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(no_wrap=True)
    for name, value, style in rows:
        table.add_row(name, Text(value, style=f"bold {style}".strip()))
    return table


def _goal_line(run: RunState) -> Table:
    """Return the bar towards the goal."""
    progress = 1.0 if run.goal_reached else goal_progress(run.windows[-1] if run.windows else None)
    table = Table.grid(expand=True, padding=(0, 1))
    table.add_column(no_wrap=True)
    table.add_column(ratio=1)
    table.add_column(no_wrap=True, justify="right")
    name = Text("goal reached", "bold green") if run.goal_reached else Text("goal", "dim")
    hint = f"{progress:.0%} · {GOAL_SUCCESS:.0%} success, {GOAL_HUMAN:.0%} human"
    table.add_row(name, ProgressBar(total=1.0, completed=progress, complete_style="green"), Text(hint, "dim"))
    return table


def _spark_line(run: RunState) -> Text:
    """Return success over the online episodes so far."""
    bars = sparkline([window.success_rate for window in run.windows])
    return Text.assemble(("success ", "dim"), (bars or "-", "green"))


def _level(rate: float) -> str:
    """Return the colour of a success rate."""
    return "green" if rate >= GOAL_SUCCESS else "yellow" if rate >= 0.5 else "red"


def _cycle(steps: float | None) -> str:
    return "-" if steps is None else f"{steps:.0f} steps"


def _duration(seconds: float) -> str:
    """Return minutes and seconds, hours where needed.

    >>> _duration(75), _duration(3700)
    ('1:15', '1:01:40')
    """
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class Display:
    """Shows a run while other processes write its files; call `refresh` a few times per second.

    On a terminal a live panel; elsewhere one plain line every `plain_period_s`. Nothing is shown before `start`.
    """

    def __init__(
        self,
        folder: Path,
        title: str,
        *,
        console: Console | None = None,
        clock: Clock | None = None,
        plain_period_s: float = 5.0,
    ) -> None:
        self.run = RunState(folder)
        self.title = title
        self._console = console or Console()
        self._clock = clock or MonotonicClock()
        self._plain_period_s = plain_period_s
        self._next_plain = 0.0
        self._last_plain = ""
        self._live: Live | None = None

    def start(self) -> None:
        """Begin to show; legal twice."""
        if self._console.is_terminal and self._live is None:
            self._live = Live(render(self.run, self.title), console=self._console, auto_refresh=False)
            self._live.start()
        self._next_plain = self._clock.now()

    def refresh(self) -> None:
        """Read the run's files and show what is new."""
        self.run.poll()
        if self._live is not None:
            self._live.update(render(self.run, self.title), refresh=True)
        elif not self._console.is_terminal and self._clock.now() >= self._next_plain:
            self._next_plain = self._clock.now() + self._plain_period_s
            self._print_plain()

    def stop(self) -> None:
        """Show the last state and leave it on the screen; legal twice."""
        self.run.poll()
        if self._live is not None:
            self._live.update(render(self.run, self.title), refresh=True)
            self._live.stop()
            self._live = None
        elif not self._console.is_terminal:
            self._print_plain()

    def _print_plain(self) -> None:
        """Print the line unless it says nothing new."""
        line = plain_line(self.run)
        if line != self._last_plain:
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)
            self._last_plain = line

    def __enter__(self) -> "Display":
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.stop()
