"""A report's figures, against episodes worked out by hand."""

from dataclasses import replace

import numpy as np
import pytest
from reward_frames import TINY

from robot_hil.policies.reward.config import RewardConfig
from robot_hil.policies.reward.evaluation import measure
from robot_hil.policies.reward.report import Report
from robot_hil.policies.reward.sampling import Table
from robot_hil.policies.reward.training import Calibration, Parts

CONFIG = replace(TINY, rule="mean", confirm_frames=2, false_positive_rate=0.2)


def reported(episodes: list[tuple[str, str]], config: RewardConfig = CONFIG) -> Report:
    """Report on episodes given as truth and hits, e.g. ("0011", "0111")."""
    truth, hits, keys = [], [], []
    for number, (true, said) in enumerate(episodes):
        truth += [int(c) for c in true]
        hits += [int(c) for c in said]
        keys += [("a", 0, number)] * len(true)
    odds = np.where(np.array(hits, bool), 4.0, -4.0)
    table = Table(
        prepared={}, labels=np.array(truth), episodes=tuple(keys), steps=np.arange(len(keys)),
        sources=("log",) * len(keys),
    )  # fmt: skip
    logits = np.stack([-odds / 2, odds / 2], -1)[None]
    parts = Parts(train=(), calibration=(), test=tuple(dict.fromkeys(keys)))
    calibrated = Calibration(temperature=1.0, offset=(0.0, 0.0), threshold=0.5)
    return measure(table, logits, calibrated, config, parts, ("failure", "success"), 1)


def test_frames_and_confirmed_verdicts_are_counted_apart() -> None:
    report = reported([("000111", "010111"), ("000000", "001100"), ("001111", "000110")])
    assert (report.false_positive.events, report.false_positive.trials) == (3, 11)
    assert (report.false_negative.events, report.false_negative.trials) == (2, 7)
    assert report.precision == pytest.approx(5 / 8)
    assert report.recall == pytest.approx(5 / 7)
    assert report.confusion == ((8, 3), (2, 5))
    # believed: 4, 5 of the first episode; 3 of the second; 4 of the third
    assert (report.confirmed_false_positive.events, report.confirmed_false_positive.trials) == (1, 11)
    # could be believed: 4, 5 of the first; 3, 4, 5 of the third
    assert (report.confirmed_false_negative.events, report.confirmed_false_negative.trials) == (2, 5)
    assert (report.false_episodes.events, report.false_episodes.trials) == (1, 3)
    assert (report.missed_episodes.events, report.missed_episodes.trials) == (0, 2)


def test_success_that_is_believed_too_early_counts_as_false() -> None:
    report = reported([("00011", "01111")])
    assert report.false_episodes.events == 1
    assert report.missed_episodes.events == 0


def test_a_success_too_short_to_be_confirmed_is_not_missed() -> None:
    report = reported([("0001", "0000"), ("0011", "0000")])
    assert (report.missed_episodes.events, report.missed_episodes.trials) == (1, 1)
    assert report.precision == 1.0  # nothing was called a success


def test_what_cannot_be_known_is_said() -> None:
    assert any("lack successes" in warning for warning in reported([("000", "000")]).warnings)
    strict = replace(CONFIG, false_positive_rate=0.01)
    assert any("read the interval" in warning for warning in reported([("0011", "0011")], strict).warnings)
    assert not reported([("0000011", "0000011")]).warnings
