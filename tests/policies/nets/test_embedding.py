"""Spatial learned embeddings: what is summed, and how much of it is trained."""

import numpy as np
import pytest

from robot_hil.policies.nets.embedding import EmbeddingSpec, embedding, init_embedding
from robot_hil.policies.ops import Ops

SPEC = EmbeddingSpec(cameras=2, places=6, channels=3, vectors=4, embeddings=2, outputs=5, vector_outputs=7)


def normed(x: np.ndarray) -> np.ndarray:
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)


def test_every_channel_is_weighted_over_its_places_and_summed(nn: Ops) -> None:
    rng = np.random.default_rng(0)
    params = {k: v + 0.1 for k, v in init_embedding("head", SPEC, rng).items()}
    maps, vectors = rng.standard_normal((4, 6, 6)).astype(np.float32), rng.standard_normal((4, 4)).astype(np.float32)
    own = {name: nn.array(value) for name, value in params.items()}
    made = np.asarray(embedding(nn, own, "head", SPEC, nn.array(maps), nn.array(vectors)))
    assert made.shape == (4, SPEC.features) == (4, 2 * 5 + 7)
    for camera in range(2):
        masks = params["head/masks"].reshape(2, 3, 6, 2)[camera]
        sums = np.einsum("bcp,cpf->bcf", maps.reshape(4, 2, 3, 6)[:, camera], masks).reshape(4, -1)
        dense = normed(sums @ params["head/dense/kernel"][camera] + params["head/dense/bias"][camera])
        wanted = np.tanh(dense * params["head/dense/scale"][camera] + params["head/dense/shift"][camera])
        assert made[:, 5 * camera : 5 * camera + 5] == pytest.approx(wanted, abs=1e-4)
    felt = normed(vectors @ params["head/vectors/kernel"] + params["head/vectors/bias"])
    wanted = np.tanh(felt * params["head/vectors/scale"] + params["head/vectors/shift"])
    assert made[:, 10:] == pytest.approx(wanted, abs=1e-4)


def test_vectors_may_be_none_or_passed_on(nn: Ops) -> None:
    plain = EmbeddingSpec(cameras=1, places=2, channels=2, vectors=3, outputs=4, vector_outputs=0)
    params = {k: nn.array(v) for k, v in init_embedding("head", plain, np.random.default_rng(0)).items()}
    maps, vectors = nn.array(np.ones((2, 2, 2))), nn.array(np.full((2, 3), 9.0))
    made = np.asarray(embedding(nn, params, "head", plain, maps, vectors))
    assert made.shape == (2, plain.features) == (2, 7)
    assert (made[:, 4:] == 9.0).all()
    assert np.asarray(embedding(nn, params, "head", plain, maps, None)).shape == (2, 4)


def test_the_published_sizes() -> None:
    spec = EmbeddingSpec(cameras=2, places=16, channels=512, vectors=18)
    params = init_embedding("head", spec, np.random.default_rng(0))
    count = sum(value.size for value in params.values())
    assert count == 2 * (16 * 512 * 8 + 4096 * 256 + 3 * 256) + 18 * 64 + 3 * 64
    assert spec.features == 2 * 256 + 64
