"""What turns images into features: the small encoder, or a frozen pretrained trunk under a trained head."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from robot_hil.data.specs import Array
from robot_hil.policies.nets.conv import ConvSpec, conv, init_conv
from robot_hil.policies.nets.embedding import EmbeddingSpec, embedding, init_embedding
from robot_hil.policies.ops import A, Batch, Ops, Params
from robot_hil.policies.trunks import Trunk

ENCODER = "encoder"
_HALF = 6e4
"""Just below the largest number of float16, as which encodings are kept."""


class Encoder(Protocol):
    """Two halves: what runs once per frame where it is frozen, and what is trained on its output in any case."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the encoding of one frame."""
        ...

    @property
    def features(self) -> int:
        """Size of what `finish` returns."""
        ...

    def init(self, rng: np.random.Generator) -> dict[str, Array]:
        """Make the trained parameters, `encoder/...`."""
        ...

    def constants(self) -> dict[str, Array]:
        """Return the frozen ones, `constant/...`; `encode` finds them in the batch."""
        ...

    def encode(self, nn: Ops, params: Params, batch: Batch, images: A) -> A:
        """Encode uint8 images (B, H, W, 3 * cameras) -> (B, *shape)."""
        ...

    def finish(self, nn: Ops, params: Params, encoded: A, vectors: A | None) -> A:
        """Join encodings (B, *shape) and vectors (B, V) into what is seen, (B, features)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallEncoder:
    """A few convolutions and a soft-argmax: all of it is encoding, vectors are joined to it as they are."""

    conv: ConvSpec
    vectors: int

    @property
    def shape(self) -> tuple[int, ...]:
        """See `Encoder.shape`."""
        return (self.conv.features,)

    @property
    def features(self) -> int:
        """See `Encoder.features`."""
        return self.conv.features + self.vectors

    def init(self, rng: np.random.Generator) -> dict[str, Array]:
        """See `Encoder.init`."""
        return init_conv(ENCODER, self.conv, rng)

    def constants(self) -> dict[str, Array]:
        """See `Encoder.constants`."""
        return {}

    def encode(self, nn: Ops, params: Params, batch: Batch, images: A) -> A:
        """See `Encoder.encode`."""
        return conv(nn, params, ENCODER, self.conv, nn.float32(images) * (1.0 / 255.0) - 0.5)

    def finish(self, nn: Ops, params: Params, encoded: A, vectors: A | None) -> A:
        """See `Encoder.finish`."""
        return encoded if vectors is None else nn.concat([encoded, vectors], -1)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrunkEncoder:
    """A frozen trunk's maps, channel by channel, under spatial learned embeddings."""

    trunk: Trunk
    head: EmbeddingSpec

    @property
    def shape(self) -> tuple[int, ...]:
        """See `Encoder.shape`: places last, as `embedding` takes them."""
        return (self.head.cameras * self.head.channels, self.head.places)

    @property
    def features(self) -> int:
        """See `Encoder.features`."""
        return self.head.features

    def init(self, rng: np.random.Generator) -> dict[str, Array]:
        """See `Encoder.init`."""
        return init_embedding(ENCODER, self.head, rng)

    def constants(self) -> dict[str, Array]:
        """See `Encoder.constants`."""
        return dict(self.trunk.params)

    def encode(self, nn: Ops, params: Params, batch: Batch, images: A) -> A:
        """See `Encoder.encode`; one trunk looks through all cameras."""
        rows, height, width, channels = images.shape
        cameras = channels // 3
        single = nn.transpose(images.reshape(rows, height, width, cameras, 3), (0, 3, 1, 2, 4))
        maps = self.trunk.maps(nn, batch, single.reshape(rows * cameras, height, width, 3))
        by_channel = nn.transpose(maps.reshape(rows, cameras, self.head.places, self.head.channels), (0, 1, 3, 2))
        return nn.clip(by_channel.reshape(rows, *self.shape), -_HALF, _HALF)

    def finish(self, nn: Ops, params: Params, encoded: A, vectors: A | None) -> A:
        """See `Encoder.finish`."""
        return embedding(nn, params, ENCODER, self.head, encoded, vectors)
