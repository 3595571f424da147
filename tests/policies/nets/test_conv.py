"""The small convolutional encoder and its soft-argmax, on both libraries."""

import numpy as np
import pytest

from robot_hil.data.specs import Array
from robot_hil.policies.nets.conv import ConvSpec, conv, grid, init_conv, soft_argmax
from robot_hil.policies.ops import Ops


def argmax_of(nn: Ops, maps: Array, sharpness: float) -> Array:
    """Soft-argmax of maps (B, H, W, C)."""
    return np.asarray(soft_argmax(nn, nn.array(np.float32(maps)), sharpness))


def encoded(nn: Ops, params: dict[str, Array], spec: ConvSpec, images: Array) -> Array:
    return np.asarray(conv(nn, {k: nn.array(v) for k, v in params.items()}, "encoder", spec, nn.array(images)))


def images_of(cameras: int, rows: int, seed: int = 1) -> Array:
    return np.random.default_rng(seed).random((rows, 16, 16, 3 * cameras), dtype=np.float32) - np.float32(0.5)


def test_soft_argmax_is_the_place_where_a_channel_is_active(nn: Ops) -> None:
    maps = np.zeros((2, 5, 9, 3))
    maps[0, 0, 8, 0] = 50.0  # top right
    maps[1, 4, 2, 2] = 50.0  # bottom, a quarter from the left
    out = argmax_of(nn, maps, 10.0)
    assert out.shape == (2, 9)
    columns, rows, peaks = np.split(out, 3, axis=-1)
    assert columns[0].tolist() == pytest.approx([1.0, 0.0, 0.0], abs=1e-5)
    assert rows[0].tolist() == pytest.approx([-1.0, 0.0, 0.0], abs=1e-5)
    assert columns[1].tolist() == pytest.approx([0.0, 0.0, -0.5], abs=1e-5)
    assert rows[1].tolist() == pytest.approx([0.0, 0.0, 1.0], abs=1e-5)
    assert peaks[0].tolist() == pytest.approx([1.0, 0.0, 0.0], abs=1e-3)


def test_encoder_does_not_depend_on_the_order_in_memory(nn: Ops) -> None:
    spec = ConvSpec(cameras=2, filters=(4, 8), strides=(2, 1))
    params = init_conv("encoder", spec, np.random.default_rng(0))
    images = images_of(2, 3)
    channels_first = np.ascontiguousarray(images.transpose(0, 3, 1, 2)).transpose(0, 2, 3, 1)
    made = encoded(nn, params, spec, images)
    assert made.shape == (3, 48) == (3, spec.features)  # column, row and peak of 8 channels of 2 cameras
    assert (np.abs(made) <= 1).all()
    assert np.allclose(made, encoded(nn, params, spec, channels_first), atol=1e-5)


def test_what_a_camera_sees_changes_its_own_part_of_the_encoding_only(nn: Ops) -> None:
    spec = ConvSpec(cameras=2, filters=(4, 8))
    params = init_conv("encoder", spec, np.random.default_rng(0))
    images = images_of(2, 1)
    other = np.concatenate([images[..., :3], images_of(1, 1, seed=2)], -1)
    before, after = encoded(nn, params, spec, images), encoded(nn, params, spec, other)
    assert np.array_equal(before[:, :24], after[:, :24])
    assert not np.allclose(before[:, 24:], after[:, 24:])


def test_cameras_have_filters_of_their_own(nn: Ops) -> None:
    spec = ConvSpec(cameras=2, filters=(4, 8))
    params = init_conv("encoder", spec, np.random.default_rng(0))
    assert params["encoder/conv0/kernel"].shape == (2, 4, 3, 3, 3)
    assert params["encoder/conv1/kernel"].shape == (2, 8, 4, 3, 3)
    image = images_of(1, 1)
    both = encoded(nn, params, spec, np.concatenate([image, image], -1))
    assert not np.allclose(both[:, :24], both[:, 24:])


def test_attention_is_as_sharp_for_faint_maps_as_for_strong_ones(nn: Ops) -> None:
    maps = np.zeros((1, 9, 9, 1))
    maps[0, 2, 7, 0] = 1.0
    assert np.allclose(argmax_of(nn, 100 * maps, 4.0)[:, :2], argmax_of(nn, maps, 4.0)[:, :2], atol=0.03)


@pytest.mark.parametrize("value", [0.0, 0.1, -7.3])
def test_an_even_map_is_active_in_the_middle(nn: Ops, value: float) -> None:
    out = argmax_of(nn, np.full((2, 4, 6, 2), value), 4.0)
    assert np.abs(out[:, :4]).max() < 1e-3
    assert out[:, 4:] == pytest.approx(np.tanh(0.2 * value), abs=1e-6)


def test_grid_has_columns_and_rows_of_every_pixel() -> None:
    assert grid(2, 3).tolist() == [[-1, 0, 1, -1, 0, 1], [-1, -1, -1, 1, 1, 1]]
