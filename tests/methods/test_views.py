"""Methods whose view is a sentence: what they draw, and whom they imitate."""

import pytest
from methods.made import columns

from robot_hil.methods import registry
from robot_hil.methods.base import Method

EVEN = {"demo": 0.25, "intervention": 0.0, "online": 0.75}
HALVES = {"demo": 0.5 * 10 / 17, "intervention": 0.5 * 7 / 17, "online": 0.5}


@pytest.mark.parametrize(
    ("name", "shares", "imitate"),
    [
        ("rlpd", HALVES, None),
        ("hil_serl", HALVES, None),
        ("q_filtered_bc", HALVES, None),
        ("awac", EVEN, [1, 1, 1, 1, 0]),
        ("iql", EVEN, [1, 1, 1, 1, 0]),
    ],
)
def test_view(name: str, shares: dict[str, float], imitate: list[int] | None) -> None:
    view: Method = registry.get(name).view
    assert view.share({"demo": 10, "intervention": 7, "online": 30}, 0) == pytest.approx(shares)
    found = view.aux(columns("d|..ht"))
    assert (found["imitate"].tolist() if "imitate" in found else None) == imitate


def test_the_q_filter_lasts_and_asks_the_critics() -> None:
    numbers = registry.get("q_filtered_bc").agent
    assert numbers["anchor_filter"] == "all"
    assert numbers["anchor_half_life"] == 0
