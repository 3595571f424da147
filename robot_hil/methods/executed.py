"""Who imitates everything that was done, the robot's own steps as well."""

import numpy as np

from robot_hil.data.labels import Verdict
from robot_hil.data.specs import Array
from robot_hil.data.step import Segment
from robot_hil.methods.base import Columns
from robot_hil.replay.columns import VERDICT_CODES


def executed(columns: Columns) -> Array:
    """Return `imitate` of all rows, float32 (n,): 1, whoever drove.

    It is 0 of release tails, in which nobody meant what was done, and of demonstrations that a person has called a
    failure since.
    """
    failed = (columns["segment"] == Segment.DEMO) & (columns["verdict"] == VERDICT_CODES[Verdict.FAIL])
    good: Array = (~columns["release_tail"] & ~failed).astype(np.float32)
    return good
