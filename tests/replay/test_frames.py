"""Every place where frames may lie: what is written is what is gathered, whatever came between."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_hil.data.specs import ArraySpec
from robot_hil.errors import ConfigError, SpecError
from robot_hil.methods.anchored import Anchored
from robot_hil.replay.buffer import ReplayBuffer
from robot_hil.replay.frames import Frames, HostFrames, aligned, places, validate

CAPACITY, ROWS, CHUNK, VIEWS = 9, 5, 4, 3
SPECS = {
    "image": ArraySpec(shape=(4, 3, 3), dtype="uint8"),
    "state": ArraySpec(shape=(2,)),
    "code": ArraySpec(shape=(5,), dtype="float16", variants=VIEWS),
}
KEYS = tuple(f"{prefix}/{name}" for prefix in ("obs", "next_obs") for name in SPECS)


def host(specs: Mapping[str, ArraySpec], capacity: int) -> Frames:
    return HostFrames(specs, capacity)


def alone(specs: Mapping[str, ArraySpec], capacity: int) -> Frames:
    return HostFrames(specs, capacity, threads=1)


def on_torch(specs: Mapping[str, ArraySpec], capacity: int) -> Frames:
    from robot_hil.policies.torch.frames import TorchFrames

    return TorchFrames(specs, capacity, "cpu", group=3)


def on_jax(specs: Mapping[str, ArraySpec], capacity: int) -> Frames:
    import jax

    from robot_hil.policies.jax.frames import JaxFrames

    return JaxFrames(specs, capacity, jax.devices("cpu")[0], group=3)


EVERYWHERE = pytest.mark.parametrize("make", [host, alone, on_torch, on_jax])
Make = Callable[[Mapping[str, ArraySpec], int], Frames]


def observe(number: int) -> dict[str, np.ndarray]:
    """Return an observation that tells its number, and of its variants which one."""
    return {
        "image": np.full((4, 3, 3), number % 256, np.uint8),
        "state": np.array([number, -number], np.float32),
        "code": np.stack([np.full(5, number + view / 4, np.float16) for view in range(VIEWS)]),
    }


def drawn(frames: Frames, slots: list[int], rng: np.random.Generator | None, keys=KEYS) -> dict[str, np.ndarray]:
    where = {"obs": np.array(slots), "next_obs": np.array(slots[::-1])}
    out = {key: frames.empty(len(slots), key.partition("/")[2]) for key in keys}
    found = frames.gather(places(SPECS, where, keys, rng), out)
    assert list(found) == list(keys)
    return {key: np.asarray(value) for key, value in found.items()}


@EVERYWHERE
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_frames_are_what_was_written_last(make: Make, data: Any) -> None:
    frames, held = make(SPECS, CAPACITY), {}
    for slot in range(CAPACITY):
        held[slot] = observe(slot)
        frames.write(slot, held[slot])
    number = 100
    for action in data.draw(st.lists(st.sampled_from(["write", "write", "gather", "rewrite"]), max_size=15)):
        if action == "write":
            slot, number = data.draw(st.integers(0, CAPACITY - 1)), number + 1
            held[slot] = observe(number)
            frames.write(slot, held[slot])
        elif action == "rewrite":
            count = data.draw(st.sampled_from([0, CHUNK, CAPACITY]))

            def negative(arrays: Mapping[str, Any]) -> Any:
                assert {name: array.shape[1:] for name, array in arrays.items()} == {
                    name: spec.full_shape for name, spec in SPECS.items()
                }
                return -np.asarray(arrays["code"])

            frames.rewrite("code", count, negative, CHUNK)
            for slot in range(count):
                held[slot] = held[slot] | {"code": -held[slot]["code"]}
        else:
            slots = data.draw(st.lists(st.integers(0, CAPACITY - 1), min_size=ROWS, max_size=ROWS))
            views = data.draw(st.none() | st.integers(0, 5))
            rng = None if views is None else np.random.default_rng(views)
            batch = drawn(frames, slots, rng)
            again = None if views is None else np.random.default_rng(views)
            for prefix, order in (("obs", slots), ("next_obs", slots[::-1])):
                for name in ("image", "state"):
                    np.testing.assert_array_equal(batch[f"{prefix}/{name}"], [held[s][name] for s in order])
                view = np.zeros(ROWS, int) if again is None else again.integers(0, VIEWS, ROWS)
                expected = [held[s]["code"][v] for s, v in zip(order, view, strict=True)]
                np.testing.assert_array_equal(batch[f"{prefix}/code"], expected)


@EVERYWHERE
def test_frames_have_the_types_that_were_asked_for_and_read_nothing_else(make: Make) -> None:
    frames = make(SPECS, CAPACITY)
    for slot in range(CAPACITY):
        frames.write(slot, observe(slot))
    for name, spec in SPECS.items():
        batch = drawn(frames, [0, 8, 3], None, (f"next_obs/{name}",))
        assert batch[f"next_obs/{name}"].dtype == spec.dtype
        assert batch[f"next_obs/{name}"].shape == (3, *spec.shape)
    assert frames.slot_bytes == 36 + 8 + VIEWS * 5 * 2


@EVERYWHERE
def test_a_batch_is_the_same_wherever_frames_lie(make: Make, make_step: Any) -> None:
    def batches(frames: Make) -> list[dict[str, Any]]:
        buffer = ReplayBuffer(SPECS, 2, 30, lambda obs: observe(int(obs["id"][2] * 50 + obs["id"][3])), frames)
        rng, found = np.random.default_rng(0), []
        out = buffer.empty_batch(16)
        for episode in range(9):
            for t in range(7):
                buffer.add(make_step(episode, t, human=t == 3, end="truncated" if t == 6 else ""))
            batch = buffer.sample_view(Anchored(), rng, 16, 0.9, 0, out)
            found.append({key: np.asarray(value).copy() for key, value in batch.items()})  # `out` is filled again
        return found

    for ours, hosts in zip(batches(make), batches(host), strict=True):
        assert ours.keys() == hosts.keys()
        for key, value in ours.items():
            np.testing.assert_array_equal(value, hosts[key], key)
        assert (ours["obs/image"][:, 0, 0, 0] == ours["obs/state"][:, 0] % 256).all()


def test_large_gathers_in_pieces_are_the_gather() -> None:
    """More than a piece per array, of rows that fill no piece evenly, and an array that is no piece at all."""
    specs = {"image": ArraySpec(shape=(200, 331, 3), dtype="uint8"), "state": ArraySpec(shape=(2,))}
    rng = np.random.default_rng(0)
    kept = [{name: spec.sample(rng) for name, spec in specs.items()} for _ in range(20)]
    slots = rng.integers(0, 20, 70)
    for threads in (1, 2, 5):
        frames = HostFrames(specs, 20, threads)
        for slot, obs in enumerate(kept):
            frames.write(slot, obs)
        out = {f"obs/{name}": frames.empty(70, name) for name in specs}
        found = frames.gather(places(specs, {"obs": slots}, out, None), out)
        for name in specs:
            assert found[f"obs/{name}"] is out[f"obs/{name}"]
            np.testing.assert_array_equal(out[f"obs/{name}"], np.stack([kept[s][name] for s in slots]))


@pytest.mark.parametrize("shape", [(3,), (5, 7, 3)])
@pytest.mark.parametrize("dtype", ["uint8", "float16", "float32"])
def test_arrays_begin_with_a_page(shape: tuple[int, ...], dtype: str) -> None:
    array = aligned(shape, dtype)
    assert (array.shape, array.dtype) == (shape, np.dtype(dtype))
    assert array.ctypes.data % 4096 == 0
    assert array.flags.c_contiguous


def test_observations_of_other_names_are_refused() -> None:
    obs = observe(0)
    validate(SPECS, obs)
    with pytest.raises(
        SpecError, match=r"has \['code', 'image'\]; the replay buffer stores \['code', 'image', 'state'"
    ):
        validate(SPECS, {name: obs[name] for name in ("code", "image")})


def test_a_group_of_nothing_is_refused() -> None:
    from robot_hil.policies.torch.frames import TorchFrames

    with pytest.raises(ConfigError, match="0 observations at a time"):
        partial(TorchFrames, device="cpu", group=0)(SPECS, 4)
