"""A data set and a model, made once; tests that change them get a copy."""

import shutil
from pathlib import Path

import pytest
from cli.reward.models import make

from robot_hil.cli.reward.models import remember_frames


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with `frames` and `model`, not to be changed."""
    folder = tmp_path_factory.mktemp("reward")
    make(folder)
    return folder


@pytest.fixture
def own(made: Path, tmp_path: Path) -> Path:
    """Return a copy of `made`."""
    folder = tmp_path / "own"
    shutil.copytree(made, folder)
    remember_frames(folder / "model", folder / "frames", 0)
    return folder
