"""Pictures that explain a classifier: precision over recall, calibration, and the frames on which it errs most."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from robot_hil.cli.reward.show import Looked
from robot_hil.data.specs import Array
from robot_hil.errors import StorageError

if TYPE_CHECKING:
    from robot_hil.policies.reward.report import Report

CURVES_FILE, ERRORS_FILE = "curves.png", "worst_errors.png"
FILES = (CURVES_FILE, ERRORS_FILE)
TILE, CAPTION, TILES = 112, 30, 24
"""Size of a picture in the sheet and of the words below [pixels], and how many frames are in it."""
_BINS = 10
_INK, _FAINT, _BLUE, _ORANGE = "#22272e", "#9aa4b0", "#2563ab", "#d1622b"


def draw(folder: Path, report: "Report", looked: Sequence[Looked]) -> None:
    """Write `FILES` into `folder`; raises `StorageError`."""
    try:
        curves(folder / CURVES_FILE, report, looked)
        contact_sheet(folder / ERRORS_FILE, worst(looked), report.classes)
    except OSError as error:
        raise StorageError(f"the pictures of {folder} cannot be written: {error}.") from error


def worst(looked: Sequence[Looked]) -> list[Looked]:
    """Return the frames that the model misjudges most, the worst first."""
    return sorted(looked, key=lambda one: -one.error)[:TILES]


def curves(path: Path, report: "Report", looked: Sequence[Looked]) -> None:
    """Draw precision over recall, and how often frames are a success over how probable the model finds it."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.0, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    if report.precision_recall:
        _, precision, recall = np.array(report.precision_recall).T
        left.plot(recall, precision, color=_BLUE, lw=2)
    left.plot([report.recall], [report.precision], "o", color=_ORANGE, label=f"threshold {report.threshold:.3f}")
    left.set(xlabel="recall", ylabel="precision", xlim=(0, 1.02), ylim=(0, 1.02), title="single held-out frames")
    left.legend(loc="lower left", frameon=False)
    right.plot([0, 1], [0, 1], color=_FAINT, lw=1)
    said = np.array([one.probability for one in looked])
    truth = np.array([one.success for one in looked], float)
    places = np.minimum((said * _BINS).astype(int), _BINS - 1)
    for place in np.unique(places):
        inside = places == place
        right.scatter(
            said[inside].mean(), truth[inside].mean(), s=20 + 6 * np.sqrt(inside.sum()), color=_BLUE, alpha=0.8
        )
    right.set(
        xlabel="probability of success, as said", ylabel="share of successes", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02),
        title=f"calibration, expected error {report.calibration_error:.3f}",
    )  # fmt: skip
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(colors=_INK)
    figure.savefig(path, dpi=120)


def contact_sheet(path: Path, looked: Sequence[Looked], classes: Sequence[str], columns: int = 6) -> None:
    """Write frames side by side, each with all its cameras, its label and what the model thinks of it."""
    from PIL import Image, ImageDraw

    cameras = max((len(one.images) for one in looked), default=1)
    width, height = TILE * cameras + 6, TILE + CAPTION
    rows = max(1, -(-len(looked) // columns))
    sheet = Image.new("RGB", (columns * width, rows * height), "white")
    pen = ImageDraw.Draw(sheet)
    for place, one in enumerate(looked):
        x, y = place % columns * width, place // columns * height
        for number, camera in enumerate(sorted(one.images)):
            picture = Image.fromarray(_square(one.images[camera])).resize((TILE, TILE))
            sheet.paste(picture, (x + number * TILE, y))
        pen.text((x + 2, y + TILE + 2), f"{one.name} is {classes[one.label]}", fill=_INK)
        pen.text((x + 2, y + TILE + 14), f"seen {one.score:.2f} ({classes[one.guess]})", fill=_ORANGE)
    if not looked:
        pen.text((4, 4), "no frames", fill=_INK)
    sheet.save(path, "PNG")


def _square(image: Array) -> Array:
    """Return the middle of an image."""
    height, width, _ = image.shape
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return image[top : top + side, left : left + side]
