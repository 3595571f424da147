"""The header of an encoded step: every scalar, and which arrays follow; with the limits of what a step can hold."""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any

import msgspec
import numpy as np

from robot_hil.data.step import Segment
from robot_hil.errors import SpecError

MAX_BLOB_BYTES = 64 * 1024 * 1024
MAX_HEADER_BYTES = 64 * 1024
MAX_ARRAYS = 128
MAX_RANK = 4
MAX_DIM = 1 << 16
MAX_TEXT = 1024
MAX_SCALARS = 256
ALIGN = 16
"""Each array starts at a multiple of this from the start of the step, so that views of it are aligned."""
DTYPES = ("uint8", "int8", "uint16", "int16", "int32", "int64", "float16", "float32", "float64")
STORED_AS = {name: np.dtype(name).newbyteorder("<") for name in DTYPES}
ACTIONS = ("action_policy", "action_human", "action_executed", "authority")

_Int = Annotated[int, msgspec.Meta(ge=-1, le=2**53)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
_Text = Annotated[str, msgspec.Meta(max_length=MAX_TEXT)]
_Scalars = Annotated[dict[_Text, float], msgspec.Meta(max_length=MAX_SCALARS)]
_Shape = Annotated[list[Annotated[int, msgspec.Meta(ge=0, le=MAX_DIM)]], msgspec.Meta(max_length=MAX_RANK)]


class ArrayHeader(msgspec.Struct, array_like=True, forbid_unknown_fields=True, frozen=True):
    """Which array, and of what kind."""

    group: Annotated[int, msgspec.Meta(ge=0, le=2)]
    """0: a named field of the step, 1: an observation, 2: a final observation."""
    name: _Text
    dtype: _Text
    shape: _Shape


_Arrays = Annotated[list[ArrayHeader], msgspec.Meta(max_length=MAX_ARRAYS)]


class Header(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """Every scalar of a step, in this order, then its arrays. A changed order means a new FORMAT_VERSION."""

    actor_id: _Text
    epoch: _Count
    seq: _Int
    episode_id: _Int
    step_index: _Count
    reward: _Scalars
    terminated: bool
    truncated: bool
    success: bool
    segment: Annotated[int, msgspec.Meta(ge=0, le=int(max(Segment)))]
    intervention_id: _Int
    onset: bool
    offset: bool
    release_tail: bool
    has_final: bool
    policy_version: _Int
    operator: _Text
    device: _Text
    task: _Text
    t_obs: float
    t_cmd: float
    t_human: float
    perturbation: _Text
    diagnostics: _Scalars
    array_list: msgspec.Raw
    """The arrays as msgpack, not looked into: nearly every step has the same, see `arrays`."""
    words: _Text = ""  # later than the rest: steps that were stored without it stay readable

    @property
    def arrays(self) -> tuple[ArrayHeader, ...]:
        """Which arrays follow, in their order; raises `SpecError` for a list that no step can have."""
        return layout_from(bytes(self.array_list)).arrays


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Arrays)


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the arrays of a step lie; nearly every step of a run has the same one, so it is worked out once."""

    encoded: bytes
    arrays: tuple[ArrayHeader, ...]
    spans: tuple[tuple[int, np.dtype[Any], int, int, int], ...]
    """Group, dtype, number of elements, and first and last byte (exclusive) from the first array's start on."""
    has_final: bool

    @property
    def size(self) -> int:
        """Bytes from the first array's start to the last one's end."""
        return self.spans[-1][-1]


@lru_cache(maxsize=64)
def layout_of(kinds: tuple[tuple[int, str, str, tuple[int, ...]], ...]) -> Layout:
    """Return the layout of these arrays, each (group, name, dtype, shape); raises `SpecError` as `layout_from`."""
    for _, name, _, shape in kinds:
        if len(shape) > MAX_RANK or max(shape, default=0) > MAX_DIM:
            raise SpecError(f"array {name!r} has shape {shape}; at most {MAX_RANK} dimensions of {MAX_DIM}.")
    try:
        return layout_from(_encoder.encode([[group, name, dtype, shape] for group, name, dtype, shape in kinds]))
    except UnicodeError as error:
        raise SpecError(f"a name among {[kind[1] for kind in kinds]} cannot be encoded: {error}.") from error


@lru_cache(maxsize=64)
def layout_from(encoded: bytes) -> Layout:
    """Return the layout of the arrays in `encoded`; raises `SpecError` for a list that no step can have."""
    try:
        parts = tuple(_decoder.decode(encoded))
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise SpecError(f"step has a bad header: {error}.") from error
    seen: set[tuple[int, str]] = set()
    shapes: dict[str, list[int]] = {}
    spans: list[tuple[int, np.dtype[Any], int, int, int]] = []
    end = 0
    for part in parts:
        if part.dtype not in STORED_AS:
            raise SpecError(f"array {part.name!r} has dtype {part.dtype!r}; allowed are {', '.join(DTYPES)}.")
        if (part.group, part.name) in seen:
            raise SpecError(f"array {part.name!r} is in the step twice.")
        seen.add((part.group, part.name))
        if part.group == 0:
            shapes[part.name] = part.shape
            wanted = "uint8" if part.name == "authority" else "float32"
            if part.dtype != wanted or len(part.shape) != 1:
                raise SpecError(f"{part.name!r} is {part.dtype}{tuple(part.shape)}; it must be a {wanted} vector.")
        dtype, count = STORED_AS[part.dtype], math.prod(part.shape)
        start = aligned(end)
        end = start + dtype.itemsize * count
        spans.append((part.group, dtype, count, start, end))
    if tuple(shapes) != ACTIONS or len({tuple(shape) for shape in shapes.values()}) != 1:
        raise SpecError(f"step has the fields {shapes}; it needs {', '.join(ACTIONS)} of one length.")
    return Layout(encoded, parts, tuple(spans), any(part.group == 2 for part in parts))


def aligned(offset: int) -> int:
    """Return the first place from `offset` on where an array may start."""
    return (offset + ALIGN - 1) // ALIGN * ALIGN
