"""A model's folder holds one whole model at any time."""

import json
from pathlib import Path

import numpy as np
import pytest

from robot_hil.errors import StorageError
from robot_hil.policies.reward import store


def test_a_reader_between_two_writes_finds_the_model_it_opened(tmp_path: Path) -> None:
    for value in range(4):
        store.save(tmp_path, "reward", {"version": value}, {"x": np.full(3, value, np.float32)})
        before = json.loads((tmp_path / "reward.json").read_text())
        store.save(tmp_path, "reward", {"version": value + 10}, {"x": np.full(3, value + 10, np.float32)})
        assert (tmp_path / before["file"]).exists()
        about, arrays = store.load(tmp_path, "reward")
        assert about["version"] == value + 10
        assert arrays["x"].tolist() == [value + 10.0] * 3
    assert len(list(tmp_path.iterdir())) == 3


def test_two_kinds_of_model_share_a_folder(tmp_path: Path) -> None:
    store.save(tmp_path, "reward", {}, {"x": np.zeros(1)})
    store.save(tmp_path, "progress", {}, {"x": np.ones(1)})
    assert store.load(tmp_path, "reward")[1]["x"].tolist() == [0.0]
    assert store.load(tmp_path, "progress")[1]["x"].tolist() == [1.0]


def test_folders_that_cannot_be_written_or_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="was not saved"):
        store.save(tmp_path / "file", "reward", {}, {})
    with pytest.raises(StorageError, match="no trained model"):
        store.load(tmp_path, "reward")
