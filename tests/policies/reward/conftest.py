"""One tiny classifier for all tests that only look at it."""

from pathlib import Path

import pytest
from reward_frames import TINY, fill

from robot_hil.policies.reward.dataset import FrameSet
from robot_hil.policies.reward.model import TrainedReward, train


@pytest.fixture(scope="session")
def frames(tmp_path_factory: pytest.TempPathFactory) -> FrameSet:
    return fill(tmp_path_factory.mktemp("frames") / "set")


@pytest.fixture(scope="session")
def model(frames: FrameSet) -> TrainedReward:
    return train(frames, TINY, seed=0, backend="torch")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "model"
