"""Observations stored once, one array per name, in slots that transitions refer to by number."""

from collections.abc import Callable, Collection, Mapping

import numpy as np

from robot_hil.data.specs import Array, ArraySpec, Observation
from robot_hil.errors import SpecError


class FrameStore:
    """`capacity` observations. Memory is committed by the system only when a slot is first written."""

    def __init__(self, observation: Mapping[str, ArraySpec], capacity: int) -> None:
        self._specs = dict(observation)
        self._arrays = {name: np.empty((capacity, *spec.full_shape), spec.dtype) for name, spec in self._specs.items()}

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the arrays of an observation."""
        return tuple(self._specs)

    @property
    def slot_bytes(self) -> int:
        """Bytes of one observation."""
        return sum(array.nbytes // len(array) for array in self._arrays.values())

    def validate(self, obs: Observation) -> None:
        """Raise `SpecError` when `obs` is not what this store was made for."""
        if set(obs) != set(self._specs):
            raise SpecError(f"observation has {sorted(obs)}; the replay buffer stores {sorted(self._specs)}.")
        for name, spec in self._specs.items():
            spec.validate(obs[name], f"observation {name!r}")

    def write(self, slot: int, obs: Observation) -> None:
        """Copy a valid observation into `slot`."""
        for name, array in self._arrays.items():
            array[slot] = obs[name]

    def draw(self, rng: np.random.Generator, slots: Array, names: Collection[str]) -> dict[str, Array]:
        """Return where `gather` finds the arrays `names` of the observations in `slots`: for each name int64 (n,).

        Of an array with variants one is drawn for every entry of `slots`; the others draw nothing.
        """
        places: dict[str, Array] = {}
        for name in (name for name in self._specs if name in names):
            variants = self._specs[name].variants
            places[name] = slots * variants + rng.integers(0, variants, len(slots)) if variants else slots
        return places

    def first(self, slots: Array, names: Collection[str]) -> dict[str, Array]:
        """Return what `draw` does, for the first variants."""
        return {name: slots * max(1, spec.variants) for name, spec in self._specs.items() if name in names}

    def gather(self, places: Mapping[str, Array], out: Mapping[str, Array]) -> None:
        """Copy each array from its `places` into `out[name]`, (n, *shape)."""
        for name, where in places.items():
            store = self._arrays[name].reshape(-1, *self._specs[name].shape)
            # mode="clip" makes take() write straight into `out`; the default buffers, at less than half the speed.
            np.take(store, where, axis=0, out=out[name], mode="clip")

    def rewrite(self, name: str, count: int, make: Callable[[Mapping[str, Array]], Array], chunk: int = 1) -> None:
        """Replace array `name` of the first `count` slots by what `make` derives from all arrays, `chunk` slots a call.

        They and the result are (n, *full_shape). One by one unless told otherwise: a convolution may round differently
        in batches, and what was computed when a frame came in must come out the same, bit by bit, when a resumed run
        computes it again.
        """
        for begin in range(0, count, chunk):
            part = slice(begin, min(begin + chunk, count))
            self._arrays[name][part] = make({key: array[part] for key, array in self._arrays.items()})

    def empty_batch(self, batch_size: int, names: Collection[str] | None = None) -> dict[str, Array]:
        """Return arrays that `gather` can fill, for all or the given `names`."""
        return {
            name: np.empty((batch_size, *spec.shape), spec.dtype)
            for name, spec in self._specs.items()
            if names is None or name in names
        }
