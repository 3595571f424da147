"""Films are small, keep their speed and refuse frames that are none."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from robot_hil.errors import SpecError
from robot_hil.report.video import write_gif


def frames(count: int, size: int = 64, noise: int = 0) -> list[np.ndarray]:
    """Return a red square that moves over grey, with as much noise as asked for."""
    rng = np.random.default_rng(0)
    film = []
    for number in range(count):
        frame = np.full((size, size, 3), 90, np.uint8)
        frame[20:40, number % 30 : number % 30 + 20] = (200, 30, 30)
        film.append((frame + rng.integers(0, noise + 1, frame.shape)).astype(np.uint8))
    return film


def read(path: Path) -> tuple[int, int, tuple[int, int]]:
    """Return number of frames, duration [ms] of all together and size."""
    with Image.open(io.BytesIO(path.read_bytes())) as film:
        total = 0
        for number in range(film.n_frames):
            film.seek(number)
            total += film.info["duration"]
        return film.n_frames, total, film.size


def test_film_has_all_frames_in_colour(tmp_path: Path) -> None:
    path = tmp_path / "run" / "policy.gif"
    write_gif(path, frames(12), fps=10)
    assert read(path) == (12, 1200, (64, 64))
    with Image.open(path) as film:
        red = np.asarray(film.convert("RGB"))[30, 10].astype(int)
    assert np.abs(red - (200, 30, 30)).max() < 12


def test_big_film_is_made_smaller_at_the_same_speed(tmp_path: Path) -> None:
    path = tmp_path / "policy.gif"
    film = frames(20, size=128, noise=60)
    write_gif(path, film, fps=10)
    full = path.stat().st_size
    write_gif(path, film, fps=10, max_bytes=full // 6)
    assert path.stat().st_size <= full // 6
    count, duration, size = read(path)
    assert (count, duration) == (10, 2000)
    assert size == (64, 64)


@pytest.mark.parametrize(
    "film",
    [[], [np.zeros((8, 8), np.uint8)], [np.zeros((8, 8, 3), np.float32)], [*frames(1, 64), *frames(1, 48)]],
    ids=["none", "grey", "float", "two sizes"],
)
def test_other_frames_are_refused(film: list[np.ndarray], tmp_path: Path) -> None:
    with pytest.raises(SpecError):
        write_gif(tmp_path / "x.gif", film)
    assert not (tmp_path / "x.gif").exists()
