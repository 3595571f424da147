"""Sirius: the four classes, their target shares with guards, and which episodes are kept."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from methods.made import columns, log

from robot_hil.errors import ConfigError
from robot_hil.methods.sirius import Sirius, Trust

CODES = {Trust.DEMO: "d", Trust.ROLLOUT: ".", Trust.INTERVENTION: "h", Trust.PRE_INTERVENTION: "p"}


def classes(text: str, window: int) -> str:
    return "".join(CODES[Trust(code)] for code in Sirius(window_steps=window).classes(columns(text)))


@pytest.mark.parametrize(
    ("text", "window", "expected"),
    [
        ("...hh...hh", 2, ".pphh.pphh"),
        ("hh..h", 15, "hhpph"),  # at the very beginning, and next to another
        ("h.h", 0, "h.h"),
        ("...|hh", 2, "...hh"),  # another episode's
        ("dd|..h", 1, "dd.ph"),
        ("..hht", 1, ".phhh"),
    ],
)
def test_classes_of_steps(text: str, window: int, expected: str) -> None:
    assert classes(text, window) == expected


def test_target_shares_as_published() -> None:
    wanted = Sirius().targets([0.3, 0.5, 0.15, 0.05])
    assert wanted == pytest.approx([0.3, 0.198, 0.5, 0.002])


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([0.8, 0.1, 0.08, 0.02], [0.448, 0.05, 0.5, 0.002]),  # the published rule would make rollouts negative
        ([0.5, 0.5, 0.0, 0.0], [0.5, 0.5, 0.0, 0.0]),
        ([0.6, 0.0, 0.4, 0.0], [0.5, 0.0, 0.5, 0.0]),
        ([0.0, 0.0, 0.9, 0.1], [0.0, 0.0, 0.998, 0.002]),
        ([0.0, 0.7, 0.3, 0.0], [0.0, 0.5, 0.5, 0.0]),
        ([1.0, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]),
    ],
)
def test_empty_classes_and_many_demonstrations(parts: list[float], expected: list[float]) -> None:
    assert Sirius().targets(parts) == pytest.approx(expected)


EPISODES = st.lists(st.text("dd.h", min_size=1, max_size=8), min_size=1, max_size=8)


@given(EPISODES, st.integers(0, 4))
def test_weights_are_never_negative_and_one_on_average(episodes: list[str], memory: int) -> None:
    pure = ["d" * len(e) if "d" in e else e for e in episodes]  # a demonstration is one throughout
    made, method = log("|".join(pure)), Sirius(memory=memory, window_steps=2)
    said = method.survey(made)
    demo = made.is_demo
    shares = method.share({"demo": demo.sum(), "intervention": 0, "online": (~demo).sum()}, 0)
    chance = np.zeros(made.size)
    for pool, rows in (("demo", demo), ("online", ~demo)):
        if rows.any():
            chance[rows] = shares[pool] * said["draw"][rows] / max(1, said["draw"][rows].sum())
    assert said["trust"].min() >= 0
    assert (chance * said["trust"]).sum() == pytest.approx(1)
    assert not said["trust"][said["draw"] == 0].any()


def test_a_steps_weight_is_target_by_share() -> None:
    made = log("ddd|...hh..h")
    trust = Sirius(window_steps=1).survey(made)["trust"]
    share = {"d": 3 / 11, "h": 3 / 11, "p": 2 / 11, ".": 3 / 11}
    wanted = {"d": 3 / 11, "h": 0.5, "p": 0.002, ".": 1 - 3 / 11 - 0.502}
    expected = [wanted[code] / share[code] for code in "ddd..phh.ph"]
    assert trust == pytest.approx(expected, rel=1e-5)
    critic, actor = Sirius().weights({"trust": trust})
    assert (critic.tolist(), actor.tolist()) == ([1.0] * 11, trust.tolist())


@pytest.mark.parametrize(
    ("keep", "kept"),
    [
        ("most_intervened", [1, 0, 0, 1, 1]),
        ("least_intervened", [1, 1, 1, 0, 0]),
        ("newest", [1, 0, 0, 1, 1]),
        ("oldest", [1, 1, 1, 0, 0]),
    ],
)
def test_which_episodes_are_kept(keep: str, kept: list[int]) -> None:
    made = log("dd|....|...h|hhh.|.hh.")
    assert Sirius(memory=2, keep=keep).kept(made).tolist() == [bool(k) for k in kept]


def test_keeping_at_random_is_the_same_every_time_and_grows_with_the_log() -> None:
    method = Sirius(memory=3, keep="uniform")
    short, longer = log("|".join(["..h."] * 6)), log("|".join(["..h."] * 7))
    assert method.kept(short).sum() == method.kept(longer).sum() == 3
    assert (method.kept(short) == method.kept(short)).all()
    assert (method.kept(longer)[:6] <= method.kept(short)).all()
    assert Sirius(memory=0).kept(short).all()


def test_an_empty_log_is_no_error() -> None:
    empty = log("d")
    assert Sirius().survey(type(empty)(columns=columns(""), begins=np.zeros(0, int), gamma=0.9))["trust"].size == 0


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: Sirius(intervention_part=0.96), "0.96"),
        (lambda: Sirius(memory=-1), "-1"),
        (lambda: Sirius(window_steps=-2), "-2"),
    ],
)
def test_settings_that_cannot_work_are_refused(make, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        make()
