"""RLIF: one take-over costs exactly once, and nothing else does, unless the task's reward is wanted, too."""

import numpy as np
import pytest
from methods.made import columns

from robot_hil.errors import ConfigError
from robot_hil.methods.rlif import Rlif


def reward(text: str, method: Rlif, **more: object) -> list[float]:
    return method.reward(columns(text, **more))[0].tolist()


def test_the_step_that_provoked_a_take_over_costs_one() -> None:
    assert reward("dd|..hh.h|...", Rlif()) == [0, 0, 0, -1, 0, 0, -1, 0, 0, 0, 0]


def test_a_take_over_at_once_or_after_another_costs_nobody() -> None:
    assert reward("hh|.hhh", Rlif()) == [0, 0, -1, 0, 0, 0]


def test_spread_over_the_time_to_react() -> None:
    method = Rlif(window_steps=3, cost=0.6)
    assert reward("....h", method) == pytest.approx([0, -0.2, -0.2, -0.2, 0])
    assert reward(".h", method) == pytest.approx([-0.2, 0])  # one step alone cannot be told more than its part


def test_alone_or_added_to_the_tasks_reward() -> None:
    env = {"reward/env": np.float32([0, 0, 0, 1])}
    assert reward("..h.", Rlif(), **env) == [0, -1, 0, 0]
    assert reward("..h.", Rlif(alone=False, cost=0.5), **env) == [0, -0.5, 0, 1]


def test_only_the_end_of_the_task_ends_the_return() -> None:
    ended = np.array([False, False, False, True])
    assert Rlif().reward(columns("..h.", terminated=ended))[1].tolist() == [1, 1, 1, 0]


def test_all_rows_are_drawn_alike() -> None:
    assert Rlif().share({"demo": 10, "intervention": 7, "online": 30}, 0) == {
        "demo": 0.25, "intervention": 0.0, "online": 0.75,
    }  # fmt: skip


def test_corrections_are_not_imitated() -> None:
    found = Rlif().aux(columns("dd|..hh.", verdict=np.uint8([0] * 7)))["imitate"]
    assert found.tolist() == [1, 1, 0, 0, 0, 0, 0]
    assert found.dtype == np.float32


@pytest.mark.parametrize(("make", "named"), [(lambda: Rlif(cost=-1.0), "-1.0"), (lambda: Rlif(window_steps=0), "is 0")])
def test_settings_that_cannot_work_are_refused(make, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        make()
