"""MILE's view: which steps tell whether a person wanted to take over."""

import pytest
from methods.made import columns

from robot_hil.errors import ConfigError
from robot_hil.methods.mile import Mile


def test_steps_just_before_a_take_over_are_no_approval() -> None:
    found = Mile(window_steps=2).aux(columns("d....hht..h."))
    assert found["proposed"].tolist() == [0, 1, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1]
    assert found["overridden"].tolist() == [0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 1, 0]


def test_without_a_window_every_step_tells() -> None:
    assert Mile(window_steps=0).aux(columns("..h"))["proposed"].tolist() == [1, 1, 1]


def test_a_negative_window_is_refused() -> None:
    with pytest.raises(ConfigError, match="window_steps is -1"):
        Mile(window_steps=-1)
