"""Which observations an algorithm reads, and how images are prepared: in numpy, whatever trains."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import cv2
import numpy as np

from robot_hil.data.specs import Array, ArraySpec, EnvSpec, Observation
from robot_hil.errors import SpecError
from robot_hil.policies.config import Part
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
    windows: Mapping[str, tuple[slice, slice]] = field(default_factory=dict)
    """Rows and columns of each camera's image that are looked at: a square."""
    gain: float = 0.0
    """Of the vectors' second look, see `look_at_vectors`; 0 has none."""

    @staticmethod
    def of(
        spec: EnvSpec, image_size: int, shift: int, crops: Mapping[str, Part] | None = None, gain: float = 0.0
    ) -> "Inputs":
        """Read the specification of an environment's observations."""
        crops = crops or {}
        if unknown := sorted(set(crops) - set(spec.images)):
            raise SpecError(
                f"crops name {', '.join(unknown)}; the cameras of {spec.env_id} are {', '.join(spec.images) or 'none'}."
            )
        return Inputs(
            vectors=spec.vectors,
            images=spec.images,
            vector_size=sum(spec.observation[name].shape[0] for name in spec.vectors),
            image_size=image_size,
            shift=shift,
            windows={name: window(name, spec.observation[name].shape, crops.get(name)) for name in spec.images},
            gain=gain,
        )

    @property
    def vector_features(self) -> int:
        """Numbers that `look_at_vectors` returns for a row."""
        return self.vector_size * (2 if self.gain else 1)

    def elements(self, spec: EnvSpec, names: tuple[str, ...]) -> tuple[int, ...]:
        """Return where in the concatenated vectors the features lie whose names begin with one of `names`."""
        have = [name for vector in self.vectors for name in spec.observation[vector].names]
        for wanted in names:
            if len(have) != self.vector_size or not any(name.startswith(wanted) for name in have):
                raise SpecError(f"no feature's name begins with {wanted!r}; {spec.env_id} has {', '.join(have)}.")
        return tuple(i for i, name in enumerate(have) if names and name.startswith(names))

    def stored(self, spec: EnvSpec, images: bool = True) -> dict[str, ArraySpec]:
        """Arrays as the replay keeps them: vectors, and all cameras scaled down and stacked along their channels."""
        arrays = {name: spec.observation[name] for name in self.vectors}
        if self.images and images:
            shape = (self.image_size, self.image_size, 3 * len(self.images))
            arrays[STACKED] = ArraySpec(shape=shape, dtype="uint8")
        return arrays

    def prepare(self, obs: Observation) -> dict[str, Array]:
        """Turn one raw observation into `stored` arrays: images are cut out, scaled and stacked."""
        prepared = {name: obs[name] for name in self.vectors}
        if self.images:
            scaled = [self._scale(obs[name][self.windows[name]]) for name in self.images]
            prepared[STACKED] = np.concatenate(scaled, axis=-1)
        return prepared

    def _scale(self, image: Array) -> Array:
        side = image.shape[0]
        if side == self.image_size:
            return image
        # area: every pixel counts alike, nothing flickers as it moves
        way = cv2.INTER_AREA if side > self.image_size else cv2.INTER_LINEAR
        return cv2.resize(image, (self.image_size, self.image_size), interpolation=way)

    def vector_batch(self, nn: Ops, batch: Batch, prefix: str) -> A:
        """Concatenate vector observations -> (B, vector_size)."""
        parts = [batch[f"{prefix}/{name}"] for name in self.vectors]
        return parts[0] if len(parts) == 1 else nn.concat(parts, -1)

    def look_at_vectors(self, nn: Ops, batch: Batch, prefix: str) -> A:
        """Return vector observations x and tanh(gain x) -> (B, vector_features).

        Where an error nears zero millimetres decide, and a network that must see decimetres, too, is flat there.
        """
        vectors = self.vector_batch(nn, batch, prefix)
        return nn.concat([vectors, nn.tanh(self.gain * vectors)], -1) if self.gain else vectors

    def image_batch(self, nn: Ops, batch: Batch, prefix: str) -> A:
        """Return images uint8 (B, H, W, 3 * cameras); shifted where the batch has noise for that.

        All cameras of a sample shift together, as in HIL-SERL; edges are replicated (Kostrikov et al. 2020, DrQ).
        """
        images = batch[f"{prefix}/{STACKED}"]
        offsets = batch.get(f"noise/{prefix}/shift")
        return images if offsets is None else nn.shift_images(images, offsets, self.shift)

    def draw_shifts(self, rng: np.random.Generator, rows: int, prefixes: tuple[str, ...]) -> dict[str, Array]:
        """Draw the shift of every row's images at `prefixes`; nothing without images or shifts."""
        if not (self.images and self.shift):
            return {}
        return {
            f"noise/{prefix}/shift": rng.integers(0, 2 * self.shift + 1, (rows, 2), dtype=np.int32)
            for prefix in prefixes
        }


def window(name: str, shape: tuple[int, ...], crop: Part | None) -> tuple[slice, slice]:
    """Return rows and columns of an image of `shape` that `crop` leaves, all without one.

    Raises `SpecError` for what is not within the image or no square: what is squeezed is not where it seems to be.
    """
    height, width = shape[:2]
    top, left, rows, columns = crop or (0.0, 0.0, 1.0, 1.0)
    if rows <= 1 and columns <= 1:
        top, left, rows, columns = top * height, left * width, rows * height, columns * width
    first_row, first_column, rows, columns = (round(x) for x in (top, left, rows, columns))
    if abs(rows - columns) == 1:  # shares of an image seldom are whole pixels
        rows = columns = min(rows, columns)
    if rows != columns:
        side = min(height, width)
        raise SpecError(
            f"image {name!r} has {height}x{width} pixels, of which {rows}x{columns} are looked at; the encoder takes "
            f"squares. Give a crop, e.g. crops {name} {(height - side) // 2} {(width - side) // 2} {side} {side}."
        )
    if first_row + rows > height or first_column + columns > width or rows < 1:
        raise SpecError(
            f"the crop {crop} of image {name!r} leaves {rows}x{columns} pixels from row {first_row}, column "
            f"{first_column} on; the image has {height}x{width}. Choose a part of it."
        )
    return slice(first_row, first_row + rows), slice(first_column, first_column + columns)


def spread_shifts(count: int, pad: int) -> list[tuple[int, int]]:
    """Return `count` shifts (rows, columns) of up to `pad` pixels, none first, spread evenly and always the same."""
    # The additive recurrence of Roberts (2018): the plane's most evenly spread sequence, after the golden ratio.
    steps = np.arange(count)[:, None] * np.array([0.7548776662, 0.5698402910]) + 0.5
    return [(int(row), int(column)) for row, column in np.round((steps % 1.0 * 2 - 1) * pad)]
