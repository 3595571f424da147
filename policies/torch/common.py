"""What every torch agent shares: learner state, optimisers, batches, image augmentation, export and load."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.optim.adam import adam

from robot_hil.data.specs import Array, ArraySpec, EnvSpec, Observation
from robot_hil.errors import SpecError, StorageError
from robot_hil.policies.torch.networks import ConvSpec, Params

ENCODER = "encoder"
STACKED = "stacked_images"
"""Name of the cameras' images in the replay, stacked along the channels when a step comes in: stacking a batch of
interleaved bytes took a sixth of an update."""


@dataclass(slots=True, kw_only=True)
class TorchState:
    """Everything a torch agent changes while it learns; updated in place."""

    params: Params
    """Trainable parameters by name."""
    targets: Params
    """Polyak averages, under the names of the parameters they follow."""
    optimizers: dict[str, "GroupAdam"]
    generator: torch.Generator
    """All noise of the learner comes from here."""
    counters: dict[str, int] = field(default_factory=dict)


class GroupAdam:
    """Adam (Kingma & Ba 2015) on one named group of parameters, with clipping by the group's global norm.

    A group's moments live here and nowhere else: an update of one network cannot move another.
    """

    def __init__(self, params: Params, names: Iterable[str], lr: float, clip_norm: float | None = None) -> None:
        self.names = tuple(sorted(names))
        self.tensors = [params[name] for name in self.names]
        for tensor in self.tensors:
            tensor.requires_grad_(True)
        self._rate, self._clip_norm = lr, clip_norm
        self._means = [torch.zeros_like(tensor, requires_grad=False) for tensor in self.tensors]
        self._squares = [torch.zeros_like(tensor, requires_grad=False) for tensor in self.tensors]
        self._steps = [torch.zeros(()) for _ in self.tensors]

    def step(self, loss: Tensor) -> None:
        """Differentiate `loss` with respect to this group only and take one step."""
        gradients = list(torch.autograd.grad(loss, self.tensors))
        if self._clip_norm is not None:
            norm = float(torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients))))
            if norm > self._clip_norm:
                torch._foreach_mul_(gradients, self._clip_norm / norm)
        with torch.no_grad():
            # the function under torch.optim.Adam, whose class takes longer than these networks' arithmetic
            adam(
                self.tensors, gradients, self._means, self._squares, [], self._steps,
                fused=True, amsgrad=False, beta1=0.9, beta2=0.999, lr=self._rate, weight_decay=0.0, eps=1e-8,
                maximize=False,
            )  # fmt: skip

    def export(self) -> dict[str, Tensor]:
        """Return moments and step counts as `name/mean|square|step`; zeros before the first step."""
        out: dict[str, Tensor] = {}
        for name, mean, square, step in zip(self.names, self._means, self._squares, self._steps, strict=True):
            out |= {f"{name}/mean": mean, f"{name}/square": square, f"{name}/step": step}
        return out

    def load(self, saved: Mapping[str, Tensor]) -> None:
        """Take over what `export` returned."""
        for name, mean, square, step in zip(self.names, self._means, self._squares, self._steps, strict=True):
            mean.copy_(saved[f"{name}/mean"])
            square.copy_(saved[f"{name}/square"])
            step.copy_(saved[f"{name}/step"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """Which observations an agent reads, and how images are prepared."""

    vectors: tuple[str, ...]
    images: tuple[str, ...]
    vector_size: int
    image_size: int
    """Side of the stored square images [pixels]; 0 without images."""
    shift: int
    """Largest random shift in training [pixels]."""

    @staticmethod
    def of(spec: EnvSpec, image_size: int, shift: int) -> "Inputs":
        """Read the specification of an environment's observations."""
        for name in spec.images:
            height, width, _ = spec.observation[name].shape
            if height != width or height % image_size:
                raise SpecError(
                    f"image {name!r} has {height}x{width} pixels; the encoder takes squares whose side is a multiple "
                    f"of its own {image_size}. Change the camera's size or the agent's image_size."
                )
        return Inputs(
            vectors=spec.vectors,
            images=spec.images,
            vector_size=sum(spec.observation[name].shape[0] for name in spec.vectors),
            image_size=image_size,
            shift=shift,
        )

    def elements(self, spec: EnvSpec, names: tuple[str, ...]) -> tuple[int, ...]:
        """Return where in the concatenated vectors the features lie whose names begin with one of `names`."""
        have = [name for vector in self.vectors for name in spec.observation[vector].names]
        for wanted in names:
            if len(have) != self.vector_size or not any(name.startswith(wanted) for name in have):
                raise SpecError(f"no feature's name begins with {wanted!r}; {spec.env_id} has {', '.join(have)}.")
        return tuple(i for i, name in enumerate(have) if names and name.startswith(names))

    def stored(self, spec: EnvSpec) -> dict[str, ArraySpec]:
        """Arrays as the replay keeps them: vectors, and all cameras scaled down and stacked along their channels."""
        arrays = {name: spec.observation[name] for name in self.vectors}
        if self.images:
            shape = (self.image_size, self.image_size, 3 * len(self.images))
            arrays[STACKED] = ArraySpec(shape=shape, dtype="uint8")
        return arrays

    def prepare(self, obs: Observation) -> dict[str, Array]:
        """Turn one raw observation into `stored` arrays: images are averaged over blocks of pixels and stacked."""
        prepared = {name: obs[name] for name in self.vectors}
        if self.images:
            prepared[STACKED] = np.concatenate([self._shrink(obs[name]) for name in self.images], axis=-1)
        return prepared

    def _shrink(self, image: Array) -> Array:
        if image.shape[0] == self.image_size:
            return image
        return cv2.resize(image, (self.image_size, self.image_size), interpolation=cv2.INTER_AREA)

    def conv_spec(self, filters: tuple[int, ...], strides: tuple[int, ...]) -> ConvSpec:
        """Encoder that fits these images."""
        return ConvSpec(cameras=len(self.images), filters=filters, strides=strides)

    def vector_batch(self, batch: Mapping[str, Array], prefix: str) -> Tensor:
        """Concatenate vector observations -> (B, vector_size)."""
        parts = [torch.from_numpy(batch[f"{prefix}/{name}"]) for name in self.vectors]
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)

    def image_batch(self, batch: Mapping[str, Array], prefix: str, generator: torch.Generator | None) -> Tensor:
        """Stack cameras -> (B, 3 * cameras, H, W) float, channels last; randomly shifted if a generator is given.

        All cameras of a sample shift together, as in HIL-SERL; edges are replicated (Kostrikov et al. 2020, DrQ).
        """
        stacked = batch[f"{prefix}/{STACKED}"]  # (B, H, W, 3N)
        if generator is not None and self.shift:
            stacked = random_shift(stacked, self.shift, generator)
        return to_float(torch.from_numpy(stacked).permute(0, 3, 1, 2))


def to_float(images: Tensor) -> Tensor:
    """Turn uint8 images into floats in [-0.5, 0.5]."""
    return images.mul(1.0 / 255.0).sub_(0.5)


def random_shift(images: Array, pad: int, generator: torch.Generator) -> Array:
    """Shift each image of (B, H, W, C) by up to `pad` pixels in both directions, edges replicated."""
    count, height, width, channels = images.shape
    padded = np.empty((count, height + 2 * pad, width + 2 * pad, channels), images.dtype)
    padded[:, pad:-pad, pad:-pad] = images
    padded[:, :pad, pad:-pad] = images[:, :1]
    padded[:, -pad:, pad:-pad] = images[:, -1:]
    padded[:, :, :pad] = padded[:, :, pad : pad + 1]
    padded[:, :, -pad:] = padded[:, :, -pad - 1 : -pad]
    offsets = torch.randint(0, 2 * pad + 1, (2, count), generator=generator).numpy()
    # Rows as runs of bytes: each sample's crop is then `height` copies of one contiguous run.
    rows = padded.reshape(count, height + 2 * pad, -1)
    runs = np.lib.stride_tricks.sliding_window_view(rows, width * channels, axis=2)  # (B, H + 2p, 2pC + 1, W C)
    picked = runs[np.arange(count)[:, None], offsets[0][:, None] + np.arange(height), (offsets[1] * channels)[:, None]]
    shifted: Array = picked.reshape(images.shape)
    return shifted


def spread_shifts(count: int, pad: int) -> list[tuple[int, int]]:
    """Return `count` shifts (rows, columns) of up to `pad` pixels, none first, spread evenly and always the same."""
    # The additive recurrence of Roberts (2018): the plane's most evenly spread sequence, after the golden ratio.
    steps = np.arange(count)[:, None] * np.array([0.7548776662, 0.5698402910]) + 0.5
    return [(int(row), int(column)) for row, column in np.round((steps % 1.0 * 2 - 1) * pad)]


def shifted(images: Array, rows: int, columns: int) -> Array:
    """Shift images (B, H, W, C) by whole pixels; what comes in at the edges repeats them."""
    _, height, width, _ = images.shape
    down = np.clip(np.arange(height) - rows, 0, height - 1)
    right = np.clip(np.arange(width) - columns, 0, width - 1)
    moved: Array = images[:, down[:, None], right]
    return moved


def observation_batch(obs: Observation) -> dict[str, Array]:
    """Turn one observation into a batch of one with `obs/` keys."""
    return {f"obs/{name}": np.asarray(value)[None] for name, value in obs.items()}


def select(params: Params, prefix: str) -> Params:
    """Return the parameters whose names start with `prefix/`."""
    return {name: value for name, value in params.items() if name.startswith(prefix + "/")}


def detached(params: Params) -> Params:
    """The same memory without gradients."""
    return {name: value.detach() for name, value in params.items()}


def polyak(targets: Params, params: Params, tau: float) -> None:
    """Move every target by `tau` towards its parameter, in place."""
    names = list(targets)
    with torch.no_grad():
        torch._foreach_lerp_([targets[n] for n in names], [params[n].detach() for n in names], tau)


def to_numpy(params: Params) -> dict[str, Array]:
    """Copy to numpy."""
    return {name: value.detach().numpy().copy() for name, value in params.items()}


def export_state(state: TorchState) -> dict[str, Array]:
    """Everything for an exact resume: parameters, targets, moments, generator, counters."""
    out = {f"params/{k}": v for k, v in to_numpy(state.params).items()}
    out |= {f"targets/{k}": v for k, v in to_numpy(state.targets).items()}
    for group, optimizer in state.optimizers.items():
        out |= {f"adam/{group}/{k}": v for k, v in to_numpy(optimizer.export()).items()}
    out["generator"] = state.generator.get_state().numpy().copy()
    out |= {f"counters/{k}": np.asarray(v, dtype=np.int64) for k, v in state.counters.items()}
    return out


def load_state(state: TorchState, saved: Mapping[str, Array]) -> TorchState:
    """Take over what `export_state` returned; refuses other names, shapes or dtypes and then changes nothing."""
    own = export_state(state)
    missing, foreign = sorted(set(own) - set(saved)), sorted(set(saved) - set(own))
    if missing or foreign:
        raise StorageError(f"checkpoint does not fit this agent: missing {missing[:5]}, unknown {foreign[:5]}.")
    for name, value in own.items():
        if (value.shape, value.dtype) != (saved[name].shape, saved[name].dtype):
            raise StorageError(
                f"checkpoint does not fit this agent: {name} is {saved[name].dtype}{saved[name].shape}, "
                f"expected {value.dtype}{value.shape}."
            )
    with torch.no_grad():
        for name, tensor in state.params.items():
            tensor.copy_(torch.from_numpy(np.array(saved[f"params/{name}"])))
        for name, tensor in state.targets.items():
            tensor.copy_(torch.from_numpy(np.array(saved[f"targets/{name}"])))
    for group, optimizer in state.optimizers.items():
        prefix = f"adam/{group}/"
        optimizer.load(
            {k[len(prefix) :]: torch.from_numpy(np.array(v)) for k, v in saved.items() if k.startswith(prefix)}
        )
    state.generator.set_state(torch.from_numpy(np.array(saved["generator"])))
    for name in state.counters:
        state.counters[name] = int(saved[f"counters/{name}"])
    return state
