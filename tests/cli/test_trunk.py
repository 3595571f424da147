"""A trunk in a run: its hash is recorded, kept on resume, and another file is refused."""

from pathlib import Path

import pytest
import trunk_rig

from robot_hil.cli.options import Train, parse
from robot_hil.cli.runfolder import RunFolder
from robot_hil.errors import StorageError
from robot_hil.experiments.base import Experiment
from robot_hil.policies.config import TrunkConfig
from robot_hil.policies.trunks import check_file, load_trunk


@pytest.fixture
def file(tmp_path: Path) -> str:
    return write(tmp_path / "vit.safetensors", seed=0)


def write(path: Path, seed: int) -> str:
    return trunk_rig.save(path, trunk_rig.random_weights(trunk_rig.Dinov2(depth=1), seed).state_dict())


def parsed(file: str, *more: str, folder: Path | None = None) -> Experiment:
    options = ["pick_cube", "--agent.trunk.kind", "vit", "--agent.trunk.file", file, *more]
    return parse("train", Train, options if file else ["pick_cube", *more], folder).experiment


def test_the_hash_of_the_file_becomes_part_of_the_configuration(file: str) -> None:
    trunk = parsed(file, "--agent.trunk.image-size", "56").agent.trunk
    assert trunk == TrunkConfig(kind="vit", file=file, image_size=56, sha256=check_file(TrunkConfig(file=file)))


def test_a_hash_that_is_given_is_checked_when_the_file_is_read(file: str) -> None:
    trunk = parsed(file, "--agent.trunk.sha256", "0" * 64).agent.trunk
    with pytest.raises(StorageError, match="other weights"):
        load_trunk(trunk)


def test_a_file_that_is_not_there_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="none is downloaded"):
        parsed(str(tmp_path / "missing.safetensors"))


def test_without_a_trunk_there_is_nothing_to_read() -> None:
    assert parsed("").agent.trunk == TrunkConfig()


def test_a_resumed_run_wants_the_same_file_and_crops(file: str, tmp_path: Path) -> None:
    run = tmp_path / "run"
    crop = ("--agent.crops", "front", "0", "0.25", "0.5", "0.5")
    experiment = parsed(file, "--agent.trunk.image-size", "56", *crop)
    RunFolder(run).create(experiment, ["pick_cube"], 0)
    again = parsed("", folder=run)
    assert again.agent.trunk == experiment.agent.trunk
    assert {name: tuple(crop) for name, crop in again.agent.crops.items()} == {"front": (0.0, 0.25, 0.5, 0.5)}
    RunFolder(run).join(again, ["pick_cube"], 0)
    write(Path(file), seed=1)
    with pytest.raises(StorageError, match="other weights"):
        load_trunk(parsed("", folder=run).agent.trunk)
