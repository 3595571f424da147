"""Profiles refuse what cannot work, and fatigue has the stated shape."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_hil.errors import ConfigError
from robot_hil.teleop.simulated.profile import CAREFUL, PROFILES, Profile


@pytest.mark.parametrize(
    "wrong",
    [{"speed": 0.0}, {"speed": 1.2}, {"skill": 1.5}, {"noise": -0.1}, {"smoothing": 1.0}, {"min_hold_steps": 0},
     {"max_hold_steps": 3}, {"fatigue_steps": 0.0}, {"noise": float("nan")}],
)  # fmt: skip
def test_impossible_values_are_refused_by_name(wrong: dict[str, Any]) -> None:
    (name,) = wrong
    with pytest.raises(ConfigError, match=f"{name}="):
        Profile(**wrong)


@given(st.integers(0, 10**9))
def test_tiredness_grows_from_zero_to_below_one(worked: int) -> None:
    assert 0.0 <= CAREFUL.tiredness(worked) < 1.0
    assert CAREFUL.tiredness(worked + 1) >= CAREFUL.tiredness(worked)
    assert CAREFUL.tiredness(20_000) == 0.5


def test_presets_are_named_and_ordered_by_skill() -> None:
    assert PROFILES["careful"] is CAREFUL
    assert PROFILES["careful"].skill > PROFILES["sixty_percent"].skill > PROFILES["thirty_percent"].skill


def test_steady_lies_between_careful_and_competent_and_takes_no_more_risks_than_careful() -> None:
    careful, steady, competent = (PROFILES[name] for name in ("careful", "steady", "competent"))
    assert careful.speed < steady.speed < competent.speed
    assert careful.noise < steady.noise < competent.noise
    assert careful.dwell_steps > steady.dwell_steps > competent.dwell_steps
    assert steady.skill == 1.0
    assert steady.blunder_rate == careful.blunder_rate
