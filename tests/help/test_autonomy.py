"""Levels of autonomy: they fall when the robot is unreliable for long enough, and rise one at a time."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_hil.errors import ConfigError
from robot_hil.help.autonomy import Autonomy, AutonomyConfig, Level

PERIOD = 0.1
PLAIN = AutonomyConfig(smooth_s=0.0)


def follow(values: list[float], config: AutonomyConfig = PLAIN, start: float = 0.0) -> tuple[Autonomy, list[Level]]:
    autonomy = Autonomy(config, PERIOD)
    levels = []
    for i, value in enumerate(values):
        autonomy.update(start + i * PERIOD, value, "cause")
        levels.append(autonomy.level)
    return autonomy, levels


def test_three_unreliable_steps_slow_the_robot_and_more_hold_it() -> None:
    autonomy, levels = follow([1.0] * 5 + [0.02] * 12)
    assert levels[6] is Level.FULL
    assert levels[7] is Level.SLOWED
    assert levels[16] is Level.SLOWED
    autonomy.update(1.7, 0.02)
    assert autonomy.level is Level.HELD  # one second after the change before
    assert [change.level for change in autonomy.changes] == [Level.SLOWED, Level.HELD]


def test_a_short_glitch_changes_nothing() -> None:
    assert set(follow([1.0, 0.02, 0.02, 1.0] * 10)[1]) == {Level.FULL}


def test_an_alarm_holds_at_once_and_smoothing_delays_it() -> None:
    assert follow([1.0, 0.001])[1] == [Level.FULL, Level.HELD]
    assert follow([1.0, 0.001], replace(PLAIN, smooth_s=0.2))[1] == [Level.FULL, Level.FULL]


def test_the_level_rises_after_two_good_seconds_but_not_from_standing() -> None:
    autonomy, levels = follow([0.02] * 3 + [0.9] * 25)
    assert levels[2] is Level.SLOWED
    assert levels[22] is Level.SLOWED
    assert levels[23] is Level.FULL
    assert autonomy.changes[-1].cause == "reliable again"
    assert follow([0.001] + [0.9] * 100)[1][-1] is Level.HELD


def test_who_was_pardoned_is_slowed_but_not_held_again_for_a_while() -> None:
    autonomy, _ = follow([0.001])
    change = autonomy.pardon(1.0, "a person drives")
    assert change is not None
    assert change.level is Level.SLOWED
    for i in range(49):
        autonomy.update(1.0 + (i + 1) * PERIOD, 0.001)
    assert autonomy.level is Level.SLOWED
    autonomy.update(6.1, 0.001)
    assert autonomy.level is Level.HELD
    assert autonomy.pardon(6.2, "") is not None
    assert autonomy.pardon(6.3, "") is None


def test_an_episode_begins_with_full_autonomy() -> None:
    autonomy, _ = follow([0.001])
    autonomy.begin_episode()
    assert (autonomy.level, autonomy.changes, autonomy.reliability) == (Level.FULL, [], 1.0)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=120), st.sampled_from([0.0, 0.2]))
def test_changes_without_alarm_keep_their_distance(values: list[float], smooth: float) -> None:
    autonomy, levels = follow(values, replace(PLAIN, alarm=0.0, smooth_s=smooth))
    times = [change.t for change in autonomy.changes]
    assert all(np.diff(times) >= PLAIN.dwell_s - 1e-6)
    assert all(abs(a - b) <= 1 for a, b in zip([Level.FULL, *levels], levels, strict=False))


@pytest.mark.parametrize("wrong", [{"low": 0.3}, {"alarm": 0.1}, {"slow": 0.0}, {"patience": 0}, {"dwell_s": -1.0}])
def test_numbers_that_cannot_work_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        replace(PLAIN, **wrong)
