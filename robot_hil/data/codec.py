"""Step <-> one block of bytes: encoded once by the actor, then spooled, sent and logged as it is.

Layout, little endian: magic, format version, zero, CRC-32 of all that follows, header length, total length; msgpack
header (scalars and the list of arrays); then every array, C order, each starting at a multiple of 16 from the start.
"""

import math
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
import numpy as np

from robot_hil.data.specs import Array, Observation
from robot_hil.data.step import Authority, Segment, Step
from robot_hil.errors import SpecError

MAGIC = b"RHST"
FORMAT_VERSION = 1
MAX_BLOB_BYTES = 64 * 1024 * 1024
MAX_HEADER_BYTES = 64 * 1024
MAX_ARRAYS = 128
MAX_RANK = 4
MAX_DIM = 1 << 16
MAX_TEXT = 1024
MAX_SCALARS = 256
DTYPES = ("uint8", "int8", "uint16", "int16", "int32", "int64", "float16", "float32", "float64")
_DTYPES = {name: np.dtype(name).newbyteorder("<") for name in DTYPES}
_ALIGN = 16
_PREFIX = struct.Struct("<4sHHIIQ")
_CRC_START = 12
_ACTIONS = ("action_policy", "action_human", "action_executed", "authority")

_Int = Annotated[int, msgspec.Meta(ge=-1, le=2**53)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
_Text = Annotated[str, msgspec.Meta(max_length=MAX_TEXT)]
_Scalars = Annotated[dict[_Text, float], msgspec.Meta(max_length=MAX_SCALARS)]
_Shape = Annotated[list[Annotated[int, msgspec.Meta(ge=0, le=MAX_DIM)]], msgspec.Meta(max_length=MAX_RANK)]


class ArrayHeader(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """Which array, and of what kind."""

    group: Annotated[int, msgspec.Meta(ge=0, le=2)]
    """0: a named field of the step, 1: an observation, 2: a final observation."""
    name: _Text
    dtype: _Text
    shape: _Shape


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
    arrays: Annotated[list[ArrayHeader], msgspec.Meta(max_length=MAX_ARRAYS)]
    words: _Text = ""  # later than the rest: steps that were stored without it stay readable


_SCALARS = tuple(f for f in Header.__struct_fields__ if f not in ("has_final", "arrays", "segment"))
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Header)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepKey:
    """Who a blob says it is; read from the header alone."""

    actor_id: str
    epoch: int
    seq: int
    episode_id: int
    step_index: int


def encode(step: Step) -> bytes:
    """Return `step` as bytes, or raise `SpecError` for what the format cannot hold; floats are kept bit by bit."""
    parts: list[ArrayHeader] = []
    arrays: list[Array] = []
    _check_authority(step.authority)
    for group, name, value in _arrays_of(step):
        array = np.asarray(value)
        if array.dtype.name not in _DTYPES:
            raise SpecError(f"array {name!r} has dtype {array.dtype.name}; a step can hold {', '.join(DTYPES)}.")
        if array.ndim > MAX_RANK or max(array.shape, default=0) > MAX_DIM:
            raise SpecError(f"array {name!r} has shape {array.shape}; at most {MAX_RANK} dimensions of {MAX_DIM}.")
        parts.append(ArrayHeader(group, name, array.dtype.name, list(array.shape)))
        arrays.append(np.ascontiguousarray(array, dtype=_DTYPES[array.dtype.name]))
    scalars = {name: getattr(step, name) for name in _SCALARS}
    scalars["reward"], scalars["diagnostics"] = _floats(step.reward), _floats(step.diagnostics)
    fields = Header(**scalars, segment=int(step.segment), has_final=step.final_obs is not None, arrays=parts)
    try:
        header = _encoder.encode(fields)
        _check_header(_decoder.decode(header))
    except (msgspec.MsgspecError, TypeError, OverflowError, UnicodeError) as error:
        raise SpecError(f"step {step.episode_id}:{step.step_index} cannot be encoded: {error}.") from error
    return _assemble(header, arrays)


def _assemble(header: bytes, arrays: list[Array]) -> bytes:
    starts, end = [], _PREFIX.size + len(header)
    for array in arrays:
        start = _aligned(end)
        starts.append(start)
        end = start + array.nbytes
    if len(header) > MAX_HEADER_BYTES or end > MAX_BLOB_BYTES:
        raise SpecError(
            f"step of {end} bytes with a header of {len(header)} is too large; allowed are {MAX_BLOB_BYTES} "
            f"and {MAX_HEADER_BYTES}. Record smaller images."
        )
    blob = bytearray(end)
    blob[_PREFIX.size : _PREFIX.size + len(header)] = header
    for start, array in zip(starts, arrays, strict=True):
        blob[start : start + array.nbytes] = array.reshape(-1).view(np.uint8).data
    _PREFIX.pack_into(blob, 0, MAGIC, FORMAT_VERSION, 0, 0, len(header), end)
    struct.pack_into("<I", blob, 8, zlib.crc32(memoryview(blob)[_CRC_START:]))
    return bytes(blob)


def decode(blob: bytes | memoryview) -> Step:
    """Return the step in `blob`; arrays are read-only views of it (no copy). Anything else raises `SpecError`."""
    header, body = _open(blob)
    verify(blob)
    groups: tuple[dict[str, Array], dict[str, Array], dict[str, Array]] = ({}, {}, {})
    end = body
    for part in header.arrays:
        start = _aligned(end)
        if any(memoryview(blob)[end:start]):
            raise SpecError("step has bytes between its arrays; it was not written by this program.")
        dtype, count = _DTYPES[part.dtype], math.prod(part.shape)
        end = start + dtype.itemsize * count
        if end > len(blob):
            raise SpecError(f"step ends at byte {len(blob)}, before the end of array {part.name!r} at {end}.")
        array = np.frombuffer(blob, dtype, count, start).reshape(part.shape)
        array.flags.writeable = False
        groups[part.group][part.name] = array
    if end != len(blob):
        raise SpecError(f"step has {len(blob) - end} bytes after its last array; it was not written by this program.")
    fields, obs, final = groups
    _check_authority(fields["authority"])
    values: dict[str, Any] = {name: getattr(header, name) for name in _SCALARS} | fields
    return Step(**values, obs=obs, final_obs=final if header.has_final else None, segment=Segment(header.segment))


def peek(blob: bytes | memoryview) -> StepKey:
    """Return the identity in `blob` without looking at its arrays or CRC; raises `SpecError` for a bad header."""
    header, _ = _open(blob)
    return StepKey(
        actor_id=header.actor_id,
        epoch=header.epoch,
        seq=header.seq,
        episode_id=header.episode_id,
        step_index=header.step_index,
    )


def header(blob: bytes | memoryview) -> Header:
    """Return every scalar in `blob`, and what arrays it has, without looking at these or the CRC; as `peek`."""
    return _open(blob)[0]


def verify(blob: bytes | memoryview) -> None:
    """Raise `SpecError` when the CRC does not match."""
    _prefix(blob)
    (expected,) = struct.unpack_from("<I", blob, 8)
    found = zlib.crc32(memoryview(blob)[_CRC_START:])
    if found != expected:
        raise SpecError(f"step is damaged: its CRC is {found:08x}, it was written with {expected:08x}.")


def _prefix(blob: bytes | memoryview) -> int:
    """Check the fixed part of `blob` and return the length of its header."""
    size = len(blob)
    if not _PREFIX.size <= size <= MAX_BLOB_BYTES:
        raise SpecError(f"step has {size} bytes; allowed are {_PREFIX.size} to {MAX_BLOB_BYTES}.")
    magic, version, zero, _, header_size, total = _PREFIX.unpack_from(blob)
    if magic != MAGIC or zero != 0:
        raise SpecError(f"these bytes are no step: they start with {bytes(magic)!r}, a step starts with {MAGIC!r}.")
    if version != FORMAT_VERSION:
        raise SpecError(
            f"step has format version {version}; this program reads {FORMAT_VERSION}. Use the same version everywhere."
        )
    if total != size or header_size > MAX_HEADER_BYTES or _PREFIX.size + header_size > size:
        raise SpecError(f"step says {total} bytes with a header of {header_size}, but has {size}: it was cut.")
    return int(header_size)


def _open(blob: bytes | memoryview) -> tuple[Header, int]:
    body = _PREFIX.size + _prefix(blob)
    try:
        header = _decoder.decode(memoryview(blob)[_PREFIX.size : body])
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise SpecError(f"step has a bad header: {error}.") from error
    _check_header(header)
    return header, body


def _check_header(header: Header) -> None:
    seen: set[tuple[int, str]] = set()
    shapes: dict[str, list[int]] = {}
    for part in header.arrays:
        if part.dtype not in _DTYPES:
            raise SpecError(f"array {part.name!r} has dtype {part.dtype!r}; allowed are {', '.join(DTYPES)}.")
        if (part.group, part.name) in seen:
            raise SpecError(f"array {part.name!r} is in the step twice.")
        seen.add((part.group, part.name))
        if part.group == 0:
            shapes[part.name] = part.shape
            wanted = "uint8" if part.name == "authority" else "float32"
            if part.dtype != wanted or len(part.shape) != 1:
                raise SpecError(f"{part.name!r} is {part.dtype}{tuple(part.shape)}; it must be a {wanted} vector.")
    if tuple(shapes) != _ACTIONS or len({tuple(shape) for shape in shapes.values()}) != 1:
        raise SpecError(f"step has the fields {shapes}; it needs {', '.join(_ACTIONS)} of one length.")
    if not header.has_final and any(part.group == 2 for part in header.arrays):
        raise SpecError("step has final observations but says it has none.")


def _check_authority(authority: Array) -> None:
    if (authority > max(Authority)).any():
        raise SpecError(f"authority is {authority}; allowed are 0 to {int(max(Authority))}.")


def _arrays_of(step: Step) -> Iterator[tuple[int, str, Array]]:
    for name in _ACTIONS:
        yield 0, name, getattr(step, name)
    groups: tuple[Observation, Observation] = (step.obs, step.final_obs or {})
    for group, observation in enumerate(groups, start=1):
        for name in sorted(observation):
            yield group, name, observation[name]


def _floats(values: Mapping[str, float]) -> dict[str, float]:
    return {name: float(value) for name, value in values.items()}


def _aligned(offset: int) -> int:
    return (offset + _ALIGN - 1) // _ALIGN * _ALIGN
