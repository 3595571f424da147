"""Shapes, dtypes, units and limits of what an environment gives and takes."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from robot_hil.errors import SpecError

Array = npt.NDArray[Any]
FloatArray = npt.NDArray[np.floating[Any]]
Observation = Mapping[str, Array]
"""Observation by name: images uint8 (H, W, 3) RGB; everything else float32 vectors (n,)."""


@cache
def _numpy_type(name: str) -> np.dtype[Any]:
    return np.dtype(name)  # looking a name up takes as long as copying a state


def _is_finite(value: Array) -> bool:
    """Tell whether a float array holds neither NaN nor infinity; asked for every step, so as cheaply as can be."""
    if value.dtype.itemsize == 2:  # half precision is compared in software
        return not ((value.view(np.uint16) & 0x7C00) == 0x7C00).any()
    flat = value.ravel()
    return math.isfinite(flat.dot(flat)) or bool(np.isfinite(value).all())


@dataclass(frozen=True, slots=True, kw_only=True)
class ArraySpec:
    """One named array. `validate` refuses what does not match, `sample` makes what does."""

    shape: tuple[int, ...]
    """Shape without batch dimension."""
    dtype: str = "float32"
    """Numpy dtype name; images are `uint8`."""
    variants: int = 0
    """Alternatives of this array kept per observation, e.g. shifted views encoded once: an observation holds
    (variants, *shape), a batch one of them per row, drawn at random, (B, *shape); 0: the array itself."""
    low: float = -np.inf
    """Smallest allowed value of every element."""
    high: float = np.inf
    """Largest allowed value of every element."""
    names: tuple[str, ...] = ()
    """Name of each element with its unit, for vectors, e.g. `tcp_x_base [m]`; empty for images."""

    @property
    def is_image(self) -> bool:
        """True for uint8 (H, W, C) arrays."""
        return self.dtype == "uint8" and len(self.shape) == 3

    @property
    def full_shape(self) -> tuple[int, ...]:
        """Shape of the array in an observation, all variants included."""
        return (self.variants, *self.shape) if self.variants else self.shape

    @property
    def drawn(self) -> "ArraySpec":
        """What a row of a batch holds: one variant."""
        return replace(self, variants=0)

    def validate(self, value: Array, name: str = "array") -> Array:
        """Return `value`, of an observation, unchanged, or raise `SpecError` naming `name` and both sides."""
        shape, dtype = self.full_shape, _numpy_type(self.dtype)
        if not isinstance(value, np.ndarray) or value.shape != shape or value.dtype != dtype:
            found = f"{value.dtype}{value.shape}" if isinstance(value, np.ndarray) else type(value).__name__
            raise SpecError(f"{name} is {found}; the specification says {self.dtype}{shape}.")
        if value.dtype.kind == "f":
            if not _is_finite(value):
                raise SpecError(f"{name} holds NaN or infinity: {value}.")
            limited = self.low > -math.inf or self.high < math.inf
            if limited and ((value < self.low).any() or (value > self.high).any()):
                raise SpecError(f"{name} is {value}; allowed are values in [{self.low}, {self.high}].")
        return value

    def sample(self, rng: np.random.Generator) -> Array:
        """Draw a valid array of an observation, `full_shape`."""
        if self.dtype == "uint8":
            return rng.integers(0, 256, self.full_shape, dtype=np.uint8)
        low, high = max(self.low, -3.0), min(self.high, 3.0)
        return rng.uniform(low, high, self.full_shape).astype(self.dtype)


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvSpec:
    """Everything a learner must know of an environment; compared at HELLO between actor and learner."""

    env_id: str
    """Gymnasium id, e.g. `robot_hil/PickCube-v0`."""
    observation: Mapping[str, ArraySpec]
    """Observation arrays by name."""
    action: ArraySpec
    """Action vector in [-1, 1] with one name per dimension."""
    control_hz: float
    """Policy steps per second."""
    max_episode_steps: int
    """Steps after which an episode is truncated."""
    task: str = ""
    """Instruction in words, e.g. `lift the cube`."""
    version: int = field(default=1)
    """Raised when the meaning of an array changes without its shape."""

    @property
    def images(self) -> tuple[str, ...]:
        """Sorted names of image observations."""
        return tuple(sorted(k for k, s in self.observation.items() if s.is_image))

    @property
    def vectors(self) -> tuple[str, ...]:
        """Sorted names of the other observations; agents concatenate them in this order."""
        return tuple(sorted(k for k, s in self.observation.items() if not s.is_image))

    def validate_observation(self, obs: Observation) -> None:
        """Raise `SpecError` when keys, shapes, dtypes or values do not match."""
        if set(obs) != set(self.observation):
            raise SpecError(f"observation has {sorted(obs)}; the specification says {sorted(self.observation)}.")
        for name, spec in self.observation.items():
            spec.validate(obs[name], f"observation {name!r}")
