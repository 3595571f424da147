"""How images are prepared, shifted and drawn; on both libraries where arrays are computed with."""

from dataclasses import replace

import numpy as np
import pytest
from agent_rig import library
from contracts import agent_spec
from hypothesis import given
from hypothesis import strategies as st

from robot_hil.data.specs import ArraySpec, EnvSpec
from robot_hil.errors import ConfigError, SpecError
from robot_hil.policies.config import AnchoredConfig
from robot_hil.policies.inputs import STACKED, Inputs, spread_shifts
from robot_hil.policies.ops import Ops


def inputs_of(shift: int = 2, size: int = 8) -> Inputs:
    return Inputs.of(agent_spec(pixels=True), size, shift)


@pytest.mark.parametrize("pad", [1, 3])
def test_random_shift_is_a_window_of_the_image_with_its_edges_repeated(nn: Ops, pad: int) -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (6, 5, 7, 4), dtype=np.uint8)
    offsets = rng.integers(0, 2 * pad + 1, (6, 2), dtype=np.int32)
    shifted = np.asarray(nn.shift_images(nn.array(images), nn.array(offsets), pad))
    assert shifted.dtype == np.uint8
    for b, (down, right) in enumerate(offsets - pad):
        source = images[b, np.clip(np.arange(5) + down, 0, 4)[:, None], np.clip(np.arange(7) + right, 0, 6)]
        assert np.array_equal(shifted[b], source), b


def test_a_shift_moves_what_is_seen_and_repeats_the_edge(nn: Ops) -> None:
    image = np.arange(12, dtype=np.uint8).reshape(1, 3, 4, 1)

    def shifted(rows: int, columns: int) -> list[list[int]]:
        offsets = nn.array(np.int32([[2 - rows, 2 - columns]]))
        return np.asarray(nn.shift_images(nn.array(image), offsets, 2))[0, ..., 0].tolist()

    assert shifted(0, 0) == image[0, ..., 0].tolist()
    assert shifted(1, 0) == [[0, 1, 2, 3], [0, 1, 2, 3], [4, 5, 6, 7]]
    assert shifted(0, -2) == [[2, 3, 3, 3], [6, 7, 7, 7], [10, 11, 11, 11]]
    none = nn.shift_images(nn.array(image), nn.array(np.int32([[0, 0]])), 0)
    assert np.array_equal(np.asarray(none), image)


def test_views_are_spread_over_the_allowed_shifts() -> None:
    shifts = spread_shifts(8, 3)
    assert shifts[0] == (0, 0)
    assert len(set(shifts)) == 8
    assert shifts == spread_shifts(8, 3)
    assert max(abs(x) for pair in shifts for x in pair) <= 3
    for axis in (0, 1):  # both directions of both axes are seen
        assert min(pair[axis] for pair in shifts) < -1
        assert max(pair[axis] for pair in shifts) > 1
    assert spread_shifts(1, 3) == [(0, 0)]


def test_random_shift_draws_each_offset_equally() -> None:
    drawn = inputs_of().draw_shifts(np.random.default_rng(0), 2000, ("obs", "next_obs"))
    assert set(drawn) == {"noise/obs/shift", "noise/next_obs/shift"}
    assert not np.array_equal(*drawn.values())
    for offsets in drawn.values():
        assert offsets.shape == (2000, 2)
        counts = np.array([[np.sum((offsets == (i, j)).all(1)) for j in range(5)] for i in range(5)])
        assert counts.sum() == 2000
        assert counts.min() > 40  # 80 expected


def test_nothing_is_drawn_where_nothing_is_shifted() -> None:
    rng = np.random.default_rng(0)
    assert inputs_of(shift=0).draw_shifts(rng, 4, ("obs",)) == {}
    assert Inputs.of(agent_spec(), 8, 2).draw_shifts(rng, 4, ("obs",)) == {}


def test_images_without_noise_are_as_they_are(nn: Ops) -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 6), dtype=np.uint8)
    made = np.asarray(inputs_of().image_batch(nn, {f"obs/{STACKED}": nn.array(images)}, "obs"))
    assert made.dtype == np.uint8
    assert np.array_equal(made, images)


def test_images_are_shifted_where_noise_says_so(nn: Ops) -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 6), dtype=np.uint8)
    offsets = np.int32([[2, 2], [0, 4], [3, 1]])
    batch = {f"obs/{STACKED}": nn.array(images), "noise/obs/shift": nn.array(offsets)}
    made = np.asarray(inputs_of().image_batch(nn, batch, "obs"))
    moved = np.asarray(nn.shift_images(nn.array(images), nn.array(offsets), 2))
    assert np.array_equal(made, moved)
    assert np.array_equal(made[0], images[0])
    assert not np.array_equal(made[1], images[1])


def test_cameras_are_averaged_and_stacked() -> None:
    inputs = inputs_of()
    rng = np.random.default_rng(0)
    obs = {name: array.sample(rng) for name, array in agent_spec(pixels=True).observation.items()}
    prepared = inputs.prepare(obs)
    blocks = obs["wrist"].reshape(8, 2, 8, 2, 3).mean((1, 3))
    assert np.abs(prepared[STACKED][..., 3:].astype(float) - blocks).max() <= 1.0
    assert np.array_equal(prepared["state"], obs["state"])
    assert inputs_of(size=16).prepare(obs)[STACKED][..., :3].tolist() == obs["front"].tolist()


# Crops ---------------------------------------------------------------------------------------------------------


def wide_spec(height: int = 24, width: int = 32) -> EnvSpec:
    spec = agent_spec(pixels=True)
    wide = ArraySpec(shape=(height, width, 3), dtype="uint8")
    return replace(spec, observation={**spec.observation, "wrist": wide})


@pytest.mark.parametrize("crop", [(4, 10, 16, 16), (1 / 6, 10 / 32, 2 / 3, 0.5)])
def test_a_crop_is_cut_out_before_the_image_is_scaled(crop: tuple[float, ...]) -> None:
    inputs = Inputs.of(wide_spec(), 8, 2, {"wrist": crop})
    rng = np.random.default_rng(0)
    obs = {name: array.sample(rng) for name, array in wide_spec().observation.items()}
    blocks = obs["wrist"][4:20, 10:26].reshape(8, 2, 8, 2, 3).mean((1, 3))
    assert np.abs(inputs.prepare(obs)[STACKED][..., 3:].astype(float) - blocks).max() <= 1.0


def test_small_images_are_enlarged_and_any_size_is_scaled() -> None:
    for size in (7, 16, 24):
        inputs = Inputs.of(agent_spec(pixels=True), size, 2)
        rng = np.random.default_rng(0)
        obs = {name: array.sample(rng) for name, array in agent_spec(pixels=True).observation.items()}
        assert inputs.prepare(obs)[STACKED].shape == (size, size, 6)


def test_what_is_no_square_is_refused_with_a_crop_that_would_do() -> None:
    with pytest.raises(SpecError, match=r"'wrist' has 24x32 pixels.*crops wrist 0 4 24 24"):
        Inputs.of(wide_spec(), 8, 2)
    with pytest.raises(SpecError, match="of which 24x20 are looked at"):
        Inputs.of(wide_spec(), 8, 2, {"wrist": (0, 0, 24, 20)})
    inputs = Inputs.of(wide_spec(25, 33), 8, 2, {"wrist": (0.0, 0.1, 1.0, 0.75)})  # 25 x 24.75 pixels
    assert inputs.windows["wrist"] == (slice(0, 25), slice(3, 28))


def test_a_crop_beyond_the_image_is_refused() -> None:
    for crop in ((10, 0, 16, 16), (0, 20, 16, 16), (0.5, 0.0, 0.75, 0.5625)):
        with pytest.raises(SpecError, match="the image has 24x32"):
            Inputs.of(wide_spec(), 8, 2, {"wrist": crop})


def test_a_crop_of_no_camera_is_refused() -> None:
    with pytest.raises(SpecError, match="crops name side; the cameras of test/Agent-v0 are front, wrist"):
        Inputs.of(agent_spec(pixels=True), 8, 2, {"side": (0, 0, 8, 8)})


def test_crops_are_checked_before_there_is_a_camera() -> None:
    for crop in ((0, 0, 0, 8), (-1, 0, 8, 8), (0, 0, 8), (0, 0, float("nan"), 8)):
        with pytest.raises(ConfigError, match="crop of 'front'"):
            AnchoredConfig(crops={"front": crop})


@given(st.floats(0.5, 50.0), st.integers(1, 5))
def test_vectors_are_looked_at_twice_with_a_gain(gain: float, rows: int) -> None:
    nn = library("torch")
    inputs = Inputs.of(agent_spec(), 8, 0, gain=gain)
    state = np.random.default_rng(rows).normal(0.0, 0.2, (rows, inputs.vector_size)).astype(np.float32)
    batch = {"obs/state": nn.array(state)}
    seen = np.asarray(inputs.look_at_vectors(nn, batch, "obs"))
    assert seen.shape == (rows, inputs.vector_features) == (rows, 2 * inputs.vector_size)
    assert np.array_equal(seen[:, : inputs.vector_size], state)
    assert seen[:, inputs.vector_size :] == pytest.approx(np.tanh(gain * state), abs=1e-6)


def test_vectors_are_looked_at_once_without_gain() -> None:
    nn = library("torch")
    inputs = Inputs.of(agent_spec(), 8, 0)
    batch = {"obs/state": nn.array(np.ones((2, inputs.vector_size), np.float32))}
    assert np.asarray(inputs.look_at_vectors(nn, batch, "obs")).shape == (2, inputs.vector_features)
    assert inputs.vector_features == inputs.vector_size
