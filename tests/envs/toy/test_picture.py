"""Rectangles cover pixels by their share, wherever they lie."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from robot_hil.envs.toy.picture import Canvas

EDGE = st.floats(-1.5, 1.5)


@given(EDGE, EDGE, EDGE, EDGE)
def test_a_rectangle_has_its_area_wherever_it_lies(x0: float, x1: float, z0: float, z1: float) -> None:
    (x0, x1), (z0, z1) = sorted((x0, x1)), sorted((z0, z1))
    canvas = Canvas(32, -1.0, -1.0, 2.0, (0, 0, 0))
    canvas.rectangle(x0, z0, x1, z1, (200, 100, 0))
    clipped = [min(max(v, -1.0), 1.0) for v in (x0, x1, z0, z1)]
    area = (clipped[1] - clipped[0]) * (clipped[3] - clipped[2]) * 16.0**2
    covered = canvas.picture()[..., 0].sum() / 200.0
    pixels = np.count_nonzero(canvas.picture()[..., 0])
    assert abs(covered - area) <= 0.5 / 200.0 * 128 + 0.003 * max(1, pixels)


def test_up_is_up_and_a_tenth_of_a_pixel_shows() -> None:
    pictures = []
    for shift in (0.0, 0.1):
        canvas = Canvas(10, 0.0, 0.0, 10.0, (0, 0, 0))
        canvas.rectangle(2.0 + shift, 7.0, 3.0 + shift, 9.0, (200, 0, 0))
        pictures.append(canvas.picture()[..., 0].astype(int))
    assert np.array_equal(np.argwhere(pictures[0]), [[1, 2], [2, 2]])
    assert pictures[1][1, 2] == 180
    assert pictures[1][1, 3] == 20
