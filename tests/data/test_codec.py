"""The wire format: every step comes back bit by bit, everything else is refused by name."""

import struct
import zlib
from dataclasses import fields, replace

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from robot_hil.data import codec
from robot_hil.data.step import Authority, Segment, Step
from robot_hil.data.step_header import DTYPES, MAX_DIM
from robot_hil.errors import RobotHilError, SpecError

_names = st.text(min_size=1, max_size=12)
_floats = st.floats(width=64, allow_nan=True, allow_infinity=True)
_scalars = st.dictionaries(_names, _floats, max_size=3)
_numbers = st.integers(0, 2**53)
_ids = st.integers(-1, 2**53)


@st.composite
def _observations(draw: st.DrawFn) -> dict[str, np.ndarray]:
    dtypes = st.sampled_from(DTYPES).map(np.dtype)
    shapes = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)
    return draw(st.dictionaries(_names, hnp.arrays(dtypes, shapes), max_size=4))


@st.composite
def steps(draw: st.DrawFn) -> Step:
    size = draw(st.integers(1, 8))
    action = hnp.arrays(np.float32, (size,), elements=st.floats(width=32))
    return Step(
        obs=draw(_observations()),
        action_policy=draw(action),
        action_human=draw(action),
        action_executed=draw(action),
        authority=draw(hnp.arrays(np.uint8, (size,), elements=st.integers(0, int(max(Authority))))),
        reward=draw(_scalars),
        terminated=draw(st.booleans()),
        truncated=draw(st.booleans()),
        success=draw(st.booleans()),
        episode_id=draw(_ids),
        step_index=draw(_numbers),
        segment=draw(st.sampled_from(Segment)),
        intervention_id=draw(_ids),
        final_obs=draw(st.none() | _observations()),
        actor_id=draw(_names),
        epoch=draw(_numbers),
        seq=draw(_ids),
        policy_version=draw(_ids),
        operator=draw(_names),
        task=draw(_names),
        t_obs=draw(_floats),
        t_human=draw(_floats),
        diagnostics=draw(_scalars),
    )


def _bits(value: object) -> object:
    """Return something that compares equal only when every bit does, NaN included."""
    if isinstance(value, np.ndarray):
        return (value.dtype.name, value.shape, value.tobytes())
    if isinstance(value, float):
        return struct.pack("<d", value)
    if isinstance(value, dict):
        return {key: _bits(item) for key, item in value.items()}
    return value


@given(steps())
@settings(max_examples=60, deadline=None)
def test_every_field_survives_bit_by_bit(step: Step) -> None:
    blob = codec.encode(step)
    back = codec.decode(blob)
    for field in fields(Step):
        assert _bits(getattr(back, field.name)) == _bits(getattr(step, field.name)), field.name
    assert codec.encode(back) == blob
    key = codec.peek(blob)
    assert (key.actor_id, key.epoch, key.seq) == (step.actor_id, step.epoch, step.seq)
    assert (key.episode_id, key.step_index) == (step.episode_id, step.step_index)
    header = codec.header(blob)
    assert header.segment == step.segment
    assert {part.name: tuple(part.shape) for part in header.arrays if part.group == 1} == {
        name: array.shape for name, array in step.obs.items()
    }
    for name in ("reward", "terminated", "truncated", "success", "intervention_id", "t_cmd"):
        assert _bits(getattr(header, name)) == _bits(getattr(step, name)), name


def test_nan_payload_and_negative_zero_survive(small_step) -> None:
    raw = np.array([0x7FC01234, 0x80000000, 0xFFC00001], np.uint32).view(np.float32)
    back = codec.decode(codec.encode(small_step(action_human=np.concatenate([raw, raw, raw[:1]]))))
    assert back.action_human.tobytes() == np.concatenate([raw, raw, raw[:1]]).tobytes()


def test_decoded_arrays_are_read_only_views(small_step) -> None:
    blob = codec.encode(small_step())
    step = codec.decode(blob)
    for array in (*step.obs.values(), step.action_executed, step.authority):
        assert not array.flags.writeable
        assert not array.flags.owndata
        assert array.flags.aligned


def test_a_non_contiguous_image_is_stored_as_seen(small_step) -> None:
    image = np.arange(4 * 4 * 3, dtype=np.uint8).reshape(4, 4, 3)[::-1, ::-1]
    step = small_step()
    back = codec.decode(codec.encode(replace(step, obs={**step.obs, "front": image})))
    np.testing.assert_array_equal(back.obs["front"], image)


@given(st.binary(max_size=400))
@settings(max_examples=300, deadline=None)
def test_random_bytes_are_refused(data: bytes) -> None:
    for text in (data, codec.MAGIC + struct.pack("<H", codec.FORMAT_VERSION) + b"\0\0" + data):
        for read in (codec.decode, codec.peek, codec.header, codec.verify):
            with pytest.raises(RobotHilError):
                read(text)


def test_every_truncation_and_every_flipped_bit_is_refused(small_step) -> None:
    blob = codec.encode(small_step())
    for end in range(0, len(blob), 7):
        with pytest.raises(SpecError):
            codec.decode(blob[:end])
    for extra in (b"\0", blob):
        with pytest.raises(SpecError):
            codec.decode(blob + extra)
    for bit in range(8 * len(blob)):
        damaged = bytearray(blob)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(SpecError):
            codec.decode(bytes(damaged))


def _sealed(header: object, body: bytes = b"", size: int | None = None) -> bytes:
    """Return a blob with a hostile header but a valid checksum."""
    head = header if isinstance(header, bytes) else msgspec.msgpack.encode(header)
    total = 24 + len(head) + len(body) if size is None else size
    rest = struct.pack("<IQ", len(head), total) + head + body
    return codec.MAGIC + struct.pack("<HHI", codec.FORMAT_VERSION, 0, zlib.crc32(rest)) + rest


@given(st.binary(max_size=200), st.binary(max_size=100))
@settings(max_examples=200, deadline=None)
def test_a_hostile_header_with_a_valid_checksum_is_refused(header: bytes, body: bytes) -> None:
    with pytest.raises(RobotHilError):
        codec.decode(_sealed(header, body))


def test_deep_nesting_is_refused() -> None:
    with pytest.raises(SpecError, match="header"):
        codec.decode(_sealed(b"\x91" * 60_000 + b"\xc0"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda arrays: arrays[-1].__setitem__(2, "object"), "dtype"),
        (lambda arrays: arrays[-1].__setitem__(2, "complex128"), "dtype"),
        (lambda arrays: arrays[-1].__setitem__(3, [1] * 9), "header"),
        (lambda arrays: arrays[-1].__setitem__(3, [2**40]), "header"),
        (lambda arrays: arrays[-1].__setitem__(3, [-1]), "header"),
        (lambda arrays: arrays[-1].__setitem__(3, [65536, 65536, 65536, 65536]), "between|end of array"),
        (lambda arrays: arrays.append(list(arrays[-1])), "twice"),
        (lambda arrays: arrays.pop(0), "needs"),
        (lambda arrays: arrays.extend([[1, f"x{i}", "uint8", [0]] for i in range(200)]), "header"),
        (lambda arrays: arrays[-1].__setitem__(0, 2), "final"),
        (lambda arrays: arrays[0].__setitem__(2, "float64"), "float32 vector"),
        (lambda arrays: arrays[0].__setitem__(3, [6]), "one length"),
    ],
)
def test_a_lying_array_list_is_refused(small_step, change, message: str) -> None:
    blob = codec.encode(small_step())
    size = struct.unpack_from("<I", blob, 12)[0]
    header = msgspec.msgpack.decode(blob[24 : 24 + size])
    change(header[-2])  # the last one are the words
    with pytest.raises(SpecError, match=message):
        codec.decode(_sealed(header, blob[24 + size :]))


def test_steps_stored_before_there_were_words_stay_readable(small_step) -> None:
    step = small_step()
    blob = codec.encode(step)
    size = struct.unpack_from("<I", blob, 12)[0]
    header = msgspec.msgpack.decode(blob[24 : 24 + size])
    assert header.pop() == ""
    old = codec.decode(_sealed(header, b"\0" + blob[24 + size :]))  # arrays stay where they were
    assert old.words == ""
    assert np.array_equal(old.action_executed, step.action_executed)
    assert codec.decode(codec.encode(replace(step, words="a bit to the left"))).words == "a bit to the left"


def test_what_cannot_be_encoded_is_named(small_step) -> None:
    step = small_step()
    for obs, word in (
        ({"x": np.array(["a"])}, "dtype"),
        ({"x": np.zeros((1, 1, 1, 1, 1), np.uint8)}, "dimensions"),
        ({"x": np.zeros(MAX_DIM + 1, np.uint8)}, "dimensions"),
        ({f"x{i}": np.zeros((40_000, 400), np.uint8) for i in range(5)}, "too large"),
    ):
        with pytest.raises(SpecError, match=word):
            codec.encode(replace(step, obs=obs))
    with pytest.raises(SpecError, match="cannot be encoded"):
        codec.encode(replace(step, operator="x" * 5000))
    with pytest.raises(SpecError, match="float32"):
        codec.encode(replace(step, action_policy=np.zeros(7)))


def test_another_format_version_is_named(small_step) -> None:
    blob = bytearray(codec.encode(small_step()))
    blob[4] = 9
    with pytest.raises(SpecError, match="version 9"):
        codec.peek(bytes(blob))
