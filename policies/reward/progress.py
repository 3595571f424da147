"""A dense reward from images: how much nearer each frame is to the goal than the frames before."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

import msgspec
import numpy as np

from robot_hil.data.fingerprint import spec_to_dict
from robot_hil.data.reward import RewardModel
from robot_hil.data.specs import Array, EnvSpec, Observation
from robot_hil.errors import SpecError, StorageError
from robot_hil.policies.base import Algorithm, Engine
from robot_hil.policies.reward import backend as backend_of
from robot_hil.policies.reward import calibration, integration, rules, store
from robot_hil.policies.reward.config import Crop, ProgressConfig
from robot_hil.policies.reward.dataset import spec_from_dict
from robot_hil.policies.reward.inputs import FrameInputs, Prepared
from robot_hil.policies.reward.network import Ensemble
from robot_hil.policies.reward.pairs import PairCritic
from robot_hil.policies.reward.practice import EpisodeFrames, Practice, set_aside
from robot_hil.policies.reward.training import Progress

NAME = "progress"
_FORMAT, _CHUNK = 1, 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """What the critic says of an episode, frame by frame, as an actor would hear it."""

    deltas: Array
    """(n - 1,) progress to each frame since `stride_s` before it, or since the beginning."""
    values: Array
    """(n,) progress since the beginning, 0 at first, in [0, 1]."""
    done: Array
    """(n,) cautious probability that the frame is the goal."""
    confirmed: Array
    """Bool (n,): that was so in as many frames running as it takes."""

    @property
    def rewards(self) -> Array:
        """Progress made from frame to frame, (n - 1,); adds up to the last value, so to 1 at most."""
        return integration.rewards(self.values)

    @property
    def order_correlation(self) -> float:
        """VOC: rank correlation of value and time; near 1 for a good demonstration."""
        return integration.value_order_correlation(self.values)

    @property
    def negative_rate(self) -> float:
        """NR: share of steps that went back."""
        return integration.negative_rate(self.deltas)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressCritic:
    """A trained critic. Immutable."""

    config: ProgressConfig
    spec: EnvSpec
    inputs: FrameInputs
    network: PairCritic
    params: Mapping[str, Array]
    placed: Mapping[str, Any]
    """The same where they are computed with."""
    threshold: float
    """Of `done`, from which a frame is a hit."""
    version: int
    backend: str
    engine: Engine

    @property
    def stride(self) -> int:
        """Frames between the two that are compared."""
        return max(1, round(self.config.stride_s * self.spec.control_hz))

    def encode(self, observations: Sequence[Observation]) -> Array:
        """Return what the members keep of observations, (K, n, encoded): frames are compared often, encoded once."""
        prepared = self.inputs.batch(observations)
        parts = [self._encode(prepared, start) for start in range(0, len(observations), _CHUNK)]
        return np.concatenate(parts, 1) if parts else np.zeros((self.config.members, 0, self.network.ensemble.encoded))

    def compare(self, before: Array, after: Array, goal: Array | None = None) -> Array:
        """Return the members' deltas (K, n) between encodings (K, n, encoded), towards one goal."""
        batch = {"before": before, "after": after, "goal": self._goals(goal, before.shape[1])}
        return self.engine.run(self.network.compare, dict(self.placed), batch)

    def delta(self, before: Observation, after: Observation, goal: Array | None = None) -> float:
        """Return the progress from one observation to another in (-1, 1), a share of what remained."""
        encoded = self.encode([before, after])
        return float(self.compare(encoded[:, :1], encoded[:, 1:], goal).mean())

    def done(self, encoded: Array, goal: Array | None = None) -> Array:
        """Return the cautious probability (n,) that encodings (K, n, encoded) are the goal."""
        batch = {"after": encoded, "goal": self._goals(goal, encoded.shape[1])}
        odds = self.engine.run(self.network.finished, dict(self.placed), batch)
        return rules.combine(1.0 / (1.0 + np.exp(-np.clip(odds, -50, 50))), "mean_minus_std", self.config.caution)

    def trace(self, observations: Sequence[Observation], goal: Array | None = None) -> Trace:
        """Return what the critic says of an episode's observations, in order."""
        encoded = self.encode(observations)
        frames = np.arange(1, len(observations))
        since = np.maximum(0, frames - self.stride)
        deltas = self.compare(encoded[:, since], encoded[:, frames], goal).mean(0)
        remaining = np.zeros(len(observations))
        for frame, before, change in zip(frames, since, integration.log_remaining(deltas), strict=True):
            remaining[frame] = remaining[before] + change
        done = self.done(encoded, goal)
        confirmed = rules.confirmed(done >= self.threshold, self.config.done_frames)
        return Trace(deltas=deltas, values=integration.potential(remaining), done=done, confirmed=confirmed)

    def judge_of(self, goal: Array | None = None) -> RewardModel:
        """Return a judge of episodes that rewards progress; see `robot_hil.policies.reward.progress_judge`."""
        from robot_hil.policies.reward.progress_judge import ProgressJudge

        return ProgressJudge(self, goal)

    def save(self, folder: Path) -> None:
        """Write `progress.json` and the arrays that it names."""
        about = {
            "format": _FORMAT,
            "version": self.version,
            "threshold": self.threshold,
            "config": asdict(self.config),
            "spec": spec_to_dict(self.spec),
            "crops": {name: asdict(c) for name, c in zip(self.inputs.cameras, self.inputs.crops, strict=True)},
            "goal": self.network.goal,
            "backend": self.backend,
        }
        store.save(Path(folder), NAME, about, self.params)

    @staticmethod
    def load(folder: Path, backend: str = "auto") -> "ProgressCritic":
        """Read what `save` wrote; raises `StorageError` when it is damaged or missing."""
        about, params = store.load(Path(folder), NAME)
        try:
            if about["format"] != _FORMAT:
                raise StorageError(f"{folder} has format {about['format']}; this version reads format {_FORMAT}.")
            config = msgspec.convert(about["config"], ProgressConfig)
            crops = msgspec.convert(about["crops"], dict[str, Crop])
            return _critic(
                config, spec_from_dict(about["spec"]), crops, int(about["goal"]), params, float(about["threshold"]),
                int(about["version"]), backend,
            )  # fmt: skip
        except (KeyError, TypeError, ValueError, msgspec.MsgspecError) as error:
            raise StorageError(f"{folder} holds a critic that cannot be understood: {error!r}.") from error

    def _encode(self, prepared: Prepared, start: int) -> Array:
        count = min(_CHUNK, len(prepared["vectors"]) - start)
        size = 1 if count == 1 else _CHUNK
        rows = np.minimum(np.arange(start, start + size), start + count - 1)
        part = {name: array[rows] for name, array in prepared.items()}
        return self.engine.run(self.network.encode, dict(self.placed), part)[:, :count]

    def _goals(self, goal: Array | None, count: int) -> Array:
        given = np.zeros(0, np.float32) if goal is None else np.asarray(goal, np.float32)
        if given.shape != (self.network.goal,):
            raise SpecError(f"the goal has shape {given.shape}; this critic takes {self.network.goal} numbers.")
        return np.broadcast_to(given, (count, len(given))).copy()


def train_progress(
    episodes: Sequence[EpisodeFrames],
    spec: EnvSpec,
    config: ProgressConfig,
    seed: int = 0,
    progress: Progress | None = None,
    *,
    crops: Mapping[str, Crop] | None = None,
    backend: str = "auto",
    version: int = 1,
) -> ProgressCritic:
    """Train a critic on recorded episodes, some of which only calibrate its `done`.

    Args:
        episodes: Demonstrations that reach success, and failures where there are some.
        spec: Of the environment that they come from.
        config: Numbers.
        seed: Decides all that is drawn.
        progress: Told how far it is.
        crops: Part of each camera's image; the configuration's count first.
        backend: `torch`, `jax` or `auto`.
        version: One more than that of the critic it replaces.

    Raises:
        ConfigError: no episode reaches success.
    """
    inputs = FrameInputs.of(spec, config, crops or {})
    trained, aside = set_aside(episodes, config.calibration_share, seed)
    practice = Practice([episodes[i] for i in trained], inputs, config)
    rng = np.random.default_rng(seed)
    chosen = backend_of.choose(backend)
    critic = _critic(config, spec, crops or {}, practice.goal, {}, config.done_threshold, version, chosen)
    params = critic.network.init(rng) | critic.network.ensemble.scale(practice.vectors)
    state = critic.engine.start(params, {}, cast(Algorithm, critic.network))
    for update in range(config.updates):
        state, metrics = critic.engine.train(critic.network.update, state, practice.draw(rng))
        if progress is not None and update % 20 == 0:
            progress(update / config.updates, f"update {update} of {config.updates}, loss {metrics['loss']:.3f}")
    fitted = critic.engine.fetch(critic.engine.params_of(state)[0])
    critic = replace(critic, params=fitted, placed=critic.engine.place(fitted))
    if progress is not None:
        progress(1.0, "done")
    return replace(critic, threshold=_threshold(critic, [episodes[i] for i in aside]))


def _threshold(critic: ProgressCritic, episodes: Sequence[EpisodeFrames]) -> float:
    """Return the threshold of `done` that keeps false positives rare on episodes laid aside; else the configured."""
    success = np.concatenate([np.asarray(episode.success, bool) for episode in episodes] or [np.zeros(0, bool)])
    if success.all() or not success.any():
        return critic.config.done_threshold
    scores = [critic.done(critic.encode(episode.observations), episode.goal) for episode in episodes]
    return calibration.choose_threshold(np.concatenate(scores), success, critic.config.false_positive_rate)


def _critic(
    config: ProgressConfig, spec: EnvSpec, crops: Mapping[str, Crop], goal: int, params: Mapping[str, Array],
    threshold: float, version: int, backend: str,
) -> ProgressCritic:  # fmt: skip
    inputs = FrameInputs.of(spec, config, crops)
    ensemble = Ensemble(
        members=config.members, cameras=len(inputs.cameras), filters=config.filters, strides=config.strides,
        vectors=inputs.vector_size,
    )  # fmt: skip
    network = PairCritic(
        ensemble=ensemble, hidden=config.hidden, goal=goal, rate=config.learning_rate, shift=config.shift
    )
    chosen = backend_of.choose(backend)
    engine = backend_of.make_engine(chosen)
    return ProgressCritic(
        config=config, spec=spec, inputs=inputs, network=network, params=params, placed=engine.place(params),
        threshold=threshold, version=version, backend=chosen, engine=engine,
    )  # fmt: skip
