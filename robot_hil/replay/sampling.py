"""How a batch is shared among the pools and what a batch holds."""

import math
from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np

from robot_hil.data.specs import Array
from robot_hil.errors import StorageError
from robot_hil.replay.columns import Columns

POOLS = ("demo", "intervention", "online")
"""`demo`: steps of demonstrations; `intervention`: human steps outside them; `online`: every step outside them."""

Batch = dict[str, Array]
"""Flat names -> arrays, first axis the batch:

`obs/<name>`, `next_obs/<name>`; where asked for `end/<name>`, the last observation of the row's episode, and
`end_known` float32 (B,), 0 unless that episode has succeeded (`end/` then holds anything);
`action`, `action_human` float32 (B, A), the executed and the human one (the executed one where no person commanded);
`reward` discounted n-step sum, `discount` factor of the value of `next_obs` (0 after a termination), `is_human`,
`imitate`, `demonstrated`, `critic_weight`, `actor_weight` float32 (B,); `pool` uint8 index into `POOLS`; `row` int64;
of runs of steps also `within` float32 (B,), 0 where a run has ended and its last row is repeated.

Observations are arrays of the library that keeps the frames, see `Frames`; all else is numpy's.
"""

RewardView = Callable[[Columns], tuple[Array, Array, Array]]
"""Columns of n rows -> reward float (n,); mask float (n,), 0 where nothing follows; cut bool (n,), True where an
n-step sum must not run on into the next row."""


class View(Protocol):
    """What turns facts into a batch; every method of intervention learning is one."""

    @property
    def n_step(self) -> int:
        """Most rewards summed before bootstrapping, >= 1."""
        ...

    def share(self, pools: Mapping[str, int], step: int) -> Mapping[str, float]:
        """Return the share of a batch by pool, given the pools' sizes and the count of environment steps."""
        ...

    def reward(self, columns: Columns) -> tuple[Array, Array, Array]:
        """See `RewardView`."""
        ...

    def aux(self, columns: Columns) -> Mapping[str, Array]:
        """Return further batch entries of the sampled rows, e.g. `imitate`; replaces entries of equal name."""
        ...

    def weights(self, batch: Mapping[str, Array]) -> tuple[Array, Array]:
        """Return the weights of the rows in the critic's and in the actor's loss, float32 (B,) each."""
        ...


def share_out(
    fractions: Mapping[str, float], sizes: Mapping[str, int], batch_size: int, rng: np.random.Generator
) -> dict[str, int]:
    """Return how many rows each pool gives, summing to `batch_size`.

    Demonstrations and interventions stand in for one another when one is empty; else an empty pool's share goes
    to the others in proportion. Fractional counts are rounded at random so that each pool's expectation is exact.
    """
    if unknown := set(fractions) - set(POOLS):
        raise StorageError(f"cannot sample from {sorted(unknown)}; the pools are {', '.join(POOLS)}.")
    wanted = {name: float(fractions.get(name, 0.0)) for name in POOLS}
    for empty, other in (("intervention", "demo"), ("demo", "intervention")):
        if not sizes[empty] and sizes[other]:
            wanted[other] += wanted[empty]
    shares = {name: wanted[name] if sizes[name] else 0.0 for name in POOLS}
    total = sum(shares.values())
    if not total > 0 or min(shares.values()) < 0:
        raise StorageError(f"nothing to sample: shares {dict(fractions)}, pool sizes {dict(sizes)}.")
    offset, edge, given = rng.random(), 0.0, 0
    counts = {}
    for name, share in shares.items():  # three numbers: numpy would take ten times as long
        edge += share
        reach = math.floor(round(edge / total * batch_size, 9) + offset)
        counts[name], given = reach - given, reach
    return counts
