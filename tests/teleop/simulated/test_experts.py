"""Experts by name."""

import pytest

from robot_hil.errors import UnknownNameError
from robot_hil.teleop.simulated import experts


@pytest.mark.parametrize("name", experts.NAMES)
def test_every_name_makes_an_expert(name: str) -> None:
    expert = experts.make(name)
    assert expert.action_dim >= 2
    assert expert.goal_key.endswith("_pos")
    assert expert.tolerance > 0.0
    assert set(expert.misjudged) <= {0, 1, 2}


def test_an_unknown_name_is_answered_with_the_choices() -> None:
    with pytest.raises(UnknownNameError, match="peg_slot, pick_cube"):
        experts.make("nobody")
