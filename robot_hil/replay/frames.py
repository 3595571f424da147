"""Observations stored once, one array per name, in slots that transitions refer to by number."""

from collections.abc import Callable, Collection, Mapping

import numpy as np

from robot_hil.data.specs import Array, ArraySpec, Observation
from robot_hil.errors import SpecError


class FrameStore:
    """`capacity` observations. Memory is committed by the system only when a slot is first written."""

    def __init__(self, observation: Mapping[str, ArraySpec], capacity: int) -> None:
        self._specs = dict(observation)
        self._arrays = {name: np.empty((capacity, *spec.shape), spec.dtype) for name, spec in self._specs.items()}

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

    def gather(self, slots: Array, out: Mapping[str, Array]) -> None:
        """Copy the observations in `slots` into each `out[name]`, (len(slots), *shape); other arrays stay unread."""
        for name, target in out.items():
            # mode="clip" makes take() write straight into `out`; the default buffers, at less than half the speed.
            np.take(self._arrays[name], slots, axis=0, out=target, mode="clip")

    def rewrite(self, name: str, count: int, make: Callable[[Mapping[str, Array]], Array]) -> None:
        """Replace array `name` of the first `count` slots by what `make` derives from all arrays of a slot.

        One by one, (1, *shape) each: a convolution rounds differently in batches, and what was computed when a frame
        came in must come out the same, bit by bit, when a resumed run computes it again.
        """
        for slot in range(count):
            part = slice(slot, slot + 1)
            self._arrays[name][part] = make({key: array[part] for key, array in self._arrays.items()})

    def empty_batch(self, batch_size: int, names: Collection[str] | None = None) -> dict[str, Array]:
        """Return arrays that `gather` can fill, for all or the given `names`."""
        return {
            name: np.empty((batch_size, *spec.shape), spec.dtype)
            for name, spec in self._specs.items()
            if names is None or name in names
        }
