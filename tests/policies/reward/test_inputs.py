"""What a model sees of an observation."""

from dataclasses import replace

import numpy as np
import pytest
from reward_frames import SIZE, SPEC, TINY, seen

from robot_hil.data.specs import Array
from robot_hil.errors import SpecError
from robot_hil.policies.reward.config import Crop
from robot_hil.policies.reward.inputs import FrameInputs, with_features

OBS = seen(0.5, np.random.default_rng(0))


def test_cameras_are_stacked_and_vectors_put_side_by_side() -> None:
    inputs = FrameInputs.of(SPEC, replace(TINY, vectors=("proprio",)), {})
    made = inputs.prepare(OBS)
    assert np.array_equal(made["images"][..., :3], OBS["front"])
    assert np.array_equal(made["images"][..., 3:], OBS["side"])
    assert np.array_equal(made["vectors"], OBS["proprio"])
    assert inputs.vector_size == 2
    assert inputs.batch([OBS] * 3)["images"].shape == (3, SIZE, SIZE, 6)
    assert inputs.batch([])["vectors"].shape == (0, 2)


def test_the_configurations_crop_counts_before_the_data_sets() -> None:
    wide, narrow = Crop(top=0, left=0, height=16, width=16), Crop(top=4, left=2, height=8, width=8)
    config = replace(TINY, cameras=("front",), image_size=8)
    theirs = FrameInputs.of(SPEC, config, {"front": narrow}).prepare(OBS)["images"]
    assert np.array_equal(theirs, OBS["front"][4:12, 2:10])
    ours = FrameInputs.of(SPEC, replace(config, crops={"front": wide}), {"front": narrow}).prepare(OBS)["images"]
    assert ours.shape == (8, 8, 3)
    assert not np.array_equal(ours, theirs)
    grown = FrameInputs.of(SPEC, replace(config, image_size=32), {"front": narrow}).prepare(OBS)["images"]
    assert grown.shape == (32, 32, 3)


def test_a_trunk_sees_every_view_of_every_camera() -> None:
    prepared = FrameInputs.of(SPEC, TINY, {}).batch([OBS, seen(1.0, np.random.default_rng(1))])
    calls: list[Array] = []

    def mean(images: Array) -> Array:
        calls.append(images)
        return images.reshape(len(images), -1).mean(1, keepdims=True)

    made = with_features(prepared, mean, ((0, 0), (1, 0), (0, -2)))
    assert made["features"].shape == (2, 3, 2)
    assert made["features"].dtype == np.float32
    assert made["features"][1, 0, 1] == pytest.approx(prepared["images"][1, ..., 3:].mean(), rel=1e-5)
    (images,) = calls
    assert images.shape == (12, SIZE, SIZE, 3)
    assert np.array_equal(images[4][1:], prepared["images"][0, :-1, :, :3])  # the second view is a row lower


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(SpecError, match="vector 'force' does not exist"):
        FrameInputs.of(SPEC, replace(TINY, vectors=("force",)), {})
    blind = replace(SPEC, observation={"proprio": SPEC.observation["proprio"]})
    with pytest.raises(SpecError, match="shows no images"):
        FrameInputs.of(blind, TINY, {})
