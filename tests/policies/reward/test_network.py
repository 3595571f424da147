"""Members of an ensemble are networks of their own, however they are computed."""

import numpy as np
import pytest

from robot_hil.data.specs import Array
from robot_hil.policies.reward.backend import make_engine
from robot_hil.policies.reward.network import Classifier, Ensemble
from robot_hil.policies.reward.training import Scorer

NETWORK = Classifier(
    ensemble=Ensemble(members=3, cameras=2, filters=(4, 5), strides=(2, 2), vectors=2),
    hidden=(6,), classes=2, rate=1e-2, smoothing=0.0, shift=0,
)  # fmt: skip
RNG = np.random.default_rng(0)
FRAMES = {
    "images": RNG.integers(0, 256, (7, 12, 12, 6), dtype=np.uint8),
    "vectors": RNG.normal(size=(7, 2)).astype(np.float32),
}


def logits(params: dict[str, Array], backend: str = "torch") -> Array:
    return Scorer(make_engine(backend), NETWORK, params).logits(FRAMES)


def changed(name: str, value: Array, member: int) -> Array:
    """Move one member's numbers: convolutions are (camera, member, ...), heads (member, ...)."""
    moved = value.copy()
    moved[(slice(None), member) if name.startswith("encoder/") else member] += 0.3
    return moved


def test_no_member_sees_anothers_parameters() -> None:
    params = NETWORK.init(np.random.default_rng(1))
    before = logits(params)
    assert before.shape == (3, 7, 2)
    own = {name for name in params if not name.startswith("scale/")}
    after = logits({name: changed(name, value, 1) if name in own else value for name, value in params.items()})
    assert np.array_equal(before[0], after[0])
    assert np.array_equal(before[2], after[2])
    assert not np.allclose(before[1], after[1])


def test_a_member_alone_says_the_same() -> None:
    params = NETWORK.init(np.random.default_rng(1))
    single = Classifier(
        ensemble=Ensemble(members=1, cameras=2, filters=(4, 5), strides=(2, 2), vectors=2),
        hidden=(6,), classes=2, rate=1e-2, smoothing=0.0, shift=0,
    )  # fmt: skip
    alone = {
        name: value if name.startswith("scale/") else value[:, 2:3] if name.startswith("encoder/") else value[2:3]
        for name, value in params.items()
    }
    said = Scorer(make_engine("torch"), single, alone).logits(FRAMES)
    assert said[0] == pytest.approx(logits(params)[2], abs=1e-5)


def test_both_libraries_say_the_same() -> None:
    params = NETWORK.init(np.random.default_rng(1))
    assert logits(params, "jax") == pytest.approx(logits(params, "torch"), abs=1e-5)


def test_many_frames_are_looked_at_in_chunks() -> None:
    params = NETWORK.init(np.random.default_rng(1))
    many = {name: np.concatenate([array] * 20) for name, array in FRAMES.items()}
    said = Scorer(make_engine("torch"), NETWORK, params).logits(many)
    assert said == pytest.approx(np.concatenate([logits(params)] * 20, 1), abs=1e-5)
