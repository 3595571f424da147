"""Alternatives of an array: all are kept, one is drawn per row."""

import numpy as np
import pytest

from robot_hil.data.specs import ArraySpec
from robot_hil.errors import ConfigError, SpecError
from robot_hil.methods.base import Method
from robot_hil.replay.buffer import ReplayBuffer

VIEWS = 3
SPEC = {"id": ArraySpec(shape=(4,)), "code": ArraySpec(shape=(2,), dtype="float16", variants=VIEWS)}


def code(step_index: float) -> np.ndarray:
    """Return every view of a step's code: which step, and which view."""
    return np.stack([np.array([step_index, view], np.float16) for view in range(VIEWS)])


def see(obs):
    return {"id": obs["id"], "code": code(obs["id"][3])}


@pytest.fixture
def buffer(make_step):
    made = ReplayBuffer(SPEC, 2, 50, see)
    for t in range(10):
        made.add(make_step(0, t, end="truncated" if t == 9 else ""))
    return made


def draw(buffer, size=3_000, seed=0, out=None):
    rng = np.random.default_rng(seed)
    return buffer.sample(rng, {"online": 1.0}, size, 1, 0.9, Method().reward, out=out)


def test_each_row_gets_one_view_of_its_own_step(buffer):
    batch = draw(buffer)
    for prefix in ("obs", "next_obs"):
        assert batch[f"{prefix}/code"].shape == (3_000, 2)
        assert batch[f"{prefix}/code"].dtype == np.float16
        np.testing.assert_array_equal(batch[f"{prefix}/code"][:, 0], batch[f"{prefix}/id"][:, 3])


def test_views_are_drawn_evenly_and_independently(buffer):
    """Chi-square with a fixed seed: 99.9 % bound for 8 degrees of freedom is 26.1."""
    batch = draw(buffer)
    pairs = batch["obs/code"][:, 1].astype(int) * VIEWS + batch["next_obs/code"][:, 1].astype(int)
    counts, expected = np.bincount(pairs, minlength=9), 3_000 / 9
    assert ((counts - expected) ** 2 / expected).sum() < 26.1


def test_equal_generators_draw_equal_views(buffer):
    one, two = draw(buffer, seed=4), draw(buffer, seed=4)
    for name, values in one.items():
        np.testing.assert_array_equal(values, two[name])
    assert not np.array_equal(one["obs/code"], draw(buffer, seed=5)["obs/code"])


def test_arrays_without_variants_draw_nothing(buffer):
    """What is sampled does not depend on whether an array with variants is read along."""
    alone = draw(buffer, out=buffer.empty_batch(3_000, {"obs": ["id"]}))
    np.testing.assert_array_equal(alone["obs/id"], draw(buffer)["obs/id"])


def test_people_see_the_first_view(buffer):
    found = buffer.observations(np.arange(10), ("code",))
    np.testing.assert_array_equal(found["obs/code"], [[t, 0] for t in range(10)])


@pytest.mark.parametrize("chunk", [1, 4, 100])
def test_rewriting_makes_all_views_of_all_observations(buffer, chunk):
    sizes = []

    def make(arrays):
        sizes.append(len(arrays["id"]))
        assert arrays["code"].shape == (sizes[-1], VIEWS, 2)
        return arrays["code"] + np.float16(0.5)

    buffer.rewrite("code", make, chunk)
    assert sum(sizes) == 11
    assert max(sizes) == min(chunk, 11)
    batch = draw(buffer)
    np.testing.assert_array_equal(batch["next_obs/code"][:, 0], batch["next_obs/id"][:, 3] + 0.5)
    assert set(batch["next_obs/code"][:, 1]) == {0.5, 1.5, 2.5}


def test_chunks_are_at_least_one(buffer):
    with pytest.raises(ConfigError, match="0 observations at a time"):
        buffer.rewrite("code", lambda arrays: arrays["code"], 0)


def test_one_view_too_few_is_refused(make_step):
    buffer = ReplayBuffer(SPEC, 2, 50, lambda obs: see(obs) | {"code": code(0)[1:]})
    with pytest.raises(SpecError, match=r"float16\(2, 2\); the specification says float16\(3, 2\)"):
        buffer.add(make_step(0, 0))
