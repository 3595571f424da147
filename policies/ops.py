"""The operations from which networks and losses are made: one protocol, an implementation per array library.

Networks and algorithms are written once, as functions that are given one of these. What differs per library (which
kernel, which memory layout, which precision, how a gradient is taken) stays behind it.
"""

from collections.abc import Sequence
from typing import Any, Protocol

A = Any
"""An array of the library at hand."""
Params = dict[str, A]
"""Parameters by name, e.g. `critic/dense0/kernel`."""
Batch = dict[str, A]
"""What a routine is given: a replay's batch, and the noise drawn for it under `noise/`."""


class Ops(Protocol):
    """Arrays are float32 unless said otherwise; axes follow numpy's rules, images are (B, H, W, C).

    Arithmetic operators, comparison, `.shape`, `.reshape`, slicing, `@` and `abs` are used directly: all have them.
    """

    @property
    def name(self) -> str:
        """`torch` or `jax`."""
        ...

    def array(self, values: Any) -> A:
        """Turn numpy values into an array, floats into float32."""
        ...

    def float32(self, x: A) -> A:
        """Convert to float32."""
        ...

    def integer(self, x: A) -> A:
        """Convert to integers, True to 1."""
        ...

    def stop_gradient(self, x: A) -> A:
        """The same values, constant to differentiation."""
        ...

    # Point by point --------------------------------------------------------------------------------------------

    def tanh(self, x: A) -> A: ...
    def relu(self, x: A) -> A: ...
    def silu(self, x: A) -> A: ...
    def gelu(self, x: A) -> A:
        """The exact one, x Phi(x)."""
        ...

    def exp(self, x: A) -> A: ...
    def log(self, x: A) -> A: ...
    def sqrt(self, x: A) -> A: ...
    def erf(self, x: A) -> A: ...
    def sigmoid(self, x: A) -> A: ...
    def softplus(self, x: A) -> A: ...
    def clip(self, x: A, low: float, high: float) -> A: ...
    def where(self, condition: A, x: A, y: A) -> A: ...
    def minimum(self, x: A, y: A) -> A: ...
    def maximum(self, x: A, y: A) -> A: ...

    # Along axes ------------------------------------------------------------------------------------------------

    def sum(self, x: A, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> A: ...
    def mean(self, x: A, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> A: ...
    def max(self, x: A, axis: int, keepdims: bool = False) -> A: ...
    def min(self, x: A, axis: int, keepdims: bool = False) -> A: ...
    def argmax(self, x: A, axis: int) -> A: ...
    def variance(self, x: A, axis: int, keepdims: bool = False) -> A:
        """Mean squared deviation, divided by n."""
        ...

    def softmax(self, x: A, axis: int) -> A: ...
    def log_softmax(self, x: A, axis: int) -> A: ...
    def logsumexp(self, x: A, axis: int) -> A: ...

    # Shapes and places -----------------------------------------------------------------------------------------

    def concat(self, arrays: Sequence[A], axis: int) -> A: ...
    def stack(self, arrays: Sequence[A], axis: int) -> A: ...
    def transpose(self, x: A, axes: Sequence[int]) -> A: ...
    def broadcast_to(self, x: A, shape: Sequence[int]) -> A: ...
    def take(self, x: A, index: A, axis: int) -> A:
        """Rows of `axis` by integer index, as numpy.take."""
        ...

    def pick(self, x: A, index: A) -> A:
        """One element per row of the last axis: x (..., n) and integers (...) -> (...)."""
        ...

    # Networks --------------------------------------------------------------------------------------------------

    def linear(self, x: A, kernel: A, bias: A | None) -> A:
        """Multiply x (B, in) by kernel (in, out) -> (B, out), and add the bias.

        An ensemble's kernel is (E, in, out), its bias (E, 1, out): it takes x (E, B, in), or (B, in) for all members
        alike, and gives (E, B, out). The product is computed in the engine's
        precision, everything else in float32.
        """
        ...

    def masked_sums(self, maps: A, masks: A) -> A:
        """Sum every map over its places, weighted by its own masks: (B, n, places) and (n, places, e) -> (B, n, e).

        Many tiny products with one operand each in common: what is quick for large ones is slow for these.
        """
        ...

    def layer_norm(self, x: A, epsilon: float = 1e-5) -> A:
        """Zero mean, unit variance along the last axis; no gain, no shift."""
        ...

    def group_norm(self, x: A, groups: int, scale: A, shift: A, epsilon: float = 1e-5) -> A:
        """Zero mean, unit variance of x (B, H, W, C) over all places and each of `groups` runs of channels.

        Then times `scale` (C,) plus `shift` (C,) (Wu & He 2018).
        """
        ...

    def affine(self, x: A, scale: A, shift: A) -> A:
        """Return x * scale + shift, in one pass where there is such a thing."""
        ...

    def conv2d(self, x: A, kernel: A, bias: A | None, stride: int = 1, padding: int | tuple[int, int] = 0) -> A:
        """Convolve x (B, H, W, in) with kernel (out, in, kh, kw), bias (out,) -> (B, H', W', out), zeros around.

        `padding` of two numbers is what comes before the first and after the last row and column.
        """
        ...

    def max_pool(self, x: A, size: int, stride: int, padding: int | tuple[int, int] = 0) -> A:
        """Largest value of each window of (B, H, W, C); what lies outside never wins. `padding` as in `conv2d`."""
        ...

    def attention(self, q: A, k: A, v: A) -> A:
        """softmax(q k^T / sqrt(d)) v for (B, heads, n, d) each."""
        ...

    def shift_images(self, images: A, offsets: A, pad: int) -> A:
        """Shift uint8 images (B, H, W, C) by offsets (B, 2) - pad pixels (rows, columns), edges replicated.

        `offsets` are integers in [0, 2 pad]; `pad` of both is no shift.
        """
        ...
