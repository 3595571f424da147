"""The operations in jax."""

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array as JaxArray
from jax import lax

from robot_hil.policies.jax.kernels import masked_sums

_jnp: Any = jnp  # their overloads say less than `Ops` does
_jax_nn: Any = jax.nn
_lax: Any = lax


class JaxOps:
    """See `robot_hil.policies.ops.Ops`."""

    name = "jax"

    def __init__(self, precision: str = "float32") -> None:
        self._product = {"float32": None, "bfloat16": jnp.bfloat16}[precision]

    def array(self, values: Any) -> JaxArray:
        """See `Ops.array`."""
        found = np.asarray(values)
        return jnp.asarray(found.astype(np.float32) if found.dtype == np.float64 else found)

    def float32(self, x: JaxArray) -> JaxArray:
        return x.astype(jnp.float32)

    def integer(self, x: JaxArray) -> JaxArray:
        return x.astype(jnp.int32)

    stop_gradient = staticmethod(_lax.stop_gradient)

    # Point by point --------------------------------------------------------------------------------------------

    tanh = staticmethod(_jnp.tanh)
    relu = staticmethod(_jax_nn.relu)
    silu = staticmethod(_jax_nn.silu)
    exp = staticmethod(_jnp.exp)
    log = staticmethod(_jnp.log)
    sqrt = staticmethod(_jnp.sqrt)
    erf = staticmethod(_lax.erf)
    sigmoid = staticmethod(_jax_nn.sigmoid)
    softplus = staticmethod(_jax_nn.softplus)
    clip = staticmethod(_jnp.clip)
    where = staticmethod(_jnp.where)
    minimum = staticmethod(_jnp.minimum)
    maximum = staticmethod(_jnp.maximum)

    def gelu(self, x: JaxArray) -> JaxArray:
        return jax.nn.gelu(x, approximate=False)

    # Along axes ------------------------------------------------------------------------------------------------

    sum = staticmethod(_jnp.sum)
    mean = staticmethod(_jnp.mean)
    max = staticmethod(_jnp.max)
    min = staticmethod(_jnp.min)
    argmax = staticmethod(_jnp.argmax)
    variance = staticmethod(_jnp.var)
    softmax = staticmethod(_jax_nn.softmax)
    log_softmax = staticmethod(_jax_nn.log_softmax)
    logsumexp = staticmethod(_jax_nn.logsumexp)

    # Shapes and places -----------------------------------------------------------------------------------------

    stack = staticmethod(_jnp.stack)
    transpose = staticmethod(_jnp.transpose)
    broadcast_to = staticmethod(_jnp.broadcast_to)

    def concat(self, arrays: Sequence[JaxArray], axis: int) -> JaxArray:
        return jnp.concatenate(list(arrays), axis)

    def take(self, x: JaxArray, index: JaxArray, axis: int) -> JaxArray:
        return jnp.take(x, index, axis, mode="clip")

    def pick(self, x: JaxArray, index: JaxArray) -> JaxArray:
        return jnp.take_along_axis(x, index[..., None], -1, mode="clip")[..., 0]

    # Networks --------------------------------------------------------------------------------------------------

    def linear(self, x: JaxArray, kernel: JaxArray, bias: JaxArray | None) -> JaxArray:
        if self._product is not None:
            x, kernel = x.astype(self._product), kernel.astype(self._product)
        product = jnp.matmul(x, kernel, preferred_element_type=jnp.float32)
        return product if bias is None else product + bias

    masked_sums = staticmethod(masked_sums)

    def layer_norm(self, x: JaxArray, epsilon: float = 1e-5) -> JaxArray:
        centred = x - jnp.mean(x, -1, keepdims=True)
        return centred * lax.rsqrt(jnp.mean(centred**2, -1, keepdims=True) + epsilon)

    def group_norm(self, x: JaxArray, groups: int, scale: JaxArray, shift: JaxArray, epsilon: float = 1e-5) -> JaxArray:
        batch, height, width, channels = x.shape
        runs = x.reshape(batch, height * width, groups, channels // groups)
        centred = runs - jnp.mean(runs, (1, 3), keepdims=True)
        normed = centred * lax.rsqrt(jnp.mean(centred**2, (1, 3), keepdims=True) + epsilon)
        return normed.reshape(x.shape) * scale + shift

    def affine(self, x: JaxArray, scale: JaxArray, shift: JaxArray) -> JaxArray:
        return x * scale + shift

    def conv2d(
        self,
        x: JaxArray,
        kernel: JaxArray,
        bias: JaxArray | None,
        stride: int = 1,
        padding: int | tuple[int, int] = 0,
    ) -> JaxArray:
        if self._product is not None:
            x, kernel = x.astype(self._product), kernel.astype(self._product)
        made = lax.conv_general_dilated(
            x,
            kernel,
            (stride, stride),
            [_sides(padding)] * 2,
            dimension_numbers=("NHWC", "OIHW", "NHWC"),
        ).astype(jnp.float32)
        return made if bias is None else made + bias

    def max_pool(self, x: JaxArray, size: int, stride: int, padding: int | tuple[int, int] = 0) -> JaxArray:
        around = ((0, 0), _sides(padding), _sides(padding), (0, 0))
        made: JaxArray = lax.reduce_window(x, -jnp.inf, lax.max, (1, size, size, 1), (1, stride, stride, 1), around)
        return made

    def attention(self, q: JaxArray, k: JaxArray, v: JaxArray) -> JaxArray:
        scores = jnp.matmul(q, jnp.swapaxes(k, -1, -2)) / math.sqrt(q.shape[-1])
        return jnp.matmul(jax.nn.softmax(scores, -1), v)

    def shift_images(self, images: JaxArray, offsets: JaxArray, pad: int) -> JaxArray:
        height, width = images.shape[1:3]
        padded = jnp.pad(images, ((0, 0), (pad, pad), (pad, pad), (0, 0)), mode="edge")

        def crop(image: JaxArray, offset: JaxArray) -> JaxArray:
            return lax.dynamic_slice(image, (offset[0], offset[1], 0), (height, width, image.shape[-1]))

        return jax.vmap(crop)(padded, offsets)


def _sides(padding: int | tuple[int, int]) -> tuple[int, int]:
    return (padding, padding) if isinstance(padding, int) else padding
