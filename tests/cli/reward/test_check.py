"""What a model would have made of episodes, against limits."""

from pathlib import Path

import pytest

from robot_hil.cli.reward.check import Limits, ending
from robot_hil.cli.reward.commands import reward
from robot_hil.cli.reward.models import load_model
from robot_hil.data.reward import LabelledFrame
from robot_hil.errors import ConfigError
from robot_hil.policies.reward.dataset import FrameSet

KEY = ("actor", 1, 7)
ALL = ("--max-false-positive", "1", "--max-false-negative", "1")


@pytest.mark.parametrize(
    ("labels", "hits", "confirmed", "outcome"),
    [
        ([0, 0, 1, 1], "..xx", "...x", "on time"),
        ([0, None, 1, 1], ".xxx", "..xx", "on time"),
        ([0, None, 1, 1], "xxxx", ".xxx", "on time"),
        ([0, 0, 1, 1], "xx..", ".x..", "early"),
        ([0, 0, 1, 1], ".xx.", "....", "missed"),
        ([0, 0, None, 1], "...x", "....", "too short"),
        ([0, 0, 0], ".x.", "...", "none"),
        ([0, 0, 0], ".xx", "..x", "false"),
        ([0, None, 0], ".xx", "..x", "false"),
    ],
)
def test_outcomes(labels: list[int | None], hits: str, confirmed: str, outcome: str) -> None:
    said = [[sign == "x" for sign in line] for line in (hits, confirmed)]
    assert ending(KEY, labels, 1, *said).outcome == outcome


def test_the_models_own_data_set_is_checked_on_what_it_did_not_learn(
    own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert reward(["check", str(own / "model"), *ALL]) == 0
    output = capsys.readouterr().out
    parts = load_model(own / "model").trained.parts
    assert f"{14 * len(parts.test)} frames of episodes it was not trained with" in output
    assert "PASS" in output
    assert (own / "model/check_errors.png").stat().st_size > 0


def test_frames_that_contradict_the_model_make_it_fail(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frames, other = FrameSet.open(own / "frames"), own / "other"
    wrong = FrameSet.create(other, frames.classes, frames.spec)
    for name in frames.ids[:28]:
        frame = frames.get(name)
        wrong.add(
            LabelledFrame(obs=frame.obs, label=1 - frame.label, episode=("b", 1, 0), step_index=0, source="review")
        )
    assert reward(["check", str(own / "model"), str(other), "--out", str(own / "pictures")]) == 1
    output = capsys.readouterr().out
    assert "FAIL" in output
    assert "collect frames of what it gets wrong" in output
    assert (own / "pictures/check_errors.png").exists()


def test_a_data_set_of_other_classes_is_refused(own: Path) -> None:
    spec = FrameSet.open(own / "frames").spec
    FrameSet.create(own / "other", ("running", "success", "failure"), spec)
    with pytest.raises(ConfigError, match="has classes"):
        reward(["check", str(own / "model"), str(own / "other")])


def test_limits_are_shares(own: Path) -> None:
    with pytest.raises(ConfigError, match="--max-false-episodes is 2"):
        Limits(max_false_episodes=2.0)
    with pytest.raises(ConfigError, match=r"--max-missed-episodes is -1.*--help"):
        reward(["check", str(own / "model"), "--max-missed-episodes", "-1"])


def test_a_model_learns_on_from_new_labels(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert reward(["retrain", str(own / "model")]) == 0
    assert "version 2" in capsys.readouterr().out
    (own / "frames/dataset.json").unlink()
    with pytest.raises(ConfigError, match="give it by --frames"):
        reward(["retrain", str(own / "model")])
    assert load_model(own / "model").version == 2
