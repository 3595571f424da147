"""How a batch is shared among the pools, and what the pools are made of."""

from collections import deque

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_hil.errors import StorageError
from robot_hil.replay.rows import RowSet, SlotQueue
from robot_hil.replay.sampling import POOLS, share_out

THIRDS = {"demo": 0.25, "intervention": 0.25, "online": 0.5}


@pytest.mark.parametrize(
    ("fractions", "sizes", "counts"),
    [
        (THIRDS, (9, 9, 9), (64, 64, 128)),
        (THIRDS, (9, 0, 9), (128, 0, 128)),
        (THIRDS, (0, 9, 9), (0, 128, 128)),
        (THIRDS, (9, 9, 0), (128, 128, 0)),
        (THIRDS, (0, 0, 9), (0, 0, 256)),
        ({"demo": 0.1, "intervention": 0.3}, (1, 1, 1), (64, 192, 0)),
    ],
)
def test_empty_pools_hand_on_their_share(fractions, sizes, counts):
    shared = share_out(fractions, dict(zip(POOLS, sizes, strict=True)), 256, np.random.default_rng(0))
    assert tuple(shared.values()) == counts


def test_small_shares_are_met_on_average():
    rng = np.random.default_rng(0)
    fractions = {"demo": 0.4985, "intervention": 0.0015, "online": 0.5}
    counts = [share_out(fractions, dict.fromkeys(POOLS, 1), 256, rng) for _ in range(2_000)]
    assert np.mean([c["intervention"] for c in counts]) == pytest.approx(0.384, abs=0.04)
    assert {c["online"] for c in counts} == {128}


@given(
    st.tuples(*[st.floats(0, 1)] * 3), st.tuples(*[st.integers(0, 2)] * 3), st.integers(1, 300), st.integers(0, 2**32)
)
def test_counts_fill_the_batch_from_pools_that_have_rows(shares, sizes, batch_size, seed):
    fractions = dict(zip(POOLS, shares, strict=True))
    available = dict(zip(POOLS, sizes, strict=True))
    try:
        counts = share_out(fractions, available, batch_size, np.random.default_rng(seed))
    except StorageError:
        return
    assert sum(counts.values()) == batch_size
    assert all(count >= 0 and (count == 0 or available[name]) for name, count in counts.items())


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 9))))
def test_row_set_is_a_set(changes):
    rows, model = RowSet(10), set()
    for add, row in changes:
        (rows.add if add else rows.discard)(row)
        (model.add if add else model.discard)(row)
        assert set(rows.rows.tolist()) == model
        assert len(rows) == len(model)
        assert (row in rows) == (row in model)


@given(st.lists(st.none() | st.integers(0, 9)))
def test_slot_queue_is_a_queue(changes):
    queue, model = SlotQueue(4), deque()
    for slot in changes:
        if slot is not None and len(model) < 4:
            queue.push(slot)
            model.append(slot)
        elif model:
            assert queue.oldest == model[0]
            assert queue.pop() == model.popleft()
        assert len(queue) == len(model)
