"""A critic of progress: trained from a run, checked, and at work in another."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from cli.reward.models import make
from cli.reward.rig import Rig

from robot_hil.cli.reward.commands import reward
from robot_hil.errors import ConfigError

TINY = (
    "--members", "2", "--updates", "30", "--image-size", "12", "--filters", "4", "--strides", "2", "--hidden", "16",
    "--shift", "0", "--false-positive-rate", "0.2", "--learning-rate", "0.01",
)  # fmt: skip
LOOSE = [
    word for name in ("false-positive", "false-negative", "false-episodes", "missed-episodes")
    for word in (f"--max-{name}", "1")
]  # fmt: skip


@pytest.fixture
def first(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path / "first")
    made.trials(6)
    yield made
    made.robot.close()


def test_a_run_is_rewarded_by_the_progress_it_shows(
    first: Rig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    critic = tmp_path / "critic"
    assert reward(["progress", str(first.run.path), "--out", str(critic), *TINY]) == 0
    assert "6 episodes, 6 of them reach success" in (said := capsys.readouterr().out)
    assert "Value and time agree" in said
    assert reward(["check", str(critic), str(first.run.path), *LOOSE]) == 0
    assert "6 episodes" in " ".join(capsys.readouterr().out.split())  # a long path makes the title wrap

    dense = Rig(tmp_path / "dense", critic)
    dense.trials(2)
    dense.robot.close()
    assert all("progress" in step.reward for step in dense.steps)
    earned = sum(step.reward["progress"] for step in dense.steps if step.episode_id == 0)
    assert earned <= 1.0 + 1e-6, "an episode earns what it ends with"
    assert {step.reward["classifier"] for step in dense.steps if "classifier" in step.reward} <= {1.0}


def test_a_folder_holds_one_kind_of_model(first: Rig, tmp_path: Path) -> None:
    frames, _, model = make(tmp_path)
    with pytest.raises(ConfigError, match="holds a classifier; choose another --out"):
        reward(["progress", str(first.run.path), "--out", str(model), *TINY])
    reward(["progress", str(first.run.path), "--out", str(tmp_path / "critic"), *TINY])
    with pytest.raises(ConfigError, match="holds a critic of progress; choose another --out"):
        reward(["train", str(frames.path), "--out", str(tmp_path / "critic")])
    with pytest.raises(ConfigError, match="whole episodes"):
        reward(["retrain", str(tmp_path / "critic"), "--frames", str(frames.path)])


def test_a_classifier_is_checked_on_whole_episodes(
    first: Rig, made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert reward(["check", str(made / "model"), str(first.run.path), "--out", str(tmp_path / "out"), *LOOSE]) == 0
    said = capsys.readouterr().out
    assert "confirmed while it could be seen" in said
    assert reward(["record", str(first.run.path), "--out", str(tmp_path / "frames")]) == 0
    assert "6 episodes, 6 of them a success" in capsys.readouterr().out


def test_a_run_without_success_teaches_no_progress(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "empty")
    rig.robot.close()
    with pytest.raises(ConfigError, match="reaches success; record demonstrations"):
        reward(["progress", str(rig.run.path), "--out", str(tmp_path / "critic")])
