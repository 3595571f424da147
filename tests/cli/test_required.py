"""What a run cannot do without is missed before its folder is made."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from robot_hil.cli import required
from robot_hil.cli.main import main
from robot_hil.errors import StorageError
from robot_hil.experiments import registry


@pytest.fixture
def refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Run a command that must fail; return its words. Nothing may have been made."""

    def run(command: str, *options: str) -> str:
        assert main([command, "pick_cube_state", "--backend", "torch", "--out", str(tmp_path / "made"), *options]) == 1
        assert not (tmp_path / "made").exists()
        return capsys.readouterr().err

    return run


@pytest.mark.parametrize(("command", "more"), [("train", ()), ("train", ("--in-process",)), ("actor", ())])
def test_a_missing_reward_model(refused, command: str, more: tuple[str, ...]) -> None:
    error = refused(command, "--reward-model", "nowhere", *more)
    assert error.startswith("robot-hil: nowhere holds no reward model. Train one: robot-hil reward train")


@pytest.mark.parametrize("more", [(), ("--in-process",)])
def test_a_broken_reward_model(refused, tmp_path: Path, more: tuple[str, ...]) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "reward.json").write_text(json.dumps({"format": 1}))
    error = refused("train", "--reward-model", str(broken), *more)
    assert error.startswith(f"robot-hil: {broken}/reward.json cannot be read")
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("command", "more"), [("train", ()), ("train", ("--in-process",)), ("actor", ()), ("learner", ())]
)
def test_a_gpu_that_is_not_there(refused, command: str, more: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")  # also where there is one: for a child process, and for this one
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert refused(command, "--device", "gpu", *more).startswith("robot-hil: torch finds no GPU")


def test_a_learner_needs_no_reward_model() -> None:
    experiment = replace(registry.get("pick_cube_state"), reward_model="nowhere", device="cpu")
    required.require_parts(experiment, acts=False)
    with pytest.raises(StorageError, match="nowhere holds no reward model"):
        required.require_parts(experiment)
