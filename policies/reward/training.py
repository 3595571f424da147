"""The stages of a classifier's making: frames into memory, episodes to their parts, updates, calibration."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from robot_hil.data.labels import EpisodeKey
from robot_hil.data.specs import Array
from robot_hil.errors import ConfigError
from robot_hil.policies.base import Algorithm, Engine
from robot_hil.policies.inputs import spread_shifts
from robot_hil.policies.reward import calibration, rules
from robot_hil.policies.reward.config import RewardConfig
from robot_hil.policies.reward.dataset import FrameSet
from robot_hil.policies.reward.inputs import Features, FrameInputs, Prepared, with_features
from robot_hil.policies.reward.network import Classifier
from robot_hil.policies.reward.sampling import Table, bootstrap, class_shares, draw_weights
from robot_hil.policies.reward.split import split_episodes

Progress = Callable[[float, str], None]
"""Told the share done in [0, 1] and what is going on, now and then."""
_CHUNK = 64
"""Frames looked at in one call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Which episodes do what; no episode does two things."""

    train: tuple[EpisodeKey, ...]
    calibration: tuple[EpisodeKey, ...]
    test: tuple[EpisodeKey, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """How scores become probabilities and a verdict."""

    temperature: float
    offset: tuple[float, ...]
    """Log share of each class among the trained frames."""
    threshold: float


class Scorer:
    """Parameters at work on one engine."""

    def __init__(self, engine: Engine, network: Classifier, params: Mapping[str, Array]) -> None:
        self._engine, self._network = engine, network
        self._params = engine.place({name: np.array(value) for name, value in params.items()})

    def logits(self, prepared: Prepared) -> Array:
        """Return (K, n, classes) of frames (n, ...), unshifted."""
        frames = {name: array[:, 0] if name == "features" else array for name, array in prepared.items()}
        count = len(frames["vectors"])
        made = [self._call(frames, start, min(_CHUNK, count - start)) for start in range(0, count, _CHUNK)]
        if not made:
            return np.zeros((self._network.ensemble.members, 0, self._network.classes), np.float32)
        return np.concatenate(made, 1)

    def _call(self, frames: Prepared, start: int, count: int) -> Array:
        size = 1 if count == 1 else _CHUNK  # two shapes in all, for engines that compile each
        rows = np.minimum(np.arange(start, start + size), start + count - 1)
        part = {name: array[rows] for name, array in frames.items()}
        return self._engine.run(self._network.logits, self._params, part)[:, :count]


def read_table(
    frames: FrameSet, inputs: FrameInputs, features: Features | None, config: RewardConfig, progress: Progress
) -> Table:
    """Read a data set into memory, as the network sees it; a trunk looks at every frame once."""
    ids = frames.ids
    prepared, about = [], []
    for i, frame in enumerate(frames.frames()):
        prepared.append(inputs.prepare(frame.obs))
        about.append((frame.episode, frame.step_index, frame.label, frame.source))
        if i % 200 == 0:
            progress(0.2 * i / max(1, len(ids)), f"reading frame {i + 1} of {len(ids)}")
    if not about:
        raise ConfigError(f"{frames.path} has no labelled frames; record some with `robot-hil reward record`.")
    order = sorted(range(len(about)), key=lambda i: about[i][:2])
    stacked = {name: np.stack([prepared[i][name] for i in order]) for name in prepared[0]}
    if features is not None:
        progress(0.2, "features of the trunk")
        stacked = with_features(stacked, features, spread_shifts(config.views, config.shift))
    return Table(
        prepared=stacked,
        labels=np.array([about[i][2] for i in order], np.int64),
        episodes=tuple(about[i][0] for i in order),
        steps=np.array([about[i][1] for i in order], np.int64),
        sources=tuple(about[i][3] for i in order),
    )


def assign(table: Table, config: RewardConfig, seed: int, before: Parts | None = None) -> Parts:
    """Give every episode its part; those of `before` keep theirs, and what is new since then is trained with."""
    rows = list(zip(table.episodes, table.labels.tolist(), strict=True))
    if before is None:
        test = split_episodes(rows, config.test_share, seed)
        others = [row for row in rows if row[0] not in test]
        aside = split_episodes(others, config.calibration_share, seed + 1)
    else:
        test, aside = frozenset(before.test), frozenset(before.calibration)
    present = sorted(set(table.episodes))
    return Parts(
        train=tuple(episode for episode in present if episode not in test | aside),
        calibration=tuple(episode for episode in present if episode in aside),
        test=tuple(episode for episode in present if episode in test),
    )


def plain_inputs(table: Table) -> Array:
    """Return what is not an image, (n, features + vectors), unshifted."""
    given = [table.prepared[name] for name in ("features", "vectors") if name in table.prepared]
    columns: Array = np.concatenate([array[:, 0] if array.ndim == 3 else array for array in given], -1)
    return columns


def fit(
    engine: Engine, network: Classifier, params: Mapping[str, Array], table: Table, config: RewardConfig,
    updates: int, rng: np.random.Generator, progress: Progress, hard_share: float = 0.0,
) -> dict[str, Array]:  # fmt: skip
    """Train `params` on all of `table`, at least `hard_share` of a class on its hard negatives; return the trained."""
    state: Any = engine.start(params, {}, cast(Algorithm, network))  # of an algorithm it asks groups and counters
    chance = draw_weights(table, config.hard_weight, hard_share)
    weight = bootstrap(table, config.members, rng)
    targets = np.eye(network.classes, dtype=np.float32)[table.labels]
    for update in range(updates):
        rows = rng.choice(len(table), config.batch_size, p=chance)
        batch = {
            "label": targets[rows],
            "weight": weight[:, rows],
            "offset": rng.integers(0, 2 * config.shift + 1, (len(rows), 2), dtype=np.int32),
        } | _views(table.prepared, rows, rng)
        state, metrics = engine.train(network.update, state, batch)
        if update % 20 == 0:
            progress(0.25 + 0.7 * update / updates, f"update {update} of {updates}, loss {metrics['loss']:.3f}")
    trained, _ = engine.params_of(state)
    return engine.fetch(trained)


def calibrate(scorer: Scorer, trained: Table, aside: Table, config: RewardConfig, success: int) -> Calibration:
    """Take temperature and threshold from `aside`, the classes' shares from what was trained."""
    offset = np.log(class_shares(trained.labels, scorer.logits(_none(aside)).shape[-1]))
    logits = scorer.logits(aside.prepared)
    temperature = calibration.fit_temperature(logits, aside.labels, offset)
    members = calibration.softmax(logits / temperature + offset)[..., success]
    scores = rules.combine(members, config.rule, config.caution)
    return Calibration(
        temperature=temperature,
        offset=tuple(offset.tolist()),
        threshold=calibration.choose_threshold(scores, aside.labels == success, config.false_positive_rate),
    )


def _views(prepared: Prepared, rows: Array, rng: np.random.Generator) -> Prepared:
    """Return rows of everything, one view of each row's features."""
    found = {name: array[rows] for name, array in prepared.items()}
    if "features" in found:
        views = found["features"]
        found["features"] = views[np.arange(len(rows)), rng.integers(0, views.shape[1], len(rows))]
    return found


def _none(table: Table) -> Prepared:
    return {name: array[:0] for name, array in table.prepared.items()}
