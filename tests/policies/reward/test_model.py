"""A classifier from frames to verdicts: it learns, says how well, and is the same in a file and in another library."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from reward_frames import SIZE, SPEC, TINY, episode, fill, seen

from robot_hil.data.reward import LabelledFrame
from robot_hil.data.specs import Array
from robot_hil.errors import ConfigError, DependencyError, SpecError, StorageError, UnknownNameError
from robot_hil.policies.reward.config import Crop, RewardConfig
from robot_hil.policies.reward.dataset import FrameSet
from robot_hil.policies.reward.model import TrainedReward, train

QUICK = replace(TINY, updates=2, retrain_updates=2)


def brightness(images: Array) -> Array:
    """Mean of every row of a picture: a trunk that has looked already."""
    return images.astype(np.float32).mean((2, 3))


def scores(model: TrainedReward, number: int, rises: bool) -> Array:
    return model.look([obs for obs, _ in episode(number, rises)]).mean(0)[:, 1]


def test_it_tells_success_in_episodes_it_never_saw(model: TrainedReward) -> None:
    assert scores(model, 100, rises=True)[-1] > 0.5
    assert (scores(model, 101, rises=False) < 0.5).all()


def test_its_report_adds_up(model: TrainedReward, frames: FrameSet) -> None:
    report = model.report
    assert report.train_episodes + report.calibration_episodes + report.test_episodes == 16
    assert min(report.train_episodes, report.calibration_episodes, report.test_episodes) >= 2
    assert sum(map(sum, report.confusion)) == report.test_episodes * 8
    assert report.false_positive.trials + report.false_negative.trials == report.test_episodes * 8
    assert report.auc > 0.9
    assert report.threshold == model.threshold
    assert report.seconds > 0
    parts = model.parts
    assert sorted((*parts.train, *parts.calibration, *parts.test)) == list(frames.episodes)  # each of them once


def test_probabilities_of_members(model: TrainedReward) -> None:
    observations = [seen(height, np.random.default_rng(1)) for height in (0.0, 0.5, 1.0)]
    batch = {name: np.stack([obs[name] for obs in observations]) for name in SPEC.observation}
    found = model.probabilities(batch)
    assert found.shape == (TINY.members, 3, 2)
    assert found.sum(-1) == pytest.approx(1.0)
    assert np.array_equal(found, model.look(observations))
    assert not np.allclose(found[0], found[1])
    assert model.look([]).shape == (TINY.members, 0, 2)


def test_equal_seeds_train_equal_models(frames: FrameSet) -> None:
    one, other, third = (train(frames, QUICK, seed=seed, backend="torch") for seed in (3, 3, 4))
    assert all(np.array_equal(one.params[name], other.params[name]) for name in one.params)
    assert one.parts == other.parts
    assert one.parts != third.parts


def test_it_comes_back_from_its_folder(model: TrainedReward, folder: Path) -> None:
    model.save(folder)
    again = TrainedReward.load(folder, backend="torch")
    assert (again.report, again.parts, again.calibrated) == (model.report, model.parts, model.calibrated)
    assert (again.config, again.classes, again.version) == (model.config, model.classes, 1)
    assert np.array_equal(scores(again, 100, rises=True), scores(model, 100, rises=True))
    assert json.loads((folder / "reward.json").read_text())["threshold"] == model.threshold


def test_either_library_reads_it_alike_and_trains_it(model: TrainedReward, frames: FrameSet, folder: Path) -> None:
    model.save(folder)
    other = TrainedReward.load(folder, backend="jax")
    assert scores(other, 100, rises=True) == pytest.approx(scores(model, 100, rises=True), abs=1e-5)
    ours, theirs = (train(frames, QUICK, seed=3, backend=backend) for backend in ("torch", "jax"))
    for name, value in ours.params.items():
        assert theirs.params[name] == pytest.approx(value, abs=1e-5), name


def test_a_new_version_takes_the_place_of_the_old_at_once(model: TrainedReward, frames: FrameSet, folder: Path) -> None:
    versions = [model, replace(model, version=2), replace(model, version=3, params={**model.params, "x": np.ones(1)})]
    for version in versions:
        version.save(folder)
    assert TrainedReward.load(folder).version == 3
    assert len(list(folder.glob("*.safetensors"))) == 2  # the one before is kept for a reader that had begun
    assert not list(folder.glob(".*.tmp"))


@pytest.mark.parametrize("damage", ["bits", "missing", "json", "format"])
def test_damaged_models_are_refused(model: TrainedReward, folder: Path, damage: str) -> None:
    model.save(folder)
    about, (arrays,) = folder / "reward.json", folder.glob("*.safetensors")
    if damage == "bits":
        data = bytearray(arrays.read_bytes())
        data[-1] ^= 1
        arrays.write_bytes(data)
    elif damage == "missing":
        arrays.unlink()
    elif damage == "json":
        about.write_text(about.read_text()[:-10])
    else:
        about.write_text(json.dumps(json.loads(about.read_text()) | {"format": 99}))
    with pytest.raises(StorageError):
        TrainedReward.load(folder)


def test_observations_it_was_not_made_for_are_refused(model: TrainedReward) -> None:
    judge = model.judge_of()
    with pytest.raises(SpecError, match="made for front, side"):
        judge.judge({"front": seen(1.0, np.random.default_rng(0))["front"]})
    with pytest.raises(SpecError, match="the specification says"):
        judge.judge(dict(seen(1.0, np.random.default_rng(0))) | {"side": np.zeros((4, 4, 3), np.uint8)})


def test_hard_negatives_are_learnt_in_a_moment(tmp_path: Path) -> None:
    frames = fill(tmp_path / "set")
    model = train(frames, TINY, seed=0, backend="torch")
    trap = [seen(1.0, np.random.default_rng(number)) for number in range(6)]
    for number, obs in enumerate(trap):  # a tool's height tells it from a success
        frame = dict(obs) | {"front": np.full((SIZE, SIZE, 3), 200, np.uint8)}
        trap[number] = frame
    extra = [
        LabelledFrame(obs=obs, label=0, episode=("a", 1, number), step_index=0, source="false_positive")
        for number, obs in enumerate(trap)
    ]
    before = model.look(trap).mean(0)[:, 1]
    again = model.retrain(frames, extra, seed=1)
    assert again.version == 2
    assert again.parts.test == model.parts.test
    assert again.parts.calibration == model.parts.calibration
    assert {key for key in again.parts.train if key[1] == 1} == {("a", 1, number) for number in range(6)}
    assert frames.counts["failure"] == fill(tmp_path / "other").counts["failure"] + 6
    assert again.look(trap).mean(0)[:, 1].mean() < max(0.2, before.mean())
    assert scores(again, 100, rises=True)[-1] > 0.5


def test_the_most_doubtful_frames_come_first(tmp_path: Path, model: TrainedReward) -> None:
    frames = fill(tmp_path / "set", episodes=4)
    wrong = frames.ids[2]
    frames.relabel(wrong, 1, "log")  # somebody pressed the key by mistake
    doubts = model.most_doubtful(frames, 5)
    assert len(doubts) == 5
    assert wrong in [name for name, _ in doubts]
    assert [doubt for _, doubt in doubts] == sorted((doubt for _, doubt in doubts), reverse=True)
    frames.relabel(wrong, 0, "review")
    assert wrong not in [name for name, _ in model.most_doubtful(frames, 100)]


def test_other_cameras_crops_and_vectors(frames: FrameSet) -> None:
    crop = Crop(top=0, left=2, height=12, width=12)
    config = replace(QUICK, cameras=("side",), crops={"side": crop}, vectors=("proprio",), image_size=8)
    model = train(frames, config, seed=0, backend="torch")
    assert model.setup.inputs.crops == (crop,)
    assert model.setup.network.ensemble.encoded == 3 * 4 + 2
    obs = {name: value for name, value in seen(0.3, np.random.default_rng(0)).items() if name != "front"}
    assert model.look([obs]).shape == (2, 1, 2)
    with pytest.raises(SpecError, match="camera 'nose' does not exist"):
        train(frames, replace(config, cameras=("nose",)))
    with pytest.raises(ConfigError, match="leaves the image"):
        train(frames, replace(config, crops={"side": Crop(top=8, left=0, height=12, width=12)}))


def test_upon_a_frozen_trunk(frames: FrameSet, folder: Path) -> None:
    config = replace(TINY, updates=150, views=3)
    model = train(frames, config, seed=0, features=brightness, backend="torch")
    assert model.setup.network.ensemble.features == 2 * SIZE
    assert scores(model, 100, rises=True)[-1] > 0.5
    assert (scores(model, 101, rises=False) < 0.5).all()
    model.save(folder)
    again = TrainedReward.load(folder, features=brightness, backend="torch")
    assert np.array_equal(scores(again, 100, rises=True), scores(model, 100, rises=True))
    with pytest.raises(ConfigError, match="no trunk was given"):
        TrainedReward.load(folder)
    with pytest.raises(ConfigError, match="one row for each"):
        train(frames, config, features=lambda images: images[:1, 0, 0])


def test_stages(tmp_path: Path) -> None:
    frames = fill(tmp_path / "set", classes=("low", "middle", "high"))
    config = replace(TINY, updates=120, stage_rewards=True, confirm_frames=2)
    model = train(frames, config, seed=0, backend="torch")
    judge = model.judge_of()
    judge.begin_episode()
    said = [judge.judge(obs) for obs, _ in episode(100, rises=True, steps=12)]
    assert said[0].stage == 0
    assert said[-1].stage == 2
    assert sum(one.reward for one in said) == pytest.approx(1.0 if said[-1].confirmed else 0.5)
    with pytest.raises(ConfigError, match="success last"):
        train(fill(tmp_path / "three", 4, ("running", "success", "failure")), config)


def test_too_little_to_learn_from(tmp_path: Path, frames: FrameSet) -> None:
    empty = FrameSet.create(tmp_path / "none", ("failure", "success"), SPEC)
    with pytest.raises(ConfigError, match="no labelled frames"):
        train(empty, QUICK)
    obs = seen(0.0, np.random.default_rng(0))
    empty.add(LabelledFrame(obs=obs, label=0, episode=("a", 0, 0), step_index=0, source="key"))
    with pytest.raises(ConfigError, match="success and something else"):
        train(empty, QUICK)
    few = train(fill(tmp_path / "few", episodes=2), QUICK, backend="torch")
    assert any("come from trained frames" in warning for warning in few.report.warnings)
    assert any("no test episodes" in warning for warning in few.report.warnings)


def test_backends_that_are_not_there(frames: FrameSet, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnknownNameError, match="numpy"):
        train(frames, QUICK, backend="numpy")
    monkeypatch.setattr("robot_hil.policies.reward.backend.find_spec", lambda name: None)
    with pytest.raises(DependencyError, match="pip install"):
        train(frames, QUICK)


@pytest.mark.parametrize(
    "numbers",
    [{"strides": (2,)}, {"members": 0}, {"rule": "max"}, {"test_share": 1.0}, {"confirm_frames": 0}, {"shift": -1}],
)
def test_numbers_that_cannot_work(numbers: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        RewardConfig(**numbers)  # type: ignore[arg-type]


def test_progress_is_told(frames: FrameSet) -> None:
    told: list[tuple[float, str]] = []
    train(frames, QUICK, progress=lambda share, what: told.append((share, what)), backend="torch")
    shares = [share for share, _ in told]
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)
