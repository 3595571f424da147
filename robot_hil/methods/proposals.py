"""What the policy would have done while a person drove: entries of a batch for methods that compare the two actions."""

from collections.abc import Mapping

import numpy as np

from robot_hil.data.specs import Array
from robot_hil.data.step import Segment
from robot_hil.methods.base import Columns


def proposals(columns: Columns) -> Mapping[str, Array]:
    """Return `action_policy` (n, A) and where it may be compared, float32.

    `proposed` (n,) is 1 where the policy was asked, outside demonstrations and release tails; `overridden` (n,) is 1
    where in addition a person drove. `action_policy` is what was executed where nobody asked the policy: never NaN.
    """
    policy = columns["action_policy"]
    asked = np.isfinite(policy).all(-1) & (columns["segment"] != Segment.DEMO) & ~columns["release_tail"]
    return {
        "action_policy": np.where(asked[:, None], policy, columns["action_executed"]).astype(np.float32),
        "proposed": asked.astype(np.float32),
        "overridden": (asked & columns["is_human"]).astype(np.float32),
    }
