"""Bootstrap intervals: of known cases, and what holds for all."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from robot_hil.compare.statistics import gap_interval, mean_interval, ratio_interval, success_interval

seeds = st.lists(st.integers(0, 20), min_size=1, max_size=6)
costs = st.lists(st.floats(1.0, 1e4), min_size=1, max_size=8)


@given(successes=seeds)
def test_success_interval_lies_around_the_mean_and_in_range(successes: list[int]) -> None:
    low, high = success_interval(successes, [20] * len(successes))
    assert 0.0 <= low <= np.mean(successes) / 20 <= high <= 1.0


def test_certain_success_has_no_spread() -> None:
    assert success_interval([50, 50], [50, 50]) == (1.0, 1.0)
    assert success_interval([0], [50]) == (0.0, 0.0)


def test_seeds_that_differ_widen_the_interval() -> None:
    alike, apart = success_interval([25] * 4, [50] * 4), success_interval([0, 50, 0, 50], [50] * 4)
    assert apart[1] - apart[0] > 2 * (alike[1] - alike[0])


def test_success_interval_is_about_that_of_the_binomial_distribution() -> None:
    low, high = success_interval([200], [400])  # one seed: normal approximation 0.5 +- 1.96 * 0.025
    assert abs(low - 0.451) < 0.01
    assert abs(high - 0.549) < 0.01


def test_a_gap_that_only_two_seeds_agree_on_is_none_and_a_wide_one_is() -> None:
    low, high = gap_interval([[(40, 50)], [(41, 50)]], [[(39, 50)], [(38, 50)]])
    assert low < 0 < 0.04 < high
    low, high = gap_interval([[(40, 50), (50, 50)]] * 2, [[(20, 50), (30, 50)]] * 2)
    assert 0.2 < low < 0.4 < high < 0.6


def test_a_gap_has_about_the_width_of_two_binomial_distributions() -> None:
    low, high = gap_interval([[(200, 400)]], [[(100, 400)]])
    half = 1.96 * np.sqrt((0.25 + 0.1875) / 400)
    assert abs(low - (0.25 - half)) < 0.015
    assert abs(high - (0.25 + half)) < 0.015


def test_a_gap_between_certain_results_is_certain() -> None:
    assert gap_interval([[(10, 10), (0, 20)]], [[(0, 10), (0, 20)]]) == (0.5, 0.5)


@given(values=costs)
def test_mean_interval_holds_the_mean_and_repeats(values: list[float]) -> None:
    low, high = mean_interval(values)
    assert min(values) - 1e-9 <= low <= high <= max(values) + 1e-9
    assert mean_interval(values) == (low, high)


def test_mean_interval_has_the_width_of_the_standard_error() -> None:
    values = np.random.default_rng(1).normal(3.0, 2.0, 400)
    low, high = mean_interval(list(values))
    assert abs((high - low) / 2 - 1.96 * values.std() / 20) < 0.02


@given(theirs=costs, factor=st.floats(0.1, 10.0))
def test_ratio_of_paired_costs_that_are_in_proportion_is_certain(theirs: list[float], factor: float) -> None:
    low, high = ratio_interval([factor * cost for cost in theirs], theirs)
    assert np.isclose(low, factor)
    assert np.isclose(high, factor)


def test_ratio_to_nothing_is_infinite_and_of_nothing_to_nothing_one() -> None:
    assert ratio_interval([1.0, 1.0], [0.0, 0.0]) == (np.inf, np.inf)
    assert ratio_interval([0.0], [0.0]) == (1.0, 1.0)
