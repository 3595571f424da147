"""The replay's observations on the device that learns: no frame is copied to it for an update.

The classes of the libraries fulfil `robot_hil.replay.frames.Frames`, which says what every method does.
"""

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from robot_hil.data.specs import Array, ArraySpec, Observation
from robot_hil.errors import ConfigError

Places = Mapping[str, tuple[str, Array]]
GROUP = 64
"""Observations that are copied to the device at once."""


class StagedFrames(ABC):
    """What is written waits in host memory, and goes to the device in groups: when one is full, or before a gather.

    One lock around all of it: a library that replaces arrays cannot be read meanwhile.
    """

    def __init__(self, specs: Mapping[str, ArraySpec], capacity: int, group: int = GROUP) -> None:
        if group < 1:
            raise ConfigError(f"cannot copy {group} observations at a time to the device; give at least 1.")
        self._specs, self._capacity, self._group = dict(specs), capacity, group
        self._waiting = {name: self._host((group, *spec.full_shape), spec.dtype) for name, spec in specs.items()}
        self._places: dict[int, int] = {}  # slot -> where its observation waits
        self._lock = threading.Lock()

    @property
    def slot_bytes(self) -> int:
        """Bytes of one observation."""
        return sum(array[0].nbytes for array in self._waiting.values())

    def write(self, slot: int, obs: Observation) -> None:
        """See `Frames.write`."""
        with self._lock:
            if slot not in self._places and len(self._places) == self._group:
                self._flush()
            if not self._places:
                self._settle()
            place = self._places.setdefault(slot, len(self._places))
            for name, array in self._waiting.items():
                array[place] = obs[name]

    def gather(self, places: Places, out: Mapping[str, Any]) -> dict[str, Any]:
        """See `Frames.gather`; a GPU may still be at it when this returns, and keeps the order of what is asked."""
        with self._lock:
            self._flush()
            return self._take(places, out)

    def rewrite(self, name: str, count: int, make: Callable[[Mapping[str, Any]], Any], chunk: int) -> None:
        """See `Frames.rewrite`; `make` gets arrays of the library and may return numpy's."""
        with self._lock:
            self._flush()
            for begin in range(0, count, chunk):
                rows = min(chunk, count - begin)
                self._replace(name, begin, make(self._part(begin, rows)))

    def _flush(self) -> None:
        if self._places:
            self._scatter(np.fromiter(self._places, np.int64), self._waiting)
            self._places.clear()

    @abstractmethod
    def empty(self, rows: int, name: str) -> Any:
        """See `Frames.empty`."""

    @abstractmethod
    def _host(self, shape: tuple[int, ...], dtype: str) -> Array:
        """Return host memory from which copying to the device is quick."""

    @abstractmethod
    def _scatter(self, slots: Array, waiting: Mapping[str, Array]) -> None:
        """Write the first len(slots) observations of `waiting`; may read it until `_settle`. Every slot is another."""

    @abstractmethod
    def _settle(self) -> None:
        """Wait until the last `_scatter` has read everything."""

    @abstractmethod
    def _take(self, places: Places, out: Mapping[str, Any]) -> dict[str, Any]:
        """Gather from the device's arrays."""

    @abstractmethod
    def _part(self, begin: int, rows: int) -> dict[str, Any]:
        """Return all arrays of `rows` slots from `begin` on."""

    @abstractmethod
    def _replace(self, name: str, begin: int, values: Any) -> None:
        """Write `values` into an array from slot `begin` on."""
