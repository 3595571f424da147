"""What the commands of `robot-hil reward` print: a progress bar, figures with their intervals."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from robot_hil.data.specs import Array

if TYPE_CHECKING:
    from robot_hil.policies.reward.report import Rate, Report


@dataclass(frozen=True, kw_only=True)
class Looked:
    """A labelled frame and what a model thinks of it."""

    name: str
    label: int
    guess: int
    """The most probable class."""
    score: float
    """Cautious probability of success: what is compared with the threshold."""
    probability: float
    """Mean probability of success over the members: what is calibrated."""
    success: bool
    """Whether the label is success."""
    images: Mapping[str, Array] = field(default_factory=dict, repr=False)

    @property
    def error(self) -> float:
        """How far the score is from the label, in [0, 1]."""
        return abs(float(self.success) - self.score)


@contextmanager
def bar(title: str = "") -> Iterator[Callable[..., None]]:
    """Show a progress bar; what it gives is told the share done, and what is going on if that is not `title`."""
    columns = (TextColumn("{task.description:<34}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    with Progress(*columns, TimeElapsedColumn()) as progress:
        task = progress.add_task(title, total=1.0)

        def told(share: float, what: str = title) -> None:
            progress.update(task, completed=share, description=what)

        yield told


def console() -> Console:
    """Return where to print tables; wide enough for them where it is no terminal."""
    found = Console()
    return found if found.is_terminal else Console(width=120)


def rate(found: "Rate") -> str:
    """Return a share with its 95 % interval and where it comes from; a dash where nothing was tried."""
    if not found.trials:
        return "-"
    return f"{found.value:.1%}  ({found.low:.1%} to {found.high:.1%}; {found.events} of {found.trials})"


def report_tables(report: "Report", title: str) -> list[Table]:
    """Return the held-out figures of a model, and its confusions."""
    figures = Table(title=title, title_justify="left", show_header=False)
    figures.add_column(no_wrap=True)
    figures.add_column(no_wrap=True)
    rows = {
        "episodes: trained, calibrated, tested": (
            f"{report.train_episodes}, {report.calibration_episodes}, {report.test_episodes}"
        ),
        "false positives, single frames": rate(report.false_positive),
        "false negatives, single frames": rate(report.false_negative),
        "false positives, confirmed": rate(report.confirmed_false_positive),
        "false negatives, confirmed": rate(report.confirmed_false_negative),
        "episodes ended before a success": rate(report.false_episodes),
        "episodes whose success was missed": rate(report.missed_episodes),
        "precision, recall": f"{report.precision:.1%}, {report.recall:.1%} at threshold {report.threshold:.3f}",
        "area under the ROC curve": f"{report.auc:.4f}",
        "calibration error": f"{report.calibration_error:.3f} (uncalibrated {report.calibration_error_before:.3f})",
        "trained in": f"{report.seconds:.1f} s",
    }
    for name, value in rows.items():
        figures.add_row(name, value)
    return [figures, confusion_table(report.classes, report.confusion)]


def confusion_table(classes: tuple[str, ...], confusion: tuple[tuple[int, ...], ...]) -> Table:
    """Return how often each class was taken for each other."""
    table = Table(title="held-out frames: what they are (rows), what they look like (columns)", title_justify="left")
    table.add_column("")
    for name in classes:
        table.add_column(name, justify="right")
    for name, row in zip(classes, confusion, strict=True):
        table.add_row(name, *map(str, row))
    return table
