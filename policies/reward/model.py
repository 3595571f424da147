"""A classifier of success: trained from a `FrameSet`, saved in a folder, asked frame by frame."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from robot_hil.data.fingerprint import spec_to_dict
from robot_hil.data.reward import LabelledFrame, RewardModel
from robot_hil.data.specs import Array, EnvSpec, Observation
from robot_hil.errors import ConfigError, StorageError
from robot_hil.policies.config import TrunkConfig
from robot_hil.policies.reward import backend as backend_of
from robot_hil.policies.reward import calibration, rules, store
from robot_hil.policies.reward.config import Crop, RewardConfig
from robot_hil.policies.reward.dataset import FrameSet, spec_from_dict
from robot_hil.policies.reward.evaluation import measure
from robot_hil.policies.reward.inputs import Features, FrameInputs, with_features
from robot_hil.policies.reward.network import Classifier, Ensemble
from robot_hil.policies.reward.report import Report
from robot_hil.policies.reward.sampling import Table
from robot_hil.policies.reward.training import (
    Calibration,
    Parts,
    Progress,
    Scorer,
    assign,
    calibrate,
    fit,
    plain_inputs,
    read_table,
)  # fmt: skip

NAME = "reward"
_FORMAT = 1
_CHUNK = 64
"""Frames held in memory at once, as they were recorded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What training does not change."""

    config: RewardConfig
    classes: tuple[str, ...]
    spec: EnvSpec
    inputs: FrameInputs
    network: Classifier
    features: Features | None
    backend: str

    @property
    def success(self) -> int:
        """Index of the class that is success: the one of that name, else the last."""
        return self.classes.index("success") if "success" in self.classes else len(self.classes) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedReward:
    """A trained classifier with what is known of it. Immutable: `retrain` returns another, one version on."""

    setup: Setup
    version: int
    calibrated: Calibration
    parts: Parts
    report: Report
    params: Mapping[str, Array]
    scorer: Scorer

    @property
    def config(self) -> RewardConfig:
        """The numbers it was trained with."""
        return self.setup.config

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        return self.setup.classes

    @property
    def threshold(self) -> float:
        """Score from which a single frame is a hit."""
        return self.calibrated.threshold

    def probabilities(self, obs: Mapping[str, Array]) -> Array:
        """Return each member's calibrated probabilities (K, n, classes) of observations (n, ...) by name."""
        names = list(obs)
        rows = zip(*(obs[name] for name in names), strict=True)
        return self.look([dict(zip(names, row, strict=True)) for row in rows])

    def look(self, observations: Sequence[Observation]) -> Array:
        """As `probabilities`, for a list of observations."""
        prepared = self.setup.inputs.batch(observations)
        if self.setup.features is not None:
            prepared = with_features(prepared, self.setup.features, ((0, 0),))
        logits = self.scorer.logits(prepared)
        return calibration.softmax(logits / self.calibrated.temperature + np.array(self.calibrated.offset))

    def judge_of(self) -> RewardModel:
        """Return a judge of episodes, which remembers the frames that confirm; each has a memory of its own."""
        from robot_hil.policies.reward.judge import ClassifierJudge

        return ClassifierJudge(self)

    def most_doubtful(self, frames: FrameSet, count: int) -> list[tuple[str, float]]:
        """Return ids and doubts in [0, 1] of the frames that a person should look at first, worst first.

        The doubt is the greatest of three: how far the members disagree, how near their mean is to one half, how far
        it is from the label. Frames that a person has looked at again (source `review`) are left out.
        """
        ids = [name for name in frames.ids if frames.label(name)[1] != "review"]
        if not ids:
            return []
        chunks = [ids[start : start + _CHUNK] for start in range(0, len(ids), _CHUNK)]
        looked = [self.look([frames.get(name).obs for name in chunk]) for chunk in chunks]
        members = np.concatenate(looked, 1)[..., self.setup.success]
        mean = members.mean(0)
        truth = np.array([frames.label(name)[0] == self.setup.success for name in ids], float)
        unsure = 1.0 - np.abs(2.0 * mean - 1.0)
        doubt = np.maximum.reduce([rules.disagreement(members), unsure, np.abs(mean - truth)])
        order = np.argsort(-doubt, kind="stable")[:count]
        return [(ids[i], float(doubt[i])) for i in order]

    def retrain(
        self, frames: FrameSet, extra: Sequence[LabelledFrame] = (), *, seed: int = 0, progress: Progress | None = None
    ) -> "TrainedReward":
        """Go on training for a few seconds, hard negatives first; returns the next version.

        `extra` frames are added to `frames`, where they stay. Test and calibration episodes stay what they are; what
        is new since the last training is trained with.
        """
        begin, told = time.perf_counter(), progress or _silent
        if frames.classes != self.classes:
            raise ConfigError(f"{frames.path} has classes {frames.classes}, this model {self.classes}; train anew.")
        for frame in extra:
            frames.add(frame)
        table = read_table(frames, self.setup.inputs, self.setup.features, self.config, told)
        parts = assign(table, self.config, seed, self.parts)
        rng = np.random.default_rng([seed, self.version])
        updates = self.config.retrain_updates
        return _fitted(
            self.setup, self.params, updates, table, parts, self.version + 1, rng, told, begin, self.config.hard_share
        )

    def save(self, folder: Path) -> None:
        """Write `reward.json` and the arrays that it names; a reader finds the model before or this one."""
        inputs = self.setup.inputs
        about = {
            "format": _FORMAT,
            "version": self.version,
            "classes": self.classes,
            "threshold": self.threshold,
            "config": asdict(self.config),
            "spec": spec_to_dict(self.setup.spec),
            "crops": {name: asdict(crop) for name, crop in zip(inputs.cameras, inputs.crops, strict=True)},
            "trunk_features": self.setup.network.ensemble.features,
            "trunk_sha256": getattr(self.setup.features, "digest", ""),
            "trunk": _file_of(self.setup.features),
            "backend": self.setup.backend,
            "calibrated": asdict(self.calibrated),
            "parts": asdict(self.parts),
            "report": asdict(self.report),
        }
        store.save(Path(folder), NAME, about, self.params)

    @staticmethod
    def load(folder: Path, features: Features | None = None, backend: str = "auto") -> "TrainedReward":
        """Read what `save` wrote, whichever backend trained it; raises `StorageError` when it is damaged or missing.

        A model on a frozen trunk reads the trunk's file again, which must be where it was and have the same hash; one
        on `features` of another kind needs the same again.
        """
        about, params = store.load(Path(folder), NAME)
        if features is None and about.get("trunk"):
            features = _read_trunk(about["trunk"], backend)
        try:
            if about["format"] != _FORMAT:
                raise StorageError(f"{folder} has format {about['format']}; this version reads format {_FORMAT}.")
            trunk = int(about["trunk_features"])
            setup = _setup(
                msgspec.convert(about["config"], RewardConfig), tuple(about["classes"]),
                spec_from_dict(about["spec"]), msgspec.convert(about["crops"], dict[str, Crop]), features, trunk,
                backend,
            )  # fmt: skip
            calibrated = msgspec.convert(about["calibrated"], Calibration)
            parts, report = msgspec.convert(about["parts"], Parts), msgspec.convert(about["report"], Report)
            version, digest = int(about["version"]), str(about["trunk_sha256"])
        except (KeyError, TypeError, ValueError, msgspec.MsgspecError) as error:
            raise StorageError(f"{folder} holds a model that cannot be understood: {error!r}.") from error
        if (features is None) != (trunk == 0):
            given, wanted = ("no trunk", "on a frozen one") if trunk else ("a trunk", "without one")
            raise ConfigError(
                f"{given} was given, and the model in {folder} was trained {wanted}; give the same again."
            )
        if getattr(features, "digest", "") != digest:
            raise ConfigError(f"the model in {folder} was trained upon the trunk of SHA-256 {digest}; give that file.")
        scorer = Scorer(backend_of.make_engine(setup.backend), setup.network, params)
        return TrainedReward(
            setup=setup, version=version, calibrated=calibrated, parts=parts, report=report, params=params,
            scorer=scorer,
        )  # fmt: skip


def _file_of(features: Features | None) -> dict[str, Any] | None:
    """Return which file a trunk is; None for features of another kind, and without."""
    from robot_hil.policies.reward.trunk import TrunkFeatures

    return asdict(features.config) if isinstance(features, TrunkFeatures) else None


def _read_trunk(about: Mapping[str, Any], backend: str) -> Features:
    from robot_hil.policies.reward.trunk import trunk_features

    return trunk_features(msgspec.convert(about, TrunkConfig), backend)


def train(
    frames: FrameSet,
    config: RewardConfig,
    seed: int = 0,
    progress: Progress | None = None,
    *,
    features: Features | None = None,
    backend: str = "auto",
    version: int = 1,
) -> TrainedReward:
    """Train, calibrate and measure a classifier on `frames`, each on episodes of its own.

    Args:
        frames: Labelled frames, of at least two classes.
        config: Numbers.
        seed: Decides the parts of the episodes, the members' beginnings and all that is drawn.
        progress: Told how far it is.
        features: A frozen trunk to train upon; without one every member has a small encoder of its own.
        backend: `torch`, `jax` or `auto`.
        version: One more than that of the model it replaces.

    Raises:
        ConfigError: there is nothing to learn from, e.g. only one class.
    """
    begin, told = time.perf_counter(), progress or _silent
    inputs = FrameInputs.of(frames.spec, config, frames.crops)
    table = read_table(frames, inputs, features, config, told)
    trunk = table.prepared["features"].shape[-1] if features is not None else 0
    setup = _setup(config, frames.classes, frames.spec, frames.crops, features, trunk, backend)
    present = set(table.labels.tolist())
    if setup.success not in present or len(present) < 2:
        raise ConfigError(
            f"{frames.path} has {frames.counts}; success and something else are needed. Record what is missing."
        )
    parts = assign(table, config, seed)
    rng = np.random.default_rng(seed)
    trained = table.part(table.rows(parts.train))
    params = setup.network.init(rng) | setup.network.ensemble.scale(plain_inputs(trained))
    return _fitted(setup, params, config.updates, table, parts, version, rng, told, begin)


def _setup(
    config: RewardConfig, classes: tuple[str, ...], spec: EnvSpec, crops: Mapping[str, Crop],
    features: Features | None, trunk: int, backend: str,
) -> Setup:  # fmt: skip
    if config.stage_rewards and (classes[-1] != "success" and "success" in classes):
        raise ConfigError(f"stage_rewards need classes in the order of the task, success last; these are {classes}.")
    inputs = FrameInputs.of(spec, config, crops)
    ensemble = Ensemble(
        members=config.members, cameras=0 if trunk else len(inputs.cameras), filters=config.filters,
        strides=config.strides, vectors=inputs.vector_size, features=trunk,
    )  # fmt: skip
    network = Classifier(
        ensemble=ensemble, hidden=config.hidden, classes=len(classes), rate=config.learning_rate,
        smoothing=config.smoothing, shift=0 if trunk else config.shift,
    )  # fmt: skip
    return Setup(
        config=config, classes=classes, spec=spec, inputs=inputs, network=network, features=features,
        backend=backend_of.choose(backend),
    )  # fmt: skip


def _fitted(
    setup: Setup, params: Mapping[str, Array], updates: int, table: Table, parts: Parts, version: int,
    rng: np.random.Generator, told: Progress, begin: float, hard_share: float = 0.0,
) -> TrainedReward:  # fmt: skip
    """Train on one part of the episodes, calibrate on the next, measure on the last."""
    config, engine = setup.config, backend_of.make_engine(setup.backend)
    trained, aside, test = (table.part(table.rows(part)) for part in (parts.train, parts.calibration, parts.test))
    fitted = fit(engine, setup.network, params, trained, config, updates, rng, told, hard_share)
    scorer = Scorer(engine, setup.network, fitted)
    warnings: tuple[str, ...] = ()
    if len(set((aside.labels == setup.success).tolist())) < 2:
        aside = trained
        warnings = (
            "Threshold and temperature come from trained frames, as too few episodes could be laid aside; they will be "
            "too bold. Record at least four episodes with a success and four without.",
        )
    calibrated = calibrate(scorer, trained, aside, config, setup.success)
    told(0.97, "measuring on the test episodes")
    report = measure(
        test, scorer.logits(test.prepared), calibrated, config, parts, setup.classes, setup.success, warnings,
        time.perf_counter() - begin,
    )  # fmt: skip
    told(1.0, "done")
    return TrainedReward(
        setup=setup, version=version, calibrated=calibrated, parts=parts, report=report, params=fitted, scorer=scorer
    )


def _silent(_share: float, _what: str) -> None:
    pass
