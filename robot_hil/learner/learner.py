"""The learner without any process around it: steps in, weights out."""

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from robot_hil.data.labels import EpisodeKey, Verdict
from robot_hil.data.specs import Array, EnvSpec, Observation
from robot_hil.data.step import Segment, Step
from robot_hil.errors import ConfigError, StorageError
from robot_hil.learner.survey import Survey
from robot_hil.methods.base import Method
from robot_hil.protocols import Agent
from robot_hil.replay.buffer import ReplayBuffer
from robot_hil.replay.frames import HostFrames
from robot_hil.replay.prefetch import Prefetcher
from robot_hil.replay.sampling import Batch

_TOGETHER = 32
"""Steps that are taken in at once where many wait, and frames that an agent is given to encode."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnerConfig:
    """How much is learnt from what, and when."""

    batch_size: int = 256
    """Rows per critic update."""
    gamma: float = 0.95
    """Discount per environment step."""
    capacity: int = 100_000
    """Observations that the replay holds."""
    clone_updates: int = 1000
    """Imitation updates on the demonstrations before the robot first moves by itself."""
    clone_batch_size: int = 256
    """Rows per imitation update."""
    critic_warmup: int = 0
    """Training rounds on demonstrations alone before the robot first moves by itself."""
    start_after: int = 100
    """Online steps before training rounds begin."""
    rounds_per_step: float = 1.0
    """Training rounds per online step; each holds the agent's `updates_per_round` critic updates."""
    slack: int = 16
    """Steps that a simulated actor may run ahead of the learner."""
    publish_every: int = 10
    """Training rounds between two broadcasts of weights."""
    prefetch: int = 2
    """Batches prepared ahead in a thread; 0 samples in the training thread, bit-reproducibly."""

    def __post_init__(self) -> None:
        if not 0 < self.gamma <= 1:
            raise ConfigError(f"gamma is {self.gamma}; it must lie in (0, 1].")
        for name in ("batch_size", "clone_batch_size", "publish_every", "rounds_per_step"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be above 0.")


class Learner:
    """Replay, method and agent together; one thread may `add` while another trains."""

    def __init__(self, agent: Agent, method: Method, spec: EnvSpec, config: LearnerConfig, seed: int) -> None:
        self.agent, self.method, self.config = agent, method, config
        self.state: Any = agent.init(spec, seed)
        self.rounds = 0
        """Training rounds done, warm-up included: the version of the weights."""
        self.online_steps = 0
        """Steps received that were no demonstration."""
        self.replay = ReplayBuffer(
            agent.stored(spec), spec.action.shape[0], config.capacity, self._prepare, agent.frames or HostFrames
        )
        self._stored = frozenset(agent.stored(spec))
        self._encodes = agent.encodes_at_once
        self._ahead: dict[int, Observation] = {}
        self._rng = np.random.default_rng(seed)
        self._prefetcher: Prefetcher | None = None
        self._survey = Survey(self.replay, method, config.gamma) if method.surveys else None

    def add(self, step: Step) -> None:
        """Take in one step; repeated ones are ignored by the replay."""
        self._add_some((step,))

    def add_all(self, steps: Iterable[Step]) -> None:
        """Take in steps that wait, some at a time, which costs less; an encoder sees their frames together.

        If one of some does not match the specification none of them is taken in, and `SpecError` is raised.
        """
        waiting = iter(steps)
        while some := list(islice(waiting, _TOGETHER)):
            if self._encodes:
                seen = [obs for step in some for obs in (step.obs, step.final_obs) if obs is not None]
                self._ahead = {id(obs): ready for obs, ready in zip(seen, self._prepare_all(seen), strict=True)}
            self._add_some(some)
            self._ahead.clear()

    def _add_some(self, steps: Sequence[Step]) -> None:
        stored = self.replay.add_all(steps)
        online = (step.segment is not Segment.DEMO for step in steps)
        self.online_steps += sum(map(operator.and_, stored, online))

    def judge(self, verdicts: Mapping[EpisodeKey, Verdict]) -> None:
        """See episodes as a person says, from the next batch on; see `ReplayBuffer.judge`."""
        if verdicts:
            self.replay.judge(verdicts)
            self.close()  # forgets the batches made ahead
            if self._survey is not None:
                self._survey.forget()

    @property
    def has_data(self) -> bool:
        """Whether there is anything to learn from; a person may have discarded all of it."""
        return any(self.replay.sizes.values())

    def warm_start(
        self,
        progress: Callable[[str, int, int], None] = lambda name, done, of: None,
        stop: Callable[[], bool] = lambda: False,
    ) -> dict[str, float]:
        """Clone the demonstrations, then train on them alone; `progress(name, done, of)` is told after each update.

        Learns nothing without demonstrations. Where `stop` says so it is abandoned: begin again with a new learner.
        """
        metrics: dict[str, float] = {}
        if self.replay.sizes["demo"]:
            metrics = self._imitate(progress, stop)
        self._encode_all()
        if self.replay.sizes["demo"] and not stop():
            metrics |= self._warm_critics(progress, stop)
        return metrics

    def _imitate(self, progress: Callable[[str, int, int], None], stop: Callable[[], bool]) -> dict[str, float]:
        config, only_demos = self.config, {"demo": 1.0}
        metrics: dict[str, float] = {}
        rows = self._whole(config.clone_batch_size)
        out = self.replay.empty_batch(rows, self.agent.imitates)
        for i in range(config.clone_updates):
            batch = self._sample(rows, only_demos, out)
            self.state, metrics = self.agent.pretrain(self.state, batch)
            progress("imitating demonstrations", i + 1, config.clone_updates)
            if stop() or not self.replay.sizes["demo"]:
                break
        self.state = self.agent.settle(self.state)
        return metrics

    def _warm_critics(self, progress: Callable[[str, int, int], None], stop: Callable[[], bool]) -> dict[str, float]:
        config, only_demos = self.config, {"demo": 1.0}
        metrics: dict[str, float] = {}
        rows = self._whole(config.batch_size) * self.agent.updates_per_round
        out = self.replay.empty_batch(rows, self.agent.reads)
        for i in range(config.critic_warmup):
            batch = self._sample(rows, only_demos, out)
            self.state, more = self.agent.update(self.state, batch)
            self.rounds += 1
            metrics |= more
            progress("learning values", i + 1, config.critic_warmup)
            if stop() or not self.replay.sizes["demo"]:
                break
        return metrics

    def train_round(self) -> dict[str, float]:
        """Do one training round; metrics are those of its last minibatch."""
        if self._prefetcher is None:
            self._prefetcher = self._start_prefetcher()
        self.state, metrics = self.agent.update(self.state, self._prefetcher.get())
        self.rounds += 1
        return metrics

    def actor_params(self) -> dict[str, Array]:
        """Return a copy of what acting needs."""
        return self.agent.actor_params(self.state)

    def export(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """Return arrays and JSON-ready numbers for a checkpoint; the replay is rebuilt from the step log."""
        numbers = {"rounds": self.rounds, "online_steps": self.online_steps, "rng": self._rng.bit_generator.state}
        return self.agent.export(self.state), numbers

    def load(self, arrays: Mapping[str, Array], numbers: Mapping[str, Any]) -> None:
        """Continue from what `export` returned; the steps up to there must have been added before."""
        missing = {"rounds", "online_steps", "rng"} - set(numbers)
        if missing:
            raise StorageError(f"the checkpoint has no {sorted(missing)}; it was not made by this learner.")
        self.state = self.agent.load(self.state, arrays)
        self.rounds = int(numbers["rounds"])
        self._rng.bit_generator.state = numbers["rng"]
        self._encode_all()

    def close(self) -> None:
        """Stop the prefetch thread; legal twice."""
        if self._prefetcher is not None:
            self._prefetcher.stop()
            self._prefetcher = None

    def _prepare(self, obs: Observation) -> Observation:
        ready = self._ahead.get(id(obs))
        return self._prepare_all([obs])[0] if ready is None else ready

    def _prepare_all(self, observations: Sequence[Observation]) -> list[Observation]:
        """Return what is stored of observations; once the encoder is fixed, encoded, so that no update has to."""
        prepared = [dict(self.agent.prepare(obs)) for obs in observations]
        if self._encodes:
            together = {name: np.stack([one[name] for one in prepared]) for name in prepared[0]}
            for one, encoded in zip(prepared, self.agent.encode(self.state, together), strict=True):
                one[self.agent.encoding] = encoded
        return [{name: value for name, value in one.items() if name in self._stored} for one in prepared]

    def _encode_all(self) -> None:
        """Encode every stored frame with the encoder as it now is; from here on new ones are encoded as they come."""
        if self.agent.encoding and not self.agent.encodes_at_once:
            encode = self.agent.encode
            self.replay.rewrite(self.agent.encoding, lambda frames: encode(self.state, frames), chunk=_TOGETHER)
            self._encodes = True

    def _whole(self, rows: int) -> int:
        """Return so many of `rows` as make whole runs of steps, where the agent takes runs."""
        window = self.agent.window
        return max(window, rows - rows % window)

    def _sample(self, rows: int, fractions: Mapping[str, float], out: Batch) -> Batch:
        method, gamma, notes = self.method, self.config.gamma, self._surveyed()
        batch = self.replay.sample(
            self._rng, fractions, rows, method.n_step, gamma, method.reward, method.aux, out, window=self.agent.window
        )
        return batch if notes is None else batch | notes(batch["row"])

    def _surveyed(self) -> Callable[[Array], Batch] | None:
        """Return what a survey of the whole log says of some rows, made anew if it is time; None without one."""
        if self._survey is None:
            return None
        self._survey.refresh()
        return self._survey.notes

    def _start_prefetcher(self) -> Prefetcher:
        parts, rows, gamma = self.agent.updates_per_round, self._whole(self.config.batch_size), self.config.gamma

        def make(out: Batch) -> Batch:
            notes, step = self._surveyed(), self.online_steps
            return self.replay.sample_view(
                self.method, self._rng, rows * parts, gamma, step, out, parts, self.agent.window, notes
            )

        threaded = self.config.prefetch > 0
        depth = max(1, self.config.prefetch)
        prefetcher = Prefetcher(make, lambda: self.replay.empty_batch(rows * parts, self.agent.reads), depth, threaded)
        prefetcher.start()
        return prefetcher
