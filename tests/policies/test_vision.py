"""Features of images: every view of a frame is encoded, and an update is given one of them; on both backends."""

from dataclasses import replace

import numpy as np
import pytest
from agent_rig import SMALL, Rig


def test_every_view_of_a_frame_is_encoded(backend: str) -> None:
    rig = Rig(SMALL, backend, pixels=True)
    frame = rig.batch(rows=2)
    views = rig.agent.encode(rig.state, {"stacked_images": frame["obs/stacked_images"]})
    count = rig.algorithm._vision.encoder.shape[0]
    array = rig.agent.stored(rig.spec)["encoding"]
    assert (array.shape, array.dtype, array.variants) == ((count,), "float16", 3)
    assert views.shape == (2, 3, count)
    assert views.dtype == np.float16
    plain = rig.see({name: value for name, value in frame.items() if name != "obs/encoding"})
    assert views[:, 0] == pytest.approx(plain[:, :count], abs=1e-3)  # the first is not shifted
    for row in range(2):
        assert not np.allclose(views[row, 0], views[row, 1], atol=1e-2)
        assert not np.allclose(views[row, 1], views[row, 2], atol=1e-2)


def test_views_are_those_of_shifted_images(backend: str) -> None:
    rig = Rig(SMALL, backend, pixels=True)
    frame = rig.batch(rows=2)
    frame.pop("obs/encoding")
    views = rig.agent.encode(rig.state, {"stacked_images": frame["obs/stacked_images"]})
    vision = rig.algorithm._vision
    for i, (rows, columns) in enumerate(vision.shifts):
        down = np.clip(np.arange(8) - rows, 0, 7)
        right = np.clip(np.arange(8) - columns, 0, 7)
        moved = frame["obs/stacked_images"][:, down[:, None], right]
        plain = rig.see(frame | {"obs/stacked_images": moved})
        assert views[:, i] == pytest.approx(plain[:, : vision.encoder.shape[0]], abs=1e-3)


def test_an_update_sees_the_cached_view_that_the_batch_holds(backend: str) -> None:
    rig = Rig(SMALL, backend, pixels=True)
    assert rig.agent.reads["obs"] == ("state", "encoding")
    count = rig.algorithm._vision.encoder.shape[0]
    encoding = np.full((4, count), 0.25, np.float16)
    features = rig.see({"obs/state": np.ones((4, 5), np.float32), "obs/encoding": encoding})
    assert features.tolist() == [[0.25] * count + [1.0] * 5] * 4


def test_one_view_is_not_shifted() -> None:
    rig = Rig(replace(SMALL, views=1), "torch", pixels=True)
    images = rig.batch(rows=2)["obs/stacked_images"]
    assert rig.agent.encode(rig.state, {"stacked_images": images}).shape[1] == 1
    assert rig.algorithm._vision.shifts == ((0, 0),)


def test_shift_zero_leaves_every_view_as_it_is() -> None:
    rig = Rig(replace(SMALL, shift=0), "torch", pixels=True)
    views = rig.agent.encode(rig.state, {"stacked_images": rig.batch(rows=2)["obs/stacked_images"]})
    assert (views == views[:, :1]).all()


def test_what_is_not_encoded_yet_is_zero() -> None:
    rig = Rig(SMALL, "torch", pixels=True)
    rng = np.random.default_rng(0)
    prepared = rig.agent.prepare({name: array.sample(rng) for name, array in rig.spec.observation.items()})
    assert prepared["encoding"].shape == (3, rig.algorithm._vision.encoder.shape[0])
    assert not prepared["encoding"].any()
