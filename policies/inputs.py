"""Which observations an algorithm reads, and how images are prepared: in numpy, whatever trains."""

from dataclasses import dataclass

import cv2
import numpy as np

from robot_hil.data.specs import Array, ArraySpec, EnvSpec, Observation
from robot_hil.errors import SpecError
from robot_hil.policies.ops import A, Batch, Ops

STACKED = "stacked_images"
"""Name of the cameras' images in the replay, stacked along the channels when a step comes in: stacking a batch of
interleaved bytes took a sixth of an update."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """Which observations an agent reads, and how images are prepared."""

    vectors: tuple[str, ...]
    images: tuple[str, ...]
    vector_size: int
    image_size: int
    """Side of the stored square images [pixels]; 0 without images."""
    shift: int
    """Largest random shift in training [pixels]."""

    @staticmethod
    def of(spec: EnvSpec, image_size: int, shift: int) -> "Inputs":
        """Read the specification of an environment's observations."""
        for name in spec.images:
            height, width, _ = spec.observation[name].shape
            if height != width or height % image_size:
                raise SpecError(
                    f"image {name!r} has {height}x{width} pixels; the encoder takes squares whose side is a multiple "
                    f"of its own {image_size}. Change the camera's size or the agent's image_size."
                )
        return Inputs(
            vectors=spec.vectors,
            images=spec.images,
            vector_size=sum(spec.observation[name].shape[0] for name in spec.vectors),
            image_size=image_size,
            shift=shift,
        )

    def elements(self, spec: EnvSpec, names: tuple[str, ...]) -> tuple[int, ...]:
        """Return where in the concatenated vectors the features lie whose names begin with one of `names`."""
        have = [name for vector in self.vectors for name in spec.observation[vector].names]
        for wanted in names:
            if len(have) != self.vector_size or not any(name.startswith(wanted) for name in have):
                raise SpecError(f"no feature's name begins with {wanted!r}; {spec.env_id} has {', '.join(have)}.")
        return tuple(i for i, name in enumerate(have) if names and name.startswith(names))

    def stored(self, spec: EnvSpec) -> dict[str, ArraySpec]:
        """Arrays as the replay keeps them: vectors, and all cameras scaled down and stacked along their channels."""
        arrays = {name: spec.observation[name] for name in self.vectors}
        if self.images:
            shape = (self.image_size, self.image_size, 3 * len(self.images))
            arrays[STACKED] = ArraySpec(shape=shape, dtype="uint8")
        return arrays

    def prepare(self, obs: Observation) -> dict[str, Array]:
        """Turn one raw observation into `stored` arrays: images are averaged over blocks of pixels and stacked."""
        prepared = {name: obs[name] for name in self.vectors}
        if self.images:
            prepared[STACKED] = np.concatenate([self._shrink(obs[name]) for name in self.images], axis=-1)
        return prepared

    def _shrink(self, image: Array) -> Array:
        if image.shape[0] == self.image_size:
            return image
        return cv2.resize(image, (self.image_size, self.image_size), interpolation=cv2.INTER_AREA)

    def vector_batch(self, nn: Ops, batch: Batch, prefix: str) -> A:
        """Concatenate vector observations -> (B, vector_size)."""
        parts = [batch[f"{prefix}/{name}"] for name in self.vectors]
        return parts[0] if len(parts) == 1 else nn.concat(parts, -1)

    def image_batch(self, nn: Ops, batch: Batch, prefix: str) -> A:
        """Return images as floats in [-0.5, 0.5], (B, H, W, 3 * cameras); shifted where the batch has noise for that.

        All cameras of a sample shift together, as in HIL-SERL; edges are replicated (Kostrikov et al. 2020, DrQ).
        """
        images = batch[f"{prefix}/{STACKED}"]
        offsets = batch.get(f"noise/{prefix}/shift")
        if offsets is not None:
            images = nn.shift_images(images, offsets, self.shift)
        return nn.float32(images) * (1.0 / 255.0) - 0.5

    def draw_shifts(self, rng: np.random.Generator, rows: int, prefixes: tuple[str, ...]) -> dict[str, Array]:
        """Draw the shift of every row's images at `prefixes`; nothing without images or shifts."""
        if not (self.images and self.shift):
            return {}
        return {
            f"noise/{prefix}/shift": rng.integers(0, 2 * self.shift + 1, (rows, 2), dtype=np.int32)
            for prefix in prefixes
        }


def spread_shifts(count: int, pad: int) -> list[tuple[int, int]]:
    """Return `count` shifts (rows, columns) of up to `pad` pixels, none first, spread evenly and always the same."""
    # The additive recurrence of Roberts (2018): the plane's most evenly spread sequence, after the golden ratio.
    steps = np.arange(count)[:, None] * np.array([0.7548776662, 0.5698402910]) + 0.5
    return [(int(row), int(column)) for row, column in np.round((steps % 1.0 * 2 - 1) * pad)]
