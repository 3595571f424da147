"""Pictures of a toy task: rectangles with smooth edges, so that a shift of a tenth of a pixel shows."""

import numpy as np

from robot_hil.data.specs import Array

Colour = tuple[int, int, int]


class Canvas:
    """A square picture of `size` pixels that shows `side` metres from (`left`, `low`) on, z upwards."""

    def __init__(self, size: int, left: float, low: float, side: float, background: Colour) -> None:
        self._left, self._low, self._scale = left, low, size / side
        self._size = size
        self._pixels = np.empty((size, size, 3), np.float32)
        self._pixels[:] = background

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
        first, last = max(0, int(begin)), min(self._size, int(end) + 1)
        share = np.ones(max(0, last - first), np.float32)
        if len(share):
            share[0] -= max(0.0, begin - first)
            share[-1] -= max(0.0, last - end)
        return first, share.clip(0.0, 1.0)
