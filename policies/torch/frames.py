"""The replay's observations as torch tensors on a device."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from robot_hil.data.specs import Array, ArraySpec
from robot_hil.policies.frames import GROUP, Places, StagedFrames


class TorchFrames(StagedFrames):
    """Batches are tensors on `device`; what `gather` is given to fill is filled there.

    On a GPU work is queued on the current stream of the thread that asks, by default the same one for all threads: a
    batch may be filled again once the update that reads it has been queued.
    """

    def __init__(
        self, specs: Mapping[str, ArraySpec], capacity: int, device: str | torch.device = "cuda", group: int = GROUP
    ) -> None:
        self._device = torch.device(device)
        super().__init__(specs, capacity, group)
        self._stores = {
            name: torch.empty((capacity, *spec.full_shape), dtype=getattr(torch, spec.dtype), device=self._device)
            for name, spec in specs.items()
        }
        self._flat = {name: store.view(-1, *specs[name].shape) for name, store in self._stores.items()}
        self._copied: torch.cuda.Event | None = None

    def empty(self, rows: int, name: str) -> Tensor:
        """See `Frames.empty`."""
        store = self._flat[name]
        return torch.empty((rows, *store.shape[1:]), dtype=store.dtype, device=self._device)

    def _host(self, shape: tuple[int, ...], dtype: str) -> Array:
        pinned = self._device.type == "cuda"  # only from pinned memory is a copy asynchronous
        return torch.empty(shape, dtype=getattr(torch, dtype), pin_memory=pinned).numpy()

    def _scatter(self, slots: Array, waiting: Mapping[str, Array]) -> None:
        where = torch.from_numpy(slots).to(self._device)
        for name, array in waiting.items():
            rows = torch.from_numpy(array[: len(slots)]).to(self._device, non_blocking=True)
            self._stores[name].index_copy_(0, where, rows)
        if self._device.type == "cuda":
            self._copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._copied.record(torch.cuda.current_stream(self._device))

    def _settle(self) -> None:
        if self._copied is not None:
            self._copied.synchronize()
            self._copied = None

    def _take(self, places: Places, out: Mapping[str, Any]) -> dict[str, Any]:
        for key, (name, where) in places.items():
            rows = torch.from_numpy(where).to(self._device)
            torch.index_select(self._flat[name], 0, rows, out=out[key])
        return {key: out[key] for key in places}

    def _part(self, begin: int, rows: int) -> dict[str, Any]:
        return {name: store[begin : begin + rows] for name, store in self._stores.items()}

    def _replace(self, name: str, begin: int, values: Any) -> None:
        made = values if isinstance(values, Tensor) else torch.from_numpy(np.ascontiguousarray(values))
        self._stores[name][begin : begin + len(made)] = made.to(self._device)
