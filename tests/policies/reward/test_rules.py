"""Ensembles, confirmation and the corrected reward."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from robot_hil.data.specs import Array
from robot_hil.errors import ConfigError
from robot_hil.policies.reward import rules
from robot_hil.policies.reward.config import Rule

MEMBERS = arrays(np.float64, st.tuples(st.integers(1, 6), st.integers(1, 5)), elements=st.floats(0.0, 1.0))
RATES = st.tuples(st.floats(0.0, 0.6), st.floats(0.0, 0.39))


@given(MEMBERS, st.floats(0.0, 3.0))
def test_cautious_rules_never_trust_more_than_the_mean(members: Array, caution: float) -> None:
    mean = rules.combine(members, "mean", caution)
    for rule in ("min", "mean_minus_std"):
        score = rules.combine(members, rule, caution)
        assert (score <= mean + 1e-9).all()
        assert (score >= 0.0).all()
        assert score.shape == (members.shape[1],)
    assert (rules.combine(members, "min", caution) == members.min(0)).all()
    doubt = rules.disagreement(members)
    assert ((doubt >= 0) & (doubt <= 1)).all()


@pytest.mark.parametrize("rule", ["mean", "min", "mean_minus_std"])
def test_members_that_agree_are_believed(rule: Rule) -> None:
    members = np.full((4, 2), 0.8)
    assert rules.combine(members, rule, 2.0) == pytest.approx(0.8)
    assert rules.disagreement(members) == pytest.approx(0.0)


def test_half_against_half_is_the_greatest_doubt() -> None:
    assert rules.disagreement(np.array([[0.0], [1.0], [0.0], [1.0]])).tolist() == [1.0]


@given(st.lists(st.booleans(), max_size=40), st.integers(1, 5))
def test_confirmation_is_that_many_hits_running(hits: list[bool], frames: int) -> None:
    believed = rules.confirmed(np.array(hits, bool), frames)
    for i, value in enumerate(believed):
        assert value == (i + 1 >= frames and all(hits[i + 1 - frames : i + 1]))


def test_confirmation_forgets_at_the_beginning_of_an_episode() -> None:
    judge = rules.Confirmation(2)
    assert [judge.see(True), judge.see(True)] == [False, True]
    judge.reset()
    assert not judge.see(True)
    with pytest.raises(ConfigError, match="at least 1"):
        rules.Confirmation(0)


@given(RATES)
def test_corrected_reward_is_right_on_average(rates: tuple[float, float]) -> None:
    false_positive, false_negative = rates
    yes, no = (rules.corrected(said, false_positive, false_negative) for said in (True, False))
    assert (1 - false_negative) * yes + false_negative * no == pytest.approx(1.0)
    assert false_positive * yes + (1 - false_positive) * no == pytest.approx(0.0, abs=1e-9)


@given(RATES)
def test_a_clipped_reward_is_the_verdict(rates: tuple[float, float]) -> None:
    assert rules.corrected(True, *rates, clip=True) == 1.0
    assert rules.corrected(False, *rates, clip=True) == 0.0


def test_a_judge_worse_than_a_coin_is_refused() -> None:
    with pytest.raises(ConfigError, match="add up to 1 or more"):
        rules.corrected(True, 0.7, 0.3)
    with pytest.raises(ConfigError, match=r"must be in \[0, 1\]"):
        rules.corrected(True, -0.1, 0.3)


def test_stages_go_from_nothing_to_all() -> None:
    assert [rules.staged(stage, 3) for stage in range(3)] == [0.0, 0.5, 1.0]
    with pytest.raises(ConfigError, match="stage is 3 of 3"):
        rules.staged(3, 3)
