"""A frozen pretrained trunk as what a classifier is trained upon."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from robot_hil.data.specs import Array
from robot_hil.errors import ConfigError
from robot_hil.policies.base import Engine
from robot_hil.policies.config import TrunkConfig
from robot_hil.policies.nets.conv import soft_argmax
from robot_hil.policies.nets.vit import VitSpec
from robot_hil.policies.ops import A, Batch, Ops, Params
from robot_hil.policies.reward import backend as backend_of
from robot_hil.policies.trunks import Trunk, load_trunk

_SHARPNESS = 4.0
_CHUNK = 16


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrunkFeatures:
    """`Features` of a trunk: where each of its channels is active, and how strongly, (n, 3 * channels).

    A vit adds its token of the whole image: (n, 4 * channels).
    """

    config: TrunkConfig
    """Which file it is, with its hash."""
    trunk: Trunk
    engine: Engine
    placed: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """SHA-256 of the trunk's file; a model that was trained upon it asks for the same."""
        return self.trunk.digest

    def __call__(self, images: Array) -> Array:
        """Look at uint8 images (n, S, S, 3); raises `ConfigError` unless S is the trunk's own."""
        side = self.trunk.image_size
        if images.shape[1:] != (side, side, 3):
            raise ConfigError(
                f"images have the shape {images.shape[1:]}; the trunk takes {side} pixels, so set image_size={side}."
            )
        made = [self._call(images, start) for start in range(0, len(images), _CHUNK)]
        return np.concatenate(made) if made else np.zeros((0, self.size), np.float32)

    @property
    def size(self) -> int:
        """Numbers that it makes of an image."""
        return (3 + self._tokens) * self.trunk.channels

    @property
    def _tokens(self) -> int:
        """Outputs that belong to no place: a vit's first."""
        return int(isinstance(self.trunk.spec, VitSpec))

    def _call(self, images: Array, start: int) -> Array:
        count = min(_CHUNK, len(images) - start)
        rows = np.minimum(np.arange(start, start + (1 if count == 1 else _CHUNK)), start + count - 1)
        return self.engine.run(self._places, dict(self.placed), {"images": images[rows]})[:count]

    def _places(self, nn: Ops, params: Params, batch: Batch) -> A:
        whole = self._tokens
        side = math.isqrt(self.trunk.places - whole)
        maps = self.trunk.maps(nn, params, batch["images"])
        places = maps[:, whole:].reshape(-1, side, side, self.trunk.channels)
        where = soft_argmax(nn, places, _SHARPNESS)
        return nn.concat([where, maps[:, 0]], -1) if whole else where


def trunk_features(config: TrunkConfig, backend: str = "auto") -> TrunkFeatures:
    """Read the trunk that `config` names, for `train(..., features=...)`; raises `StorageError` as `load_trunk`."""
    trunk = load_trunk(config)
    config = replace(config, sha256=trunk.digest)
    engine = backend_of.make_engine(backend_of.choose(backend))
    return TrunkFeatures(config=config, trunk=trunk, engine=engine, placed=engine.place(trunk.params))
