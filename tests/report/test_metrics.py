"""Rows and the live state survive crashes, full disks and readers that look too early."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_hil.clock import VirtualClock
from robot_hil.errors import StorageError
from robot_hil.report.metrics import (
    EpisodeRow,
    JsonlSink,
    JsonlTail,
    LearnerRow,
    LiveFile,
    LiveState,
    parse_row,
    plain,
    read_episodes,
    read_learner,
    read_live,
    read_rows,
    write_json,
)

LIVE = LiveState(t_wall_s=1.0, phase="train", control="policy", env_steps=7, episode_id=1)
VALUES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
ROWS = st.lists(st.dictionaries(st.text(max_size=4), VALUES, max_size=3), max_size=5)


@given(rows=ROWS)
def test_rows_come_back_as_they_were_written(
    rows: list[dict[str, object]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("rows") / "actor.jsonl"
    with JsonlSink(path) as sink:
        for row in rows:
            sink.write(row)
    assert read_rows(path) == rows


@given(cut=st.integers(min_value=0, max_value=80))
def test_any_torn_end_loses_at_most_the_torn_rows(cut: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("torn") / "actor.jsonl"
    with JsonlSink(path) as sink:
        for number in range(5):
            sink.write({"number": number, "text": "ä\n"})
    content = path.read_bytes()
    path.write_bytes(content[: len(content) - cut])
    whole = (content[: len(content) - cut]).count(b"\n")
    assert [row["number"] for row in read_rows(path)] == list(range(whole))
    with JsonlSink(path) as sink:  # a restarted writer goes on after the last whole row
        sink.write({"number": 99})
    assert [row["number"] for row in read_rows(path)] == [*range(whole), 99]


def test_nothing_happens_before_the_first_row(tmp_path: Path) -> None:
    sink = JsonlSink(tmp_path / "run" / "actor.jsonl")
    sink.close()
    sink.close()
    assert not (tmp_path / "run").exists()
    assert read_rows(tmp_path / "run" / "actor.jsonl") == []


def test_a_row_is_on_the_file_at_once(tmp_path: Path) -> None:
    with JsonlSink(tmp_path / "a.jsonl") as sink:
        sink.write({"x": 1})
        assert read_rows(tmp_path / "a.jsonl") == [{"x": 1}]


def test_a_full_disk_is_an_error_and_leaves_whole_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.jsonl"
    write = os.write
    with JsonlSink(path) as sink:
        sink.write({"x": 1})
        monkeypatch.setattr(os, "write", lambda file, line: write(file, line[:4]))  # as a full disk does
        with pytest.raises(StorageError, match=r"a\.jsonl: disk full"):
            sink.write({"x": 2})
        monkeypatch.setattr(os, "write", write)
        sink.write({"x": 3})
    assert read_rows(path) == [{"x": 1}, {"x": 3}]


def test_tail_reads_on_where_it_stopped(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    tail = JsonlTail(path)
    assert tail.poll() == []
    path.write_text('{"x":1}\n{"x":')
    assert tail.poll() == [{"x": 1}]
    assert tail.poll() == []
    with path.open("a") as file:
        file.write('2}\n{"x":3}\n')
    assert tail.poll() == [{"x": 2}, {"x": 3}]


@pytest.mark.parametrize("line", ["no json", "[1]", ""])
def test_a_damaged_line_in_the_middle_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(f'{{"x":1}}\n{line}\n{{"x":2}}\n')
    with pytest.raises(StorageError, match=r"a\.jsonl, line 2"):
        read_rows(path)


def test_numbers_of_numpy_and_nan_become_json() -> None:
    row = {
        "a": np.float32(1.5),
        "b": np.int64(2),
        "c": float("nan"),
        "d": np.bool_(True),
        "e": (1, np.inf),
        "f": Path("x"),
    }
    assert plain(row) == {"a": 1.5, "b": 2, "c": None, "d": True, "e": [1, None], "f": "x"}
    json.dumps(plain(row), allow_nan=False)


def test_typed_rows_come_back(tmp_path: Path) -> None:
    episode = EpisodeRow(
        t_wall_s=1.5, env_steps=40, episode_id=3, steps=40, success=True, human_steps=4, interventions=1, phase="train"
    )
    learner = LearnerRow(
        t_wall_s=2.0, updates=10, env_steps=40, updates_per_s=5.0, utd=0.25, losses={"critic": 0.1}, replay={"demo": 20}
    )
    for name, row in (("actor.jsonl", episode), ("learner.jsonl", learner)):
        with JsonlSink(tmp_path / name) as sink:
            sink.write(row)
    assert read_episodes(tmp_path / "actor.jsonl") == [episode]
    assert read_learner(tmp_path / "learner.jsonl") == [learner]


def test_rows_of_another_version() -> None:
    row = plain(LIVE) | {"column_of_tomorrow": 1}
    assert parse_row(LiveState, row) == LIVE
    with pytest.raises(StorageError, match=r"not a LiveState.*control"):
        parse_row(LiveState, {"t_wall_s": 1.0})


def test_live_file_is_limited_in_rate(tmp_path: Path) -> None:
    clock = VirtualClock()
    live = LiveFile(tmp_path / "live.json", clock)
    assert read_live(tmp_path / "live.json") is None
    assert live.write(LIVE)
    clock.advance(0.1)
    assert not live.write(LiveState(t_wall_s=2.0, phase="train", control="human", env_steps=8, episode_id=1))
    assert read_live(tmp_path / "live.json") == LIVE
    assert live.write(LiveState(t_wall_s=2.0, phase="train", control="hold", env_steps=8, episode_id=1), force=True)
    found = read_live(tmp_path / "live.json")
    assert found is not None
    assert found.control == "hold"
    clock.advance(0.2)
    assert live.write(LIVE)


def test_json_is_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.json"
    write_json(path, {"old": 1})

    def no_space(file: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(StorageError, match="No space left"):
        write_json(path, {"new": 2})
    assert json.loads(path.read_text()) == {"old": 1}
    assert os.listdir(tmp_path) == ["x.json"]
