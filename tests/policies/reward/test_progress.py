"""A critic of progress: what it learns, what it can never do, and the judge that rewards by it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reward_frames import SIZE, SPEC, episode, seen

from robot_hil.data.specs import Array
from robot_hil.errors import ConfigError, SpecError, StorageError
from robot_hil.policies.reward.config import ProgressConfig
from robot_hil.policies.reward.inputs import FrameInputs
from robot_hil.policies.reward.pairs import labels
from robot_hil.policies.reward.practice import EpisodeFrames, Practice
from robot_hil.policies.reward.progress import ProgressCritic, train_progress

TINY = ProgressConfig(
    image_size=SIZE, filters=(4, 4), hidden=(16,), members=2, updates=120, episodes=4, frames=8, stretch=3, shift=1,
    learning_rate=1e-2, stride_s=0.2, calibration_share=0.25,
)  # fmt: skip
QUICK = replace(TINY, updates=2)


def recorded(number: int, rises: bool, goal: Array | None = None) -> EpisodeFrames:
    frames = list(episode(number, rises, steps=20))
    success = np.array([rises and height > 0.85 for _, height in frames])
    return EpisodeFrames(observations=[obs for obs, _ in frames], success=success, goal=goal)


EPISODES = [recorded(number, rises=number % 3 != 0) for number in range(12)]


@pytest.fixture(scope="module")
def critic() -> ProgressCritic:
    return train_progress(EPISODES, SPEC, TINY, seed=0, backend="torch")


def test_progress_and_failure_are_told_apart(critic: ProgressCritic) -> None:
    good, bad = recorded(100, rises=True), recorded(101, rises=False)
    rising, falling = critic.trace(good.observations), critic.trace(bad.observations)
    assert rising.order_correlation > 0.8
    assert rising.order_correlation > falling.order_correlation
    assert rising.negative_rate < falling.negative_rate
    assert rising.rewards.sum() == pytest.approx(rising.values[-1])
    assert rising.values[-1] > falling.values[-1]
    assert rising.confirmed.any()
    assert not rising.confirmed[: int(good.success.argmax())].any()
    assert not falling.confirmed.any()


def test_the_way_back_undoes_the_way_bit_by_bit(critic: ProgressCritic) -> None:
    rng = np.random.default_rng(0)
    low, high = seen(0.1, rng), seen(0.9, rng)
    assert critic.delta(low, high) == -critic.delta(high, low)
    assert critic.delta(low, low) == 0.0
    assert critic.delta(low, high) > 0.2


def test_going_to_and_fro_earns_nothing(critic: ProgressCritic) -> None:
    rng = np.random.default_rng(0)
    low, high = seen(0.1, rng), seen(0.6, rng)
    judge = critic.judge_of()
    judge.begin_episode()
    earned = [judge.judge(obs).reward for _ in range(30) for obs in (low, low, high, high)]
    assert sum(earned) <= max(0.0, critic.delta(low, high)) + 1e-6
    assert abs(sum(earned[4:])) <= 1.0  # and not 29 times as much
    judge.begin_episode()
    assert judge.judge(low).reward == 0.0


def test_a_judge_says_what_a_trace_says(critic: ProgressCritic) -> None:
    observations = recorded(100, rises=True).observations
    trace, judge = critic.trace(observations), critic.judge_of()
    judge.begin_episode()
    said = [judge.judge(obs) for obs in observations]
    assert [one.reward for one in said[1:]] == pytest.approx(trace.rewards, abs=1e-5)
    assert [one.probability for one in said] == pytest.approx(trace.done, abs=1e-5)
    assert [one.confirmed for one in said] == trace.confirmed.tolist()
    assert sum(one.reward for one in said) <= 1.0


def test_it_comes_back_from_its_folder_in_either_library(critic: ProgressCritic, tmp_path: Path) -> None:
    critic.save(tmp_path)
    observations = recorded(100, rises=True).observations
    expected = critic.trace(observations)
    for backend in ("torch", "jax"):
        again = ProgressCritic.load(tmp_path, backend=backend)
        assert (again.config, again.threshold, again.version) == (TINY, critic.threshold, 1)
        assert again.trace(observations).values == pytest.approx(expected.values, abs=1e-5)
    (tmp_path / "progress.json").write_text('{"format": 1, "file": "x"}')
    with pytest.raises(StorageError):
        ProgressCritic.load(tmp_path)


def test_either_library_trains_the_same() -> None:
    ours, theirs = (train_progress(EPISODES, SPEC, QUICK, seed=3, backend=backend) for backend in ("torch", "jax"))
    for name, value in ours.params.items():
        assert theirs.params[name] == pytest.approx(value, abs=1e-4), name


def test_goals() -> None:
    up, down = np.array([1.0, 0.0], np.float32), np.array([0.0, 1.0], np.float32)
    rises = [recorded(number, rises=True, goal=up) for number in range(6)]
    falls = [EpisodeFrames(observations=one.observations[::-1], success=np.arange(20) > 16, goal=down) for one in rises]
    critic = train_progress([*rises, *falls], SPEC, replace(TINY, updates=150), seed=0, backend="torch")
    low, high = (seen(height, np.random.default_rng(0)) for height in (0.1, 0.9))
    assert critic.delta(low, high, up) > 0.1
    assert critic.delta(low, high, down) < 0.0
    with pytest.raises(SpecError, match="takes 2 numbers"):
        critic.delta(low, high)


def test_what_nothing_can_be_learnt_from_is_refused() -> None:
    with pytest.raises(ConfigError, match="no episode reaches success"):
        train_progress([recorded(0, rises=False)] * 3, SPEC, QUICK)
    with pytest.raises(ConfigError, match="success flags"):
        EpisodeFrames(observations=[], success=np.zeros(0, bool))
    mixed = [recorded(0, True, np.zeros(1)), recorded(1, True, np.zeros(2))]
    with pytest.raises(ConfigError, match="one length"):
        Practice(mixed, FrameInputs.of(SPEC, QUICK, {}), QUICK)


@given(st.lists(st.integers(0, 30), min_size=1, max_size=12), st.integers(1, 20))
def test_labels_are_antisymmetric_shares_of_what_remained(steps: list[int], goal: int) -> None:
    made = labels(np.array(steps), goal)
    assert (made == -made.T).all()
    assert (np.abs(made) <= 0.99).all()
    for i, first in enumerate(steps):
        for j, second in enumerate(steps):
            if first < second <= goal:
                assert made[i, j] == pytest.approx(min(0.99, (second - first) / (goal - first)))


def test_a_batch_of_practice() -> None:
    practice = Practice(EPISODES, FrameInputs.of(SPEC, TINY, {}), TINY)
    batch = practice.draw(np.random.default_rng(0))
    assert batch["images"].shape == (32, SIZE, SIZE, 6)
    assert batch["delta"].shape == (4, 8, 8)
    assert batch["goal"].shape == (4, 0)
    drawn = [practice.draw(np.random.default_rng(seed)) for seed in range(50)]
    lost = np.mean([(one["delta"] == 0).all((1, 2)).mean() for one in drawn])
    assert lost == pytest.approx(TINY.negatives, abs=0.12)
    weights = np.mean([(one["done"] * one["done_weight"]).mean() for one in drawn])
    assert weights == pytest.approx(0.5, abs=0.1)
