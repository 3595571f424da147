"""Every operation of both libraries against numpy in double precision: values, and gradients by central differences."""

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest
from agent_rig import library
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_hil.data.specs import Array
from robot_hil.policies.ops import Ops

H = 1e-4
"""Step of the central differences; their error is its square."""


class Case(NamedTuple):
    name: str
    function: Callable[..., Any]
    """Of operations and arrays."""
    reference: Callable[..., Array]
    """Of arrays."""
    arrays: tuple[Array, ...]
    """float32, differentiated by each."""


def _softmax(x: Array, axis: int) -> Array:
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def _normal(x: Array, axes: tuple[int, ...] | int, epsilon: float = 1e-5) -> Array:
    centred = x - x.mean(axes, keepdims=True)
    return centred / np.sqrt((centred**2).mean(axes, keepdims=True) + epsilon)


_erf = np.vectorize(math.erf, otypes=[np.float64])
POINT: dict[str, Callable[[Array], Array]] = {
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "gelu": lambda x: x * 0.5 * (1 + _erf(x / math.sqrt(2))),
    "exp": np.exp,
    "erf": _erf,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "softplus": lambda x: np.log1p(np.exp(x)),
    "stop_gradient": lambda x: x,
    "float32": lambda x: x,
}
POSITIVE: dict[str, Callable[[Array], Array]] = {"log": np.log, "sqrt": np.sqrt}
PAIRS: dict[str, Callable[[Array, Array], Array]] = {"minimum": np.minimum, "maximum": np.maximum}
ALONG: dict[str, Callable[[Array, int], Array]] = {
    "softmax": _softmax,
    "log_softmax": lambda x, axis: np.log(_softmax(x, axis)),
    "logsumexp": lambda x, axis: np.log(np.exp(x).sum(axis)),
}
REDUCE: dict[str, Callable[..., Array]] = {
    "sum": np.sum, "mean": np.mean, "max": np.max, "min": np.min, "variance": np.var,
}  # fmt: skip


def point_cases(shape: tuple[int, ...], rng: np.random.Generator) -> Iterator[Case]:
    # never near 0, -1, 0.5, 0.1 or one another, where the functions have kinks: a difference there is no slope
    x, y = ((0.02 * rng.integers(-150, 150, shape) + apart).astype(np.float32) for apart in (0.007, 0.013))
    for name, ref in POINT.items():
        yield Case(name, lambda nn, x, name=name: getattr(nn, name)(x), ref, (x,))
    for name, ref in POSITIVE.items():
        yield Case(name, lambda nn, x, name=name: getattr(nn, name)(x), ref, (np.abs(x) + np.float32(0.5),))
    for name, pick in PAIRS.items():
        yield Case(name, lambda nn, x, y, name=name: getattr(nn, name)(x, y), pick, (x, y))
    yield Case("clip", lambda nn, x: nn.clip(x, -1.0, 0.5), lambda x: np.clip(x, -1.0, 0.5), (x,))
    yield Case("where", lambda nn, x, y: nn.where(x > 0.1, x, y), lambda x, y: np.where(x > 0.1, x, y), (x, y))
    yield Case("stack", lambda nn, x, y: nn.stack([x, y], 1), lambda x, y: np.stack([x, y], 1), (x, y))
    yield Case("concat", lambda nn, x, y: nn.concat([x, y], -1), lambda x, y: np.concatenate([x, y], -1), (x, y))


def axis_cases(shape: tuple[int, ...], rng: np.random.Generator) -> Iterator[Case]:
    count = math.prod(shape)
    x = (6.0 * rng.permutation(count).reshape(shape) / count - 3.0).astype(
        np.float32
    )  # the largest is far from the next
    axis = int(rng.integers(-len(shape), len(shape)))
    keep = bool(rng.integers(2))
    for name, ref in ALONG.items():
        yield Case(name, lambda nn, x, n=name: getattr(nn, n)(x, axis), lambda x, ref=ref: ref(x, axis), (x,))
    for name, reduce in REDUCE.items():
        yield Case(
            name,
            lambda nn, x, n=name: getattr(nn, n)(x, axis, keepdims=keep),
            lambda x, reduce=reduce: reduce(x, axis=axis, keepdims=keep),
            (x,),
        )
    for name in ("sum", "mean"):
        ref = REDUCE[name]
        yield Case(name, lambda nn, x, n=name: getattr(nn, n)(x), ref, (x,))
        yield Case(name, lambda nn, x, n=name: getattr(nn, n)(x, (0, 1)), lambda x, r=ref: r(x, axis=(0, 1)), (x,))
    order = tuple(int(i) for i in rng.permutation(len(shape)))
    yield Case("transpose", lambda nn, x: nn.transpose(x, order), lambda x: np.transpose(x, order), (x,))
    wide = (3, *shape)
    yield Case("broadcast", lambda nn, x: nn.broadcast_to(x, wide), lambda x: np.broadcast_to(x, wide), (x,))
    rows = rng.integers(0, shape[axis], 4).astype(np.int32)
    yield Case("take", lambda nn, x: nn.take(x, nn.array(rows), axis), lambda x: np.take(x, rows, axis), (x,))
    at = rng.integers(0, shape[-1], shape[:-1]).astype(np.int32)
    yield Case(
        "pick",
        lambda nn, x: nn.pick(x, nn.array(at)),
        lambda x: np.take_along_axis(x, at[..., None], -1)[..., 0],
        (x,),
    )
    parts = (x, x[..., :1] + 1.0, x[..., -1:])
    yield Case("affine", lambda nn, x, k, b: nn.affine(x, k, b), lambda x, k, b: x * k + b, parts)
    yield Case("layer_norm", lambda nn, x: nn.layer_norm(x), lambda x: _normal(x, -1), (x,))


def _conv(x: Array, kernel: Array, bias: Array | None, stride: int, padding: tuple[int, int]) -> Array:
    x = np.pad(x, ((0, 0), padding, padding, (0, 0)))
    size = kernel.shape[2]
    rows, columns = ((side - size) // stride + 1 for side in x.shape[1:3])
    out = np.zeros((len(x), rows, columns, len(kernel)))
    for i in range(rows):
        for j in range(columns):
            part = x[:, i * stride : i * stride + size, j * stride : j * stride + size]
            out[:, i, j] = np.einsum("bhwc,ochw->bo", part, kernel)
    return out if bias is None else out + bias


def _pool(x: Array, size: int, stride: int, padding: tuple[int, int]) -> Array:
    x = np.pad(x, ((0, 0), padding, padding, (0, 0)), constant_values=-np.inf)
    rows, columns = ((side - size) // stride + 1 for side in x.shape[1:3])
    out = np.zeros((len(x), rows, columns, x.shape[3]))
    for i in range(rows):
        for j in range(columns):
            out[:, i, j] = x[:, i * stride : i * stride + size, j * stride : j * stride + size].max((1, 2))
    return out


def network_cases(shape: tuple[int, ...], rng: np.random.Generator) -> Iterator[Case]:
    batch, size, width = shape

    def normal(*shape: int) -> Array:
        return rng.standard_normal(shape).astype(np.float32)

    x, kernel, bias = normal(batch, size), normal(size, width), normal(width)
    own, kernels, biases = normal(3, batch, size), normal(3, size, width), normal(3, 1, width)
    yield Case("linear", lambda nn, *a: nn.linear(*a), lambda x, k, b: x @ k + b, (x, kernel, bias))
    yield Case("linear, no bias", lambda nn, x, k: nn.linear(x, k, None), lambda x, k: x @ k, (x, kernel))
    yield Case("members", lambda nn, *a: nn.linear(*a), lambda x, k, b: x @ k + b, (own, kernels, biases))
    yield Case("members, input shared", lambda nn, *a: nn.linear(*a), lambda x, k, b: x @ k + b, (x, kernels, biases))
    yield Case("members, no bias", lambda nn, x, k: nn.linear(x, k, None), lambda x, k: x @ k, (x, kernels))
    for count in (3, 8):  # in runs of one and of four
        yield Case(
            f"masked_sums {count}",
            lambda nn, maps, masks: nn.masked_sums(maps, masks),
            lambda maps, masks: np.einsum("bnp,npe->bne", maps, masks),
            (normal(batch, count, size), normal(count, size, width)),
        )
    images, filters, shift = normal(batch, 5, 6, size), normal(width, size, 3, 3), normal(width)
    apart = (rng.permutation(images.size).reshape(images.shape) / 50.0 - 1.0).astype(np.float32)
    for stride, padding in ((1, (0, 0)), (2, (1, 1)), (2, (0, 1))):
        given = padding[0] if padding[0] == padding[1] else padding
        yield Case(
            f"conv2d {stride} {padding}",
            lambda nn, *a, s=stride, g=given: nn.conv2d(*a, stride=s, padding=g),
            lambda x, k, b, s=stride, p=padding: _conv(x, k, b, s, p),
            (images, filters, shift),
        )
        yield Case(
            f"max_pool {stride} {padding}",
            lambda nn, x, s=stride, g=given: nn.max_pool(x, 3, s, g),
            lambda x, s=stride, p=padding: _pool(x, 3, s, p),
            (apart,),  # the largest must stay the largest when it is moved a little
        )
    yield Case(
        "conv2d, no bias",
        lambda nn, x, k: nn.conv2d(x, k, None),
        lambda x, k: _conv(x, k, None, 1, (0, 0)),
        (images, filters),
    )
    maps, scale, move = normal(batch, 3, 2, 2 * width), normal(2 * width), normal(2 * width)
    yield Case(
        "group_norm",
        lambda nn, x, scale, move: nn.group_norm(x, 2, scale, move),
        lambda x, scale, move: _normal(x.reshape(batch, 6, 2, width), (1, 3)).reshape(x.shape) * scale + move,
        (maps, scale, move),
    )
    q, k, v = normal(batch, 2, size, width), normal(batch, 2, size, width), normal(batch, 2, size, width)
    yield Case(
        "attention",
        lambda nn, q, k, v: nn.attention(q, k, v),
        lambda q, k, v: _softmax(q @ np.swapaxes(k, -1, -2) / math.sqrt(q.shape[-1]), -1) @ v,
        (q, k, v),
    )


def derived(nn: Ops, cases: list[Case], weights: list[Array]) -> list[tuple[Array, tuple[Array, ...]]]:
    """Return each case's value, and the gradients of its weighted sum."""
    if nn.name == "torch":
        import torch

        made = []
        for case, weight in zip(cases, weights, strict=True):
            arrays = [torch.from_numpy(array.copy()).requires_grad_(True) for array in case.arrays]
            value = case.function(nn, *arrays)
            total = (value * torch.from_numpy(weight)).sum()
            grads = (
                torch.autograd.grad(total, arrays, materialize_grads=True)
                if total.requires_grad
                else [torch.zeros_like(array) for array in arrays]
            )
            made.append((value.detach().numpy(), tuple(g.numpy() for g in grads)))
        return made
    import jax

    def every(arrays: list[tuple[Any, ...]]) -> list[Any]:
        out = []
        for case, weight, own in zip(cases, weights, arrays, strict=True):

            def total(*given: Any, case: Case = case, weight: Array = weight) -> Any:
                value = case.function(nn, *given)
                return (value * weight).sum(), value

            grads, value = jax.grad(total, argnums=tuple(range(len(own))), has_aux=True)(*own)
            out.append((value, grads))
        return out

    return jax.device_get(jax.jit(every)([case.arrays for case in cases]))


def slope(case: Case, weight: Array, which: int) -> Array:
    """Gradient of the reference's weighted sum by one array, by central differences in double precision."""
    arrays = [array.astype(np.float64) for array in case.arrays]
    found = np.zeros_like(arrays[which])
    for place in np.ndindex(found.shape):
        ends = []
        for step in (H, -H):
            arrays[which][place] += step
            ends.append((case.reference(*arrays) * weight).sum())
            arrays[which][place] -= step
        found[place] = (ends[0] - ends[1]) / (2 * H)
    return found


def check(backend: str, cases: list[Case], rng: np.random.Generator) -> None:
    """Compare one library with numpy."""
    values = [case.reference(*(array.astype(np.float64) for array in case.arrays)) for case in cases]
    weights = [rng.standard_normal(np.shape(value)).astype(np.float32) for value in values]
    made = derived(library(backend), cases, weights)
    for case, value, weight, (found, grads) in zip(cases, values, weights, made, strict=True):
        assert found.dtype == np.float32, case.name
        assert np.shape(found) == np.shape(value), case.name
        assert np.allclose(found, value, rtol=1e-5, atol=1e-5), case.name
        for i, gradient in enumerate(grads):
            expected = slope(case, weight, i) if case.name != "stop_gradient" else np.zeros_like(gradient)
            assert np.allclose(gradient, expected, rtol=1e-3, atol=2e-3 * max(1.0, np.abs(expected).max())), case.name


FAMILIES = {"point": point_cases, "axis": axis_cases, "network": network_cases}
SHAPES = st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(2, 4))


@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=12)
@given(shape=SHAPES, seed=st.integers(0, 2**16))
def test_torch_computes_as_numpy(family: str, shape: tuple[int, ...], seed: int) -> None:
    rng = np.random.default_rng(seed)
    check("torch", list(FAMILIES[family](shape, rng)), rng)


@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=2)  # each shape is compiled
@given(shape=SHAPES, seed=st.integers(0, 2**16))
def test_jax_computes_as_numpy(family: str, shape: tuple[int, ...], seed: int) -> None:
    rng = np.random.default_rng(seed)
    check("jax", list(FAMILIES[family](shape, rng)), rng)


def test_conversions(nn: Ops) -> None:
    assert np.asarray(nn.array(np.float64([1.5]))).dtype == np.float32
    assert np.asarray(nn.array(np.uint8([1]))).dtype == np.uint8
    assert np.asarray(nn.integer(nn.array([0.5, -0.5]) > 0)).tolist() == [1, 0]
    assert np.asarray(nn.float32(nn.array(np.uint8([255])))).tolist() == [255.0]
    assert np.asarray(nn.float32(nn.array(np.float16([0.5])))).dtype == np.float32
    assert np.asarray(nn.argmax(nn.array([[1.0, 3.0, 2.0], [5.0, 0.0, 5.0]]), -1)).tolist() == [1, 0]


def test_what_is_made_while_acting_serves_learning() -> None:
    """A constant that torch first sees in inference mode is used in a gradient afterwards."""
    import torch

    nn = library("torch")
    values = np.float32([0.123, 4.567])
    with torch.inference_mode():
        nn.array(values)
    weight = torch.ones(2, requires_grad=True)
    (gradient,) = torch.autograd.grad((nn.array(values) * weight).sum(), weight)
    assert gradient.tolist() == pytest.approx(values.tolist())


def test_constants_do_not_change_with_the_array_they_were_made_of(nn: Ops) -> None:
    values = np.zeros(3, np.float32)
    made = nn.array(values)
    values += 1
    assert np.asarray(made).tolist() == [0.0, 0.0, 0.0]
    assert np.asarray(nn.array(values)).tolist() == [1.0, 1.0, 1.0]


def test_equals_share_the_slope(nn: Ops) -> None:
    """Where elements are equally large, both libraries give each its part: else even images would part them."""
    x = np.zeros((1, 4), np.float32)
    cases = [
        Case("max", lambda nn, x: nn.max(x, -1), lambda x: x.max(-1), (x,)),
        Case("maximum", lambda nn, x, y: nn.maximum(x, y), np.maximum, (x, x)),
        Case("relu", lambda nn, x: nn.relu(x), lambda x: np.maximum(x, 0), (x,)),
    ]
    made = derived(nn, cases, [np.ones(1, np.float32), *[np.ones((1, 4), np.float32)] * 2])
    grads = [[g.tolist() for g in grads] for _, grads in made]
    assert grads == [[[[0.25] * 4]], [[[0.5] * 4]] * 2, [[[0.0] * 4]]]
