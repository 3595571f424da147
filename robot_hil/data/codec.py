"""Step <-> one block of bytes: encoded once by the actor, then spooled, sent and logged as it is.

Layout, little endian: magic, format version, zero, CRC-32 of all that follows, header length, total length; msgpack
header (scalars and the list of arrays); then every array, C order, each starting at a multiple of 16 from the start.
"""

import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from robot_hil.data.specs import Array, Observation
from robot_hil.data.step import Authority, Segment, Step
from robot_hil.data.step_header import (
    ACTIONS,
    DTYPES,
    MAX_BLOB_BYTES,
    MAX_HEADER_BYTES,
    STORED_AS,
    Header,
    Layout,
    aligned,
    layout_from,
    layout_of,
)
from robot_hil.errors import SpecError

__all__ = ["Header", "StepKey", "decode", "encode", "extent", "header", "peek", "verify"]
Blob = bytes | memoryview
MAGIC = b"RHST"
FORMAT_VERSION = 1
PREFIX_BYTES = 24
_PREFIX = struct.Struct("<4sHHIIQ")
_TAIL = struct.Struct("<IQ")  # what of the prefix the CRC covers
_CRC_START = PREFIX_BYTES - _TAIL.size
_NAMES = {dtype: name for name, dtype in STORED_AS.items()}
_AUTHORITY = ACTIONS.index("authority")
_HIGHEST_AUTHORITY = int(max(Authority))
_SEGMENTS = tuple(Segment)
_SCALARS = tuple(f for f in Header.__struct_fields__ if f not in ("has_final", "array_list", "segment"))
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


def encode(step: Step, *, actor_id: str | None = None, epoch: int | None = None, seq: int | None = None) -> bytes:
    """Return `step` as bytes, or raise `SpecError` for what the format cannot hold; floats are kept bit by bit.

    What is given as `actor_id`, `epoch` and `seq` takes the place of the step's own. Each array is copied once.
    """
    kinds, arrays = [], []
    for group, name, value in _arrays_of(step):
        array = _storable(name, value)
        arrays.append(array)
        kinds.append((group, name, _NAMES[array.dtype], array.shape))
    layout = layout_of(tuple(kinds))
    _check_authority(arrays[_AUTHORITY])
    identity = {"actor_id": actor_id, "epoch": epoch, "seq": seq}
    scalars = {name: getattr(step, name) for name in _SCALARS} | {k: v for k, v in identity.items() if v is not None}
    scalars["reward"], scalars["diagnostics"] = _floats(step.reward), _floats(step.diagnostics)
    fields = Header(
        **scalars,
        segment=int(step.segment),
        has_final=step.final_obs is not None,
        array_list=msgspec.Raw(layout.encoded),
    )
    try:
        head = _encoder.encode(fields)
        _decoder.decode(head)  # what msgspec checks, it checks when it decodes
    except (msgspec.MsgspecError, TypeError, OverflowError, UnicodeError) as error:
        raise SpecError(f"step {step.episode_id}:{step.step_index} cannot be encoded: {error}.") from error
    return _assemble(head, layout, arrays)


def _assemble(head: bytes, layout: Layout, arrays: list[Array]) -> bytes:
    body = _PREFIX.size + len(head)
    base = aligned(body)
    end = base + layout.size
    if len(head) > MAX_HEADER_BYTES or end > MAX_BLOB_BYTES:
        raise SpecError(
            f"step of {end} bytes with a header of {len(head)} is too large; allowed are {MAX_BLOB_BYTES} "
            f"and {MAX_HEADER_BYTES}. Record smaller images."
        )
    pieces: list[Any] = [_TAIL.pack(len(head), end), head, bytes(base - body)]
    position = 0
    for (_, _, _, start, stop), array in zip(layout.spans, arrays, strict=True):
        pieces += [bytes(start - position), array] if start > position else [array]
        position = stop
    crc = 0
    for piece in pieces:
        crc = zlib.crc32(piece, crc)
    return b"".join([_PREFIX.pack(MAGIC, FORMAT_VERSION, 0, crc, len(head), end)[:_CRC_START], *pieces])


def decode(blob: Blob) -> Step:
    """Return the step in `blob`; arrays are read-only views of it (no copy). Anything else raises `SpecError`."""
    head, layout, body = _open(blob)
    verify(blob)
    view = memoryview(blob)
    base = aligned(body)
    if base + layout.size != len(view):
        raise SpecError(
            f"step has {len(view)} bytes, its arrays end at {base + layout.size}: a part is missing or too many, up to "
            f"the end of array {layout.arrays[-1].name!r}."
        )
    gap = body
    groups: tuple[dict[str, Array], dict[str, Array], dict[str, Array]] = ({}, {}, {})
    for part, (group, dtype, count, start, stop) in zip(layout.arrays, layout.spans, strict=True):
        if any(view[gap : base + start]):
            raise SpecError("step has bytes between its arrays; it was not written by this program.")
        array = np.frombuffer(view, dtype, count, base + start).reshape(part.shape)
        array.flags.writeable = False
        groups[group][part.name] = array
        gap = base + stop
    fields, obs, final = groups
    _check_authority(fields["authority"])
    values: dict[str, Any] = {name: getattr(head, name) for name in _SCALARS} | fields
    return Step(**values, obs=obs, final_obs=final if head.has_final else None, segment=_SEGMENTS[head.segment])


def peek(blob: Blob, *, whole: bool = True) -> StepKey:
    """Return the identity in `blob` without looking at its arrays or CRC; raises `SpecError` for a bad header.

    With `whole` False the step may be cut anywhere after its header.
    """
    head = header(blob, whole=whole)
    return StepKey(
        actor_id=head.actor_id,
        epoch=head.epoch,
        seq=head.seq,
        episode_id=head.episode_id,
        step_index=head.step_index,
    )


def header(blob: Blob, *, whole: bool = True) -> Header:
    """Return every scalar in `blob`, and what arrays it has, without looking at these or the CRC; as `peek`."""
    return _open(blob, whole)[0]


def extent(start: Blob) -> tuple[int, int]:
    """Return where the header of a step ends and where the step does [bytes]; (0, 0) when no step begins like that.

    `start` holds its first `PREFIX_BYTES`, or more.
    """
    if len(start) < _PREFIX.size:
        return 0, 0
    magic, version, zero, _, header_size, total = _PREFIX.unpack_from(start)
    fits = _PREFIX.size + header_size <= total <= MAX_BLOB_BYTES and header_size <= MAX_HEADER_BYTES
    if not fits or (magic, version, zero) != (MAGIC, FORMAT_VERSION, 0):
        return 0, 0
    return _PREFIX.size + header_size, total


def verify(blob: Blob) -> None:
    """Raise `SpecError` when the CRC does not match."""
    _prefix(blob)
    (expected,) = struct.unpack_from("<I", blob, 8)
    found = zlib.crc32(memoryview(blob)[_CRC_START:])
    if found != expected:
        raise SpecError(f"step is damaged: its CRC is {found:08x}, it was written with {expected:08x}.")


def _prefix(blob: Blob, whole: bool = True) -> int:
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
    if (whole and total != size) or header_size > MAX_HEADER_BYTES or _PREFIX.size + header_size > size:
        raise SpecError(f"step says {total} bytes with a header of {header_size}, but has {size}: it was cut.")
    return int(header_size)


def _open(blob: Blob, whole: bool = True) -> tuple[Header, Layout, int]:
    """Return header, layout and the end of the header."""
    body = _PREFIX.size + _prefix(blob, whole)
    try:
        head = _decoder.decode(memoryview(blob)[_PREFIX.size : body])
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise SpecError(f"step has a bad header: {error}.") from error
    layout = layout_from(bytes(head.array_list))
    if layout.has_final and not head.has_final:
        raise SpecError("step has final observations but says it has none.")
    return head, layout, body


def _storable(name: str, value: Array) -> Array:
    """Return `value` as it is stored: in C order, little endian; itself when it is like that."""
    array = np.asarray(value)
    if array.dtype in _NAMES and array.flags.c_contiguous:
        return array
    if array.dtype.name not in STORED_AS:
        raise SpecError(f"array {name!r} has dtype {array.dtype.name}; a step can hold {', '.join(DTYPES)}.")
    return np.ascontiguousarray(array, dtype=STORED_AS[array.dtype.name]).reshape(array.shape)


def _check_authority(authority: Array) -> None:
    if max(authority.tobytes(), default=0) > _HIGHEST_AUTHORITY:  # a numpy comparison takes ten times as long
        raise SpecError(f"authority is {authority}; allowed are 0 to {_HIGHEST_AUTHORITY}.")


def _arrays_of(step: Step) -> Iterator[tuple[int, str, Array]]:
    for name in ACTIONS:
        yield 0, name, getattr(step, name)
    groups: tuple[Observation, Observation] = (step.obs, step.final_obs or {})
    for group, observation in enumerate(groups, start=1):
        for name in sorted(observation):
            yield group, name, observation[name]


def _floats(values: Mapping[str, float]) -> dict[str, float]:
    return {name: float(value) for name, value in values.items()}
