"""A batch is gathered while steps come in: nobody waits without need, and no slot changes that is being read."""

import threading

import numpy as np
import pytest

from robot_hil.data.specs import ArraySpec
from robot_hil.methods.base import Method
from robot_hil.replay.buffer import ReplayBuffer
from robot_hil.replay.frames import HostFrames

SPEC = {"id": ArraySpec(shape=(4,)), "image": ArraySpec(shape=(2, 2, 3), dtype="uint8")}
WAIT_S = 10.0


class SlowFrames(HostFrames):
    """Frames whose gather waits in the middle, when told to."""

    def __init__(self, specs, capacity):
        super().__init__(specs, capacity)
        self.gathering, self.go_on = threading.Event(), threading.Event()
        self.go_on.set()

    def gather(self, places, out):
        self.gathering.set()
        assert self.go_on.wait(WAIT_S)
        return super().gather(places, out)


@pytest.fixture
def slow(make_step):
    """A full buffer of one episode, whose oldest step is about to be overwritten, and its frames."""
    made = []

    def frames(specs, capacity):
        made.append(SlowFrames(specs, capacity))
        return made[0]

    buffer = ReplayBuffer(SPEC, 2, 20, frames=frames)
    for t in range(20):
        buffer.add(make_step(0, t))
    made[0].go_on.clear()
    return buffer, made[0]


def in_thread(work):
    found = []
    thread = threading.Thread(target=lambda: found.append(work()))
    thread.start()
    return thread, found


def draw(buffer, rows=200, seed=0):
    return buffer.sample(np.random.default_rng(seed), {"online": 1.0}, rows, 1, 0.9, Method().reward)


def assert_whole(batch):
    for prefix, hops in (("obs", 0), ("next_obs", 1)):
        np.testing.assert_array_equal(batch[f"{prefix}/image"][:, 0, 0, 0], batch[f"{prefix}/id"][:, 3])
        np.testing.assert_array_equal(batch[f"{prefix}/id"][:, 3], batch["obs/id"][:, 3] + hops)


def test_a_slot_that_is_read_is_overwritten_afterwards(slow, make_step):
    buffer, frames = slow
    reader, batches = in_thread(lambda: draw(buffer))
    assert frames.gathering.wait(WAIT_S)
    writer, added = in_thread(lambda: buffer.add(make_step(0, 20)))
    writer.join(0.05)
    assert writer.is_alive()
    assert buffer.counters["evicted"] == 0
    frames.go_on.set()
    reader.join(WAIT_S)
    writer.join(WAIT_S)
    assert added == [True]
    assert_whole(batches[0])
    assert 0 in batches[0]["obs/id"][:, 3]
    assert 0 not in draw(buffer)["obs/id"][:, 3]


def test_no_batch_begins_while_a_group_waits_half_way(slow, make_step):
    buffer, frames = slow
    rows = np.array([2])
    reader, _ = in_thread(lambda: buffer.observations(rows, ("id",)))
    assert frames.gathering.wait(WAIT_S)
    frames.gathering.clear()
    writer, added = in_thread(lambda: buffer.add_all([make_step(0, t) for t in range(20, 24)]))
    writer.join(0.05)
    assert writer.is_alive()  # two have their slots, whose frames are not there yet; the third waits for its own
    assert buffer.counters["evicted"] == 2
    later, batches = in_thread(lambda: draw(buffer))
    assert not frames.gathering.wait(0.05)
    frames.go_on.set()
    for thread in (reader, writer, later):
        thread.join(WAIT_S)
    assert added == [[True] * 4]
    assert_whole(batches[0])
    assert set(range(20, 23)) < set(batches[0]["obs/id"][:, 3].astype(int))


def test_a_step_does_not_wait_for_others_slots(slow, make_step):
    buffer, frames = slow
    rows = np.array([10])
    reader, batches = in_thread(lambda: buffer.observations(rows, ("id",)))
    assert frames.gathering.wait(WAIT_S)
    for t in range(20, 30):  # the ten oldest leave, but not the one being read
        buffer.add(make_step(0, t))
    frames.go_on.set()
    reader.join(WAIT_S)
    assert batches[0]["obs/id"][0, 3] == 10


def test_rewriting_waits_for_readers_and_steps_for_rewriting(slow, make_step):
    buffer, frames = slow
    reader, batches = in_thread(lambda: draw(buffer))
    assert frames.gathering.wait(WAIT_S)
    rewriting, rewrite_on = threading.Event(), threading.Event()

    def make(arrays):
        rewriting.set()
        assert rewrite_on.wait(WAIT_S)
        return arrays["id"] + 100

    rewriter, _ = in_thread(lambda: buffer.rewrite("id", make, 20))
    assert not rewriting.wait(0.05)
    frames.go_on.set()
    assert rewriting.wait(WAIT_S)
    writer, added = in_thread(lambda: buffer.add(make_step(0, 20)))
    writer.join(0.05)
    assert writer.is_alive()
    rewrite_on.set()
    for thread in (reader, rewriter, writer):
        thread.join(WAIT_S)
    assert_whole(batches[0])
    assert added == [True]
    assert buffer.observations(np.array([0, 1]), ("id",))["obs/id"][:, 3].tolist() == [20, 101]


def test_slots_are_free_again_when_gathering_fails(slow, make_step):
    buffer, frames = slow
    frames.go_on.set()
    too_short = {"obs/id": np.empty((7, 4), np.float32)}
    with pytest.raises(ValueError, match="output array"):
        buffer.sample(np.random.default_rng(0), {"online": 1.0}, 8, 1, 0.9, Method().reward, out=too_short)
    assert buffer.add(make_step(0, 20))
