"""Labelled frames on disk: what was said is never lost, torn or mixed up, whoever else writes."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from robot_hil.data.reward import BINARY, LabelledFrame
from robot_hil.data.specs import ArraySpec, EnvSpec
from robot_hil.errors import ConfigError, SpecError, StorageError
from robot_hil.policies.reward.config import Crop
from robot_hil.policies.reward.dataset import LABELS_FILE, FrameSet

SPEC = EnvSpec(
    env_id="test/Two-v0",
    observation={
        "front": ArraySpec(shape=(8, 12, 3), dtype="uint8"),
        "wrist": ArraySpec(shape=(8, 8, 3), dtype="uint8"),
        "proprio": ArraySpec(shape=(2,), low=-1.0, high=1.0, names=("x [m]", "y [m]")),
    },
    action=ArraySpec(shape=(1,), low=-1.0, high=1.0),
    control_hz=10.0,
    max_episode_steps=5,
)


def frame(seed: int = 0, **changes: object) -> LabelledFrame:
    rng = np.random.default_rng(seed)
    obs = {name: array.sample(rng) for name, array in SPEC.observation.items()}
    made = LabelledFrame(obs=obs, label=seed % 2, episode=("actor", 0, seed), step_index=3, source="key", t=5.0)
    return replace(made, **changes)  # type: ignore[arg-type]


def test_frames_come_back_as_they_were(tmp_path: Path) -> None:
    frames = FrameSet.create(tmp_path / "set", BINARY, SPEC, {"front": Crop(top=0, left=2, height=8, width=8)})
    stored = [frame(seed, operator="Ada") for seed in range(3)]
    ids = [frames.add(one) for one in stored]
    again = FrameSet.open(tmp_path / "set")
    assert again.ids == tuple(ids)
    assert again.classes == BINARY
    assert again.spec == SPEC
    assert again.crops == {"front": Crop(top=0, left=2, height=8, width=8)}
    for had, has in zip(stored, again.frames(), strict=True):
        assert replace(had, obs={}) == replace(has, obs={})
        assert set(had.obs) == set(has.obs)
        assert all(np.array_equal(had.obs[name], has.obs[name]) for name in had.obs)
    assert again.counts == {"failure": 2, "success": 1}
    assert again.episodes == (("actor", 0, 0), ("actor", 0, 1), ("actor", 0, 2))
    assert again.files(ids[0])["front"].suffix == ".png"


def test_the_newest_word_counts_and_what_was_discarded_comes_back(tmp_path: Path) -> None:
    frames = FrameSet.create(tmp_path, BINARY, SPEC)
    name = frames.add(frame())
    frames.relabel(name, 1, "review", "Ben")
    assert frames.label(name) == (1, "review")
    frames.discard(name)
    assert frames.ids == ()
    assert frames.label(name)[0] is None
    with pytest.raises(ConfigError, match="was discarded"):
        frames.get(name)
    frames.relabel(name, 0, "review")
    assert FrameSet.open(tmp_path).get(name).label == 0


def test_two_processes_write_into_one_set(tmp_path: Path) -> None:
    one = FrameSet.create(tmp_path, BINARY, SPEC)
    other = FrameSet.open(tmp_path)
    ids = [writer.add(frame(seed)) for seed, writer in enumerate([one, other, other, one])]
    assert len(set(ids)) == 4
    assert one.ids == other.ids == tuple(sorted(ids))
    other.relabel(ids[0], 1, "review")
    assert one.counts == {"failure": 1, "success": 3}


def test_a_torn_row_is_ignored_and_the_next_one_counts(tmp_path: Path) -> None:
    frames = FrameSet.create(tmp_path, BINARY, SPEC)
    first = frames.add(frame(0))
    frames.add(frame(1))
    labels = tmp_path / LABELS_FILE
    labels.write_bytes(labels.read_bytes()[:-20])  # the machine lost power here
    again = FrameSet.open(tmp_path)
    assert again.ids == (first,)
    third = again.add(frame(2))
    assert again.ids == (first, third)
    assert FrameSet.open(tmp_path).ids == (first, third)


@pytest.mark.parametrize(
    "line", [b"\xff\xfe", b"[]", b"{}", b'{"id": "000000", "label": 9}', b'{"id": "7", "label": 1}']
)
def test_rows_that_are_none_are_said_and_skipped(tmp_path: Path, line: bytes, caplog: pytest.LogCaptureFixture) -> None:
    frames = FrameSet.create(tmp_path, BINARY, SPEC)
    name = frames.add(frame())
    with (tmp_path / LABELS_FILE).open("ab") as file:
        file.write(line + b"\n")
    assert FrameSet.open(tmp_path).ids == (name,)
    assert "damaged" in caplog.text


def test_what_does_not_fit_is_refused_and_stores_nothing(tmp_path: Path) -> None:
    frames = FrameSet.create(tmp_path, BINARY, SPEC)
    with pytest.raises(ConfigError, match="label is 2"):
        frames.add(frame(label=2))
    with pytest.raises(SpecError, match="proprio"):
        frames.add(frame(obs={**frame().obs, "proprio": np.full(2, np.nan, np.float32)}))
    with pytest.raises(ConfigError, match="no frame"):
        frames.relabel("000000", 1, "review")
    assert not any((tmp_path / "frames").iterdir())
    assert frames.ids == ()


def test_sets_that_cannot_be_are_refused(tmp_path: Path) -> None:
    blind = replace(SPEC, observation={"proprio": SPEC.observation["proprio"]})
    with pytest.raises(SpecError, match="shows no images"):
        FrameSet.create(tmp_path, BINARY, blind)
    with pytest.raises(ConfigError, match="two different names"):
        FrameSet.create(tmp_path, ["success"], SPEC)
    with pytest.raises(ConfigError, match="leaves the image"):
        FrameSet.create(tmp_path, BINARY, SPEC, {"wrist": Crop(top=4, left=0, height=8, width=8)})
    with pytest.raises(ConfigError, match="is for camera"):
        FrameSet.create(tmp_path, BINARY, SPEC, {"nose": Crop(top=0, left=0, height=8, width=8)})
    with pytest.raises(StorageError, match="is no data set"):
        FrameSet.open(tmp_path)
    FrameSet.create(tmp_path, BINARY, SPEC)
    with pytest.raises(StorageError, match="holds a data set already"):
        FrameSet.create(tmp_path, BINARY, SPEC)
    about = tmp_path / "dataset.json"
    about.write_text(json.dumps(json.loads(about.read_text()) | {"format": 7}))
    with pytest.raises(StorageError, match="format 7"):
        FrameSet.open(tmp_path)
    about.write_text("{")
    with pytest.raises(StorageError, match="cannot be read"):
        FrameSet.open(tmp_path)


def test_images_that_are_gone_or_damaged_are_named(tmp_path: Path) -> None:
    frames = FrameSet.create(tmp_path, BINARY, SPEC)
    name = frames.add(frame())
    frames.files(name)["wrist"].write_bytes(b"not a picture")
    with pytest.raises(StorageError, match=r"wrist\.png is no image"):
        frames.get(name)
    frames.files(name)["wrist"].unlink()
    with pytest.raises(StorageError, match="cannot be read"):
        frames.get(name)


def test_no_episode_is_trained_and_tested_with(tmp_path: Path) -> None:
    frames = FrameSet.create(tmp_path, BINARY, SPEC)
    for seed in range(8):
        for step in range(2):
            frames.add(frame(seed, step_index=step))
    train, test = frames.split(0.25, seed=3)
    assert sorted((*train, *test)) == list(frames.ids)
    assert not {frames.episode(name) for name in train} & {frames.episode(name) for name in test}
    assert {frames.label(name)[0] for name in test} == {0, 1} == {frames.label(name)[0] for name in train}
    assert FrameSet.open(tmp_path).split(0.25, seed=3) == (train, test)
