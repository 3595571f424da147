"""Long short-term memory (Hochreiter & Schmidhuber 1997): layers, and what they carry between steps."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from robot_hil.data.specs import Array
from robot_hil.policies.nets.mlp import xavier_uniform
from robot_hil.policies.ops import A, Ops, Params


@dataclass(frozen=True, slots=True, kw_only=True)
class LstmSpec:
    """Layers by their width."""

    inputs: int
    hidden: Sequence[int] = (128,)

    @property
    def memory_size(self) -> int:
        """Numbers that it carries: output and cell of every layer."""
        return 2 * sum(self.hidden)


def init_lstm(name: str, spec: LstmSpec, rng: np.random.Generator) -> dict[str, Array]:
    """Make parameters `name/gates{i}/kernel|bias`; what is remembered stays at first (a forget bias of 1)."""
    params: dict[str, Array] = {}
    inputs = spec.inputs
    for i, width in enumerate(spec.hidden):
        params[f"{name}/gates{i}/kernel"] = xavier_uniform((inputs + width, 4 * width), rng)
        bias = np.zeros((1, 4 * width), np.float32)
        bias[:, width : 2 * width] = 1.0
        params[f"{name}/gates{i}/bias"] = bias[0]
        inputs = width
    return params


def lstm_step(nn: Ops, params: Params, name: str, spec: LstmSpec, x: A, memory: A) -> tuple[A, A]:
    """Take x (B, in) and the memory (B, M) of the step before; return the last layer's output (B, out), and the next.

    i, f, o = sigmoid, g = tanh of one product of [x, h];  c' = f c + i g;  h' = o tanh(c').
    """
    kept: list[A] = []
    begin = 0
    for i, width in enumerate(spec.hidden):
        h, c = memory[:, begin : begin + width], memory[:, begin + width : begin + 2 * width]
        begin += 2 * width
        gates = nn.linear(nn.concat([x, h], -1), params[f"{name}/gates{i}/kernel"], params[f"{name}/gates{i}/bias"])
        enter, stay, show = (nn.sigmoid(gates[:, k * width : (k + 1) * width]) for k in (0, 1, 2))
        c = stay * c + enter * nn.tanh(gates[:, 3 * width :])
        x = show * nn.tanh(c)
        kept += [x, c]
    return x, nn.concat(kept, -1)
