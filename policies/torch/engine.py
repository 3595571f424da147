"""Training and acting with torch, eagerly: in place, one optimiser per group of parameters."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim.adam import adam

from robot_hil.data.specs import Array
from robot_hil.errors import DependencyError
from robot_hil.policies.base import Algorithm, KeepFrames, Loss, Routine
from robot_hil.policies.ops import A, Batch, Ops, Params
from robot_hil.policies.torch.frames import TorchFrames
from robot_hil.policies.torch.ops import TorchOps


class GroupAdam:
    """Adam (Kingma & Ba 2015) on one named group of parameters, with clipping by the group's global norm.

    A group's moments live here and nowhere else: an update of one network cannot move another.
    """

    def __init__(self, params: Params, names: Iterable[str], rate: float, clip_norm: float | None = None) -> None:
        self.names = tuple(names)
        self.tensors = [params[name].detach().requires_grad_(True) for name in self.names]  # the same memory
        self._rate, self._clip_norm = rate, clip_norm
        self.means = [torch.zeros_like(tensor, requires_grad=False) for tensor in self.tensors]
        self.squares = [torch.zeros_like(tensor, requires_grad=False) for tensor in self.tensors]
        self.steps = [torch.zeros((), device=tensor.device) for tensor in self.tensors]
        self.view = {name: tensor.detach() for name, tensor in params.items()} | dict(
            zip(self.names, self.tensors, strict=True)
        )
        """All parameters, of which only the group's are differentiated."""

    def step(self, gradients: list[Tensor]) -> None:
        """Take one step along `gradients`, in the order of `names`; clips them in place."""
        if self._clip_norm is not None:
            norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
            torch._foreach_mul_(gradients, (self._clip_norm / norm.clamp(min=1e-30)).clamp(max=1.0))
        with torch.no_grad():
            # the function under torch.optim.Adam, whose class takes longer than these networks' arithmetic
            adam(
                self.tensors, gradients, self.means, self.squares, [], self.steps,
                fused=True, amsgrad=False, beta1=0.9, beta2=0.999, lr=self._rate, weight_decay=0.0, eps=1e-8,
                maximize=False,
            )  # fmt: skip


@dataclass(slots=True, kw_only=True)
class TorchState:
    """Everything that changes while learning, changed in place; a `Trainer`."""

    params: Params
    targets: Params
    optimizers: dict[str, GroupAdam]
    counters: dict[str, Tensor]

    def count(self, name: str) -> A:
        """See `Trainer.count`."""
        return self.counters[name]

    def tick(self, name: str) -> None:
        """See `Trainer.tick`."""
        self.counters[name] += 1

    def gradients(self, group: str, loss: Loss) -> tuple[A, dict[str, A], Params]:
        """See `Trainer.gradients`."""
        optimizer = self.optimizers[group]
        with torch.enable_grad():
            value, more = loss(optimizer.view)
            found = torch.autograd.grad(value, optimizer.tensors, materialize_grads=True)
        seen = {name: array.detach() for name, array in more.items()}
        return value.detach(), seen, dict(zip(optimizer.names, found, strict=True))

    def minimise(self, group: str, loss: Loss) -> tuple[A, dict[str, A]]:
        """See `Trainer.minimise`."""
        value, more, gradients = self.gradients(group, loss)
        self.optimizers[group].step(list(gradients.values()))
        return value, more

    def follow(self, prefix: str, rate: float | A) -> None:
        """See `Trainer.follow`."""
        names = [name for name in self.targets if name.startswith(prefix)]
        if not names:  # e.g. no critic of a gripper
            return
        torch._foreach_lerp_([self.targets[n] for n in names], [self.params[n] for n in names], float(rate))

    def adopt(self, prefix: str) -> None:
        """See `Trainer.adopt`."""
        for name, target in self.targets.items():
            if name.startswith(prefix):
                self.params[name].detach().copy_(target)


def find_device(wanted: str) -> str:
    """Return `cpu` or `cuda`; raises `DependencyError` where a GPU is wanted and torch can use none."""
    if wanted == "cpu" or (wanted == "auto" and not torch.cuda.is_available()):
        return "cpu"
    if not torch.cuda.is_available():
        raise DependencyError("torch finds no GPU: install its CUDA build and a driver, or give --device cpu.")
    return "cuda"


class TorchEngine:
    """See `robot_hil.policies.base.Engine`."""

    def __init__(self, device: str = "cpu", precision: str = "float32") -> None:
        self._ops = TorchOps(device, precision)

    @property
    def ops(self) -> Ops:
        """See `Engine.ops`."""
        return self._ops

    @property
    def frames(self) -> KeepFrames | None:
        """See `Engine.frames`."""
        return None if self._ops.device.type == "cpu" else partial(TorchFrames, device=self._ops.device)

    def forget(self) -> None:
        """See `Engine.forget`: nothing is compiled."""

    def place(self, arrays: Mapping[str, Any]) -> Params:
        """See `Engine.place`; on the CPU a tensor shares the array's memory for as long as nobody trains it.

        Kernels among the constants lie as convolutions want them: turned round in every call they took a quarter of it.
        """
        placed = {name: self._tensor(value) for name, value in arrays.items()}
        kernels = [name for name, value in placed.items() if name.startswith("constant/") and value.dim() == 4]
        return placed | {name: placed[name].to(memory_format=torch.channels_last) for name in kernels}

    def fetch(self, arrays: Mapping[str, A]) -> dict[str, Array]:
        """See `Engine.fetch`."""
        return {name: value.detach().cpu().numpy().copy() for name, value in arrays.items()}

    def start(self, params: Mapping[str, Array], targets: Mapping[str, Array], algorithm: Algorithm) -> TorchState:
        """See `Engine.start`."""
        own = {name: self._tensor(value).clone() for name, value in params.items()}
        return TorchState(
            params=own,
            targets={name: self._tensor(value).clone() for name, value in targets.items()},
            optimizers={
                name: GroupAdam(own, group.of(own), group.rate, group.clip_norm)
                for name, group in algorithm.groups.items()
            },
            counters={name: torch.zeros((), dtype=torch.int32, device=self._ops.device) for name in algorithm.counters},
        )

    def train(
        self, routine: Routine, state: TorchState, batch: Mapping[str, Any]
    ) -> tuple[TorchState, dict[str, float]]:
        """See `Engine.train`; the state is changed in place."""
        with torch.no_grad():
            metrics = routine(self._ops, state, self.place(batch))
        if not metrics:
            return state, {}
        numbers = torch.stack([value.detach() for value in metrics.values()]).tolist()
        return state, dict(zip(metrics, numbers, strict=True))

    def run(self, function: Callable[[Ops, Params, Batch], A], params: Params, batch: Mapping[str, Any]) -> Array:
        """See `Engine.run`."""
        with torch.inference_mode():
            made: Array = function(self._ops, params, self.place(batch)).cpu().numpy()
        return made

    def params_of(self, state: TorchState) -> tuple[Params, Params]:
        """See `Engine.params_of`."""
        return state.params, state.targets

    def export(self, state: TorchState) -> dict[str, Array]:
        """See `Engine.export`."""
        arrays: dict[str, Tensor] = {f"params/{name}": value for name, value in state.params.items()}
        arrays |= {f"targets/{name}": value for name, value in state.targets.items()}
        arrays |= {f"counters/{name}": value for name, value in state.counters.items()}
        for group, optimizer in state.optimizers.items():
            moments = zip(optimizer.names, optimizer.means, optimizer.squares, optimizer.steps, strict=True)
            for name, mean, square, step in moments:
                stem = f"adam/{group}/{name}"
                arrays |= {f"{stem}/mean": mean, f"{stem}/square": square, f"{stem}/step": step}
        return self.fetch(arrays)

    def restore(self, state: TorchState, saved: Mapping[str, Array]) -> TorchState:
        """See `Engine.restore`."""
        owners = {"params": state.params, "targets": state.targets, "counters": state.counters}
        for kind, own in owners.items():
            for name, tensor in own.items():
                tensor.copy_(self._tensor(saved[f"{kind}/{name}"]))
        for group, optimizer in state.optimizers.items():
            moments = zip(optimizer.names, optimizer.means, optimizer.squares, optimizer.steps, strict=True)
            for name, *tensors in moments:
                for tensor, part in zip(tensors, ("mean", "square", "step"), strict=True):
                    tensor.copy_(self._tensor(saved[f"adam/{group}/{name}/{part}"]))
        return state

    def _tensor(self, value: Any) -> Tensor:
        if isinstance(value, Tensor):
            return value.to(self._ops.device)
        array = np.asarray(value)
        if not (array.flags.writeable and array.flags.c_contiguous):
            array = array.copy()  # torch warns of memory that must not be written
        return torch.from_numpy(array).to(self._ops.device)
