"""How far what is happening lies from what was seen before: distance to the nearest steps of a reference.

A step is described by the observation, by how it changed since the step before, and by the action that changed it. All
of that is decorrelated and scaled together (Mahalanobis): so where two features always went together, e.g. an action
and the motion that follows, it is noticed when they no longer do, although each by itself looks as always.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from robot_hil.data.specs import Array, FloatArray, Observation
from robot_hil.errors import ConfigError, SpecError

NEIGHBOURS = 5
MAX_REFERENCE = 2000
"""Steps of the reference that are kept, evenly spread: the distance is asked for in every control period."""
MAX_FEATURES = 64
_FLOOR = 1e-4
"""Least variance of a direction, as a share of the largest: what never varied must not be divided by zero."""
_BLOCKS = 4
"""Images are seen as so many by so many mean colours: coarse, but it tells another light, or another place."""


def look(obs: Observation) -> FloatArray:
    """Return an observation as one vector, float64: its vectors, and its images as a few mean colours in [0, 1]."""
    parts = []
    for name in sorted(obs):
        value = obs[name]
        parts.append(_coarse(value) if value.dtype == np.uint8 and value.ndim == 3 else value.ravel())
    return np.concatenate(parts).astype(np.float64)


def _coarse(image: Array) -> Array:
    high, wide = (size // _BLOCKS for size in image.shape[:2])
    if not high or not wide:
        raise SpecError(f"an image is {image.shape}; at least {_BLOCKS}x{_BLOCKS} pixels are needed.")
    cut = image[: high * _BLOCKS, : wide * _BLOCKS].reshape(_BLOCKS, high, _BLOCKS, wide, -1)
    colours: Array = cut.mean((1, 3)).ravel() / 255.0
    return colours


def describe(now: FloatArray, before: FloatArray | None, action: Array) -> FloatArray:
    """Return the features of a step: observation, change since the step before, and the action that made it.

    At the start of an episode, `before` None, there was no change and no action.
    """
    if before is None:
        return np.concatenate([now, np.zeros_like(now), np.zeros(len(action))])
    return np.concatenate([now, now - before, action])


def describe_episode(observations: Sequence[Observation], actions: Sequence[Array]) -> FloatArray:
    """Return the features (n, D) of n steps in order; `actions` are what was executed in each."""
    looks = [look(obs) for obs in observations]
    before: list[FloatArray | None] = [None, *looks[:-1]]
    earlier = [actions[0], *actions[:-1]]
    return np.stack([describe(n, b, a) for n, b, a in zip(looks, before, earlier, strict=True)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """Steps seen before, decorrelated. `asked` costs some ten microseconds."""

    mean: Array
    """(D,)"""
    whiten: Array
    """(D, d): features less the mean, times this, have unit variance."""
    points: Array
    """(m, d), float32."""

    def distance(self, features: Array) -> float:
        """Return the mean distance of one step's features (D,) to its nearest neighbours, in standard deviations."""
        if features.shape != self.mean.shape:
            raise SpecError(f"features are {features.shape}; this reference was made of {self.mean.shape}.")
        apart = self.points - ((features - self.mean) @ self.whiten).astype(np.float32)
        squares = np.einsum("md,md->m", apart, apart)
        nearest = np.partition(squares, NEIGHBOURS - 1)[:NEIGHBOURS]
        return float(np.sqrt(nearest / self.points.shape[1]).mean())

    def distances(self, features: Array) -> Array:
        """Return (n,) for (n, D)."""
        return np.array([self.distance(row) for row in features])


def refer(features: Array) -> Reference:
    """Make the reference of steps' features (n, D); raises `ConfigError` for fewer than ten."""
    if len(features) < 2 * NEIGHBOURS:
        raise ConfigError(f"a reference needs at least {2 * NEIGHBOURS} steps; there are {len(features)}.")
    mean = features.mean(0)
    variance, axes = np.linalg.eigh(np.cov(features, rowvar=False).reshape(features.shape[1], -1))
    variance, axes = variance[::-1][:MAX_FEATURES], axes[:, ::-1][:, :MAX_FEATURES]
    scale = 1.0 / np.sqrt(np.maximum(variance, max(_FLOOR * float(variance[0]), 1e-12)))
    whiten = axes * scale
    picked = np.linspace(0, len(features) - 1, min(MAX_REFERENCE, len(features))).round().astype(int)
    return Reference(mean=mean, whiten=whiten, points=((features[picked] - mean) @ whiten).astype(np.float32))
