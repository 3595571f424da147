"""Marking by keys while somebody drives."""

import time
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cli.shell import Shell, interrupt, until
from hypothesis import given
from hypothesis import strategies as st

from robot_hil.cli.reward.frames import classes_of
from robot_hil.cli.reward.live import ACTOR, Marker, Recorder, _wanted, next_episode
from robot_hil.cli.runfolder import RunFolder
from robot_hil.data.reward import BINARY, THREE_WAY
from robot_hil.data.specs import EnvSpec
from robot_hil.data.teleop import EventKind, TeleopEvent
from robot_hil.errors import ConfigError
from robot_hil.policies.reward.dataset import FrameSet

SUCCESS, FAIL = EventKind.SUCCESS, EventKind.FAIL


def labels(marker: Marker, script: dict[int, EventKind], count: int, env: tuple[int, ...] = ()) -> list[int]:
    """Return the labels of frames, with keys pressed before some of them."""
    marker.begin_episode()
    found = []
    for index in range(count):
        if index in script:
            marker.press(TeleopEvent(kind=script[index], t=float(index)))
        found.append(marker.label(index in env))
    return found


def test_a_press_marks_this_frame_and_the_next_ones() -> None:
    marker = Marker(BINARY, 3, person=True)
    assert labels(marker, {2: SUCCESS, 7: SUCCESS, 8: FAIL}, 11) == [0, 0, 1, 1, 1, 0, 0, 1, 0, 0, 0]
    assert labels(marker, {0: SUCCESS, 2: SUCCESS}, 6) == [1, 1, 1, 1, 1, 0], "a press again goes on"
    assert labels(marker, {}, 3, env=(1,)) == [0, 0, 0], "the environment's word is no person's"


def test_the_fail_key_marks_failure_where_there_are_three_ways() -> None:
    marker = Marker(THREE_WAY, 2, person=True)
    assert labels(marker, {1: FAIL, 4: SUCCESS}, 7) == [0, 2, 2, 0, 1, 1, 0]


def test_a_press_begins_the_next_stage_and_the_fail_key_takes_one_back() -> None:
    marker = Marker(classes_of(3, three_way=False), 3, person=True)
    script = {1: SUCCESS, 3: SUCCESS, 4: SUCCESS, 5: FAIL, 6: FAIL, 7: FAIL}
    assert labels(marker, script, 8) == [0, 1, 1, 2, 2, 1, 0, 0]
    assert labels(marker, {}, 2) == [0, 0], "a reset goes back to the beginning"


@given(st.dictionaries(st.integers(0, 30), st.sampled_from([SUCCESS, FAIL])), st.integers(2, 6))
def test_stages_never_leave_their_range_and_move_one_at_a_time(script: dict[int, EventKind], stages: int) -> None:
    found = labels(Marker(classes_of(stages, three_way=False), 1, person=True), script, 31)
    assert all(0 <= label < stages for label in found)
    assert all(abs(b - a) <= 1 for a, b in pairwise(found))


def test_without_a_person_the_environment_is_what_a_person_would_press_for() -> None:
    assert labels(Marker(BINARY, 3, person=False), {}, 4, env=(1, 2)) == [0, 1, 1, 0]


def test_a_press_must_mark_something() -> None:
    with pytest.raises(ConfigError, match="--press-frames is 0"):
        Marker(BINARY, 0, person=True)


def test_episodes_are_stored_with_all_successes_and_some_of_the_rest(
    tmp_path: Path, small_spec: EnvSpec, small_step: Any
) -> None:
    run = RunFolder(tmp_path / "session")
    run.create({"name": "small"}, ["pick_cube"], 0)
    frames = FrameSet.create(tmp_path / "frames", BINARY, small_spec)
    marker = Marker(BINARY, 2, person=True)
    recorder = Recorder(frames, run, marker, 4, "Ann")
    for episode in range(2):
        assert next_episode(frames, run) == episode
        for index in range(10):
            if index == 7:
                marker.press(TeleopEvent(kind=SUCCESS, t=time.monotonic()))
            last = {"final_obs": small_step(99).obs, "truncated": True} if index == 9 else {}
            recorder.take(small_step(index, **last))
        recorder.store(episode)
    assert recorder.counts == frames.counts == {"failure": 8, "success": 4}
    found = [frames.get(name) for name in frames.ids]
    assert [one.step_index for one in found[:6] if one.label] == [7, 8]
    assert found[5].step_index == 10, "what was seen at the end is a frame, too"
    assert {(one.source, one.operator) for one in found} == {("key", "Ann")}
    assert {one.episode[0] for one in found} == {f"{ACTOR}@{run.run_id()}"}
    asked: Any = SimpleNamespace(successes=5, failures=8, stages=0)
    assert _wanted(recorder, asked).startswith("frames: 4 of 5 success, 8 of 8 other")
    asked.successes = 4
    assert _wanted(recorder, asked) == ""


def test_ctrl_c_keeps_what_was_recorded(shell: Shell) -> None:
    process = shell.start("reward", "record", "pick_cube", "--out", "frames", "--successes", 10**6)
    until((shell.folder / "frames/labels.jsonl").exists)
    output = interrupt(process)
    assert process.returncode == 130, output
    frames = FrameSet.open(shell.folder / "frames")
    assert f"frames holds {frames.counts['failure']} failure, {frames.counts['success']} success" in output
    assert frames.counts["success"] >= 5, "the simulated person marks what the environment calls a success"
    assert min(frames.counts.values()) > 0
