"""Hi-ORS: which episodes are kept, and which of their steps."""

import numpy as np
import pytest
from methods.made import log

from robot_hil.data.specs import Array
from robot_hil.errors import ConfigError
from robot_hil.methods.hi_ors import HiOrs

TEXT = "ddd|.hh.|....|.."


def moving(rows: list[int] | None = None) -> Array:
    """Actions that move in `rows`, by default in all."""
    actions = np.zeros((13, 2), np.float32)
    actions[slice(None) if rows is None else rows, 1] = -0.5
    return actions


def kept(method: HiOrs, **columns: object) -> list[float]:
    base = {"reward/env": np.float32([0, 0, 1, 0, 0, 0, 1, 0, 0, 1, 0, 0, 1]), "action_executed": moving()}
    found = method.survey(log(TEXT, **(base | columns)))
    assert found["draw"].tolist() == found["imitate"].tolist()
    return found["imitate"].tolist()


def test_episodes_that_ended_well_are_kept_whoever_drove() -> None:
    assert kept(HiOrs(least_steps=3)) == [1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0]  # the third had its reward too early
    assert kept(HiOrs(least_steps=4)) == [0, 0, 0, 1, 1, 1, 1] + [0] * 6
    assert kept(HiOrs(least_steps=1, threshold=1.0)) == [0] * 13


def test_an_episode_that_goes_on_is_not_kept() -> None:
    truncated = np.zeros(13, bool)
    truncated[[2, 10, 12]] = True
    assert kept(HiOrs(least_steps=3), truncated=truncated) == [1, 1, 1] + [0] * 10


def test_what_did_not_move_yet_is_left_out() -> None:
    assert kept(HiOrs(least_steps=3), action_executed=moving([1, 5])) == [0, 1, 1, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0]
    assert kept(HiOrs(least_steps=3), action_executed=moving([])) == [0] * 13


def test_release_tails_are_left_out() -> None:
    tails = log("h.htt.", **{"reward/env": np.float32([0, 0, 0, 0, 0, 1]), "action_executed": np.ones((6, 2))})
    assert HiOrs().survey(tails)["imitate"].tolist() == [1, 1, 1, 0, 0, 1]


@pytest.mark.parametrize(
    ("make", "named"), [(lambda: HiOrs(least_steps=0), "least_steps is 0"), (lambda: HiOrs(still=-1.0), r"-1\.0")]
)
def test_settings_that_cannot_work_are_refused(make, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        make()
