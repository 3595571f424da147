"""The reward model of a robot: versions between episodes, contradictions, and what is lost when training cannot be."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cli.reward.models import TINY
from cli.reward.rig import Rig
from cli.shell import until

from robot_hil.actor.seeding import Stream
from robot_hil.cli.reward.models import ABOUT_FILE
from robot_hil.cli.reward.online import FRAMES_EACH, OWN_FRAMES
from robot_hil.data.labels import Verdict
from robot_hil.data.reward import LabelledFrame
from robot_hil.data.specs import EnvSpec
from robot_hil.errors import ConfigError, StorageError
from robot_hil.policies.reward.dataset import FrameSet
from robot_hil.policies.reward.model import train
from robot_hil.report.labels import read_labels


@pytest.fixture
def rig(own: Path, tmp_path: Path) -> Iterator[Callable[[], Rig]]:
    rigs: list[Rig] = []

    def make() -> Rig:
        rigs.append(Rig(tmp_path / "run", own / "model"))
        return rigs[-1]

    yield make
    for one in rigs:
        one.robot.close()


def test_it_tells_success_and_a_contradiction_brings_the_next_version(rig: Callable[[], Rig], own: Path) -> None:
    made = rig()
    row = made.robot.run(Stream.TRAIN, 0)
    assert row is not None
    assert row.success
    assert made.steps[-1].terminated
    assert made.steps[-1].reward["classifier"] > 0.5
    assert made.robot.env_success is made.steps[-1].success
    before = FrameSet.open(own / "frames").counts

    assert made.say() is False, "the episode is over: nothing ends by it"
    assert made.reward.status().training
    until(lambda: not made.reward.status().training)
    assert made.reward.status().version == 1, "the one that judges stays until the episode is over"
    made.robot.run(Stream.TRAIN, 1)
    assert [(one["event"], one["version"]) for one in made.told()] == [
        ("judges", 1), ("false_positive", 1), ("judges", 2)
    ]  # fmt: skip
    assert made.reward.status().version == 2
    assert {key[2]: one.verdict for key, one in read_labels(made.run.path).items()} == {0: Verdict.FAIL}
    after = FrameSet.open(own / "frames").counts
    assert after["success"] == before["success"]
    assert 1 <= after["failure"] - before["failure"] <= FRAMES_EACH


def test_a_success_is_contradicted_once_and_what_was_none_not_at_all(rig: Callable[[], Rig]) -> None:
    made = rig()
    assert made.say() is False
    doubted: list[int] = []
    made.robot.on_contradicted = doubted.append
    made.robot.run(Stream.TRAIN, 0)
    made.say()
    made.say()
    assert doubted == [0], "whoever counts successes is told"
    assert made.reward.false_positives == 1
    assert len(read_labels(made.run.path)) == 1


def test_an_evaluation_is_not_in_the_log_and_gets_no_verdict_but_teaches(rig: Callable[[], Rig], own: Path) -> None:
    made = rig()
    made.robot.run(Stream.TRAIN, 0)
    made.robot.run(Stream.EVAL, 100)
    assert made.say() is False
    made.robot.close()
    assert read_labels(made.run.path) == {}
    frames = FrameSet.open(own / "frames")
    hard = [name for name in frames.ids if frames.label(name)[1] == "false_positive"]
    assert {frames.episode(name)[2] for name in hard} == {100}


def test_without_its_data_set_what_fooled_it_is_kept_in_the_run(rig: Callable[[], Rig], own: Path) -> None:
    shutil.move(own / "frames", own / "elsewhere")
    made = rig()
    made.robot.run(Stream.TRAIN, 0)
    made.say()
    until(lambda: not made.reward.status().training)
    kept = FrameSet.open(made.run.path / OWN_FRAMES)
    assert kept.counts["failure"] >= 1
    assert kept.counts["success"] == 0
    made.robot.run(Stream.TRAIN, 1)
    assert made.reward.status().version == 1


def test_a_training_that_fails_leaves_the_model_that_judges(rig: Callable[[], Rig], own: Path) -> None:
    made = rig()
    made.robot.run(Stream.TRAIN, 0)
    (own / "model" / "reward.json").write_text("{}")
    made.say()
    until(lambda: not made.reward.status().training)
    row = made.robot.run(Stream.TRAIN, 1)
    assert row is not None
    assert row.success
    assert made.reward.status().version == 1


def test_a_run_that_ends_while_it_learns_keeps_the_frames(rig: Callable[[], Rig], own: Path) -> None:
    made = rig()
    made.robot.run(Stream.TRAIN, 0)
    made.say()
    made.robot.close()
    made.robot.close()
    frames = FrameSet.open(own / "frames")
    assert any(frames.label(name)[1] == "false_positive" for name in frames.ids)
    assert json.loads((own / "model" / ABOUT_FILE).read_text())["frames"] == str(own / "frames")


def test_a_model_of_other_cameras_is_refused_before_anything_moves(tmp_path: Path, small_spec: EnvSpec) -> None:
    frames = FrameSet.create(tmp_path / "frames", ("failure", "success"), small_spec)
    rng = np.random.default_rng(0)
    for step in range(12):
        obs = {name: spec.sample(rng) for name, spec in small_spec.observation.items()}
        frames.add(LabelledFrame(obs=obs, label=step % 2, episode=("a", 1, step // 3), step_index=step, source="log"))
    train(frames, replace(TINY, updates=2), backend="torch").save(tmp_path / "model")
    with pytest.raises(ConfigError, match=r"front is uint8\(8, 8, 3\) there and uint8\(12, 12, 3\) here"):
        Rig(tmp_path / "run", tmp_path / "model")


def test_a_folder_without_a_model_is_refused_with_what_to_do(own: Path, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="robot-hil reward train"):
        Rig(tmp_path / "run", own / "nothing")
