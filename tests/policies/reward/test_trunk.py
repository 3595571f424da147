"""A classifier upon a pretrained trunk in a file."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trunk_rig
from reward_frames import TINY, fill, seen

from robot_hil.errors import ConfigError, StorageError
from robot_hil.policies.config import TrunkConfig
from robot_hil.policies.reward.model import TrainedReward, train
from robot_hil.policies.reward.trunk import trunk_features

SIDE = 64
CONFIG = replace(TINY, cameras=("front",), image_size=SIDE, views=1, updates=2)


def trunk_file(path: Path, seed: int = 0) -> TrunkConfig:
    model = trunk_rig.random_weights(trunk_rig.ResNet10(), seed)
    return TrunkConfig(file=trunk_rig.save(path, model.state_dict()), image_size=SIDE)


def test_features_are_places_of_channels_alike_in_both_libraries(tmp_path: Path) -> None:
    config = trunk_file(tmp_path / "trunk.safetensors")
    images = trunk_rig.some_images(3, SIDE)
    ours, theirs = (trunk_features(config, backend) for backend in ("torch", "jax"))
    made = ours(images)
    assert made.shape == (3, 3 * 512)
    assert np.abs(made[:, : 2 * 512]).max() <= 1.0 + 1e-6  # columns and rows
    assert made == pytest.approx(theirs(images), abs=1e-3)
    assert ours(images[1:2]) == pytest.approx(made[1:2], abs=1e-4)
    assert ours(images[:0]).shape == (0, 3 * 512)
    with pytest.raises(ConfigError, match="set image_size=64"):
        ours(images[:, :32, :32])


def test_a_model_asks_for_the_trunk_that_it_was_trained_upon(tmp_path: Path) -> None:
    features = trunk_features(trunk_file(tmp_path / "trunk.safetensors"), "torch")
    model = train(fill(tmp_path / "set", episodes=2), CONFIG, features=features, backend="torch")
    model.save(tmp_path / "model")
    obs = seen(1.0, np.random.default_rng(0))
    for given in (features, None):
        again = TrainedReward.load(tmp_path / "model", features=given, backend="torch")
        assert np.array_equal(again.look([obs]), model.look([obs]))
    other = trunk_features(trunk_file(tmp_path / "other.safetensors", seed=1), "torch")
    with pytest.raises(ConfigError, match="upon the trunk of SHA-256"):
        TrainedReward.load(tmp_path / "model", features=other)
    (tmp_path / "other.safetensors").replace(tmp_path / "trunk.safetensors")
    with pytest.raises(StorageError, match="other weights"):
        TrainedReward.load(tmp_path / "model")


def test_a_vit_tells_where_and_what(tmp_path: Path) -> None:
    rig = trunk_rig.random_weights(trunk_rig.Dinov2(depth=1))
    file = trunk_rig.save(tmp_path / "vit.safetensors", rig.state_dict())
    features = trunk_features(TrunkConfig(kind="vit", file=file, image_size=56), "torch")
    images = trunk_rig.some_images(2, 56)
    made = features(images)
    assert made.shape == (2, features.size)
    assert features.size == 4 * 64
    assert made[:, -64:] == pytest.approx(trunk_rig.expected(rig, images)[:, 0], abs=1e-4)
