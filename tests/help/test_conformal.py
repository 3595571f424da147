"""P-values that hold what they promise."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_hil.errors import ConfigError
from robot_hil.help import conformal
from robot_hil.help.conformal import Calibration


def test_p_value_counts_scores_at_least_as_large() -> None:
    scores = np.array([1.0, 2.0, 2.0, 3.0])
    assert conformal.p_value(np.array([0.0, 2.0, 2.5, 9.0]), scores).tolist() == [1.0, 0.8, 0.4, 0.2]


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=30), st.floats(-9, 9), st.floats(0, 3))
def test_more_unusual_is_never_more_probable(scores: list[float], value: float, more: float) -> None:
    known = np.sort(scores)
    p, q = conformal.p_value(value, known), conformal.p_value(value + more, known)
    assert 0 < q <= p <= 1


def episodes(seed: int, count: int = 40) -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(seed)
    return [(rng.exponential(size=25), rng.normal(size=25)) for _ in range(count)]


def test_nominal_steps_are_called_unusual_as_often_as_promised() -> None:
    calibration = Calibration(episodes(0))
    p = np.concatenate([calibration.p(u, d) for u, d in episodes(1, 200)])
    assert conformal.calibration_error(p) < 0.02
    shifted = np.concatenate([calibration.p(u, d + 4.0) for u, d in episodes(2)])
    assert np.mean(shifted <= 0.05) > 0.8


def test_episodes_are_calibrated_without_themselves() -> None:
    odd = (np.full(10, 99.0), np.zeros(10))
    found = conformal.left_out([*episodes(0, 9), odd])
    assert found[-1].max() < 0.01  # nothing like it was seen elsewhere
    with pytest.raises(ConfigError, match="at least 2 withheld"):
        conformal.left_out([odd])


def test_calibration_error_is_the_mean_difference_from_the_level() -> None:
    assert conformal.calibration_error(np.linspace(0.005, 1, 200)) == pytest.approx(0, abs=1e-9)
    assert conformal.calibration_error(np.ones(10), (0.1, 0.3)) == pytest.approx(0.2)
    with pytest.raises(ConfigError, match="needs p-values"):
        conformal.calibration_error(np.zeros(0))
