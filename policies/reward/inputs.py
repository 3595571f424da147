"""What a reward model sees of an observation: parts of images, scaled and stacked, and vectors side by side."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from robot_hil.data.specs import Array, ArraySpec, EnvSpec, Observation
from robot_hil.errors import ConfigError, SpecError
from robot_hil.policies.reward.config import Crop, FrameConfig

Features = Callable[[Array], Array]
"""A frozen trunk: uint8 images (n, S, S, 3) -> float32 features (n, d)."""
Prepared = dict[str, Array]
"""`images` uint8 (n, S, S, 3 * cameras), or `features` float32 (n, views, d) of a trunk; `vectors` float32 (n, v)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameInputs:
    """Turns observations into arrays of one shape."""

    cameras: tuple[str, ...]
    crops: tuple[Crop, ...]
    """One per camera."""
    vectors: tuple[str, ...]
    size: int
    """Side of the images [pixels]."""
    specs: tuple[ArraySpec, ...]
    """Of cameras and vectors, in this order: what every observation must fit."""

    @staticmethod
    def of(spec: EnvSpec, config: FrameConfig, crops: Mapping[str, Crop]) -> "FrameInputs":
        """Fit an environment; `crops` are the data set's own. Raises `SpecError` for names that it does not have."""
        cameras = config.cameras or spec.images
        if not cameras:
            raise SpecError(f"{spec.env_id} shows no images; a reward from images needs one. Use obs_type='pixels'.")
        for kind, names, known in (("camera", cameras, spec.images), ("vector", config.vectors, spec.vectors)):
            for name in names:
                if name not in known:
                    raise SpecError(f"{kind} {name!r} does not exist; {spec.env_id} has {', '.join(known) or 'none'}.")
        chosen = {**crops, **config.crops}
        found = []
        for name in cameras:
            height, width, _ = spec.observation[name].shape
            crop = chosen.get(name, Crop(top=0, left=0, height=height, width=width))
            if crop.top + crop.height > height or crop.left + crop.width > width:
                raise ConfigError(f"{crop} leaves the image of {name!r}, which has {height} rows, {width} columns.")
            found.append(crop)
        return FrameInputs(
            cameras=tuple(cameras),
            crops=tuple(found),
            vectors=config.vectors,
            size=config.image_size,
            specs=tuple(spec.observation[name] for name in (*cameras, *config.vectors)),
        )

    @property
    def vector_size(self) -> int:
        """Numbers in the vectors together."""
        return sum(array.shape[0] for array in self.specs[len(self.cameras) :])

    def prepare(self, obs: Observation) -> Prepared:
        """Turn one observation into arrays without the batch axis; raises `SpecError` for one that does not fit."""
        names = (*self.cameras, *self.vectors)
        for name, array in zip(names, self.specs, strict=True):
            if name not in obs:
                raise SpecError(f"observation has {sorted(obs)}; the reward model was made for {', '.join(names)}.")
            array.validate(obs[name], f"observation {name!r}")
        parts = [self._part(obs[name], crop) for name, crop in zip(self.cameras, self.crops, strict=True)]
        vectors = [obs[name] for name in self.vectors] or [np.zeros(0)]
        return {"images": np.concatenate(parts, -1), "vectors": np.concatenate(vectors).astype(np.float32)}

    def batch(self, observations: Sequence[Observation]) -> Prepared:
        """Turn n observations into arrays (n, ...)."""
        made = [self.prepare(obs) for obs in observations]
        if not made:
            images = np.zeros((0, self.size, self.size, 3 * len(self.cameras)), np.uint8)
            return {"images": images, "vectors": np.zeros((0, self.vector_size), np.float32)}
        return {name: np.stack([one[name] for one in made]) for name in made[0]}

    def _part(self, image: Array, crop: Crop) -> Array:
        import cv2

        part = image[crop.top : crop.top + crop.height, crop.left : crop.left + crop.width]
        if part.shape[:2] == (self.size, self.size):
            return part
        shrinks = part.shape[0] >= self.size and part.shape[1] >= self.size
        way = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        scaled: Array = cv2.resize(part, (self.size, self.size), interpolation=way)
        return scaled


def with_features(prepared: Prepared, features: Features, shifts: Sequence[tuple[int, int]]) -> Prepared:
    """Replace images by a trunk's features of each of their shifted views, cameras one after the other."""
    images = prepared["images"]
    cameras = np.split(images, images.shape[-1] // 3, axis=-1)
    stacked = np.concatenate([_shifted(camera, *shift) for shift in shifts for camera in cameras])
    made = np.asarray(features(np.ascontiguousarray(stacked)), np.float32)
    if made.ndim != 2 or len(made) != len(stacked):
        raise ConfigError(f"the trunk made {made.shape} of {len(stacked)} images; it must return one row for each.")
    views = made.reshape(len(shifts), len(cameras), len(images), -1).transpose(2, 0, 1, 3)
    flat = np.ascontiguousarray(views).reshape(len(images), len(shifts), -1)
    return {"features": flat, "vectors": prepared["vectors"]}


def _shifted(images: Array, rows: int, columns: int) -> Array:
    """Shift images (n, S, S, 3) by whole pixels, edges repeated."""
    _, height, width, _ = images.shape
    down = np.clip(np.arange(height) - rows, 0, height - 1)
    right = np.clip(np.arange(width) - columns, 0, width - 1)
    moved: Array = images[:, down[:, None], right]
    return moved
