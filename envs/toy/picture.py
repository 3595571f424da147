"""Pictures of a toy task: rectangles with smooth edges, so that a shift of a tenth of a pixel shows."""

from functools import cache
from math import ceil

import numpy as np

from robot_hil.data.specs import Array

Colour = tuple[int, int, int]


class Canvas:
    """A square picture of `size` pixels that shows `side` metres from (`left`, `low`) on, z upwards."""

    def __init__(self, size: int, left: float, low: float, side: float, background: Colour) -> None:
        self._left, self._low, self._scale = left, low, size / side
        self._size = size
        self._pixels = _blank(size, background).copy()

    def rectangle(self, x0: float, z0: float, x1: float, z1: float, colour: Colour) -> None:
        """Fill x0 to x1, z0 to z1 [m]; a pixel is coloured by the share of it that is covered."""
        top = self._low + self._size / self._scale
        first, across = self._cover((x0 - self._left) * self._scale, (x1 - self._left) * self._scale)
        row, along = self._cover((top - z1) * self._scale, (top - z0) * self._scale)
        part = self._pixels[row : row + len(along), first : first + len(across)]
        part += (along[:, None] * across)[:, :, None] * (np.array(colour, np.float32) - part)

    def picture(self) -> Array:
        """Return what was drawn, uint8 (size, size, 3)."""
        return (self._pixels + np.float32(0.5)).astype(np.uint8)

    def _cover(self, begin: float, end: float) -> tuple[int, Array]:
        """Return the first pixel of the stretch and the share of each pixel that lies in it; empty outside."""
        begin, end = max(begin, 0.0), min(end, float(self._size))
        if begin >= end:
            return 0, np.empty(0, np.float32)
        first, last = int(begin), ceil(end)
        share = np.ones(last - first, np.float32)
        share[0] -= begin - first
        share[-1] -= last - end
        return first, share


@cache
def _blank(size: int, background: Colour) -> Array:
    return np.full((size, size, 3), background, np.float32)
