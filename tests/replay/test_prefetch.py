"""Batches ahead of need, in arrays used again."""

import threading

import numpy as np
import pytest

from robot_hil.errors import ConfigError, StorageError
from robot_hil.replay.prefetch import Prefetcher


class Counter:
    """Makes batches 0, 1, 2, ... and fails at `fail_at`."""

    def __init__(self, fail_at=None):
        self.made = 0
        self.arrays = []
        self.fail_at = fail_at

    def empty(self):
        self.arrays.append(np.zeros(4))
        return {"x": self.arrays[-1]}

    def make(self, out):
        if self.made == self.fail_at:
            raise ValueError("no more of it")
        out["x"][:] = self.made
        self.made += 1
        return dict(out)


@pytest.mark.parametrize("threaded", [True, False])
def test_batches_come_in_order_and_stay_until_the_next(threaded):
    source = Counter()
    with Prefetcher(source.make, source.empty, threaded=threaded) as prefetcher:
        for expected in range(200):
            batch = prefetcher.get()
            assert (batch["x"] == expected).all()
    assert len(source.arrays) == (3 if threaded else 1)
    assert source.made <= 200 + 2


@pytest.mark.parametrize("threaded", [True, False])
def test_exceptions_reach_the_consumer_after_the_good_batches(threaded):
    source = Counter(fail_at=3)
    prefetcher = Prefetcher(source.make, source.empty, threaded=threaded)
    prefetcher.start()
    assert [prefetcher.get()["x"][0] for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="no more of it"):
        prefetcher.get()
    prefetcher.stop()


def test_without_a_thread_a_batch_is_made_when_asked_for():
    source = Counter()
    with Prefetcher(source.make, source.empty, threaded=False) as prefetcher:
        assert source.made == 0
        prefetcher.get()
        assert source.made == 1


def test_constructor_does_nothing_and_stop_is_legal_any_time():
    source = Counter()
    prefetcher = Prefetcher(source.make, source.empty)
    assert source.arrays == []
    with pytest.raises(StorageError, match=r"call start\(\)"):
        prefetcher.get()
    prefetcher.stop()
    prefetcher.stop()
    with pytest.raises(StorageError, match="make a new one"):
        prefetcher.start()


def test_stop_frees_a_waiting_consumer_and_ends_the_thread():
    asked, release = threading.Event(), threading.Event()

    def make(out):
        asked.set()
        release.wait()
        raise ValueError("stopped meanwhile")

    threads = threading.active_count()
    prefetcher = Prefetcher(make, Counter().empty)
    prefetcher.start()
    asked.wait()
    release.set()
    with pytest.raises(ValueError, match="stopped meanwhile"):
        prefetcher.get()
    prefetcher.stop()
    assert threading.active_count() == threads


def test_depth_below_one_is_refused():
    with pytest.raises(ConfigError, match="depth is 0"):
        Prefetcher(Counter().make, Counter().empty, depth=0)
