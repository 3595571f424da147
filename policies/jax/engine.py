"""Training and acting with jax: every routine is one compiled call that takes the learner state and gives it back."""

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from robot_hil.data.specs import Array
from robot_hil.errors import DependencyError
from robot_hil.policies.base import Algorithm, Group, KeepFrames, Loss, Routine
from robot_hil.policies.jax.frames import JaxFrames
from robot_hil.policies.jax.ops import JaxOps
from robot_hil.policies.ops import A, Batch, Ops, Params

Tree = dict[str, Params]
"""`params`, `targets`, `counters`, and `adam`: name -> array, as in a checkpoint."""
_BETAS = (0.9, 0.999)
_EPSILON = 1e-8


class JaxState:
    """The learner state between two calls: arrays, and how they are trained."""

    def __init__(self, tree: Tree, groups: Mapping[str, Group]) -> None:
        self.tree, self.groups = tree, dict(groups)


class JaxTrainer:
    """A `Trainer` inside a compiled call: it looks as if it changed arrays, and only remembers newer ones."""

    def __init__(self, tree: Tree, groups: Mapping[str, Group]) -> None:
        self.params, self.targets = dict(tree["params"]), dict(tree["targets"])
        self._counters, self._adam = dict(tree["counters"]), dict(tree["adam"])
        self._groups = groups

    @property
    def tree(self) -> Tree:
        """Everything as it now is."""
        return {"params": self.params, "targets": self.targets, "counters": self._counters, "adam": self._adam}

    def count(self, name: str) -> A:
        """See `Trainer.count`."""
        return self._counters[name]

    def tick(self, name: str) -> None:
        """See `Trainer.tick`."""
        self._counters[name] = self._counters[name] + 1

    def follow(self, prefix: str, rate: float | A) -> None:
        """See `Trainer.follow`."""
        for name, target in self.targets.items():
            if name.startswith(prefix):
                self.targets[name] = target + rate * (self.params[name] - target)

    def adopt(self, prefix: str) -> None:
        """See `Trainer.adopt`."""
        self.params |= {name: target for name, target in self.targets.items() if name.startswith(prefix)}

    def gradients(self, group: str, loss: Loss) -> tuple[A, dict[str, A], Params]:
        """See `Trainer.gradients`."""
        own = {name: self.params[name] for name in self._groups[group].of(self.params)}
        fixed = {name: value for name, value in self.params.items() if name not in own}
        (value, more), found = jax.value_and_grad(lambda mine: loss({**fixed, **mine}), has_aux=True)(own)
        return value, more, found

    def minimise(self, group: str, loss: Loss) -> tuple[A, dict[str, A]]:
        """See `Trainer.minimise`."""
        rule = self._groups[group]
        value, more, gradients = self.gradients(group, loss)
        if rule.clip_norm is not None:
            norm = jnp.sqrt(sum(jnp.sum(g**2) for g in gradients.values()))
            scale = jnp.minimum(rule.clip_norm / jnp.maximum(norm, 1e-30), 1.0)
            gradients = {name: g * scale for name, g in gradients.items()}
        for name, gradient in gradients.items():
            self._step(f"{group}/{name}", name, gradient, rule.rate)
        return value, more

    def _step(self, stem: str, name: str, gradient: A, rate: float) -> None:
        """Adam; the bias is corrected by expm1, as 1 - 0.999 in float32 is wrong in the fifth place."""
        count = self._adam[f"{stem}/step"] + 1
        mean = _BETAS[0] * self._adam[f"{stem}/mean"] + (1 - _BETAS[0]) * gradient
        square = _BETAS[1] * self._adam[f"{stem}/square"] + (1 - _BETAS[1]) * gradient**2
        first, second = (-jnp.expm1(count * math.log(beta)) for beta in _BETAS)
        self.params[name] = self.params[name] - (rate / first) * mean / (jnp.sqrt(square / second) + _EPSILON)
        self._adam |= {f"{stem}/mean": mean, f"{stem}/square": square, f"{stem}/step": count}


def find_device(wanted: str) -> jax.Device:
    """Return the device to compute on; raises `DependencyError` where a GPU is wanted and jax can use none."""
    if wanted == "cpu":
        return jax.devices("cpu")[0]
    if wanted == "gpu" and jax.default_backend() == "cpu":
        raise DependencyError("jax finds no GPU: install jax[cuda12] and a driver, or give --device cpu.")
    return jax.devices()[0]


class JaxEngine:
    """See `robot_hil.policies.base.Engine`. A routine is compiled once per shape of its batch."""

    def __init__(self, device: jax.Device, precision: str = "float32") -> None:
        self._ops, self._device = JaxOps(precision), device
        self._compiled: dict[Any, Callable[..., Any]] = {}

    @property
    def ops(self) -> Ops:
        """See `Engine.ops`."""
        return self._ops

    @property
    def frames(self) -> KeepFrames | None:
        """See `Engine.frames`."""
        return None if self._device.platform == "cpu" else partial(JaxFrames, device=self._device)

    def forget(self) -> None:
        """See `Engine.forget`."""
        self._compiled.clear()

    def place(self, arrays: Mapping[str, Any]) -> Params:
        """See `Engine.place`."""
        # copied first: on the CPU an array of jax may otherwise be numpy's own memory
        return {name: jax.device_put(jnp.array(value), self._device) for name, value in arrays.items()}

    def fetch(self, arrays: Mapping[str, A]) -> dict[str, Array]:
        """See `Engine.fetch`."""
        return {name: np.array(value) for name, value in arrays.items()}

    def start(self, params: Mapping[str, Array], targets: Mapping[str, Array], algorithm: Algorithm) -> JaxState:
        """See `Engine.start`."""
        groups = dict(algorithm.groups)
        adam: dict[str, Array] = {}
        for group, rule in groups.items():
            for name in rule.of(params):
                stem = f"{group}/{name}"
                adam |= {f"{stem}/{part}": np.zeros_like(params[name]) for part in ("mean", "square")}
                adam[f"{stem}/step"] = np.zeros((), np.float32)
        counters = {name: np.zeros((), np.int32) for name in algorithm.counters}
        tree = {"params": params, "targets": targets, "counters": counters, "adam": adam}
        return JaxState({kind: self.place(arrays) for kind, arrays in tree.items()}, groups)

    def train(self, routine: Routine, state: JaxState, batch: Mapping[str, Any]) -> tuple[JaxState, dict[str, float]]:
        """See `Engine.train`; returns when the result is there, so that the batch may be used again."""
        groups = state.groups  # what is compiled outlives the state, and must not keep its arrays

        def whole(tree: Tree, batch: Batch) -> tuple[Tree, Batch]:
            trainer = JaxTrainer(tree, groups)
            metrics = routine(self._ops, trainer, batch)
            return trainer.tree, metrics

        compiled = self._compile(routine, whole, donate=(0,))
        with jax.default_device(self._device):
            state.tree, metrics = compiled(state.tree, dict(batch))
        return state, {name: float(value) for name, value in jax.device_get(metrics).items()}

    def run(self, function: Callable[[Ops, Params, Batch], A], params: Params, batch: Mapping[str, Any]) -> Array:
        """See `Engine.run`."""
        compiled = self._compile(function, lambda params, batch: function(self._ops, params, batch))
        with jax.default_device(self._device):
            return np.array(compiled(params, dict(batch)))

    def params_of(self, state: JaxState) -> tuple[Params, Params]:
        """See `Engine.params_of`."""
        return state.tree["params"], state.tree["targets"]

    def export(self, state: JaxState) -> dict[str, Array]:
        """See `Engine.export`."""
        return self.fetch(
            {f"{kind}/{name}": value for kind, part in state.tree.items() for name, value in part.items()}
        )

    def restore(self, state: JaxState, saved: Mapping[str, Array]) -> JaxState:
        """See `Engine.restore`."""
        tree = {kind: self.place({name: saved[f"{kind}/{name}"] for name in part}) for kind, part in state.tree.items()}
        return JaxState(tree, state.groups)

    def _compile(self, key: Any, function: Callable[..., Any], donate: tuple[int, ...] = ()) -> Callable[..., Any]:
        """Return the compiled form of what `key`, a bound method, stands for."""
        if key not in self._compiled:
            self._compiled[key] = jax.jit(function, donate_argnums=donate)
        return self._compiled[key]
