"""Frames out of step logs of runs."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robot_hil.cli.reward.commands import reward
from robot_hil.cli.reward.frames import Taking, crops_of
from robot_hil.cli.reward.logged import key_in_set, open_or_create, spec_of_run, take_run
from robot_hil.cli.runfolder import RunFolder
from robot_hil.data.labels import LabelRow, Verdict
from robot_hil.data.reward import BINARY, THREE_WAY
from robot_hil.data.specs import ArraySpec, EnvSpec
from robot_hil.data.step import Step
from robot_hil.errors import ConfigError, StorageError, UnknownNameError
from robot_hil.policies.reward.dataset import FrameSet
from robot_hil.replay.step_log import StepLog
from robot_hil.report.labels import write_label

TAKING = Taking(last_frames=1, margin=1, negatives_per_episode=3)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    made = RunFolder(tmp_path / "run")
    made.create({"name": "small"}, ["pick_cube"], 0)
    return made


@pytest.fixture
def write(run: RunFolder, small_step: Callable[..., Step]) -> Callable[..., None]:
    """Log an episode of `count` steps; further values are those of its last step."""

    def make(episode: int, count: int = 6, folder: Path | None = None, **last: Any) -> None:
        steps = [
            small_step(100 * episode + index, seq=100 * episode + index, episode_id=episode, step_index=index, epoch=1)
            for index in range(count)
        ]
        end = {"truncated": True, "final_obs": small_step(999 + episode).obs} | last
        steps[-1] = replace(steps[-1], **end)
        with StepLog(folder or run.steps) as log:
            log.append_many(steps)

    return make


@pytest.fixture
def frames(tmp_path: Path, small_spec: EnvSpec) -> FrameSet:
    return FrameSet.create(tmp_path / "frames", BINARY, small_spec)


def test_ends_and_a_spread_of_the_rest_are_taken_as_they_were(
    run: RunFolder, write: Callable[..., None], frames: FrameSet, small_step: Callable[..., Step]
) -> None:
    write(0, success=True, terminated=True, truncated=False)
    write(1)
    taken = take_run(run, frames, TAKING)
    assert (taken.episodes, taken.successes, taken.known) == (2, 1, 0)
    assert dict(taken.frames) == {0: 6, 1: 1}
    found = [frames.get(name) for name in frames.ids]
    assert [(one.episode[2], one.step_index, one.label) for one in found] == [
        (0, 0, 0), (0, 2, 0), (0, 4, 0), (0, 6, 1), (1, 0, 0), (1, 3, 0), (1, 6, 0)
    ]  # fmt: skip
    assert {one.source for one in found} == {"log"}
    assert {one.episode[0] for one in found} == {f"actor@{run.run_id()}"}
    assert np.array_equal(found[1].obs["front"], small_step(2).obs["front"])
    assert np.array_equal(found[3].obs["front"], small_step(999).obs["front"]), "the last one is what came after"


def test_an_episode_is_taken_once(run: RunFolder, write: Callable[..., None], frames: FrameSet) -> None:
    write(0)
    take_run(run, frames, TAKING)
    write(1)
    taken = take_run(run, frames, TAKING)
    assert (taken.episodes, taken.known) == (1, 1)
    assert frames.episodes == tuple(key_in_set(run, ("actor", 1, number)) for number in (0, 1))


def test_a_verdict_counts_and_a_discarded_episode_does_not(
    run: RunFolder, write: Callable[..., None], frames: FrameSet
) -> None:
    for episode in range(3):
        write(episode, success=True, terminated=True, truncated=False)
    for episode, verdict in ((0, Verdict.FAIL), (1, Verdict.DISCARD)):
        write_label(run.path, LabelRow(actor_id="actor", epoch=1, episode_id=episode, verdict=verdict, operator="Ann"))
    assert take_run(run, frames, TAKING).successes == 1
    found = [frames.get(name) for name in frames.ids]
    assert {(one.episode[2], one.label) for one in found} == {(0, 0), (2, 0), (2, 1)}
    assert {one.operator for one in found if one.episode[2] == 0} == {"Ann"}


def test_episodes_that_are_not_whole_are_left_out(run: RunFolder, write: Callable[..., None], frames: FrameSet) -> None:
    write(0, truncated=False, final_obs=None)  # the robot's process died
    write(1)
    assert take_run(run, frames, TAKING).episodes == 1


def test_the_actors_spool_will_do(run: RunFolder, write: Callable[..., None], frames: FrameSet) -> None:
    write(0, folder=run.spool)
    assert take_run(run, frames, TAKING).episodes == 1


def test_what_a_run_sees_is_known(run: RunFolder) -> None:
    assert spec_of_run(run).images == ("front", "wrist")


def test_a_data_set_keeps_its_classes(frames: FrameSet, small_spec: EnvSpec) -> None:
    assert open_or_create(frames.path, BINARY, lambda: small_spec).path == frames.path
    with pytest.raises(ConfigError, match="failure, success, asked for are running"):
        open_or_create(frames.path, THREE_WAY, lambda: small_spec)
    other = replace(small_spec, observation={**small_spec.observation, "state": ArraySpec(shape=(9,))})
    with pytest.raises(ConfigError, match=r"another robot: state is float32\(5,\) there and float32\(9,\) here"):
        open_or_create(frames.path, BINARY, lambda: other)
    crops = crops_of(["front:1,2,4,4"])
    made = open_or_create(frames.path.with_name("cropped"), BINARY, lambda: small_spec, crops)
    assert made.crops == FrameSet.open(made.path).crops == crops
    assert open_or_create(made.path, BINARY, lambda: small_spec, crops).crops == crops
    with pytest.raises(ConfigError, match="has crops of its own"):
        open_or_create(made.path, BINARY, lambda: small_spec, crops_of(["front:0,0,4,4"]))


def test_commands_that_cannot_work_say_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UnknownNameError, match="reward command 'learn'"):
        reward(["learn"])
    with pytest.raises(UnknownNameError, match="'runs/none' does not exist"):
        reward(["record", "runs/none"])
    with pytest.raises(ConfigError, match="needs run folders, or the name of an experiment"):
        reward(["record", "--out", "x"])
    with pytest.raises(StorageError, match="is no run folder"):
        reward(["record", str(tmp_path)])
    with pytest.raises(ConfigError, match=r"--margin is -1.*robot-hil reward record --help"):
        reward(["record", str(tmp_path), "--margin", "-1"])
    with pytest.raises(StorageError, match="is no data set"):
        reward(["train", str(tmp_path)])
    with pytest.raises(StorageError, match="robot-hil reward train"):
        reward(["check", str(tmp_path)])
    assert reward([]) == 2
    assert reward(["--help"]) == 0
    assert "robot-hil reward record pick_cube" in capsys.readouterr().out
