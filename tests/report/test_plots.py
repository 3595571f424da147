"""Plots are drawn from any rows a run can leave behind."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from robot_hil.report.metrics import EpisodeRow
from robot_hil.report.plots import plot_comparison, plot_learning_curve

MakeEpisodes = Callable[..., list[EpisodeRow]]


def colours(path: Path) -> set[tuple[int, ...]]:
    """Return the distinct colours of a picture."""
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB"))
        return {tuple(int(v) for v in colour) for colour in np.unique(pixels.reshape(-1, 3), axis=0)}


SUCCESS, HUMAN, CYCLE = (0x2F, 0x8F, 0x5B), (0xD1, 0x62, 0x2B), (0x25, 0x63, 0xAB)


def test_learning_curve_shows_all_three(tmp_path: Path, make_episodes: MakeEpisodes) -> None:
    path = tmp_path / "run" / "learning_curve.png"
    plot_learning_curve(path, make_episodes(), "pick_cube", "seed 0")
    assert {SUCCESS, HUMAN, CYCLE} <= colours(path)
    with Image.open(path) as picture:
        assert picture.size[0] >= 1000
    assert path.stat().st_size < 500_000


@pytest.mark.parametrize("kind", ["nothing", "demonstrations only", "one episode", "no success"])
def test_learning_curve_of_a_short_run(kind: str, tmp_path: Path, make_episodes: MakeEpisodes) -> None:
    rows = {
        "nothing": [],
        "demonstrations only": make_episodes(online=0, evaluation=0),
        "one episode": make_episodes(online=1, evaluation=0),
        "no success": [row for row in make_episodes() if not row.success],
    }[kind]
    plot_learning_curve(tmp_path / "a.png", rows, "pick_cube")
    assert (tmp_path / "a.png").stat().st_size > 0


def test_comparison_of_groups(tmp_path: Path, make_episodes: MakeEpisodes) -> None:
    runs = {
        "anchored": [make_episodes(seed) for seed in range(3)],
        "baseline": [make_episodes(seed, online=120, half_way=50) for seed in range(2)],
        "stopped early": [[]],
        "single": [make_episodes(9, online=25)],
    }
    plot_comparison(tmp_path / "a.png", runs, "pick_cube")
    assert {HUMAN, CYCLE} <= colours(tmp_path / "a.png")


def test_comparison_of_nothing(tmp_path: Path) -> None:
    plot_comparison(tmp_path / "a.png", {}, "nothing yet")
    assert (tmp_path / "a.png").exists()
