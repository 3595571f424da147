"""Small learning agents on either backend, parts of their algorithms run alone, and numbers put into their states."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import cache
from typing import Any, TypeVar

import numpy as np
from contracts import agent_batch, agent_spec

from robot_hil.data.specs import Array, EnvSpec
from robot_hil.policies.agent import AgentState, LearningAgent, _only
from robot_hil.policies.base import Loss, Routine, Trainer
from robot_hil.policies.config import AnchoredConfig, BcConfig, HilSerlConfig
from robot_hil.policies.ops import A, Batch, Ops, Params
from robot_hil.policies.registry import AgentConfig, make_agent, make_engine

BACKENDS = ("torch", "jax")
SMALL = AnchoredConfig(
    hidden=(8,),
    ensemble=4,
    utd=2,
    filters=(4, 4),
    image_size=8,
    shift=2,
    views=3,
    actor_average=0.25,
    actors=1,
    vector_gain=0.0,
)
SMALL_HIL_SERL = HilSerlConfig(hidden=(8,), filters=(4,), strides=(2,), image_size=8, shift=2)
SMALL_BC = BcConfig(hidden=(8,), filters=(4,), strides=(2,), image_size=8, shift=2)

C = TypeVar("C", bound=AgentConfig)


def small(kind: type[C], **own: Any) -> C:
    """Return numbers as small as those of the algorithm that `kind` builds on."""
    base = next(one for one in (SMALL, SMALL_HIL_SERL, SMALL_BC) if issubclass(kind, type(one)))
    return kind(**({field.name: getattr(base, field.name) for field in fields(base)} | own))


@cache
def library(backend: str) -> Ops:
    """Return the operations of a backend."""
    return make_engine(backend).ops


_shared: dict[str, LearningAgent] = {}


def shared_agent(config: AgentConfig, backend: str, pixels: bool = False, gripper: bool = False) -> LearningAgent:
    """Return an agent that is bound; it holds no state, so that tests may share it, and what was compiled for it."""
    key = f"{config} {backend} {pixels} {gripper}"
    if key not in _shared:
        _shared[key] = make_agent(config, backend)
        _shared[key].bind(agent_spec(pixels=pixels, gripper=gripper))
    return _shared[key]


class Rig:
    """One agent, bound, with a state of its own."""

    def __init__(
        self, config: AgentConfig, backend: str, *, pixels: bool = False, gripper: bool = False, seed: int = 0
    ) -> None:
        self.spec: EnvSpec = agent_spec(pixels=pixels, gripper=gripper)
        self.agent = shared_agent(config, backend, pixels, gripper)
        self.algorithm: Any = self.agent.algorithm
        self.state: AgentState = self.agent.init(self.spec, seed)

    def batch(self, rows: int = 8, **values: float) -> dict[str, Array]:
        """Return a batch of random content; columns of `values` are the same in every row."""
        made = agent_batch(self.agent, self.spec, rows)
        return made | {name: np.full(rows, value, np.float32) for name, value in values.items()}

    def update(self, batch: Mapping[str, Array]) -> dict[str, float]:
        """Do one round; returns its metrics."""
        self.state, metrics = self.agent.update(self.state, batch)
        return metrics

    def pretrain(self, batch: Mapping[str, Array]) -> dict[str, float]:
        """Do one imitation update; returns its metrics."""
        self.state, metrics = self.agent.pretrain(self.state, batch)
        return metrics

    def given(self, batch: Mapping[str, Array]) -> dict[str, Array]:
        """Return what `update` gives to the algorithm: what it reads of the batch, and noise."""
        noise = self.algorithm.draw(self.state.rng, len(batch["reward"]), False)
        return _only(batch, self.agent._reads) | noise

    def train(self, routine: Routine, batch: Mapping[str, Array]) -> dict[str, float]:
        """Run a part of the algorithm on the learner's state; returns its metrics."""
        self.state.learner, metrics = self.agent.engine.train(routine, self.state.learner, self.given(batch))
        return metrics

    def run(self, function: Callable[[Ops, Params, Batch], A], batch: Mapping[str, Array]) -> Array:
        """Evaluate a function of the parameters, and of the batch as it is."""
        params, _ = self.agent.engine.params_of(self.state.learner)
        return self.agent.engine.run(function, params, dict(batch))

    def see(self, batch: Mapping[str, Array]) -> Array:
        """Return the features of a batch's observations; images are encoded as they are."""
        return self.run(lambda nn, params, given: self.algorithm._vision.see(nn, params, given, "obs")[0], batch)

    def export(self) -> dict[str, Array]:
        """Return everything that is stored."""
        return self.agent.export(self.state)

    def put(self, **arrays: Any) -> None:
        """Overwrite what `export` returns, e.g. `params__critic__out__bias`; broadcasts."""
        saved = self.export()
        for name, value in arrays.items():
            saved[name.replace("__", "/")][...] = value
        self.state = self.agent.load(self.state, saved)

    def counters(self) -> dict[str, int]:
        """Return the counters by name."""
        return {k.removeprefix("counters/"): int(v) for k, v in self.export().items() if k.startswith("counters/")}

    def params(self, kind: str = "params") -> dict[str, Array]:
        """Return `params` or `targets`."""
        return {k.removeprefix(kind + "/"): v for k, v in self.export().items() if k.startswith(kind + "/")}


def changed(before: Mapping[str, Array], after: Mapping[str, Array]) -> set[str]:
    """Return the first two parts of the names of what differs, `params/critic` and the like."""
    return {"/".join(k.split("/")[:2]) for k in before if not np.array_equal(before[k], after[k])}


def each(values: A) -> dict[str, A]:
    """Turn a vector into metrics, so that a routine can return it: a number per element."""
    return {str(i): values[i] for i in range(values.shape[0])}


class Watching:
    """A trainer that remembers losses and gradients and changes no parameter; for everything else another's."""

    def __init__(self, inner: Trainer) -> None:
        self._inner = inner
        self.seen: dict[str, A] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def minimise(self, group: str, loss: Loss) -> tuple[A, dict[str, A]]:
        value, more, gradients = self._inner.gradients(group, loss)
        key = f"{group}{sum(name.endswith(' loss') for name in self.seen)}"
        self.seen |= {f"{key} loss": value} | {f"{key} {name}": gradient for name, gradient in gradients.items()}
        return value, more


def gradients_of(rig: Rig, routine: Routine, given: Mapping[str, Array]) -> dict[str, Array]:
    """Return the losses that a routine minimises and their gradients, all at the parameters as they are."""
    engine, learner = rig.agent.engine, rig.state.learner

    def watch(trainer: Trainer, batch: Batch) -> dict[str, A]:
        watching = Watching(trainer)
        metrics = routine(engine.ops, watching, batch)
        return watching.seen | {f"metric {name}": value for name, value in metrics.items()}

    if rig.agent.backend == "torch":
        import torch

        with torch.no_grad():
            return engine.fetch(watch(learner, engine.place(given)))
    import jax

    from robot_hil.policies.jax.engine import JaxTrainer

    compiled = jax.jit(lambda tree, batch: watch(JaxTrainer(tree, learner.groups), batch))
    return engine.fetch(compiled(learner.tree, dict(given)))
