"""The step log: durable, idempotent, honest about what is missing, damaged or full."""

import errno
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_hil.data import codec
from robot_hil.errors import SpecError, StorageError
from robot_hil.replay import step_log as module
from robot_hil.replay.step_log import Appended, StepLog


@pytest.fixture
def numbered(small_step):
    """Make steps of one actor and epoch with these sequence numbers."""

    def make(*seqs: int, actor: str = "actor", epoch: int = 1):
        return [small_step(seq, actor_id=actor, epoch=epoch, seq=seq, episode_id=seq // 10) for seq in seqs]

    return make


def _keys(log: StepLog) -> list[tuple[str, int, int]]:
    return [(step.actor_id, step.epoch, step.seq) for step in log.steps()]


def test_order_of_arrival_survives_closing(tmp_path, numbered) -> None:
    with StepLog(tmp_path / "log") as log:
        assert log.append_many(numbered(0, 1, 2)) == 3
        assert log.append_many(numbered(0, 1, actor="b")) == 2
        assert log.append_many(numbered(3)) == 1
    with StepLog(tmp_path / "log") as log:
        assert _keys(log) == [*(("actor", 1, i) for i in range(3)), ("b", 1, 0), ("b", 1, 1), ("actor", 1, 3)]
        assert [step.seq for step in log.steps(start=4)] == [1, 3]
        step = numbered(2)[0]
        back = list(log.steps())[2]
        np.testing.assert_array_equal(back.obs["front"], step.obs["front"])


def test_appending_again_changes_nothing(tmp_path, numbered) -> None:
    with StepLog(tmp_path / "log") as log:
        log.append_many(numbered(0, 1, 2))
        assert log.append_many(numbered(1, 2, 3, 3)) == 1
        assert len(_keys(log)) == 4
        info = log.info()
        assert (info.steps, info.duplicates, info.lost) == (4, 3, 0)


def test_gaps_are_counted_and_can_be_filled_or_given_up(tmp_path, numbered) -> None:
    with StepLog(tmp_path / "log") as log:
        log.append_many(numbered(0, 1, 4, 5))
        assert log.high_water("actor", 1) == 1
        assert log.info().lost == 2
        log.append_many(numbered(2))
        assert (log.high_water("actor", 1), log.info().lost) == (2, 1)
        assert log.skip_to("actor", 1, 4) == 1
        assert (log.high_water("actor", 1), log.info().lost) == (5, 1)
        assert log.skip_to("actor", 1, 9) == 3
        assert (log.high_water("actor", 1), log.info().lost) == (8, 4)
        assert log.skip_to("actor", 1, 5) == 0
        assert log.append_many(numbered(7)) == 0


def test_what_was_new_is_told_and_gaps_can_be_given_up_at_once(tmp_path, numbered) -> None:
    def append(*steps) -> Appended:
        return log.append([memoryview(codec.encode(step)) for step in steps], steps, gaps_are_lost=True)

    with StepLog(tmp_path / "log") as log:
        assert append(*numbered(0, 1), *numbered(0, actor="b")) == Appended(new=(0, 1, 2), lost=0)
        assert append(*numbered(1, 4, 4, 7)) == Appended(new=(1, 3), lost=4)
        assert log.high_water("actor", 1) == 7
        assert append(*numbered(3)) == Appended(new=(), lost=0)
        assert append(*numbered(1, actor="b")) == Appended(new=(0,), lost=0)
        assert append() == Appended(new=(), lost=0)
        info = log.info()
        assert (info.steps, info.duplicates, info.lost) == (6, 3, 4)
    with StepLog(tmp_path / "log") as log:
        assert (log.high_water("actor", 1), log.high_water("b", 1)) == (7, 1)


@given(st.lists(st.tuples(st.lists(st.integers(0, 12), max_size=5), st.booleans()), max_size=8))
@settings(max_examples=25)
def test_behaves_as_a_set_of_numbers(tmp_path_factory, small_step, batches) -> None:
    with StepLog(tmp_path_factory.mktemp("log") / "log", sync=False) as log:
        seen: list[int] = []
        below = 0
        for batch, give_up in batches:
            if give_up:
                steps = [small_step(n, epoch=1, seq=n) for n in batch]
                done = log.append([codec.encode(step) for step in steps], steps, gaps_are_lost=True)
                fresh = []
                for n in batch:
                    if n not in seen and n >= below and n not in fresh:
                        fresh.append(n)
                assert [batch[place] for place in done.new] == fresh
                seen += fresh
                if batch:
                    top = max(seen, default=-1) + 1
                    assert done.lost == sum(n not in seen for n in range(below, top))
                    below = max(below, top)
                continue
            new = log.append_many([small_step(n, epoch=1, seq=n) for n in batch])
            fresh = [n for i, n in enumerate(batch) if n not in seen and n >= below and n not in batch[:i]]
            assert new == len(fresh)
            seen += fresh
            assert log.high_water("actor", 1) == next(n for n in range(below, 99) if n not in seen) - 1
            assert log.info().lost == (max(seen) + 1 - len(seen) if seen else 0)
        assert [step.seq for step in log.steps()] == seen


def test_epochs_never_repeat_and_episodes_go_on(tmp_path, numbered) -> None:
    with StepLog(tmp_path / "log") as log:
        assert log.last_episode("actor") == -1
        assert [log.new_epoch("actor"), log.new_epoch("b"), log.new_epoch("actor")] == [1, 1, 2]
        log.append_many(numbered(*range(25)))
        assert log.last_episode("actor") == 2
        log.append_many(numbered(26, epoch=3))
        log.append_many(numbered(*range(5), actor="b"))
    with StepLog(tmp_path / "log") as log:
        assert log.new_epoch("actor") == 3
        assert (log.last_episode("actor"), log.last_episode("b"), log.last_episode("c")) == (2, 0, -1)
        assert log.high_water("actor", 1) == 24


def test_a_folder_of_another_run_is_refused_by_name(tmp_path) -> None:
    path = tmp_path / "log"
    StepLog(path, meta={"run_id": "a", "task": "pick", "spec": {"control_hz": 10.0}}).open().close()
    StepLog(path, meta={"run_id": "a", "task": "pick"}).open().close()
    with pytest.raises(StorageError, match=r"task: the folder has 'pick', this run has 'peg'.*--out"):
        StepLog(path, meta={"run_id": "a", "task": "peg"}).open()
    with pytest.raises(StorageError, match=r"spec.control_hz: the folder has 10.0, this run has 20.0"):
        StepLog(path, meta={"spec": {"control_hz": 20.0}}).open()


def test_meta_values_survive(tmp_path) -> None:
    with StepLog(tmp_path / "log") as log:
        assert log.get_meta("x") is None
        log.set_meta("x", {"a": [1, 2.5, "b"]})
    with StepLog(tmp_path / "log") as log:
        assert log.get_meta("x") == {"a": [1, 2.5, "b"]}


@pytest.fixture
def small_segments(monkeypatch) -> None:
    """Begin a file after about three steps."""
    monkeypatch.setattr(module, "_SEGMENT_BYTES", 2000)


def files(path: Path) -> list[Path]:
    return sorted(path.glob("*.steps"))


def test_it_goes_on_in_a_new_file_and_knows_what_is_in_the_earlier_ones(
    tmp_path, numbered, small_segments: None
) -> None:
    with StepLog(tmp_path / "log") as log:
        log.append_many(numbered(3, actor="b", epoch=2))
        for seq in range(0, 40, 2):
            log.append_many(numbered(seq, seq + 1))
        log.append_many(numbered(45))
        assert len(files(tmp_path / "log")) > 8
    for path in files(tmp_path / "log")[:-1]:
        content = bytearray(path.read_bytes())
        content[-40] ^= 1  # opening reads the last file only
        path.write_bytes(content)
    with StepLog(tmp_path / "log") as log:
        assert (log.high_water("actor", 1), log.high_water("b", 2)) == (39, -1)
        assert (log.info().steps, log.info().lost) == (42, 8)
        assert log.append_many(numbered(7, 39, 45, 3)) == 0
        assert (log.last_episode("actor"), log.last_episode("b")) == (4, 0)
        assert [step.seq for step in log.steps(start=41)] == [45]
        with pytest.raises(StorageError, match=r"record \d+ in step log .* is damaged.*Restore the folder"):
            list(log.steps())


def test_many_files_are_read_with_few_handles(tmp_path, numbered, small_segments: None) -> None:
    with StepLog(tmp_path / "log", sync=False) as log:
        for seq in range(60):
            log.append_many(numbered(seq))
        before = len(os.listdir("/proc/self/fd"))
        for step in log.steps():
            assert len(os.listdir("/proc/self/fd")) <= before + 1, step
        assert log.info().bytes == sum(path.stat().st_size for path in files(tmp_path / "log"))
        reading = log.steps()
        assert next(reading).seq == 0
        log.append_many(numbered(60))
        assert [step.seq for step in reading] == list(range(1, 61))


def test_at_its_limit_it_says_so_and_keeps_the_rest(tmp_path, small_step) -> None:
    big = replace(small_step(0), obs={"front": np.zeros((1000, 1000, 3), np.uint8)})
    stored = 0
    with StepLog(tmp_path / "log", max_bytes=1 << 26, sync=False) as log:

        def fill() -> None:
            nonlocal stored
            for stored in range(100):
                log.append_many([replace(big, epoch=1, seq=stored)])

        with pytest.raises(StorageError, match="limit of 67108864 bytes"):
            fill()
        assert len(_keys(log)) == stored
    with StepLog(tmp_path / "log", max_bytes=1 << 28, sync=False) as log:
        assert len(_keys(log)) == stored
        assert log.append_many([replace(big, epoch=1, seq=stored)]) == 1


_FULL_DISK = """
import resource, signal, sys
import numpy as np
from robot_hil.errors import StorageError
from robot_hil.replay.step_log import Appended, StepLog
from robot_hil.data.step import Step
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
zeros = np.zeros(7, np.float32)
with StepLog(sys.argv[1]) as log:
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
    try:
        for seq in range(1000):
            log.append_many([Step(obs={"x": np.full(20000, seq, np.float32)}, action_policy=zeros, action_human=zeros,
                action_executed=zeros, authority=np.zeros(7, np.uint8), reward={}, terminated=False, truncated=False,
                success=False, episode_id=0, step_index=seq, epoch=1, seq=seq)])
    except StorageError as error:
        print(seq, error)
"""


def test_a_full_disk_loses_nothing_that_was_stored(tmp_path) -> None:
    command = [sys.executable, "-c", _FULL_DISK, str(tmp_path / "log")]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    stored, _, message = result.stdout.partition(" ")
    assert int(stored) > 2
    assert "cannot be written" in message
    assert "Free some room" in message
    with StepLog(tmp_path / "log") as log:
        steps = list(log.steps())
        assert [step.seq for step in steps] == list(range(int(stored)))
        assert all((step.obs["x"] == step.seq).all() for step in steps)


def test_after_a_full_disk_it_goes_on(tmp_path, numbered) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        with StepLog(tmp_path / "log") as log:
            log.append_many(numbered(0))
            resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))
            with pytest.raises(StorageError, match="Free some room"):
                log.append_many(numbered(1, 2, 3, 4, 5))
            with pytest.raises(StorageError, match="Free some room"):
                log.set_meta("text", "x" * 3000)
            assert (log.high_water("actor", 1), log.get_meta("text")) == (0, None)
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            assert log.append_many(numbered(1, 2)) == 2
            log.set_meta("text", "x" * 3000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    with StepLog(tmp_path / "log") as log:
        assert [key[2] for key in _keys(log)] == [0, 1, 2]
        assert log.get_meta("text") == "x" * 3000


def test_what_a_failing_disk_may_not_have_leaves_the_log(tmp_path, numbered, monkeypatch) -> None:
    def fail(fd: int) -> None:
        raise OSError(errno.EIO, "the disk is broken")

    log = StepLog(tmp_path / "log").open()
    log.append_many(numbered(0, 1))
    monkeypatch.setattr(os, "fdatasync", fail)
    with pytest.raises(StorageError, match="the disk is broken"):
        log.append_many(numbered(2, 3))
    with pytest.raises(StorageError, match="not open"):
        log.append_many(numbered(2, 3))
    monkeypatch.undo()
    with log:
        assert [key[2] for key in _keys(log)] == [0, 1]
        assert log.append_many(numbered(2, 3)) == 2
    with log:
        assert log.high_water("actor", 1) == 3


def test_steps_that_are_found_are_made_durable(tmp_path, numbered, monkeypatch) -> None:
    with StepLog(tmp_path / "log", sync=False) as log:  # as a process that was killed before its sync
        log.append_many(numbered(0, 1))
    waited: list[int] = []
    monkeypatch.setattr(os, "fdatasync", waited.append)
    with StepLog(tmp_path / "log") as log:
        assert (len(waited), log.high_water("actor", 1)) == (1, 1)


def test_writing_goes_on_while_another_thread_waits_for_the_disk(tmp_path, numbered, small_segments: None) -> None:
    def until(holds) -> None:
        deadline = time.monotonic() + 30
        while not holds():
            assert time.monotonic() < deadline
            time.sleep(0.0005)

    batches = [numbered(seq, seq + 1) for seq in range(0, 200, 2)]
    synced: list[int] = []
    with StepLog(tmp_path / "log") as log:
        done = threading.Event()

        def sync() -> None:
            while not done.is_set():
                synced.append(log.info().steps)
                log.sync()

        thread = threading.Thread(target=sync)
        thread.start()
        for number, steps in enumerate(batches):
            log.write([codec.encode(step) for step in steps], steps)
            # not too far ahead, so that files are begun in between
            until(lambda wanted=2 * number - 40: synced and synced[-1] >= wanted)
        done.set()
        thread.join()
        log.sync()
        assert [step.seq for step in log.steps()] == list(range(200))
    assert len(files(tmp_path / "log")) > 2
    with StepLog(tmp_path / "log") as log:
        assert log.high_water("actor", 1) == 199


def test_wrong_names_and_numbers_are_refused(tmp_path, small_step) -> None:
    with StepLog(tmp_path / "log") as log:
        with pytest.raises(SpecError, match="sequence number"):
            log.append_many([small_step()])
        with pytest.raises(SpecError, match="actor id"):
            log.append_many([small_step(actor_id="a/b", seq=0)])
        with pytest.raises(SpecError):
            log.append_many([b"junk"])
        assert log.info().steps == 0


def test_it_acts_only_when_open(tmp_path) -> None:
    log = StepLog(tmp_path / "log")
    assert not (tmp_path / "log").exists()
    with pytest.raises(StorageError, match="open"):
        log.info()
    assert log.open() is log.open()
    log.close()
    log.close()
