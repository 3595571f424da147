"""Where hands and head are, and which way a head looks."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import asin, atan2, hypot

from robot_hil.data.rotation import Quat, Vec, rotate


@dataclass(frozen=True, slots=True)
class HandPose:
    """Where a hand or head is in the headset's space: x right, y up, z towards the user at start."""

    pos: Vec
    """[m]."""
    quat: Quat
    """wxyz, unit norm."""


def heading_of(head: Sequence[float]) -> float:
    """Return where a head of orientation `head` looks: rotation about the y axis [rad], 0 along -z, left positive.

    A head that looks straight down or up looks where its crown or its chin points.
    """
    x, y, z = rotate(head, (0.0, 0.0, -1.0))
    if hypot(x, z) < 0.3:
        turn = 1.0 if asin(max(-1.0, min(1.0, y))) < 0 else -1.0
        x, y, z = (turn * c for c in rotate(head, (0.0, 1.0, 0.0)))
    return atan2(-x, -z)
