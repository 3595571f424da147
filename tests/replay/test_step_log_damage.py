"""The step log after damage, kills and any other history."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from robot_hil.data import codec
from robot_hil.errors import StorageError
from robot_hil.replay import step_log as module
from robot_hil.replay.log_reader import StepLogReader
from robot_hil.replay.step_log import StepLog


@pytest.fixture
def numbered(small_step):
    """Make steps of one actor and epoch with these sequence numbers."""

    def make(*seqs: int):
        return [small_step(seq, epoch=1, seq=seq, episode_id=seq // 10) for seq in seqs]

    return make


def files(path: Path) -> list[Path]:
    return sorted(path.glob("*.steps"))


@pytest.fixture
def three(tmp_path, numbered) -> Path:
    """The file of a log with steps 0, 1 and 2."""
    with StepLog(tmp_path / "log") as log:
        log.append_many(numbered(0, 1, 2))
    return files(tmp_path / "log")[0]


@pytest.mark.parametrize("kept", [1, 15, 16, 24, 200, 400])
def test_a_torn_end_is_passed_over_and_written_again(three: Path, numbered, kept: int) -> None:
    content = three.read_bytes()
    three.write_bytes(content[: content.index(codec.encode(numbered(2)[0])) + kept])
    with StepLog(three.parent) as log:
        assert log.high_water("actor", 1) == 1
        assert log.append_many(numbered(2)) == 1
    with StepLog(three.parent) as log:
        assert [step.seq for step in log.steps()] == [0, 1, 2]
    assert three.read_bytes() == content
    assert not three.with_suffix(".damaged").exists()


@pytest.mark.parametrize("kind", ["hole", "noise", "bit"])
def test_damage_before_the_end_is_told_missed_and_kept_for_a_person(three: Path, numbered, caplog, kind: str) -> None:
    content = bytearray(three.read_bytes())
    blob = codec.encode(numbered(1)[0])
    place = content.index(blob)
    content[place : place + len(blob)] = {
        "hole": bytes(len(blob)),
        "noise": os.urandom(len(blob)),
        "bit": blob[:300] + bytes([blob[300] ^ 4]) + blob[301:],
    }[kind]
    three.write_bytes(content)
    with StepLog(three.parent) as log:
        assert "the steps there are lost" in caplog.text
        assert (log.high_water("actor", 1), log.info().lost) == (0, 1)  # its actor is asked for it again
        assert [step.seq for step in log.steps()] == [0, 2]
        assert log.append_many(numbered(1)) == 1
    with StepLog(three.parent) as log:
        assert [step.seq for step in log.steps()] == [0, 2, 1]
        assert (log.high_water("actor", 1), log.info().lost) == (2, 0)
    assert three.with_suffix(".damaged").read_bytes() == content


def test_damage_that_comes_later_is_named(three: Path, numbered) -> None:
    with StepLog(three.parent) as log:
        content = bytearray(three.read_bytes())
        content[content.index(numbered(1)[0].obs["front"].tobytes()) + 5] ^= 4
        three.write_bytes(content)
        with pytest.raises(StorageError, match=r"record 1 .*CRC"):
            list(log.steps())


@pytest.mark.parametrize("place", [0, 9, 20])
def test_a_file_that_is_none_of_a_log_is_refused(three: Path, place: int) -> None:
    content = bytearray(three.read_bytes())
    content[place] ^= 1
    three.write_bytes(content)
    with pytest.raises(StorageError, match="does not begin as a file of steps"):
        StepLog(three.parent).open()


@pytest.mark.parametrize("name", ["data.mdb", "0000000000000000.spool"])
def test_the_form_of_an_earlier_version_is_not_overlooked(tmp_path, name: str) -> None:
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / name).write_bytes(b"x")
    for look in (StepLog(tmp_path / "log").open, StepLogReader(tmp_path / "log").bounds):
        with pytest.raises(StorageError, match=r"earlier version.*--out"):
            look()


def test_two_processes_cannot_have_it(tmp_path) -> None:
    code = f"from robot_hil.replay.step_log import StepLog; StepLog({str(tmp_path / 'log')!r}).open()"
    with StepLog(tmp_path / "log"):
        other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert "no other process is using it" in other.stderr
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


_KILLED = """
import os, signal, sys
from robot_hil.data import codec
from robot_hil.replay.step_log import StepLog
log = StepLog(sys.argv[1]).open()
while size := sys.stdin.buffer.readline():
    blob = sys.stdin.buffer.read(int(size))
    log.append([blob], [codec.peek(blob)])
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_was_appended_survives_a_kill(tmp_path, numbered) -> None:
    blobs = [codec.encode(step) for step in numbered(*range(50))]
    command = [sys.executable, "-c", _KILLED, str(tmp_path / "log")]
    lines = b"".join(b"%d\n" % len(one) + one for one in blobs)
    assert subprocess.run(command, input=lines).returncode == -9
    with StepLog(tmp_path / "log") as log:
        assert [blob for _, blob in log.blobs()] == blobs


# Any history --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def make_machine(tmp_path_factory, small_step) -> type[RuleBasedStateMachine]:
    class Machine(RuleBasedStateMachine):
        """Steps of several actors in any order, torn ends and restarts, beside a list of what must be there."""

        def __init__(self) -> None:
            super().__init__()
            self.path = tmp_path_factory.mktemp("machine") / "log"
            self.reader = StepLogReader(self.path)
            self.log = StepLog(self.path, sync=False).open()
            self.held: list[tuple[str, int, int]] = []
            self.below: dict[tuple[str, int], int] = {}

        @rule(
            actor=st.sampled_from("ab"),
            epoch=st.integers(1, 2),
            seqs=st.lists(st.integers(0, 12), max_size=5),
            give_up=st.booleans(),
        )
        def append(self, actor: str, epoch: int, seqs: list[int], give_up: bool) -> None:
            steps = [small_step(seq, actor_id=actor, epoch=epoch, seq=seq) for seq in seqs]
            done = self.log.append([codec.encode(step) for step in steps], steps, gaps_are_lost=give_up)
            below = self.below.get((actor, epoch), 0)
            fresh = [
                n for i, n in enumerate(seqs)
                if n >= below and (actor, epoch, n) not in self.held and n not in seqs[:i]
            ]  # fmt: skip
            assert [seqs[place] for place in done.new] == fresh
            self.held += [(actor, epoch, seq) for seq in fresh]
            if give_up and seqs:
                self._give_up(actor, epoch, max(self._of(actor, epoch), default=-1) + 1)

        @rule(actor=st.sampled_from("ab"), epoch=st.integers(1, 2), seq=st.integers(0, 14))
        def skip(self, actor: str, epoch: int, seq: int) -> None:
            below = self.below.get((actor, epoch), 0)
            missing = [n for n in range(below, seq) if n not in self._of(actor, epoch)]
            assert self.log.skip_to(actor, epoch, seq) == len(missing)
            self._give_up(actor, epoch, seq)

        @rule(value=st.integers(0, 99))
        def remember(self, value: int) -> None:
            self.log.set_meta("value", value)
            self.value = value

        @rule(torn=st.binary(max_size=40))
        def restart(self, torn: bytes) -> None:
            epoch = self.log.new_epoch("c")
            self.log.close()
            with files(self.path)[-1].open("ab") as file:
                file.write(torn)
            self.log = StepLog(self.path, sync=False).open()
            assert self.log.new_epoch("c") == epoch + 1

        @invariant()
        def compare(self) -> None:
            assert [(step.actor_id, step.epoch, step.seq) for step in self.log.steps()] == self.held
            assert self.log.get_meta("value") == getattr(self, "value", None)
            assert self.reader.bounds() == (0, len(self.held))
            assert [(h.actor_id, h.epoch, h.seq) for _, h in self.reader.headers(0)] == self.held
            lost = 0
            for actor, epoch in [(actor, epoch) for actor in "ab" for epoch in (1, 2)]:
                there, below = self._of(actor, epoch), self.below.get((actor, epoch), 0)
                assert self.log.high_water(actor, epoch) + 1 == next(n for n in range(below, 99) if n not in there)
                lost += max(below, max(there, default=-1) + 1) - len(there)
            assert self.log.info().lost == lost

        def _of(self, actor: str, epoch: int) -> set[int]:
            return {key[2] for key in self.held if key[:2] == (actor, epoch)}

        def _give_up(self, actor: str, epoch: int, seq: int) -> None:
            self.below[actor, epoch] = max(seq, self.below.get((actor, epoch), 0))

        def teardown(self) -> None:
            self.reader.close()
            self.log.close()

    Machine.TestCase.settings = settings(max_examples=15, stateful_step_count=12, deadline=None)
    return Machine


def test_any_history(make_machine: type[RuleBasedStateMachine], monkeypatch) -> None:
    monkeypatch.setattr(module, "_SEGMENT_BYTES", 2000)  # about three steps
    make_machine.TestCase().runTest()
