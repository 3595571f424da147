"""From rows of the replay to a batch: which rows, what they were rewarded, where their next observations lie."""

from collections.abc import Callable, Mapping

import numpy as np

from robot_hil.data.labels import Verdict
from robot_hil.data.specs import Array
from robot_hil.data.step import Segment
from robot_hil.replay.columns import VERDICT_CODES, Columns, FactTable
from robot_hil.replay.rows import RowSet
from robot_hil.replay.sampling import POOLS, Batch, RewardView, share_out

_FAIL = VERDICT_CODES[Verdict.FAIL]


def draw_rows(
    pools: Mapping[str, RowSet],
    weight: Array | None,
    rng: np.random.Generator,
    fractions: Mapping[str, float],
    batch_size: int,
    parts: int,
) -> tuple[Array, Array]:
    """Return rows int64 (B,) and the pool of each uint8 (B,); see `ReplayBuffer.sample`."""
    sizes = {name: len(pool) for name, pool in pools.items()}
    counts = share_out(fractions, sizes, batch_size, rng)
    drawn: list[Array] = []
    for name, count in counts.items():
        if count and weight is not None:
            drawn.append(pools[name].draw_weighted(rng, count, weight))
        elif count:
            drawn.append(pools[name].draw(rng, count))
    rows = np.concatenate(drawn)
    of_pool = np.repeat(np.arange(len(POOLS), dtype=np.uint8), list(counts.values()))
    if parts == 1:
        return rows, of_pool
    # Dealt like cards: row i goes to minibatch i modulo `parts`, and the minibatches then follow one another.
    order = np.arange(batch_size).reshape(-1, parts).T.ravel()
    return rows[order], of_pool[order]


def followed(facts: FactTable, rows: Array, window: int) -> tuple[Array, Array]:
    """Return the `window` rows from each of `rows` on, one run after the other, int64 (B * window,), and `within`.

    After the end of an episode, or of what has come of it, its last row repeats: `within` float32 is 0 of these.
    """
    next_row, next_slot = facts.columns["next_row"], facts.columns["next_slot"]
    runs, there = [rows], [np.ones(len(rows), bool)]
    for _ in range(window - 1):
        following = next_row[runs[-1]]
        goes_on = there[-1] & (following >= 0) & (next_slot[following] >= 0)  # of row -1 anything: it is not taken
        runs.append(np.where(goes_on, following, runs[-1]))
        there.append(goes_on)
    return np.stack(runs, 1).ravel(), np.stack(there, 1).ravel().astype(np.float32)


def facts_of(
    facts: FactTable,
    rows: Array,
    n_step: int,
    gamma: float,
    reward_view: RewardView,
    aux_view: Callable[[Columns], Mapping[str, Array]] | None,
) -> tuple[Batch, Array]:
    """Return everything of a batch but observations, and the slots of the next observations."""
    total, discount, last = n_step_sums(facts, rows, n_step, gamma, reward_view)
    columns = facts.view(rows)
    executed, human = columns["action_executed"], columns["action_human"]
    is_human = columns["is_human"]
    demonstrated = columns["segment"] == Segment.DEMO
    bad_example = demonstrated & (columns["verdict"] == _FAIL)
    backwards = columns["segment"] == Segment.REWIND  # a button was held; no hand showed the way
    imitate = is_human & ~columns["release_tail"] & ~bad_example & ~backwards  # nobody: nothing to imitate
    ones = np.ones(len(rows), np.float32)
    batch = {
        "action": np.ascontiguousarray(executed),
        "action_human": np.where(np.isnan(human), executed, human),
        "reward": total.astype(np.float32),
        "discount": discount.astype(np.float32),
        "is_human": is_human.astype(np.float32),
        "imitate": imitate.astype(np.float32),
        "demonstrated": demonstrated.astype(np.float32),
        "critic_weight": ones,
        "actor_weight": ones.copy(),
    }
    if aux_view is not None:
        batch |= aux_view(columns)
    return batch, facts.columns["next_slot"][last]


def n_step_sums(
    facts: FactTable, rows: Array, n_step: int, gamma: float, reward_view: RewardView
) -> tuple[Array, Array, Array]:
    """Sum up to `n_step` rewards from `rows` on; return sums, bootstrap factors and the last row of each sum."""
    next_row, next_slot = facts.columns["next_row"], facts.columns["next_slot"]
    hops, ready = [rows], [np.ones(len(rows), bool)]
    for _ in range(n_step - 1):
        following = next_row[hops[-1]]
        # A successor whose own successor has not come yet cannot end a sum: there is nothing to bootstrap from.
        ready.append((following >= 0) & (next_slot[following] >= 0))
        hops.append(np.where(following >= 0, following, hops[-1]))
    views = reward_view(facts.view(np.concatenate(hops)))  # once for all hops: a call costs more than its rows
    reward, mask, cut = (view.reshape(n_step, len(rows)) for view in views)

    total, discount, scale = np.zeros(len(rows)), np.zeros(len(rows)), 1.0
    last, going = rows, ready[0]
    for hop in range(n_step):
        if hop:
            going = going & ready[hop] & ~cut[hop - 1] & (mask[hop - 1] > 0)
        total += np.where(going, scale * reward[hop], 0.0)
        scale *= gamma
        discount = np.where(going, scale * mask[hop], discount)
        last = np.where(going, hops[hop], last)
    return total, discount, last
