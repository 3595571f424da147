"""Observations stored once, one array per name, in slots that transitions refer to by number."""

from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np

from robot_hil.data.specs import Array, ArraySpec, Observation
from robot_hil.errors import SpecError

Places = Mapping[str, tuple[str, Array]]
"""Key in the batch -> name of the array and where in it each row lies, int64 (n,): slot x variants + variant."""

_PAGE = 4096
_PIECE_BYTES = 2**22
"""Rows of so many bytes are copied at once; two threads share a batch by pieces."""


class Frames(Protocol):
    """The observations in `capacity` slots, wherever they lie: host memory, a GPU.

    One thread may `write` while others `gather`, as long as no slot is written that is being gathered: the buffer sees
    to that. Arrays are of the library that keeps them; what is written comes as numpy arrays.
    """

    @property
    def slot_bytes(self) -> int:
        """Bytes of one observation."""
        ...

    def write(self, slot: int, obs: Observation) -> None:
        """Copy a valid observation into `slot`; the next `gather` sees it."""
        ...

    def empty(self, rows: int, name: str) -> Any:
        """Return an array (rows, *shape) that `gather` can fill again and again; without rows if it cannot fill any."""
        ...

    def gather(self, places: Places, out: Mapping[str, Any]) -> dict[str, Any]:
        """Return the array (n, *shape) of every key, `out[key]` itself filled where it can be."""
        ...

    def rewrite(self, name: str, count: int, make: Callable[[Mapping[str, Any]], Any], chunk: int) -> None:
        """Replace array `name` of the first `count` slots by what `make` derives from all arrays, `chunk` slots a call.

        They and the result are (n, *full_shape), n <= chunk. Nobody writes or gathers meanwhile.
        """
        ...


def validate(specs: Mapping[str, ArraySpec], obs: Observation) -> None:
    """Raise `SpecError` when `obs` is not what `specs` describe."""
    if obs.keys() != specs.keys():
        raise SpecError(f"observation has {sorted(obs)}; the replay buffer stores {sorted(specs)}.")
    for name, spec in specs.items():
        spec.validate(obs[name], f"observation {name!r}")


def places(
    specs: Mapping[str, ArraySpec], wanted: Mapping[str, Array], keys: Collection[str], rng: np.random.Generator | None
) -> dict[str, tuple[str, Array]]:
    """Return where `keys`, each `<prefix>/<name>`, are found for the slots `wanted` of their prefixes.

    Of an array with variants one is drawn for every row, the first one is taken without `rng`. The others draw nothing.
    """
    found: dict[str, tuple[str, Array]] = {}
    for prefix, slots in wanted.items():
        for name, spec in specs.items():
            key = f"{prefix}/{name}"
            if key in keys:
                where = slots * max(1, spec.variants)
                if spec.variants and rng is not None:
                    where += rng.integers(0, spec.variants, len(slots))
                found[key] = name, where
    return found


class HostFrames:
    """Frames in this machine's memory, which the system commits only when a slot is first written.

    Large gathers are shared among `threads` threads: one alone does not use the memory's bandwidth.
    """

    def __init__(self, specs: Mapping[str, ArraySpec], capacity: int, threads: int = 2) -> None:
        self._specs = dict(specs)
        self._arrays = {name: aligned((capacity, *spec.full_shape), spec.dtype) for name, spec in specs.items()}
        self._flat = {name: self._arrays[name].reshape(-1, *spec.shape) for name, spec in specs.items()}
        self._helpers = ThreadPoolExecutor(threads - 1, "gather") if threads > 1 else None
        self._threads = threads

    @property
    def slot_bytes(self) -> int:
        """Bytes of one observation."""
        return sum(array.nbytes // len(array) for array in self._arrays.values())

    def write(self, slot: int, obs: Observation) -> None:
        """See `Frames.write`."""
        for name, array in self._arrays.items():
            array[slot] = obs[name]

    def empty(self, rows: int, name: str) -> Array:
        """See `Frames.empty`."""
        spec = self._specs[name]
        return aligned((rows, *spec.shape), spec.dtype)

    def gather(self, places: Places, out: Mapping[str, Array]) -> dict[str, Array]:
        """See `Frames.gather`."""
        pieces = list(self._pieces(places, out))
        if self._helpers is None or len(pieces) <= len(places):
            _take_all(iter(pieces))
        else:
            shared = iter(pieces)  # whoever is free takes the next piece
            helpers = [self._helpers.submit(_take_all, shared) for _ in range(self._threads - 1)]
            _take_all(shared)
            for helper in helpers:
                if not helper.cancel():  # it may not even have begun on a busy machine
                    helper.result()
        return {key: out[key] for key in places}

    def rewrite(self, name: str, count: int, make: Callable[[Mapping[str, Array]], Array], chunk: int) -> None:
        """See `Frames.rewrite`."""
        for begin in range(0, count, chunk):
            part = slice(begin, min(begin + chunk, count))
            self._arrays[name][part] = make({key: array[part] for key, array in self._arrays.items()})

    def _pieces(self, places: Places, out: Mapping[str, Array]) -> Iterator[tuple[Array, Array, Array]]:
        """Cut the work into pieces of about `_PIECE_BYTES`: source, rows of it, target."""
        for key, (name, where) in places.items():
            source, target = self._flat[name], out[key]
            step = max(1, _PIECE_BYTES * len(source) // source.nbytes)
            for begin in range(0, len(where), step):
                part = slice(begin, begin + step)
                yield source, where[part], target[part]


def _take_all(pieces: Iterator[tuple[Array, Array, Array]]) -> None:
    for source, rows, target in pieces:
        # mode="clip" makes take() write straight into `out`; the default buffers, at less than half the speed.
        np.take(source, rows, axis=0, out=target, mode="clip")


def aligned(shape: tuple[int, ...], dtype: str) -> Array:
    """Return an uninitialised array that begins with a page of memory.

    Copying is several times slower on some processors when a target lies 1 to 31 bytes further in its page than the
    source. Large rows of both the store and a batch then begin at equal places. (numpy itself asks for huge pages.)
    """
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = np.empty(size + _PAGE, np.uint8)
    start = -memory.ctypes.data % _PAGE
    return memory[start : start + size].view(dtype).reshape(shape)
