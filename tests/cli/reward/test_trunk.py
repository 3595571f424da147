"""A reward model upon a frozen trunk, by the command line: trained, judging, and refused with another file."""

from pathlib import Path

import pytest
import trunk_rig
from cli.reward.seen import Seen

from robot_hil.cli.reward.commands import check, train
from robot_hil.cli.reward.models import load_model
from robot_hil.errors import StorageError
from robot_hil.policies.reward.trunk import TrunkFeatures


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write(tmp_path / "vit.safetensors", seed=0)


def write(path: Path, seed: int) -> Path:
    rig = trunk_rig.random_weights(trunk_rig.Dinov2(depth=1), seed)
    trunk_rig.save(path, rig.state_dict())
    return path


def taught(own: Path, file: Path, *more: str) -> Path:
    out = own / "upon"
    small = ("--members", "2", "--updates", "5", "--views", "1", "--hidden", "8", "--backend", "torch")
    which = ("--trunk", str(file), "--trunk-kind", "vit", "--trunk-size", "56")
    assert train([str(own / "frames"), "--out", str(out), *small, *which, *more]) == 0
    return out


def test_the_model_judges_with_its_trunk_wherever_it_is_read(own: Path, file: Path) -> None:
    model = load_model(taught(own, file))
    features = model.trained.setup.features
    assert isinstance(features, TrunkFeatures)
    assert features.config.file == str(file)
    assert model.trained.config.image_size == 56
    obs, _ = Seen().reset(seed=0)
    judge = model.judge()
    judge.begin_episode()
    assert 0.0 <= judge.judge(obs).probability <= 1.0
    limits = ("--max-false-positive", "1", "--max-false-negative", "1")
    assert check([str(own / "upon"), *limits]) == 0


def test_another_file_is_refused_at_training_and_at_judging(own: Path, file: Path, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="other weights"):
        taught(own, file, "--trunk-sha256", "0" * 64)
    with pytest.raises(StorageError, match="none is downloaded"):
        taught(own, tmp_path / "missing.safetensors")
    model = taught(own, file)
    write(file, seed=1)
    with pytest.raises(StorageError, match="other weights"):
        load_model(model)
