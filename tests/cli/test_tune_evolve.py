"""Numbers that are bred and given up early: who goes on, what is bred, and that the space is never left."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_hil.cli.tune_evolve import BY_CHANCE, bred, goes_on, rungs
from robot_hil.cli.tune_space import Dimension

SPACE = (
    Dimension(name="a", choices=(1, 2, 4)),
    Dimension(name="b", low=0.5, high=10.0, log=True),
    Dimension(name="c", low=3, high=9, whole=True),
    Dimension(name="d", low=-1.0, high=1.0),
)


def test_rungs_are_below_the_whole() -> None:
    assert [rungs(n) for n in (1, 2, 3, 5, 10)] == [(), (1,), (1,), (1, 3), (1, 3, 9)]


def test_the_best_third_at_a_rung_go_on() -> None:
    others = [[0.9], [0.7], [0.5], [0.3], [0.1]]
    assert [goes_on([own], others, 5) for own in (0.95, 0.8, 0.6)] == [True, True, False]
    assert goes_on([0.2], [], 5)
    assert goes_on([0.0, 0.0], others, 5)  # between rungs nobody is judged
    assert not goes_on([0.5, 0.5, 0.5], [[0.6, 0.6, 0.6], [0.9]], 5)  # who came as far
    assert not goes_on([1.0] * 5, [], 5)


@given(st.floats(0, 1), st.sampled_from(SPACE))
def test_a_place_is_a_value_within_and_the_value_has_that_place(place: float, one: Dimension) -> None:
    value = one.at(place)
    if one.choices:
        assert value in one.choices
    else:
        assert one.low <= float(value) <= one.high
        assert isinstance(value, int) == one.whole
    assert one.at(one.where(value)) == pytest.approx(value)
    assert 0 <= one.where(value) <= 1


@given(st.integers(0, 12), st.integers(0, 1000))
def test_what_is_bred_lies_in_the_space_and_depends_on_the_seed_alone(count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    tried = [(bred(SPACE, [], rng), [float(rng.random())]) for _ in range(count)]
    child = bred(SPACE, tried, np.random.default_rng(seed))
    assert child == bred(SPACE, tried, np.random.default_rng(seed))
    for one in SPACE:
        assert one.at(one.where(child[one.name])) == pytest.approx(child[one.name])


def test_evolution_finds_better_numbers_than_chance() -> None:
    def score(numbers: dict) -> list[float]:  # type: ignore[type-arg]
        return [-abs(numbers["d"] - 0.3) - abs(np.log(numbers["b"] / 2.0)) + (numbers["a"] == 4)]

    def best(by_chance: bool, seed: int) -> float:
        rng = np.random.default_rng(seed)
        tried: list = []  # type: ignore[type-arg]
        for _ in range(60):
            numbers = bred(SPACE, [] if by_chance else tried, rng)
            tried.append((numbers, score(numbers)))
        assert len(tried) > BY_CHANCE
        return max(one[1][0] for one in tried)

    assert np.mean([best(False, s) for s in range(20)]) > np.mean([best(True, s) for s in range(20)]) + 0.05
