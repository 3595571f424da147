"""Verdicts in a run folder: appended by one process, read by another."""

import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_hil.data.labels import LabelRow, Verdict
from robot_hil.report.labels import LABELS_FILE, LabelWatch, read_labels, write_label


def row(episode: int, verdict: Verdict, actor: str = "actor", epoch: int = 1, **more) -> LabelRow:
    return LabelRow(actor_id=actor, epoch=epoch, episode_id=episode, verdict=verdict, **more)


def test_a_label_comes_back_as_it_was_written(tmp_path) -> None:
    said = row(3, Verdict.FAIL, reason='fell: "größer"', operator="Ann", t=1.5e9)
    write_label(tmp_path, said)
    assert read_labels(tmp_path) == {("actor", 1, 3): said}
    assert json.loads((tmp_path / LABELS_FILE).read_text()) == {
        "actor_id": "actor", "epoch": 1, "episode_id": 3, "verdict": "fail", "reason": 'fell: "größer"',
        "operator": "Ann", "t": 1.5e9,
    }  # fmt: skip


def test_without_labels_there_are_none(tmp_path) -> None:
    assert read_labels(tmp_path) == {}
    assert LabelWatch(tmp_path).poll() == {}


def test_the_newest_counts_and_none_takes_back(tmp_path) -> None:
    for said in (row(1, Verdict.FAIL), row(2, Verdict.SUCCESS), row(1, Verdict.DISCARD), row(2, Verdict.NONE)):
        write_label(tmp_path, said)
    assert {key: found.verdict for key, found in read_labels(tmp_path).items()} == {("actor", 1, 1): Verdict.DISCARD}


@pytest.mark.parametrize(
    "line",
    [b"{}", b"[]", b"junk", b"\xff\xfe", b'{"actor_id":"a","epoch":1,"episode_id":2,"verdict":"perhaps"}'],
)
def test_a_line_that_is_no_label_is_skipped_and_named(tmp_path, line: bytes, caplog: pytest.LogCaptureFixture) -> None:
    write_label(tmp_path, row(1, Verdict.FAIL))
    with (tmp_path / LABELS_FILE).open("ab") as file:
        file.write(line + b"\n")
    write_label(tmp_path, row(2, Verdict.SUCCESS))
    with caplog.at_level(logging.WARNING):
        assert set(read_labels(tmp_path)) == {("actor", 1, 1), ("actor", 1, 2)}
    assert "line 2" in caplog.text


def test_a_torn_line_waits_for_its_end(tmp_path) -> None:
    watch = LabelWatch(tmp_path)
    write_label(tmp_path, row(1, Verdict.FAIL))
    whole = (tmp_path / LABELS_FILE).read_bytes()
    (tmp_path / LABELS_FILE).write_bytes(whole[:-5])
    assert watch.poll() == {}
    (tmp_path / LABELS_FILE).write_bytes(whole)
    assert watch.poll() == {("actor", 1, 1): Verdict.FAIL}


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from(list(Verdict)), st.booleans()), max_size=15))
def test_a_watcher_knows_what_the_file_says(tmp_path_factory, said) -> None:
    folder = tmp_path_factory.mktemp("run")
    watch, known, told = LabelWatch(folder), {}, {}
    for episode, verdict, look in said:
        write_label(folder, row(episode, verdict))
        told["actor", 1, episode] = verdict
        if look:
            changes = watch.poll()
            assert all(known.get(key, Verdict.NONE) is not change for key, change in changes.items())
            known |= changes
            assert watch.poll() == {}
    known |= watch.poll()
    for key, verdict in told.items():
        assert known.get(key, Verdict.NONE) is verdict
    assert {key: found.verdict for key, found in read_labels(folder).items()} == {
        key: verdict for key, verdict in told.items() if verdict is not Verdict.NONE
    }


def test_labels_that_are_gone_are_taken_back(tmp_path) -> None:
    watch = LabelWatch(tmp_path)
    write_label(tmp_path, row(1, Verdict.FAIL))
    assert watch.poll()
    (tmp_path / LABELS_FILE).unlink()
    assert watch.poll() == {("actor", 1, 1): Verdict.NONE}
