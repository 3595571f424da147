"""A judge over the frames of an episode."""

from dataclasses import replace

import numpy as np
import pytest
from reward_frames import episode, seen

from robot_hil.errors import ConfigError
from robot_hil.policies.reward.calibration import wilson
from robot_hil.policies.reward.model import TrainedReward


def with_rates(model: TrainedReward, false: tuple[int, int], missed: tuple[int, int], clip: bool) -> TrainedReward:
    report = replace(model.report, confirmed_false_positive=wilson(*false), confirmed_false_negative=wilson(*missed))
    setup = replace(model.setup, config=replace(model.config, clip_reward=clip))
    return replace(model, report=report, setup=setup)


def test_success_is_believed_after_two_frames_and_forgotten_with_the_episode(model: TrainedReward) -> None:
    judge = model.judge_of()
    judge.begin_episode()
    high = [obs for obs, height in episode(100, rises=True, steps=20) if height > 0.85]
    said = [judge.judge(obs) for obs in high]
    assert all(one.probability >= model.threshold for one in said)
    assert [one.confirmed for one in said] == [False] + [True] * (len(said) - 1)
    assert all(0.0 <= one.doubt <= 1.0 and one.stage == 1 for one in said)
    judge.begin_episode()
    assert not judge.judge(high[-1]).confirmed
    assert judge.version == model.version


def test_failures_are_not_believed(model: TrainedReward) -> None:
    judge = model.judge_of()
    judge.begin_episode()
    assert not any(judge.judge(obs).confirmed for obs, _ in episode(101, rises=False))


@pytest.mark.parametrize("clip", [False, True])
def test_rewards_are_corrected_for_the_measured_rates(model: TrainedReward, clip: bool) -> None:
    judge = with_rates(model, (1, 10), (1, 5), clip).judge_of()
    judge.begin_episode()
    rng = np.random.default_rng(0)
    no, _, yes = judge.judge(seen(0.0, rng)), judge.judge(seen(1.0, rng)), judge.judge(seen(1.0, rng))
    assert (no.confirmed, yes.confirmed) == (False, True)
    expected = (0.0, 1.0) if clip else (-0.1 / 0.7, 0.9 / 0.7)
    assert (no.reward, yes.reward) == pytest.approx(expected)


def test_a_classifier_without_a_word_to_say_is_refused(model: TrainedReward) -> None:
    with pytest.raises(ConfigError, match="add up to 1 or more"):
        with_rates(model, (1, 2), (1, 2), clip=False).judge_of()
