"""The spool: durable, in order, honest about damage, and gone from the disk when the learner has everything."""

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from robot_hil.data import codec
from robot_hil.data.specs import EnvSpec
from robot_hil.errors import StorageError
from robot_hil.replay import spool as module
from robot_hil.replay.log_reader import StepLogReader
from robot_hil.replay.spool import Spool

Blob = Callable[..., bytes]


@pytest.fixture
def blob(small_step) -> Blob:
    """Make the encoded step with this sequence number; ten steps are an episode."""

    def make(seq: int, epoch: int = 1) -> bytes:
        return codec.encode(small_step(seq, epoch=epoch, seq=seq, episode_id=seq // 10))

    return make


@pytest.fixture
def small_segments(monkeypatch) -> None:
    """Begin a file after about three steps."""
    monkeypatch.setattr(module, "_SEGMENT_BYTES", 2000)


def seqs(blobs: list[bytes]) -> list[int]:
    return [codec.peek(blob).seq for blob in blobs]


def files(path: Path) -> list[str]:
    return sorted(file.name for file in path.glob("*.steps"))


def test_steps_come_back_after_a_restart(tmp_path, blob: Blob) -> None:
    with Spool(tmp_path / "spool", {}) as spool:
        assert (spool.epoch, spool.last_episode, spool.epochs()) == (0, -1, {})
        assert spool.begin_epoch() == 1
        spool.append([blob(0), blob(1)])
        spool.append([blob(25)])
        assert spool.read(1, 0, 10) == [blob(0), blob(1), blob(25)]
    with Spool(tmp_path / "spool", {}) as spool:
        assert spool.begin_epoch() == 2
        spool.append([blob(0, 2)])
        assert spool.epochs() == {1: (0, 26), 2: (0, 1)}
        assert (spool.steps, spool.last_episode) == (4, 2)
        assert seqs(spool.read(1, 1, 1)) == [1]
        assert seqs(spool.read(1, 2, 9)) == [25]
        assert spool.read(1, 26, 9) == spool.read(3, 0, 9) == []


def test_what_was_released_leaves_the_disk_file_by_file(tmp_path, blob: Blob, small_segments: None) -> None:
    with Spool(tmp_path / "spool", {}) as spool:
        spool.begin_epoch()
        for seq in range(12):
            spool.append([blob(seq)])
            spool.release(1, 0)  # where files are begun
        before = files(spool.path)
        assert len(before) > 3
        spool.release(1, 7)
        assert spool.steps == 5
        assert 0 < len(files(spool.path)) < len(before)
        assert seqs(spool.read(1, 7, 20)) == [7, 8, 9, 10, 11]
        spool.compact()
        assert spool.steps == 5
        spool.release(1, 12)
        spool.compact()
        assert (spool.steps, len(files(spool.path))) == (0, 1)
        spool.append([blob(12)])
    with Spool(tmp_path / "spool", {}) as spool:
        assert spool.epochs() == {1: (12, 13)}
        assert (spool.last_episode, spool.begin_epoch()) == (1, 2)


def test_it_may_have_more_files_than_a_process_may_open(tmp_path, blob: Blob, small_segments: None) -> None:
    def handles() -> int:
        return len(os.listdir("/proc/self/fd"))

    before = handles()
    with Spool(tmp_path / "spool", {}) as spool, closing(StepLogReader(tmp_path / "spool")) as reader:
        spool.begin_epoch()
        for seq in range(60):
            spool.append([blob(seq)])
            spool.release(1, 0)
        assert len(files(spool.path)) > 15
        assert seqs(spool.read(1, 0, 100)) == list(range(60))
        assert reader.bounds() == (0, 60)
        assert len(reader.headers(0)) == 60
        assert spool.size == sum(file.stat().st_size for file in spool.path.glob("*.steps"))
        spool.release(1, 30)
        assert spool.size == sum(file.stat().st_size for file in spool.path.glob("*.steps"))
        assert handles() <= before + 3
    with Spool(tmp_path / "spool", {}) as spool:
        assert seqs(spool.read(1, 30, 100)) == list(range(30, 60))
        assert spool.size == sum(file.stat().st_size for file in spool.path.glob("*.steps"))
        assert handles() <= before + 3


def test_episodes_and_epochs_go_on_when_no_step_is_left(tmp_path, blob: Blob) -> None:
    for start in (1, 2, 3):
        with Spool(tmp_path / "spool", {}) as spool:
            assert spool.last_episode == (-1 if start == 1 else 4)
            assert spool.begin_epoch() == start
            spool.append([blob(40 + start, start)])
            spool.release(start, 40 + start + 1)
            spool.compact()
            assert spool.steps == 0
    assert len(files(tmp_path / "spool")) == 1


def test_the_run_is_remembered(tmp_path, blob: Blob) -> None:
    with Spool(tmp_path / "spool", {}) as spool:
        assert spool.run_id == ""
        spool.begin_epoch()
        spool.append([blob(0)])
        spool.adopt("run")
        spool.append([blob(1)])
    with Spool(tmp_path / "spool", {}) as spool:
        assert spool.run_id == "run"
        spool.begin_epoch()
        assert spool.run_id == "run"
        assert spool.epochs() == {1: (0, 2)}


def test_a_folder_of_another_task_is_refused_by_name(tmp_path, blob: Blob) -> None:
    with Spool(tmp_path / "spool", {"actor": "a", "identity": {"task": "pick"}}) as spool:
        spool.begin_epoch()
    with pytest.raises(StorageError, match=r"identity.task: the folder has 'pick', this run has 'peg'.*--out"):
        Spool(tmp_path / "spool", {"actor": "a", "identity": {"task": "peg"}}).open()
    with Spool(tmp_path / "spool", {"actor": "a"}) as spool:
        assert spool.begin_epoch() == 2


_KILLED = """
import os, signal, sys
from robot_hil.replay.spool import Spool
spool = Spool(sys.argv[1], {}).open()
spool.begin_epoch()
for number in range(100):
    blob = sys.stdin.buffer.read(int(sys.stdin.buffer.readline()))
    spool.append([blob])
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_was_appended_survives_a_kill_without_a_sync(tmp_path, blob: Blob) -> None:
    blobs = [blob(seq) for seq in range(100)]
    command = [sys.executable, "-c", _KILLED, str(tmp_path / "spool")]
    lines = b"".join(b"%d\n" % len(one) + one for one in blobs)
    assert subprocess.run(command, input=lines).returncode == -9
    with Spool(tmp_path / "spool", {}) as spool:
        assert spool.read(1, 0, 1000) == blobs


@pytest.fixture
def synced(monkeypatch) -> set[str]:
    """Names of the files that were waited for."""
    names: set[str] = set()
    real = os.fdatasync

    def note(fd: int) -> None:
        names.add(Path(os.readlink(f"/proc/self/fd/{fd}")).name)
        real(fd)

    monkeypatch.setattr(os, "fdatasync", note)
    return names


def test_a_sync_is_of_all_files_with_steps_that_are_still_needed(
    tmp_path, blob: Blob, small_segments: None, synced: set[str]
) -> None:
    with Spool(tmp_path / "spool", {}) as spool:
        spool.begin_epoch()
        for seq in range(20):
            spool.append([blob(seq)])
            spool.release(1, 7)
        spool.append([blob(20)])
        assert not synced  # beginning a file does not wait for the one before
        spool.sync()
        assert synced == set(files(spool.path))
        synced.clear()
        spool.sync()
        assert not synced
    with Spool(tmp_path / "spool", {}) as spool:
        spool.sync()  # who knows how the last process ended
        assert synced == set(files(spool.path))


def test_two_processes_cannot_have_it(tmp_path) -> None:
    code = f"from robot_hil.replay.spool import Spool; Spool({str(tmp_path / 'spool')!r}, {{}}).open()"
    with Spool(tmp_path / "spool", {}) as spool:
        other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert "no other process is using it" in other.stderr
        assert spool.open() is spool
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_the_form_of_an_earlier_version_is_not_overlooked(tmp_path) -> None:
    (tmp_path / "spool").mkdir()
    (tmp_path / "spool" / "data.mdb").write_bytes(b"x")
    with pytest.raises(StorageError, match="earlier version"):
        Spool(tmp_path / "spool", {}).open()
    assert (tmp_path / "spool" / "data.mdb").exists()


def test_wrong_order_and_wrong_epochs_are_refused(tmp_path, blob: Blob) -> None:
    with Spool(tmp_path / "spool", {}) as spool:
        with pytest.raises(StorageError, match="begin_epoch"):
            spool.append([blob(0)])
        spool.begin_epoch()
        spool.append([blob(4)])
        for bad in ([blob(4)], [blob(6), blob(5)], [blob(5, 2)], [blob(3)]):
            with pytest.raises(StorageError, match="in order"):
                spool.append(bad)
        spool.append([blob(5)])
        assert spool.epochs() == {1: (4, 6)}


def test_it_acts_only_when_open(tmp_path) -> None:
    spool = Spool(tmp_path / "spool", {})
    assert not (tmp_path / "spool").exists()
    with pytest.raises(StorageError, match="open"):
        spool.begin_epoch()
    spool.close()
    spool.close()


# Damage -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def three(tmp_path, blob: Blob) -> Path:
    """A spool's file with steps 0, 1 and 2."""
    with Spool(tmp_path / "spool", {}) as spool:
        spool.begin_epoch()
        spool.append([blob(seq) for seq in range(3)])
    return tmp_path / "spool" / files(tmp_path / "spool")[0]


@pytest.mark.parametrize("kept", [1, 15, 16, 23, 24, 200, 400])
def test_a_torn_end_is_passed_over(three: Path, blob: Blob, kept: int) -> None:
    content = three.read_bytes()
    last = content.index(blob(2))
    three.write_bytes(content[: last + kept])
    with Spool(three.parent, {}) as spool:
        assert spool.epochs() == {1: (0, 2)}
        assert spool.begin_epoch() == 2
        spool.append([blob(0, 2)])
        spool.release(1, 2)
        assert not three.exists()
        assert spool.epochs() == {2: (0, 1)}


@pytest.mark.parametrize("hole", [True, False])
def test_the_disk_may_have_written_the_end_before_the_middle(three: Path, blob: Blob, hole: bool) -> None:
    content = bytearray(three.read_bytes())
    place, size = content.index(blob(1)), len(blob(1))
    content[place : place + size] = bytes(size) if hole else os.urandom(size)
    three.write_bytes(content)
    with Spool(three.parent, {}) as spool:
        spool.begin_epoch()
        assert spool.epochs() == {1: (0, 3)}
        assert seqs(spool.read(1, 0, 9)) == [0, 2]
        assert seqs(spool.read(1, 1, 9)) == [2]
        spool.release(1, 3)
        assert not three.exists()
        assert three.with_suffix(".damaged").exists()  # for a person to judge


def test_damage_that_comes_later_is_named(three: Path, blob: Blob) -> None:
    with Spool(three.parent, {}) as spool:
        content = bytearray(three.read_bytes())
        content[content.index(blob(1)) + 300] ^= 4
        three.write_bytes(content)
        with pytest.raises(StorageError, match=r"step 1 in .* is damaged"):
            spool.read(1, 0, 9)


@pytest.mark.parametrize("place", [0, 9, 20])
def test_a_damaged_beginning_is_refused(three: Path, place: int) -> None:
    content = bytearray(three.read_bytes())
    content[place] ^= 1
    three.write_bytes(content)
    with pytest.raises(StorageError, match="damaged"):
        Spool(three.parent, {}).open()


_FULL_DISK = """
import resource, signal, sys
import numpy as np
from robot_hil.data import codec
from robot_hil.data.step import Step
from robot_hil.errors import StorageError
from robot_hil.replay.spool import Spool
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
zeros = np.zeros(7, np.float32)
def step(seq):
    return codec.encode(Step(obs={"x": np.full(20000, seq, np.float32)}, action_policy=zeros, action_human=zeros,
        action_executed=zeros, authority=np.zeros(7, np.uint8), reward={}, terminated=False, truncated=False,
        success=False, episode_id=0, step_index=seq, epoch=1, seq=seq))
with Spool(sys.argv[1], {}) as spool:
    spool.begin_epoch()
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
    try:
        for seq in range(0, 1000, 3):
            spool.append([step(seq), step(seq + 1), step(seq + 2)])
            spool.sync()
    except StorageError as error:
        print(seq, error)
"""


def test_a_full_disk_loses_nothing_that_was_stored(tmp_path) -> None:
    command = [sys.executable, "-c", _FULL_DISK, str(tmp_path / "spool")]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    stored, _, message = result.stdout.partition(" ")
    assert int(stored) > 2
    assert "cannot be written" in message
    assert "Free some room" in message
    with Spool(tmp_path / "spool", {}) as spool:
        assert seqs(spool.read(1, 0, 1000)) == list(range(int(stored)))


# Any history --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def make_machine(tmp_path_factory, small_step, small_spec: EnvSpec) -> type[RuleBasedStateMachine]:
    class Machine(RuleBasedStateMachine):
        """Starts, steps, releases and restarts in any order, beside a list of what must be there."""

        def __init__(self) -> None:
            super().__init__()
            self.path = tmp_path_factory.mktemp("machine") / "spool"
            self.reader = StepLogReader(self.path)
            self.epoch = self.next = 0
            self.held: dict[int, list[int]] = {}
            self.released: dict[int, int] = {}

        @initialize()
        def start(self) -> None:
            self.spool = Spool(self.path, {}).open()
            self._begin()

        def _begin(self) -> None:
            self.epoch, self.next = self.epoch + 1, 0
            assert self.spool.begin_epoch() == self.epoch

        @rule(gaps=st.lists(st.integers(0, 2), min_size=1, max_size=4))
        def append(self, gaps: list[int]) -> None:
            numbers = []
            for gap in gaps:
                numbers.append(self.next + gap)
                self.next += gap + 1
            self.spool.append([codec.encode(small_step(n % 7, epoch=self.epoch, seq=n)) for n in numbers])
            self.held.setdefault(self.epoch, []).extend(numbers)

        @rule(share=st.floats(0, 1))
        def release(self, share: float) -> None:
            for epoch, numbers in self.held.items():
                end = round(share * (numbers[-1] + 1))
                self.spool.release(epoch, end)
                self.released[epoch] = max(end, self.released.get(epoch, 0))

        @rule()
        def compact(self) -> None:
            self.spool.compact()

        @rule(begin=st.booleans())
        def restart(self, begin: bool) -> None:
            self.spool.close()
            self.spool = Spool(self.path, {}).open()
            if begin:
                self._begin()

        @precondition(lambda self: self.held)
        @rule()
        def compare(self) -> None:
            for epoch, numbers in self.held.items():
                wanted = [n for n in numbers if n >= self.released.get(epoch, 0)]
                found = seqs(self.spool.read(epoch, self.released.get(epoch, 0), 10_000))
                assert found == wanted
            first, end = self.reader.bounds()
            seen, start = [], first
            while rows := self.reader.headers(start):
                seen += [(head.epoch, head.seq) for _, head in rows]
                start = rows[-1][0] + 1
            assert start == end or not seen
            must = [(e, n) for e, numbers in self.held.items() for n in numbers if n >= self.released.get(e, 0)]
            assert [key for key in seen if key in set(must)] == must

        def teardown(self) -> None:
            self.reader.close()
            self.spool.close()

    Machine.TestCase.settings = settings(max_examples=15, stateful_step_count=15, deadline=None)
    return Machine


def test_any_history(make_machine: type[RuleBasedStateMachine], small_segments: None) -> None:
    make_machine.TestCase().runTest()
