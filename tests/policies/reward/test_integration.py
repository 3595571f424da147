"""The algebra of progress: chains telescope, round trips cancel, and values stay values."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from robot_hil.policies.reward import integration

DELTA = st.floats(-0.95, 0.95)
DELTAS = st.lists(DELTA, min_size=1, max_size=30)


def chained(deltas: np.ndarray, start: float = 0.0) -> np.ndarray:
    """Values (T + 1,), not clipped, from deltas (T,)."""
    remaining = np.log1p(-start) + np.concatenate([[0.0], np.cumsum(integration.log_remaining(deltas))])
    values: np.ndarray = 1.0 - np.exp(remaining)
    return values


@given(DELTAS)
def test_the_way_back_undoes_the_way(deltas: list[float]) -> None:
    there_and_back = np.array([*deltas, *(-delta for delta in reversed(deltas))])
    values = chained(there_and_back)
    scale = 1.0 + np.abs(values).max()
    assert values[-1] == pytest.approx(0.0, abs=1e-9 * scale)
    assert values == pytest.approx(values[::-1], abs=1e-9 * scale)


@given(DELTAS, st.floats(0.0, 0.9))
def test_step_by_step(deltas: list[float], start: float) -> None:
    value = start
    for delta, integrated in zip(deltas, chained(np.array(deltas), start)[1:], strict=True):
        value = value + (1 - value) * delta if delta >= 0 else 1 - (1 - value) / (1 + delta)
        assert integrated == pytest.approx(value, rel=1e-6, abs=1e-9)


@given(st.lists(st.floats(0.01, 0.9), min_size=2, max_size=20, unique=True), st.integers(0, 9))
def test_true_deltas_give_the_true_progress(progress: list[float], seed: int) -> None:
    path = np.concatenate([[0.0], np.random.default_rng(seed).permutation(progress)])
    steps = np.diff(path)
    deltas = np.where(steps >= 0, steps / (1 - path[:-1]), steps / (1 - path[1:]))
    assert chained(deltas) == pytest.approx(path, abs=1e-7)


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=30))
def test_progress_alone_stays_below_all(deltas: list[float]) -> None:
    values = chained(np.array(deltas))
    assert (values <= 1.0).all()
    assert (np.diff(values) >= 0).all()


def test_values_by_hand() -> None:
    assert chained(np.array([0.5, 0.5, -0.5])) == pytest.approx([0.0, 0.5, 0.75, 0.5])


@given(DELTA)
def test_log_of_what_remains_is_odd(delta: float) -> None:
    one, other = integration.log_remaining(np.array([delta, -delta]))
    assert one == -other


@given(DELTAS, DELTAS)
def test_rewards_telescope_and_an_episode_earns_at_most_one(there: list[float], onward: list[float]) -> None:
    remaining = np.concatenate([[0.0], np.cumsum(integration.log_remaining(np.array([*there, *onward])))])
    values = integration.potential(remaining)
    earned = integration.rewards(values)
    assert earned.sum() == pytest.approx(values[-1] - values[0], abs=1e-9)
    assert earned.sum() <= 1.0
    assert earned[: len(there)].sum() == pytest.approx(values[len(there)], abs=1e-9)


@given(DELTA, DELTA, st.integers(1, 50))
def test_going_to_and_fro_earns_nothing_more(before: float, delta: float, rounds: int) -> None:
    steps = np.array([before] + [delta, -delta] * rounds)
    values = integration.potential(np.cumsum(integration.log_remaining(steps)))
    assert abs(integration.rewards(values).sum()) <= 1e-9


def test_discounted_shaping() -> None:
    assert integration.rewards(np.array([0.5, 1.0]), discount=0.9) == pytest.approx([0.4])


@given(st.lists(st.integers(-5, 5), min_size=3, max_size=30).filter(lambda values: len(set(values)) > 1))
def test_order_correlation_is_spearmans(values: list[int]) -> None:
    expected = spearmanr(values, range(len(values))).statistic
    assert integration.value_order_correlation(np.array(values, float)) == pytest.approx(expected)


def test_quality_of_nothing() -> None:
    assert integration.value_order_correlation(np.ones(5)) == 0.0
    assert integration.value_order_correlation(np.ones(1)) == 0.0
    assert integration.negative_rate(np.zeros(0)) == 0.0
    assert integration.negative_rate(np.array([0.1, -0.1, 0.0, 0.2])) == 0.25
