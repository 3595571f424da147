"""The replay's observations as jax arrays on a device."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from robot_hil.data.specs import Array, ArraySpec
from robot_hil.policies.frames import GROUP, Places, StagedFrames


class JaxFrames(StagedFrames):
    """Batches are new jax arrays on `device` every time: `empty` has no rows, and only says what is wanted.

    The store itself is changed in place, as its old array is donated to the call that makes the new one.
    """

    def __init__(
        self, specs: Mapping[str, ArraySpec], capacity: int, device: jax.Device | None = None, group: int = GROUP
    ) -> None:
        super().__init__(specs, capacity, group)
        self._device = jax.devices()[0] if device is None else device
        with jax.default_device(self._device):
            self._stores = {name: jnp.zeros((capacity, *spec.full_shape), spec.dtype) for name, spec in specs.items()}

    def empty(self, rows: int, name: str) -> jax.Array:
        """See `Frames.empty`."""
        spec = self._specs[name]
        with jax.default_device(self._device):
            return jnp.empty((0, *spec.shape), spec.dtype)

    def _host(self, shape: tuple[int, ...], dtype: str) -> Array:
        return np.zeros(shape, dtype)

    def _scatter(self, slots: Array, waiting: Mapping[str, Array]) -> None:
        where = np.arange(self._capacity, self._capacity + self._group, dtype=np.int32)  # beyond the end: dropped
        where[: len(slots)] = slots
        self._stores = _write(self._stores, where, dict(waiting))

    def _settle(self) -> None:
        for store in self._stores.values():
            store.block_until_ready()  # on the CPU jax may read numpy's own memory

    def _take(self, places: Places, out: Mapping[str, Any]) -> dict[str, Any]:
        shapes = tuple((key, name, self._specs[name].shape) for key, (name, _) in places.items())
        rows = {key: where.astype(np.int32) for key, (_, where) in places.items()}
        found = _read(self._stores, rows, shapes)
        return {key: found[key] for key in places}

    def _part(self, begin: int, rows: int) -> dict[str, Any]:
        return dict(_slice(self._stores, begin, rows))

    def _replace(self, name: str, begin: int, values: Any) -> None:
        self._stores[name] = _overwrite(self._stores[name], begin, values)


@partial(jax.jit, donate_argnums=0)
def _write(stores: dict[str, Any], where: Any, rows: dict[str, Any]) -> dict[str, Any]:
    return {name: store.at[where].set(rows[name], mode="drop", unique_indices=True) for name, store in stores.items()}


@partial(jax.jit, static_argnums=2)
def _read(stores: dict[str, Any], rows: dict[str, Any], shapes: tuple[tuple[str, str, tuple[int, ...]], ...]) -> Any:
    """Gather everything of a batch in one call."""
    return {key: jnp.take(stores[name].reshape(-1, *shape), rows[key], 0, mode="clip") for key, name, shape in shapes}


@partial(jax.jit, static_argnums=2)
def _slice(stores: dict[str, Any], begin: Any, rows: int) -> Any:
    return {name: lax.dynamic_slice_in_dim(store, begin, rows) for name, store in stores.items()}


@partial(jax.jit, donate_argnums=0)
def _overwrite(store: Any, begin: Any, values: Any) -> Any:
    return lax.dynamic_update_slice_in_dim(store, values, begin, 0)
