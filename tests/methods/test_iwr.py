"""IWR: interventions are half of what is drawn, whatever there is of them."""

import numpy as np
import pytest
from methods.made import columns, log

from robot_hil.data.labels import Verdict
from robot_hil.methods.iwr import Iwr
from robot_hil.replay.columns import VERDICT_CODES


@pytest.mark.parametrize("text", ["dddd|..hh|.h..", "dd|......h.", "hhhh|h.", "ddd|hhhhhhh", "..h."])
def test_interventions_are_half_of_what_is_drawn(text: str) -> None:
    made, method = log(text), Iwr()
    draw = method.survey(made)["draw"]
    demo, corrected = made.is_demo, made.is_intervention
    sizes = {"demo": demo.sum(), "intervention": corrected.sum(), "online": (~demo).sum()}
    shares = method.share(sizes, 0)
    chance = np.zeros(made.size)
    for pool, rows in (("demo", demo), ("online", ~demo)):
        if rows.any():
            chance[rows] = shares[pool] * draw[rows] / draw[rows].sum()
    assert chance.sum() == pytest.approx(1)
    assert chance[corrected].sum() == pytest.approx(0.5)
    assert np.ptp(chance[~corrected]) == pytest.approx(0)
    assert np.ptp(chance[corrected]) == pytest.approx(0)


@pytest.mark.parametrize(("text", "demo"), [("dd|..", 0.5), ("....", 0.0), ("d", 1.0), ("hh", 0.0)])
def test_without_interventions_or_others_all_rows_are_drawn_alike(text: str, demo: float) -> None:
    made = log(text)
    sizes = {
        "demo": int(made.is_demo.sum()),
        "intervention": int(made.is_intervention.sum()),
        "online": int((~made.is_demo).sum()),
    }
    assert Iwr().share(sizes, 0) == {"demo": demo, "intervention": 0.0, "online": 1 - demo}
    assert Iwr().survey(made)["draw"].tolist() == [1.0] * made.size


def test_whoever_drove_is_imitated_but_no_tail_and_no_failed_demonstration() -> None:
    verdict = np.array([VERDICT_CODES[Verdict.FAIL]] * 2 + [0] * 5, np.uint8)
    assert Iwr().aux(columns("dd|..ht|d", verdict=verdict))["imitate"].tolist() == [0, 0, 1, 1, 1, 0, 1]
