"""Dense layers with layer norm. Kernels are (in, out), those of an ensemble (E, in, out)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from robot_hil.data.specs import Array
from robot_hil.errors import ConfigError
from robot_hil.policies.ops import A, Ops, Params

_ACTIVATIONS = ("relu", "tanh", "silu")


@dataclass(frozen=True, slots=True, kw_only=True)
class MlpSpec:
    """Hidden layers of dense + layer norm + activation, then one linear output."""

    inputs: int
    outputs: int
    hidden: Sequence[int] = (256, 256)
    activation: str = "relu"
    affine_norm: bool = False
    """Learnt gain and shift in the layer norms; costs two more passes over every activation."""

    def __post_init__(self) -> None:
        if self.activation not in _ACTIVATIONS:
            raise ConfigError(f"activation is {self.activation!r}; known are {', '.join(_ACTIVATIONS)}.")


def xavier_uniform(shape: Sequence[int], rng: np.random.Generator) -> Array:
    """Glorot's uniform for the last two axes (in, out), float32."""
    bound = math.sqrt(6.0 / (shape[-2] + shape[-1]))
    return rng.uniform(-bound, bound, tuple(shape)).astype(np.float32)


def init_mlp(
    name: str, spec: MlpSpec, rng: np.random.Generator, *, members: int | None = None, out_scale: float = 1.0
) -> dict[str, Array]:
    """Make parameters `name/dense{i}/kernel|bias` and `name/norm{i}/scale|shift`; `members` makes an ensemble."""
    lead = () if members is None else (members,)
    row = () if members is None else (1,)
    params: dict[str, Array] = {}
    sizes = (spec.inputs, *spec.hidden)
    for i, (fan_in, fan_out) in enumerate(pairwise(sizes)):
        params[f"{name}/dense{i}/kernel"] = xavier_uniform((*lead, fan_in, fan_out), rng)
        params[f"{name}/dense{i}/bias"] = np.zeros((*lead, *row, fan_out), np.float32)
        if spec.affine_norm:
            params[f"{name}/norm{i}/scale"] = np.ones((*lead, *row, fan_out), np.float32)
            params[f"{name}/norm{i}/shift"] = np.zeros((*lead, *row, fan_out), np.float32)
    params[f"{name}/out/kernel"] = np.float32(out_scale) * xavier_uniform((*lead, sizes[-1], spec.outputs), rng)
    params[f"{name}/out/bias"] = np.zeros((*lead, *row, spec.outputs), np.float32)
    return params


def mlp(nn: Ops, params: Params, name: str, spec: MlpSpec, x: A) -> A:
    """Apply to x (B, in) -> (B, out); an ensemble takes (B, in) or (E, B, in) -> (E, B, out)."""
    activation = getattr(nn, spec.activation)
    for i in range(len(spec.hidden)):
        x = nn.layer_norm(nn.linear(x, params[f"{name}/dense{i}/kernel"], params[f"{name}/dense{i}/bias"]))
        if spec.affine_norm:
            x = nn.affine(x, params[f"{name}/norm{i}/scale"], params[f"{name}/norm{i}/shift"])
        x = activation(x)
    return nn.linear(x, params[f"{name}/out/kernel"], params[f"{name}/out/bias"])


def select(params: Params, prefix: str) -> Params:
    """Return the parameters whose names start with `prefix/`."""
    return {name: value for name, value in params.items() if name.startswith(prefix + "/")}
