"""Pretrained trunks: what is computed is what the reference computes, in both libraries; wrong files are refused."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import trunk_rig

from robot_hil.errors import ConfigError, StorageError
from robot_hil.policies.config import TrunkConfig
from robot_hil.policies.ops import Ops
from robot_hil.policies.registry import make_engine
from robot_hil.policies.trunks import Trunk, load_trunk


@pytest.fixture(scope="module")
def resnet10() -> torch.nn.Module:
    return trunk_rig.random_weights(trunk_rig.ResNet10())


@pytest.fixture(scope="module")
def resnet18() -> torch.nn.Module:
    return trunk_rig.random_weights(trunk_rig.ResNet18())


def maps(trunk: Trunk, images: np.ndarray, backend: str) -> np.ndarray:
    engine = make_engine(backend)
    batch = {"images": images, **engine.place(trunk.params)}
    return engine.run(lambda nn, params, given: trunk.maps(nn, given, given["images"]), {}, batch)


def assert_close(found: np.ndarray, wanted: np.ndarray) -> None:
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() <= 1e-5 * np.abs(wanted).max()


@pytest.mark.parametrize("side", [64, 36])  # 36: odd maps, where SAME pads both sides
def test_resnet10_is_the_reference(backend: str, tmp_path: Path, resnet10: torch.nn.Module, side: int) -> None:
    file = trunk_rig.save(tmp_path / "trunk.safetensors", resnet10.state_dict())
    trunk = load_trunk(TrunkConfig(kind="resnet10", file=file, image_size=side))
    images = trunk_rig.some_images(2, side)
    assert (trunk.places, trunk.channels) == (4, 512)
    assert_close(maps(trunk, images, backend), trunk_rig.expected(resnet10, images))


def test_hil_serls_own_layout_gives_the_same_trunk(tmp_path: Path, resnet10: torch.nn.Module) -> None:
    port = trunk_rig.save(tmp_path / "port.safetensors", resnet10.state_dict())
    own = trunk_rig.save(tmp_path / "own.safetensors", trunk_rig.flax_names(resnet10.state_dict()))
    one, other = (load_trunk(TrunkConfig(file=file)) for file in (port, own))
    assert one.params.keys() == other.params.keys()
    assert all(np.array_equal(one.params[name], other.params[name]) for name in one.params)
    assert one.digest != other.digest


def test_resnet18_is_the_reference_with_its_batch_norms_inside(
    backend: str, tmp_path: Path, resnet18: torch.nn.Module
) -> None:
    file = trunk_rig.save(tmp_path / "trunk.safetensors", resnet18.state_dict())
    trunk = load_trunk(TrunkConfig(kind="resnet18", file=file, image_size=64))
    images = trunk_rig.some_images(2, 64)
    assert_close(maps(trunk, images, backend), trunk_rig.expected(resnet18, images))
    assert not any("scale" in name for name in trunk.params)


def test_resnet18_by_hugging_faces_names_is_the_same(tmp_path: Path, resnet18: torch.nn.Module) -> None:
    plain = trunk_rig.save(tmp_path / "timm.safetensors", resnet18.state_dict())
    renamed = trunk_rig.save(tmp_path / "hf.safetensors", trunk_rig.hugging_face_18(resnet18.state_dict()))
    one, other = (load_trunk(TrunkConfig(kind="resnet18", file=file)) for file in (plain, renamed))
    assert all(np.array_equal(one.params[name], other.params[name]) for name in one.params)


@pytest.mark.parametrize(("registers", "side"), [(0, 70), (0, 98), (4, 56), (4, 98)])
def test_dinov2_is_the_reference_at_any_image_size(backend: str, tmp_path: Path, registers: int, side: int) -> None:
    model = trunk_rig.random_weights(trunk_rig.Dinov2(registers=registers))
    file = trunk_rig.save(tmp_path / "trunk.safetensors", model.state_dict())
    trunk = load_trunk(TrunkConfig(kind="vit", file=file, image_size=side))
    images = trunk_rig.some_images(2, side)
    assert (trunk.places, trunk.channels) == (17, 64)
    assert_close(maps(trunk, images, backend), trunk_rig.expected(model, images))


@pytest.mark.parametrize("registers", [0, 2])
def test_dinov2_by_hugging_faces_names_is_the_same(tmp_path: Path, registers: int) -> None:
    arrays = trunk_rig.random_weights(trunk_rig.Dinov2(registers=registers)).state_dict()
    plain = trunk_rig.save(tmp_path / "timm.safetensors", arrays)
    renamed = trunk_rig.save(tmp_path / "hf.safetensors", trunk_rig.hugging_face_vit(arrays))
    one, other = (load_trunk(TrunkConfig(kind="vit", file=file, image_size=70)) for file in (plain, renamed))
    assert all(np.allclose(one.params[name], other.params[name], rtol=1e-6, atol=1e-7) for name in one.params)


def test_positions_without_one_for_the_class_token_are_taken_as_they_are(tmp_path: Path) -> None:
    arrays = dict(trunk_rig.random_weights(trunk_rig.Dinov2()).state_dict())
    whole = trunk_rig.save(tmp_path / "whole.safetensors", arrays)
    arrays["cls_token"] = arrays["cls_token"] + arrays["pos_embed"][:, :1]
    arrays["pos_embed"] = arrays["pos_embed"][:, 1:]
    split = trunk_rig.save(tmp_path / "split.safetensors", arrays)
    one, other = (load_trunk(TrunkConfig(kind="vit", file=file, image_size=70)) for file in (whole, split))
    assert all(np.array_equal(one.params[name], other.params[name]) for name in one.params)


def test_half_precision_is_read(tmp_path: Path, resnet10: torch.nn.Module) -> None:
    halves = {name: value.half() for name, value in resnet10.state_dict().items()}
    trunk = load_trunk(TrunkConfig(file=trunk_rig.save(tmp_path / "half.safetensors", halves)))
    assert all(value.dtype == np.float32 for value in trunk.params.values())


# Files that will not do ----------------------------------------------------------------------------------------


def test_hash_is_checked_and_told(tmp_path: Path, resnet10: torch.nn.Module) -> None:
    file = trunk_rig.save(tmp_path / "trunk.safetensors", resnet10.state_dict())
    digest = hashlib.sha256(Path(file).read_bytes()).hexdigest()
    assert load_trunk(TrunkConfig(file=file)).digest == digest
    assert load_trunk(TrunkConfig(file=file, sha256=digest.upper())).digest == digest
    with pytest.raises(StorageError, match=f"{digest}.*{'0' * 64}.*other weights"):
        load_trunk(TrunkConfig(file=file, sha256="0" * 64))


def test_a_file_that_is_not_there_is_not_fetched(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"nowhere\.safetensors cannot be read.*none is downloaded"):
        load_trunk(TrunkConfig(file=str(tmp_path / "nowhere.safetensors")))


def test_what_is_no_safetensors_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "weights.pkl").write_bytes(b"\x80\x04 something else")
    with pytest.raises(StorageError, match="must be a safetensors file"):
        load_trunk(TrunkConfig(file=str(tmp_path / "weights.pkl")))


def test_missing_and_foreign_names_are_told(tmp_path: Path, resnet10: torch.nn.Module) -> None:
    arrays = dict(resnet10.state_dict())
    arrays["encoder.stages.2.extra"] = arrays.pop("encoder.stages.2.norm1.weight")
    file = trunk_rig.save(tmp_path / "trunk.safetensors", arrays)
    wanted = (
        r"1 of \d+ arrays are missing \(encoder.stages.2.norm1.weight\) and 1 are unknown \(encoder.stages.2.extra\)"
    )
    with pytest.raises(StorageError, match=wanted):
        load_trunk(TrunkConfig(file=file))


def test_another_network_is_refused(tmp_path: Path, resnet10: torch.nn.Module, resnet18: torch.nn.Module) -> None:
    ten = trunk_rig.save(tmp_path / "10.safetensors", resnet10.state_dict())
    eighteen = trunk_rig.save(tmp_path / "18.safetensors", resnet18.state_dict())
    for kind, file in (("resnet18", ten), ("resnet10", eighteen), ("vit", ten)):
        with pytest.raises(StorageError, match=f"is no {kind}"):
            load_trunk(TrunkConfig(kind=kind, file=file, image_size=112))


def test_wrong_shapes_are_told(tmp_path: Path, resnet10: torch.nn.Module) -> None:
    arrays = dict(resnet10.state_dict())
    arrays["encoder.stages.1.conv2.conv.weight"] = torch.zeros(128, 64, 3, 3)
    file = trunk_rig.save(tmp_path / "trunk.safetensors", arrays)
    with pytest.raises(StorageError, match=r"block1/second/kernel is \(128, 64, 3, 3\), expected \(128, 128, 3, 3\)"):
        load_trunk(TrunkConfig(file=file))


def test_damaged_weights_are_refused(tmp_path: Path, resnet10: torch.nn.Module) -> None:
    arrays = dict(resnet10.state_dict())
    arrays["embedder.1.bias"] = torch.full((64,), float("nan"))
    with pytest.raises(StorageError, match="NaN or infinity in constant/trunk/stem/shift"):
        load_trunk(TrunkConfig(file=trunk_rig.save(tmp_path / "trunk.safetensors", arrays)))


def test_a_vits_images_must_be_whole_patches(tmp_path: Path) -> None:
    file = trunk_rig.save(tmp_path / "t.safetensors", trunk_rig.random_weights(trunk_rig.Dinov2()).state_dict())
    with pytest.raises(ConfigError, match=r"multiple of 14, e\.g\. 126"):
        load_trunk(TrunkConfig(kind="vit", file=file, image_size=128))


def test_sizes_and_hashes_that_cannot_be_are_refused() -> None:
    for change in ({"image_size": 8}, {"grid": 0}, {"outputs": 0}, {"frames_per_call": 0}, {"vector_outputs": -1}):
        with pytest.raises(ConfigError, match=next(iter(change))):
            replace(TrunkConfig(), **change)
    with pytest.raises(ConfigError, match="64 hexadecimal digits"):
        TrunkConfig(sha256="abc")


# Operations ----------------------------------------------------------------------------------------------------


def test_group_norm_is_torchs(nn: Ops) -> None:
    rng = np.random.default_rng(0)
    x, scale, shift = rng.standard_normal((2, 3, 5, 8)), rng.standard_normal(8), rng.standard_normal(8)
    made = np.asarray(nn.group_norm(nn.array(x), 4, nn.array(scale), nn.array(shift)))
    seen = torch.from_numpy(x).permute(0, 3, 1, 2)
    wanted = torch.nn.functional.group_norm(seen, 4, torch.from_numpy(scale), torch.from_numpy(shift))
    assert np.allclose(made, wanted.permute(0, 2, 3, 1).numpy(), atol=1e-5)


def test_padding_may_be_behind_alone(nn: Ops) -> None:
    x = np.random.default_rng(0).standard_normal((1, 4, 4, 1)).astype(np.float32)
    kernel = np.zeros((1, 1, 3, 3), np.float32)
    kernel[0, 0, 2, 2] = 1.0  # what lies two further
    made = np.asarray(nn.conv2d(nn.array(x), nn.array(kernel), None, stride=2, padding=(0, 1)))[0, ..., 0]
    assert made.tolist() == [[x[0, 2, 2, 0], 0.0], [0.0, 0.0]]
    pooled = np.asarray(nn.max_pool(nn.array(x - 10), 3, 2, (0, 1)))[0, ..., 0]
    assert pooled[1, 1] == (x - 10)[0, 2:, 2:].max()  # what lies outside never wins
