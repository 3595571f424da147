"""Functions that torch has, in forms that take less time on a CPU; on a GPU torch's own are taken.

`benchmarks/passes.py` measures each against torch's own.
"""

from typing import Any

import torch
from torch import Tensor

_LARGE = 16384
"""Elements from which on the arithmetic outweighs the calls."""
_ones: dict[int, Tensor] = {}


class _Tanh(torch.autograd.Function):
    """2 sigmoid(2x) - 1, off by at most 2e-7. The derivative is torch's own, from the value."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """See `tanh`."""
        value = (x + x).sigmoid_().mul_(2.0).sub_(1.0)
        ctx.save_for_backward(value)
        return value

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        """(1 - tanh^2) times the gradient."""
        (value,) = ctx.saved_tensors
        made: Tensor = torch.ops.aten.tanh_backward(gradients[0], value)
        return made


def tanh(x: Tensor) -> Tensor:
    """Hyperbolic tangent."""
    if x.device.type != "cpu" or x.numel() < _LARGE:
        return torch.tanh(x)
    made: Tensor = _Tanh.apply(x)  # type: ignore[no-untyped-call]
    return made


class _Column(torch.autograd.Function):
    """Product with kernels of one column, by multiplying and summing.

    Products of matrices as thin as these are what libraries do not care for.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: Tensor) -> Tensor:
        """Multiply x (E, B, in) by kernel (E, in, 1)."""
        ctx.save_for_backward(x, kernel)
        return (x * kernel.transpose(1, 2)).sum(2, keepdim=True)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """Outer products for x, sums over the rows for the kernel."""
        (x, kernel), (out,) = ctx.saved_tensors, gradients
        return (
            out * kernel.transpose(1, 2) if ctx.needs_input_grad[0] else None,
            (x * out).sum(1).unsqueeze(2) if ctx.needs_input_grad[1] else None,
        )


def ensemble_linear(x: Tensor, kernel: Tensor, bias: Tensor) -> Tensor:
    """Multiply x (B, in) or (E, B, in) by kernel (E, in, out) and add bias (E, 1, out) -> (E, B, out)."""
    rows = x if x.dim() == 3 else x.expand(kernel.shape[0], -1, -1)
    if x.device.type != "cpu" or kernel.shape[-1] != 1:
        return torch.baddbmm(bias, rows, kernel)
    made: Tensor = _Column.apply(rows, kernel)  # type: ignore[no-untyped-call]
    return made + bias


def layer_norm(x: Tensor, epsilon: float) -> Tensor:
    """Zero mean and unit variance along the last axis.

    With a gain of ones it takes less time than without one: torch has two kernels.
    """
    size = x.shape[-1]
    if x.device.type != "cpu":
        return torch.nn.functional.layer_norm(x, (size,), eps=epsilon)
    if size not in _ones:
        with torch.inference_mode(False):  # else nothing could be trained with it
            _ones[size] = torch.ones(size)
    return torch.nn.functional.layer_norm(x, (size,), _ones[size], None, epsilon)


def variance(x: Tensor, axis: int, keepdims: bool) -> Tensor:
    """Mean squared deviation; torch's own is slow along an axis that is not the last."""
    centred = x - x.mean(axis, keepdim=True)
    return (centred * centred).mean(axis, keepdim=keepdims)


_RUN = 4
"""Maps that `masked_sums` takes together."""


def masked_sums(maps: Tensor, masks: Tensor) -> Tensor:
    """See `Ops.masked_sums`: runs of maps, by a matrix that has their masks on its diagonal and else zeros.

    Four times the arithmetic, in products that are large enough to be quick.
    """
    (rows, count, places), width = maps.shape, masks.shape[2]
    run = _RUN if count % _RUN == 0 else 1
    diagonal = torch.eye(run, device=masks.device)[:, None, :, None]
    wide = (masks.reshape(-1, run, places, 1, width) * diagonal).reshape(-1, run * places, run * width)
    sums = maps.reshape(rows, -1, run * places).transpose(0, 1) @ wide  # (count / run, B, run * e)
    return sums.transpose(0, 1).reshape(rows, count, width)
