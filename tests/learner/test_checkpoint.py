"""Checkpoints: whole or absent after a crash at any point, every flipped byte noticed, never a silent fresh start."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from robot_hil.errors import StorageError
from robot_hil.learner import checkpoint


def _arrays(value: int) -> dict[str, dict[str, np.ndarray]]:
    return {
        "agent": {"w": np.full((4, 3), value, np.float32), "scalar": np.array(value, np.int64)},
        "pools": {"x": np.arange(value, dtype=np.uint8)},
    }


def _state(value: int) -> dict[str, object]:
    return {
        "updates": value,
        "rng": np.random.default_rng(value).bit_generator.state,
        "high_water": {"actor/1": value},
        "config": {"lr": 3e-4},
        "git": "abc",
    }


def _assert_is(loaded: checkpoint.Checkpoint, value: int) -> None:
    assert loaded.state == _state(value)
    wanted = _arrays(value)
    assert loaded.arrays.keys() == wanted.keys()
    for group, arrays in wanted.items():
        assert loaded.arrays[group].keys() == arrays.keys()
        for name, array in arrays.items():
            got = loaded.arrays[group][name]
            assert (got.dtype, got.shape) == (array.dtype, array.shape)
            np.testing.assert_array_equal(got, array)
            assert got.flags.writeable


def test_everything_comes_back(tmp_path) -> None:
    assert not checkpoint.has_checkpoint(tmp_path / "c")
    path = checkpoint.save(tmp_path / "c", _arrays(3), _state(3))
    loaded = checkpoint.load_newest(tmp_path / "c")
    _assert_is(loaded, 3)
    assert (loaded.path, loaded.number, loaded.skipped) == (path, 1, ())
    rng = np.random.default_rng(0)
    rng.bit_generator.state = loaded.state["rng"]
    assert rng.random() == np.random.default_rng(3).random()


def test_the_newest_are_kept(tmp_path) -> None:
    for value in range(1, 6):
        checkpoint.save(tmp_path, _arrays(value), _state(value), keep=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-000004", "checkpoint-000005"]
    _assert_is(checkpoint.load_newest(tmp_path), 5)


def test_every_damaged_byte_is_noticed_and_the_one_before_is_used(tmp_path, caplog) -> None:
    checkpoint.save(tmp_path, _arrays(1), _state(1))
    newest = checkpoint.save(tmp_path, _arrays(2), _state(2))
    rng = np.random.default_rng(0)
    files = sorted(newest.iterdir())
    assert len(files) == 3
    for file in files:
        good = file.read_bytes()
        for position in sorted({0, len(good) - 1, *rng.integers(0, len(good), 40).tolist()}):
            bad = bytearray(good)
            bad[position] ^= 1 << int(rng.integers(8))
            file.write_bytes(bad)
            loaded = checkpoint.load_newest(tmp_path)
            _assert_is(loaded, 1)
            assert loaded.skipped[0].startswith(f"{newest.name}: {file.name}"), loaded.skipped
        for bad in (good[:-1], good + b"\0", b""):
            file.write_bytes(bad)
            _assert_is(checkpoint.load_newest(tmp_path), 1)
        file.unlink()
        _assert_is(checkpoint.load_newest(tmp_path), 1)
        file.write_bytes(good)
    assert "skipped" in caplog.text
    _assert_is(checkpoint.load_newest(tmp_path), 2)


def test_without_a_usable_one_it_says_so(tmp_path) -> None:
    with pytest.raises(StorageError, match=r"there is none.*without --resume"):
        checkpoint.load_newest(tmp_path / "missing")
    path = checkpoint.save(tmp_path, _arrays(1), _state(1))
    (path / "agent.safetensors").write_bytes(b"")
    with pytest.raises(StorageError, match=r"agent.safetensors is missing or not of"):
        checkpoint.load_newest(tmp_path)


class _DyingOs:
    """`os`, until the k-th call that changes the disk: from then on every such call fails, as after a kill."""

    _CHANGING = ("open", "write", "fsync", "rename", "mkdir", "makedirs", "close")

    def __init__(self, survive: int, half: bool) -> None:
        self._left = survive
        self._half = half

    def __getattr__(self, name: str):
        real = getattr(os, name)
        if name not in self._CHANGING:
            return real

        def call(*args, **kwargs):
            self._left -= 1
            if self._left < 0 and name == "close":
                return real(*args)
            if self._left < 0:
                if self._left == -1 and self._half and name == "write":
                    real(args[0], bytes(args[1])[: len(args[1]) // 2])
                raise OSError(28, "No space left on device")
            return real(*args, **kwargs)

        return call


@pytest.mark.parametrize("half", [False, True])
def test_a_failure_at_every_single_call_leaves_the_old_or_the_new_one(tmp_path, monkeypatch, half: bool) -> None:
    checkpoint.save(tmp_path, _arrays(1), _state(1))
    outcomes = []
    for survive in range(100):
        monkeypatch.setattr(checkpoint, "os", _DyingOs(survive, half))
        try:
            checkpoint.save(tmp_path, _arrays(2), _state(2), keep=1)
            done = True
        except StorageError:
            done = False
        monkeypatch.undo()
        loaded = checkpoint.load_newest(tmp_path)
        assert loaded.skipped == ()
        outcomes.append(loaded.state["updates"])
        _assert_is(loaded, outcomes[-1])
        if done:
            assert outcomes[-1] == 2
            break
    assert len(outcomes) > 15
    assert outcomes == sorted(outcomes)


_WRITER = """
import sys
import numpy as np
from robot_hil.learner import checkpoint
value = int(sys.argv[2])
print("go", flush=True)
while True:
    value += 1
    checkpoint.save(sys.argv[1], {"agent": {"w": np.full(200_000, value)}}, {"updates": value}, keep=2)
"""


def test_sigkill_at_random_moments(tmp_path) -> None:
    rng = np.random.default_rng(0)
    value = 0
    for _ in range(8):
        command = [sys.executable, "-c", _WRITER, str(tmp_path), str(value)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout.readline() == b"go\n"
            deadline = time.monotonic() + 20
            while not checkpoint.has_checkpoint(tmp_path) and time.monotonic() < deadline:
                time.sleep(0.001)
            time.sleep(float(rng.uniform(0, 0.05)))
            process.send_signal(signal.SIGKILL)
        loaded = checkpoint.load_newest(tmp_path)
        assert loaded.skipped == ()
        assert loaded.state["updates"] >= value
        value = loaded.state["updates"]
        np.testing.assert_array_equal(loaded.arrays["agent"]["w"], np.full(200_000, value))


def test_what_cannot_be_stored_is_refused_and_nothing_written(tmp_path) -> None:
    for arrays, state in (
        ({"Agent!": {}}, {}),
        ({"agent": {"w": np.array(["a"])}}, {}),
        ({}, {"x": object()}),
    ):
        with pytest.raises(StorageError, match="cannot be encoded"):
            checkpoint.save(tmp_path / "c", arrays, state)
    with pytest.raises(StorageError, match="keep is 0"):
        checkpoint.save(tmp_path / "c", {}, {}, keep=0)
    assert not (tmp_path / "c").exists()
