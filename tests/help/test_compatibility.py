"""The score of a demonstration against what is imitated, on numbers made by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from robot_hil.errors import ConfigError, SpecError
from robot_hil.help import compatibility
from robot_hil.help.compatibility import Yardstick

USUAL = Yardstick(doubt=0.1, error=2.0)
NUMBERS = arrays(np.float64, 12, elements=st.floats(0, 10))


def test_opinions_are_mean_and_spread_over_the_members() -> None:
    mean, doubt = compatibility.opinions(np.array([[[0.0, 1.0]], [[2.0, 1.0]]]))
    assert mean.tolist() == [[1.0, 1.0]]
    assert doubt.tolist() == [0.5]  # the first action varies by 1, the second not at all


def test_one_member_has_no_doubt_and_is_refused() -> None:
    with pytest.raises(SpecError, match="at least 2 members"):
        compatibility.opinions(np.zeros((1, 3, 2)))


def test_error_is_the_squared_distance() -> None:
    assert compatibility.errors(np.zeros((2, 2)), np.array([[3.0, 4.0], [0.0, 1.0]])).tolist() == [25.0, 1.0]


def test_a_step_fits_by_its_error_unless_its_state_is_new() -> None:
    error, doubt = np.array([0.0, 1.0, 2.0, 9.0, 9.0]), np.array([0.0, 0.1, 0.1, 0.1, 0.11])
    assert compatibility.fit(error, doubt, USUAL).tolist() == [1.0, 0.5, 0.0, 0.0, 1.0]


@given(NUMBERS, NUMBERS)
def test_scores_are_shares_and_fall_with_the_error(error: np.ndarray, doubt: np.ndarray) -> None:
    fits = compatibility.fit(error, doubt, USUAL)
    assert ((fits >= 0) & (fits <= 1)).all()
    assert (compatibility.fit(error + 0.5, doubt, USUAL) <= fits).all()


def test_the_yardstick_is_a_percentile_of_withheld_data() -> None:
    usual = compatibility.measure(np.arange(101.0), np.arange(101.0) / 100)
    assert (usual.error, usual.doubt) == (190.0, 0.95)
    with pytest.raises(ConfigError, match="no withheld steps"):
        compatibility.measure(np.zeros(0), np.zeros(0))
    with pytest.raises(ConfigError, match="finite doubt"):
        Yardstick(doubt=float("nan"), error=1.0)


def test_a_judgement_names_what_to_look_at_again() -> None:
    error = np.zeros(40)
    error[[8, 10, 30]] = 1.5, 2.0, 1.8
    judged = compatibility.judge(error, np.zeros(40), USUAL)
    assert judged.accepted
    assert judged.worst == ((5, 15), (25, 35))
    assert judged.score == pytest.approx(1 - (1.5 + 2.0 + 1.8) / 2 / 40)
    assert not compatibility.judge(error + 1.0, np.zeros(40), USUAL).accepted
    assert compatibility.judge(error + 1.0, np.full(40, 0.2), USUAL).novel == 1.0
    with pytest.raises(ConfigError, match="without steps"):
        compatibility.judge(np.zeros(0), np.zeros(0), USUAL)


def test_ranking_counts_pairs() -> None:
    assert compatibility.ranking([3, 2], [1, 2]) == 0.875
    with pytest.raises(ConfigError, match="both kinds"):
        compatibility.ranking([], [1.0])
