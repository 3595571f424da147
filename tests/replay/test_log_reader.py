"""Reading a step log beside the process that writes it."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from robot_hil.data import codec
from robot_hil.errors import StorageError
from robot_hil.replay.log_reader import StepLogReader
from robot_hil.replay.spool import Spool
from robot_hil.replay.step_log import StepLog

_WRITER = """
import sys
import numpy as np
from robot_hil.data.step import Step
from robot_hil.replay.step_log import StepLog
zeros = np.zeros(7, np.float32)
with StepLog(sys.argv[1], sync=False) as log:
    seq = 0
    for line in sys.stdin:
        number, size = line.split()
        for _ in range(int(number)):
            log.append_many([Step(obs={"x": np.full((int(size), 1000), seq % 256, np.uint8)}, action_policy=zeros,
                action_human=zeros, action_executed=zeros, authority=np.zeros(7, np.uint8), reward={}, terminated=False,
                truncated=False, success=False, episode_id=0, step_index=seq, epoch=1, seq=seq)])
            seq += 1
        print(seq, flush=True)
"""


@pytest.fixture
def writer(tmp_path) -> Iterator["subprocess.Popen[str]"]:
    """A process that has the log open; it obeys lines `<steps> <kilobytes of each>`."""
    process = subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(tmp_path / "log")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    yield process
    process.kill()
    process.communicate()


def tell(writer, line: str) -> None:
    writer.stdin.write(line + "\n")
    writer.stdin.flush()
    assert writer.stdout.readline()


def numbers(reader: StepLogReader, start: int = 0) -> list[int]:
    found: list[int] = []
    while rows := reader.headers(start):
        found += [header.step_index for _, header in rows]
        start = rows[-1][0] + 1
    return found


def test_a_log_that_does_not_exist_yet_is_empty(tmp_path, writer) -> None:
    reader = StepLogReader(tmp_path / "log")
    assert reader.file is None
    assert reader.bounds() == (0, 0)
    assert reader.headers(0) == []
    assert reader.step(0) is None
    tell(writer, "3 1")
    assert reader.file is not None
    assert reader.bounds() == (0, 3)
    assert numbers(reader) == [0, 1, 2]
    reader.close()


def test_what_the_other_process_writes_is_seen_at_once(tmp_path, writer) -> None:
    reader = StepLogReader(tmp_path / "log")
    for round_ in range(1, 6):
        tell(writer, "200 1")
        assert reader.bounds() == (0, 200 * round_)
        assert numbers(reader, 200 * round_ - 150) == list(range(200 * round_ - 150, 200 * round_))
    assert numbers(reader) == list(range(1000))
    step = reader.step(300)
    assert step is not None
    assert step.step_index == 300
    np.testing.assert_array_equal(step.obs["x"], np.full((1, 1000), 300 % 256))
    assert reader.step(1000) is None
    reader.close()
    reader.close()
    assert reader.bounds() == (0, 1000)
    reader.close()


def test_a_log_of_many_files_is_read_on(tmp_path, writer) -> None:
    reader = StepLogReader(tmp_path / "log")
    tell(writer, "1 1")
    assert reader.bounds() == (0, 1)
    tell(writer, "90 1000")  # 90 MB; a file has 64
    assert len(list((tmp_path / "log").glob("*.steps"))) == 2
    assert reader.bounds() == (0, 91)
    assert numbers(reader) == list(range(91))
    for number in (90, 3):
        step = reader.step(number)
        assert step is not None
        assert (step.obs["x"] == number).all()
    assert [step.seq for step in reader.steps()] == list(range(91))
    reader.close()


def test_another_log_in_the_same_place_is_noticed(tmp_path, small_step) -> None:
    path = tmp_path / "log"
    with StepLog(path, sync=False) as log:
        log.append_many([small_step(n, epoch=1, seq=n) for n in range(5)])
    reader = StepLogReader(path)
    assert reader.bounds() == (0, 5)
    before = reader.file
    path.rename(tmp_path / "old")
    assert reader.bounds() == (0, 0)
    with StepLog(path, sync=False) as log:
        log.append_many([replace(small_step(7), epoch=1, seq=0)])
    assert reader.file != before
    assert numbers(reader) == [7]
    reader.close()


@pytest.mark.parametrize("starts", [1, 2, 3])
def test_starts_without_steps_are_passed_over(tmp_path, small_step, starts: int) -> None:
    """Each replaces the file of the one before, and may get the inode of the one that was looked at."""
    reader = StepLogReader(tmp_path)
    with Spool(tmp_path, {}) as spool:
        spool.begin_epoch()
        assert reader.bounds() == (0, 0)
        for _ in range(starts):
            epoch = spool.begin_epoch()
        spool.append([codec.encode(small_step(0, epoch=epoch, seq=0))])
    assert reader.bounds() == (0, 1)
    assert [(head.epoch, head.seq) for _, head in reader.headers(0)] == [(epoch, 0)]
    reader.close()


def test_damage_is_named(tmp_path, small_step) -> None:
    path = tmp_path / "log"
    with StepLog(path, sync=False) as log:
        log.append_many([small_step(n, epoch=1, seq=n) for n in range(3)])
        log.set_meta("a file", "more")
        log.append_many([small_step(3, epoch=1, seq=3)])
    file = min(path.glob("*.steps"))
    content = bytearray(file.read_bytes())
    image = small_step(1).obs["front"].tobytes()
    content[content.index(image) + 5] ^= 4
    file.write_bytes(content)
    reader = StepLogReader(path)
    assert numbers(reader) == [0, 1, 2, 3]  # headers are whole
    with pytest.raises(StorageError, match=r"record 1 .*damaged"):
        reader.step(1)
    reader.close()
    file.write_bytes(content[:-500])
    with pytest.raises(StorageError, match=r"cannot be read: .* has 2 steps of 3"):
        numbers(reader)
    reader.close()
    file.write_bytes(b"x" * 8192)
    with pytest.raises(StorageError, match="cannot be read"):
        StepLogReader(path).bounds()
