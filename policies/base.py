"""What an algorithm is, what trains it, and what it leaves to the array library."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from robot_hil.data.specs import Array, ArraySpec, EnvSpec, Observation
from robot_hil.policies.ops import A, Batch, Ops, Params

Loss = Callable[[Params], tuple[A, dict[str, A]]]
"""Parameters -> a scalar to make small, and what else came of it: metrics and arrays, without gradients afterwards."""
Routine = Callable[[Ops, "Trainer", Batch], dict[str, A]]
"""One stretch of training: changes what the trainer holds, returns scalar metrics. Compiled as a whole where that is
possible, so it may not look at values: no `if` on arrays, no `float(...)`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Parameters that are trained together, with one optimiser of their own: no other loss can move them."""

    names: tuple[str, ...]
    """Beginnings of the parameters' names, e.g. `critic/`."""
    rate: float
    """Learning rate of Adam."""
    clip_norm: float | None = None
    """Largest norm of the group's gradient; None does not clip."""

    def of(self, params: Mapping[str, Any]) -> list[str]:
        """Return the names of its parameters, sorted."""
        return sorted(name for name in params if name.startswith(self.names))


class Trainer(Protocol):
    """What a routine trains: parameters, their slow copies, optimisers and counters."""

    @property
    def params(self) -> Params:
        """The trained parameters, as they now are; constants to differentiation outside `minimise`."""
        ...

    @property
    def targets(self) -> Params:
        """Averages over training, under the names of the parameters that they follow."""
        ...

    def count(self, name: str) -> A:
        """Return a counter, a scalar of integer type."""
        ...

    def tick(self, name: str) -> None:
        """Add one to a counter."""
        ...

    def gradients(self, group: str, loss: Loss) -> tuple[A, dict[str, A], Params]:
        """Return the loss, what came with it, and its gradient by each parameter of a group, as it is: not clipped.

        A parameter that the loss does not depend on has gradient zero.
        """
        ...

    def minimise(self, group: str, loss: Loss) -> tuple[A, dict[str, A]]:
        """Take one step of Adam (Kingma & Ba 2015) on a group of parameters; returns the loss and what came with it."""
        ...

    def follow(self, prefix: str, rate: float | A) -> None:
        """Move the targets whose names begin with `prefix` by `rate` towards their parameters; 1 copies them."""
        ...

    def adopt(self, prefix: str) -> None:
        """Set the parameters whose names begin with `prefix` to their targets, where they have one."""
        ...


class Algorithm(Protocol):
    """A learning algorithm, written once for every array library; `Agent` in `robot_hil.protocols` is what runs it.

    It holds configuration and shapes only. Noise comes with the batch, so that a routine is a function of its
    arguments: equal parameters, batch and noise give equal results in every library, up to rounding.
    """

    @property
    def updates_per_round(self) -> int:
        """See `Agent.updates_per_round`."""
        ...

    def bind(self, spec: EnvSpec) -> None:
        """See `Agent.bind`."""
        ...

    def stored(self, spec: EnvSpec) -> Mapping[str, ArraySpec]:
        """See `Agent.stored`."""
        ...

    def prepare(self, obs: Observation) -> dict[str, Array]:
        """See `Agent.prepare`."""
        ...

    @property
    def encoding(self) -> str:
        """See `Agent.encoding`."""
        ...

    @property
    def encodes_at_once(self) -> bool:
        """See `Agent.encodes_at_once`."""
        ...

    @property
    def frames_per_call(self) -> int:
        """Frames that `encode` is given at a time, always so many."""
        ...

    @property
    def files(self) -> Mapping[str, str]:
        """See `Agent.files`."""
        ...

    @property
    def reads(self) -> Mapping[str, tuple[str, ...]]:
        """See `Agent.reads`."""
        ...

    @property
    def imitates(self) -> Mapping[str, tuple[str, ...]]:
        """See `Agent.imitates`."""
        ...

    @property
    def window(self) -> int:
        """See `Agent.window`."""
        ...

    @property
    def memory_size(self) -> int:
        """See `Remembering.memory_size`; `act` is then given `memory` (B, M) and returns (B, A + M), the next last."""
        ...

    @property
    def groups(self) -> Mapping[str, Group]:
        """Return what is trained by which optimiser."""
        ...

    @property
    def counters(self) -> tuple[str, ...]:
        """Return the names of what is counted."""
        ...

    @property
    def acting(self) -> Mapping[str, str]:
        """Beginnings of the names that acting needs -> `params` or `targets`, from where they are taken."""
        ...

    @property
    def follows(self) -> tuple[str, ...]:
        """Beginnings of the names of the parameters that have a target."""
        ...

    @property
    def noise_size(self) -> int:
        """Numbers of standard normal noise that `act` takes."""
        ...

    def init(self, rng: np.random.Generator) -> dict[str, Array]:
        """Return fresh parameters, float32; equal generators give equal parameters."""
        ...

    def constants(self) -> dict[str, Array]:
        """Return parameters that are never trained, averaged, saved or broadcast: `constant/...`, in every batch."""
        ...

    def draw(self, rng: np.random.Generator, rows: int, imitating: bool) -> dict[str, Array]:
        """Draw the noise of one `update` of `rows` rows, or one `pretrain`, under `noise/<name>`."""
        ...

    def pretrain(self, nn: Ops, trainer: Trainer, batch: Batch) -> dict[str, A]:
        """The routine behind `Agent.pretrain`; needed where `imitates` names something."""
        ...

    def settle(self, nn: Ops, trainer: Trainer, batch: Batch) -> dict[str, A]:
        """The routine behind `Agent.settle`; the batch is empty."""
        ...

    def update(self, nn: Ops, trainer: Trainer, batch: Batch) -> dict[str, A]:
        """The routine behind `Agent.update`."""
        ...

    def act(self, nn: Ops, params: Params, batch: Batch) -> A:
        """Return actions (B, A) for `obs/...` and `noise/act` (B, noise_size)."""
        ...

    def encode(self, nn: Ops, params: Params, batch: Batch) -> A:
        """Return encodings of prepared observations under `obs/`, (B, variants, ...)."""
        ...


@runtime_checkable
class Judge(Protocol):
    """An algorithm that thinks something of what it sees."""

    def values(self, nn: Ops, params: Params, batch: Batch) -> A:
        """Return the value (B,) of what the policy would do; `params` are all, targets under `targets/`."""
        ...


@runtime_checkable
class Foreseer(Judge, Protocol):
    """An algorithm that also knows, in acting, how far what it would do is to be trusted."""

    def foresee(self, nn: Ops, params: Params, batch: Batch) -> A:
        """Return action, doubt and chance of success (B, A + 2); `params` are those that acting needs."""
        ...


KeepFrames = Callable[[Mapping[str, ArraySpec], int], Any]
"""Makes what keeps the observations of a replay (`robot_hil.replay.frames.Frames`): specifications, capacity."""


class Engine(Protocol):
    """Runs routines on one array library and device."""

    @property
    def frames(self) -> KeepFrames | None:
        """How a replay keeps observations on the engine's device; None where that is host memory."""
        ...

    @property
    def ops(self) -> Ops:
        """Its operations."""
        ...

    def forget(self) -> None:
        """Forget what was compiled: the algorithm is about to mean something else."""
        ...

    def place(self, arrays: Mapping[str, Any]) -> Params:
        """Copy numpy arrays to where they are computed with; such that are there already stay."""
        ...

    def fetch(self, arrays: Mapping[str, A]) -> dict[str, Array]:
        """Copy to numpy."""
        ...

    def start(self, params: Mapping[str, Array], targets: Mapping[str, Array], algorithm: Algorithm) -> Any:
        """Return a fresh learner state, opaque."""
        ...

    def train(self, routine: Routine, state: Any, batch: Mapping[str, Any]) -> tuple[Any, dict[str, float]]:
        """Run a routine; returns the state, perhaps changed in place, and its metrics."""
        ...

    def run(self, function: Callable[[Ops, Params, Batch], A], params: Params, batch: Mapping[str, Any]) -> Array:
        """Run a function without gradients."""
        ...

    def params_of(self, state: Any) -> tuple[Params, Params]:
        """Return parameters and targets, without copying."""
        ...

    def export(self, state: Any) -> dict[str, Array]:
        """Return everything under `params/`, `targets/`, `adam/<group>/` and `counters/`: alike in every engine."""
        ...

    def restore(self, state: Any, saved: Mapping[str, Array]) -> Any:
        """Take over what some engine's `export` returned, whose names and shapes are known to fit."""
        ...
