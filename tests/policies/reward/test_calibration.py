"""Temperatures, thresholds, intervals and curves, against numbers worked out by hand and their own definitions."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_hil.data.specs import Array
from robot_hil.errors import ConfigError
from robot_hil.policies.reward import calibration

SCORED = st.lists(st.tuples(st.floats(0.0, 1.0), st.booleans()), min_size=2, max_size=60).filter(
    lambda rows: len({success for _, success in rows}) == 2
)


def columns(rows: list[tuple[float, bool]]) -> tuple[Array, Array]:
    return np.array([score for score, _ in rows]), np.array([success for _, success in rows])


def test_temperature_takes_back_what_was_multiplied() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(1, 20_000, 3)) * 1.5
    chances = calibration.softmax(logits)[0]
    labels = (rng.random((20_000, 1)) > chances.cumsum(-1)).sum(-1)
    assert calibration.fit_temperature(logits, labels) == pytest.approx(1.0, rel=0.1)
    assert calibration.fit_temperature(4.0 * logits, labels) == pytest.approx(4.0, rel=0.1)


def test_frames_that_are_all_right_do_not_make_it_certain() -> None:
    for count in (4, 40):
        labels = np.arange(count) % 2
        logits = np.where(np.eye(2)[labels] > 0, 3.0, -3.0)[None]
        temperature = calibration.fit_temperature(logits, labels)
        said = calibration.softmax(logits / temperature)[0, 0, 0]
        assert said == pytest.approx((count / 2 + 1) / (count / 2 + 2), abs=0.02)


def test_temperature_stays_bounded() -> None:
    wrong = np.array([[[500.0, 0.0], [0.0, 500.0]]])
    assert calibration.fit_temperature(wrong, np.array([1, 0])) == pytest.approx(20.0)
    assert calibration.fit_temperature(np.zeros((2, 0, 2)), np.zeros(0, int)) == 1.0


def test_calibration_error_by_hand() -> None:
    probability = np.array([0.05, 0.05, 0.95, 0.95])
    assert calibration.calibration_error(probability, np.array([False, False, True, True])) == pytest.approx(0.05)
    assert calibration.calibration_error(probability, np.array([False, True, True, True])) == pytest.approx(0.25)
    assert calibration.calibration_error(np.zeros(0), np.zeros(0, bool)) == 0.0


@given(SCORED, st.floats(0.0, 0.9))
def test_threshold_keeps_the_wanted_rate_and_gives_up_a_tenth_of_the_successes_at_most(
    rows: list[tuple[float, bool]], wanted: float
) -> None:
    scores, success = columns(rows)
    threshold = calibration.choose_threshold(scores, success, wanted)
    hits = scores >= threshold
    assert hits[~success].mean() <= wanted
    stricter = [t for t in np.unique(scores) if (scores[~success] >= t).mean() <= wanted]
    best = max((int((scores[success] >= t).sum()) for t in stricter), default=0)
    assert 0.9 * best <= int(hits[success].sum()) <= best


def test_threshold_lies_between_what_it_divides() -> None:
    scores, success = np.array([0.02, 0.1, 0.9, 0.99]), np.array([False, False, True, True])
    assert calibration.choose_threshold(scores, success, 0.0) == pytest.approx(0.5)
    assert calibration.choose_threshold(scores, success, 0.5) == pytest.approx(0.46)


@pytest.mark.parametrize("success", [np.ones(3, bool), np.zeros(3, bool)])
def test_threshold_needs_both_kinds(success: Array) -> None:
    with pytest.raises(ConfigError, match="both are needed"):
        calibration.choose_threshold(np.full(3, 0.5), success, 0.1)


@given(st.integers(0, 50), st.integers(1, 50))
def test_interval_holds_the_share_and_mirrors(events: int, more: int) -> None:
    rate, mirrored = calibration.wilson(events, events + more), calibration.wilson(more, events + more)
    assert 0.0 <= rate.low <= rate.value <= rate.high <= 1.0
    assert rate.low == pytest.approx(1.0 - mirrored.high)


def test_interval_by_hand() -> None:
    rate = calibration.wilson(1, 10)
    assert (rate.value, rate.low, rate.high) == (
        0.1,
        pytest.approx(0.01788, abs=1e-5),
        pytest.approx(0.40415, abs=1e-5),
    )
    none = calibration.wilson(0, 0)
    assert (none.value, none.low, none.high) == (0.0, 0.0, 1.0)


@given(SCORED)
def test_curves_say_what_a_threshold_does(rows: list[tuple[float, bool]]) -> None:
    scores, success = columns(rows)
    area = calibration.area_under_roc(scores, success)
    pairs = [0.5 * (float(p > n) + float(p >= n)) for p in scores[success] for n in scores[~success]]
    assert area == pytest.approx(float(np.mean(pairs)))
    for threshold, false, true in calibration.roc(scores, success):
        assert false == pytest.approx((scores[~success] >= threshold).mean())
        assert true == pytest.approx((scores[success] >= threshold).mean())
    for threshold, precision, recall in calibration.precision_recall(scores, success):
        assert precision == pytest.approx(success[scores >= threshold].mean())
        assert recall == pytest.approx((scores[success] >= threshold).mean())


def test_curves_are_thinned_and_one_kind_alone_says_nothing() -> None:
    scores = np.linspace(0, 1, 5000)
    points = calibration.roc(scores, scores > 0.5)
    assert len(points) == 100
    assert points[-1][1:] == (1.0, 1.0)
    assert calibration.area_under_roc(scores, np.zeros(5000, bool)) == 0.5


def test_confusion_counts() -> None:
    assert calibration.confusion(np.array([0, 0, 1, 2]), np.array([0, 1, 1, 0]), 3) == ((1, 1, 0), (0, 1, 0), (1, 0, 0))


def test_softmax_of_large_numbers() -> None:
    assert calibration.softmax(np.array([1000.0, 1000.0])).tolist() == [0.5, 0.5]
    assert math.isfinite(float(calibration.softmax(np.array([-1e9, 0.0]))[0]))
