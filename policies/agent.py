"""The agent: an algorithm, written once, on the engine of one array library. See `robot_hil.protocols.Agent`."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from robot_hil.data.specs import Array, ArraySpec, EnvSpec, Observation
from robot_hil.errors import SpecError, StorageError
from robot_hil.policies.base import Algorithm, Engine, Foreseer, Judge, KeepFrames
from robot_hil.policies.ops import Params

_NOT_LEARNT = frozenset(("row", "pool"))
_OBSERVED = ("obs/", "next_obs/", "end/")


@dataclass(slots=True, kw_only=True)
class AgentState:
    """Everything that learning changes."""

    learner: Any
    """The engine's part: parameters, targets, moments, counters."""
    rng: np.random.Generator
    """All noise of the learner comes from here, whatever library computes with it."""


class LearningAgent:
    """Holds an algorithm's configuration and shapes, and no learning state."""

    def __init__(self, algorithm: Algorithm, engine: Engine) -> None:
        self.algorithm, self.engine = algorithm, engine
        self._spec: EnvSpec | None = None

    # Shapes ----------------------------------------------------------------------------------------------------

    @property
    def backend(self) -> str:
        """Name of the library that computes."""
        return self.engine.ops.name

    @property
    def updates_per_round(self) -> int:
        """See `Agent.updates_per_round`."""
        return self.algorithm.updates_per_round

    def bind(self, spec: EnvSpec) -> None:
        """See `Agent.bind`."""
        if spec != self._spec:
            self.engine.forget()
        self._spec = spec
        self.algorithm.bind(spec)
        self._constants = self.engine.place(self.algorithm.constants())
        self._reads = _keys(self.algorithm.reads)
        self._imitates = _keys(self.algorithm.imitates)
        self._cached = self.algorithm.stored(spec).get(self.encoding)

    def stored(self, spec: EnvSpec) -> Mapping[str, ArraySpec]:
        """See `Agent.stored`."""
        return self.algorithm.stored(spec)

    def prepare(self, obs: Observation) -> Observation:
        """See `Agent.prepare`."""
        return self.algorithm.prepare(obs)

    @property
    def frames(self) -> KeepFrames | None:
        """See `Agent.frames`."""
        return self.engine.frames

    @property
    def encoding(self) -> str:
        """See `Agent.encoding`."""
        return self.algorithm.encoding

    @property
    def encodes_at_once(self) -> bool:
        """See `Agent.encodes_at_once`."""
        return self.algorithm.encodes_at_once

    @property
    def files(self) -> Mapping[str, str]:
        """See `Agent.files`."""
        return self.algorithm.files

    @property
    def reads(self) -> Mapping[str, tuple[str, ...]]:
        """See `Agent.reads`."""
        return self.algorithm.reads

    @property
    def imitates(self) -> Mapping[str, tuple[str, ...]]:
        """See `Agent.imitates`."""
        return self.algorithm.imitates

    @property
    def window(self) -> int:
        """See `Agent.window`."""
        return self.algorithm.window

    def init(self, spec: EnvSpec, seed: int) -> AgentState:
        """See `Agent.init`."""
        self.bind(spec)
        rng = np.random.default_rng(seed)
        params = self.algorithm.init(rng)
        targets = {name: value for name, value in params.items() if name.startswith(self.algorithm.follows)}
        return AgentState(learner=self.engine.start(params, targets, self.algorithm), rng=rng)

    # Learning --------------------------------------------------------------------------------------------------

    def pretrain(self, state: AgentState, batch: Mapping[str, Any]) -> tuple[AgentState, dict[str, float]]:
        """See `Agent.pretrain`."""
        if not self._imitates:
            return state, {}
        given = _only(batch, self._imitates) | self.algorithm.draw(state.rng, len(batch["action"]), True)
        state.learner, metrics = self.engine.train(self.algorithm.pretrain, state.learner, given | self._constants)
        return state, metrics

    def settle(self, state: AgentState) -> AgentState:
        """See `Agent.settle`."""
        if self._imitates:
            state.learner, _ = self.engine.train(self.algorithm.settle, state.learner, {})
        return state

    def update(self, state: AgentState, batch: Mapping[str, Any]) -> tuple[AgentState, dict[str, float]]:
        """See `Agent.update`."""
        given = _only(batch, self._reads) | self.algorithm.draw(state.rng, len(batch["action"]), False)
        state.learner, metrics = self.engine.train(self.algorithm.update, state.learner, given | self._constants)
        return state, metrics

    def encode(self, state: AgentState, frames: Mapping[str, Any]) -> Array:
        """See `Agent.encode`."""
        if self._cached is None:
            raise SpecError("this agent caches no encoding.")
        params, _ = self.engine.params_of(state.learner)
        images = {f"obs/{name}": value for name, value in frames.items() if name != self.encoding}
        count, size = len(next(iter(images.values()))), self.algorithm.frames_per_call
        made = np.empty((count, *self._cached.full_shape), self._cached.dtype)
        for begin in range(0, count, size):
            # Always equally many: a product of other shape may round otherwise, and a resumed run must encode alike.
            rows = np.minimum(np.arange(begin, begin + size), count - 1)
            batch = {name: value[rows] for name, value in images.items()} | self._constants
            part = self.engine.run(self.algorithm.encode, params, batch)
            made[begin : begin + size] = part[: count - begin]
        return made

    # Acting ----------------------------------------------------------------------------------------------------

    def actor_params(self, state: AgentState) -> dict[str, Array]:
        """See `Agent.actor_params`."""
        found = dict(zip(("params", "targets"), self.engine.params_of(state.learner), strict=True))
        return self.engine.fetch(
            {
                name: value
                for begin, where in self.algorithm.acting.items()
                for name, value in found[where].items()
                if name.startswith(begin)
            }
        )

    def load_actor(self, params: Mapping[str, Array]) -> Params:
        """See `Agent.load_actor`."""
        return self.engine.place({name: np.array(value) for name, value in params.items()})

    @property
    def memory_size(self) -> int:
        """See `Remembering.memory_size`."""
        return self.algorithm.memory_size

    def act(self, actor: Params, obs: Observation, deterministic: bool, rng: np.random.Generator) -> Array:
        """See `Agent.act`; as at the beginning of an episode where it could remember something."""
        return self.act_on(actor, obs, np.zeros(self.memory_size, np.float32), deterministic, rng)[0]

    def act_on(
        self, actor: Params, obs: Observation, memory: Array, deterministic: bool, rng: np.random.Generator
    ) -> tuple[Array, Array]:
        """See `Remembering.act_on`."""
        size = self.algorithm.noise_size
        noise = np.zeros(size, np.float32) if deterministic else rng.standard_normal(size, dtype=np.float32)
        given = self._seen(obs) | {"noise/act": noise[None]}
        if len(memory):
            given["memory"] = memory[None]
        both: Array = self.engine.run(self.algorithm.act, actor, given)[0]
        actions = len(both) - len(memory)
        return both[:actions], both[actions:]

    def _seen(self, obs: Observation) -> dict[str, Any]:
        """Return a batch of one observation."""
        batch = {f"obs/{name}": np.asarray(value)[None] for name, value in self.prepare(obs).items()}
        batch.pop(f"obs/{self.encoding}", None)
        return batch | self._constants

    # Storing ---------------------------------------------------------------------------------------------------

    def export(self, state: AgentState) -> dict[str, Array]:
        """See `Agent.export`; any engine's `load` takes it."""
        numbers = json.dumps(state.rng.bit_generator.state).encode()
        return self.engine.export(state.learner) | {"generator": np.frombuffer(numbers, np.uint8).copy()}

    def load(self, state: AgentState, params: Mapping[str, Array]) -> AgentState:
        """See `Agent.load`; changes nothing where it raises."""
        own = self.engine.export(state.learner)
        missing, foreign = sorted({*own, "generator"} - set(params)), sorted(set(params) - {*own, "generator"})
        if missing or foreign:
            raise StorageError(f"checkpoint does not fit this agent: missing {missing[:5]}, unknown {foreign[:5]}.")
        for name, value in own.items():
            found = params[name]
            if (value.shape, value.dtype) != (found.shape, found.dtype):
                raise StorageError(
                    f"checkpoint does not fit this agent: {name} is {found.dtype}{found.shape}, "
                    f"expected {value.dtype}{value.shape}."
                )
        try:
            state.rng.bit_generator.state = json.loads(bytes(params["generator"]))
        except (ValueError, TypeError, KeyError) as error:
            raise StorageError(
                f"checkpoint does not fit this agent: its generator is no PCG64's: {error!r}."
            ) from error
        state.learner = self.engine.restore(state.learner, params)
        return state


class ValuingAgent(LearningAgent):
    """An agent whose algorithm has critics; see `robot_hil.protocols.Valuing`."""

    def __init__(self, algorithm: Algorithm, judge: Judge, engine: Engine) -> None:
        super().__init__(algorithm, engine)
        self._judge = judge

    def values(self, state: AgentState, batch: Mapping[str, Any]) -> Array:
        """See `Valuing.values`."""
        params, targets = self.engine.params_of(state.learner)
        everything = params | {f"targets/{name}": value for name, value in targets.items()}
        return self.engine.run(self._judge.values, everything, _only(batch, self._reads) | self._constants)


class ForeseeingAgent(ValuingAgent):
    """An agent that knows how much it doubts and whether it will succeed, e.g. to ask for help."""

    def __init__(self, algorithm: Algorithm, foreseer: Foreseer, engine: Engine) -> None:
        super().__init__(algorithm, foreseer, engine)
        self._foreseer = foreseer

    def foresee(self, actor: Params, obs: Observation) -> tuple[Array, float, float]:
        """Return what it would do (A,), its doubt, and the discounted chance of success in [0, 1] if it does."""
        found = self.engine.run(self._foreseer.foresee, actor, self._seen(obs))[0]
        return found[:-2], float(found[-2]), float(found[-1])


def _keys(wanted: Mapping[str, tuple[str, ...]]) -> frozenset[str]:
    return frozenset(f"{prefix}/{name}" for prefix, names in wanted.items() for name in names)


def _only(batch: Mapping[str, Any], observed: frozenset[str]) -> dict[str, Any]:
    """Return the facts, and of the observations those that are read."""
    return {
        name: value
        for name, value in batch.items()
        if (name in observed if name.startswith(_OBSERVED) else name not in _NOT_LEARNT)
    }
