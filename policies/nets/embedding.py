"""What is trained on a frozen trunk's maps: spatial learned embeddings, and a branch for what the arm feels."""

import math
from dataclasses import dataclass

import numpy as np

from robot_hil.data.specs import Array
from robot_hil.policies.nets.mlp import xavier_uniform
from robot_hil.policies.ops import A, Ops, Params


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingSpec:
    """Head of HIL-SERL (Luo et al. 2024, arXiv 2410.21845): per camera a dense layer on weighted sums over the map.

    Every channel of a camera's map is multiplied by `embeddings` learnt masks over its places and summed; a dense
    layer, a layer norm and tanh follow. Vectors pass a dense layer, a layer norm and tanh of their own. The published
    dropout between sums and dense layer is left out: one encoding serves critics and actor alike.
    """

    cameras: int
    places: int
    channels: int
    vectors: int
    """Size of the concatenated vectors; 0 for none."""
    embeddings: int = 8
    outputs: int = 256
    """Of each camera."""
    vector_outputs: int = 64
    """0 passes the vectors on as they are."""

    @property
    def features(self) -> int:
        """Size of what comes out."""
        return self.cameras * self.outputs + (self.vector_outputs or self.vectors if self.vectors else 0)


def init_embedding(name: str, spec: EmbeddingSpec, rng: np.random.Generator) -> dict[str, Array]:
    """Make `name/masks` (cameras * channels, places, embeddings), `name/dense/...` and `name/vectors/...`."""
    fan, sums = spec.places * spec.channels, spec.channels * spec.embeddings
    masks = rng.standard_normal((spec.cameras * spec.channels, spec.places, spec.embeddings)) / math.sqrt(fan)
    params = {
        f"{name}/masks": masks.astype(np.float32),
        f"{name}/dense/kernel": xavier_uniform((spec.cameras, sums, spec.outputs), rng),
        f"{name}/dense/bias": np.zeros((spec.cameras, 1, spec.outputs), np.float32),
        f"{name}/dense/scale": np.ones((spec.cameras, 1, spec.outputs), np.float32),
        f"{name}/dense/shift": np.zeros((spec.cameras, 1, spec.outputs), np.float32),
    }
    if spec.vectors and spec.vector_outputs:
        params |= {
            f"{name}/vectors/kernel": xavier_uniform((spec.vectors, spec.vector_outputs), rng),
            f"{name}/vectors/bias": np.zeros(spec.vector_outputs, np.float32),
            f"{name}/vectors/scale": np.ones(spec.vector_outputs, np.float32),
            f"{name}/vectors/shift": np.zeros(spec.vector_outputs, np.float32),
        }
    return params


def embedding(nn: Ops, params: Params, name: str, spec: EmbeddingSpec, maps: A, vectors: A | None) -> A:
    """Embed maps (B, cameras * channels, places) and vectors (B, vectors) -> (B, features)."""
    rows = maps.shape[0]
    # Places last: a channel's map is one line of cache.
    sums = nn.masked_sums(maps, params[f"{name}/masks"]).reshape(rows, spec.cameras, -1)
    sums = nn.transpose(sums, (1, 0, 2))
    seen = nn.transpose(_dense(nn, params, f"{name}/dense", sums), (1, 0, 2)).reshape(rows, -1)
    if vectors is None:
        return seen
    felt = _dense(nn, params, f"{name}/vectors", vectors) if spec.vector_outputs else vectors
    return nn.concat([seen, felt], -1)


def _dense(nn: Ops, params: Params, name: str, x: A) -> A:
    made = nn.layer_norm(nn.linear(x, params[f"{name}/kernel"], params[f"{name}/bias"]))
    return nn.tanh(made * params[f"{name}/scale"] + params[f"{name}/shift"])
