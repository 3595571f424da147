"""The log as a method surveys it: episodes in order, however the replay has strewn them; sums along them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_hil.data.step import Segment
from robot_hil.methods.log import Log, log_of

LENGTHS = st.lists(st.integers(1, 7), min_size=0, max_size=6)


@given(LENGTHS, st.integers(0, 10**6))
def test_strewn_rows_are_put_in_order(lengths: list[int], seed: int) -> None:
    rng, count = np.random.default_rng(seed), sum(lengths)
    slots = rng.permutation(3 * count)[:count]  # of the steps, one episode after the other
    ends = np.cumsum(lengths, dtype=int) - 1
    following = np.append(slots[1:], -1)
    following[ends] = -1
    drawn = rng.permutation(count)
    index = np.concatenate([np.arange(n) for n in lengths] or [np.zeros(0, int)])
    columns = {"next_row": following[drawn], "step_index": index[drawn], "terminated": np.zeros(count, bool)}
    log, rows = log_of(columns, slots[drawn], 0.9)
    assert sorted(log.lengths.tolist()) == sorted(lengths)
    assert log.columns["step_index"].tolist() == [i for n in log.lengths for i in range(n)]
    inside = np.setdiff1d(np.arange(count), log.ends)
    assert (log.columns["next_row"][inside] == rows[inside + 1]).all()
    assert (log.columns["next_row"][log.ends] == -1).all()


def test_a_row_whose_successor_cannot_be_drawn_ends_its_episode() -> None:
    columns = {"next_row": np.array([5, 9]), "step_index": np.array([0, 1]), "terminated": np.zeros(2, bool)}
    log, rows = log_of(columns, np.array([3, 5]), 0.9)
    assert (rows.tolist(), log.begins.tolist()) == ([3, 5], [0])


@given(LENGTHS.filter(bool), st.floats(0.1, 1.0), st.integers(0, 10**6))
def test_sums_along_episodes(lengths: list[int], gamma: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    begins = np.cumsum([0, *lengths[:-1]])
    reward, after = rng.standard_normal(sum(lengths)), rng.standard_normal(len(lengths))
    log = Log(columns={"terminated": np.zeros(sum(lengths), bool)}, begins=begins, gamma=gamma)
    expected = [
        sum(gamma**k * reward[row + k] for k in range(begin + n - row)) + gamma ** (begin + n - row) * later
        for begin, n, later in zip(begins, lengths, after, strict=True)
        for row in range(begin, begin + n)
    ]
    assert log.discounted(reward, after) == pytest.approx(np.array(expected))
    assert log.mean(reward) == pytest.approx([reward[b : b + n].mean() for b, n in zip(begins, lengths, strict=True)])
    assert log.spread(after).tolist() == [v for v, n in zip(after, lengths, strict=True) for _ in range(n)]
    assert log.episode.tolist() == [i for i, n in enumerate(lengths) for _ in range(n)]


def test_who_drove() -> None:
    columns = {
        "terminated": np.zeros(3, bool),
        "segment": np.array([Segment.DEMO, Segment.CORRECTION, Segment.NONE]),
        "is_human": np.array([True, True, False]),
    }
    log = Log(columns=columns, begins=np.array([0, 1]), gamma=0.9)
    assert (log.is_demo.tolist(), log.is_intervention.tolist()) == ([True, False, False], [False, True, False])
