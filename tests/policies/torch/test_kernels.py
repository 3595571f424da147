"""Faster forms give what torch's own give, and the same gradients."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from robot_hil.policies.torch import kernels

CASES: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]] = {
    "tanh": (kernels.tanh, torch.tanh),
    "layer_norm": (
        lambda x: kernels.layer_norm(x, 1e-5),
        lambda x: torch.nn.functional.layer_norm(x, (x.shape[-1],), eps=1e-5),
    ),
    "variance of rows": (lambda x: kernels.variance(x, 1, True), lambda x: x.var(1, correction=0, keepdim=True)),
    "variance of the last": (lambda x: kernels.variance(x, -1, False), lambda x: x.var(-1, correction=0)),
}


@pytest.mark.parametrize("shape", [(2, 3, 4), (2, 96, 128)], ids=["small", "large"])
@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients_are_torchs(name: str, shape: tuple[int, ...]) -> None:
    faster, known = CASES[name]
    numbers = 3.0 * torch.randn(shape, generator=torch.Generator().manual_seed(0))
    made, gradients = [], []
    for function in (faster, known):
        x = numbers.clone().requires_grad_()
        value = function(x)
        weight = torch.linspace(-1.0, 1.0, value.numel()).reshape(value.shape)
        made.append(value)
        gradients += torch.autograd.grad((value * weight).sum(), x)
    torch.testing.assert_close(made[0], made[1], atol=3e-7, rtol=2e-6)
    torch.testing.assert_close(gradients[0], gradients[1], atol=3e-6, rtol=1e-5)


@pytest.mark.parametrize("far", [-1e4, -20.0, 0.0, 20.0, 1e4])
def test_tanh_saturates_exactly(far: float) -> None:
    x = torch.full((128, 256), far)
    assert torch.equal(kernels.tanh(x), torch.tanh(x))


def test_layer_norm_is_trained_with_after_acting() -> None:
    with torch.inference_mode():
        kernels.layer_norm(torch.randn(2, 37), 1e-5)
    x = torch.randn(2, 37, requires_grad=True)
    kernels.layer_norm(x, 1e-5)[:, 0].sum().backward()
    assert x.grad is not None


@pytest.mark.parametrize("outputs", [1, 4])
@pytest.mark.parametrize("shared", [False, True])
def test_ensemble_layer_and_its_gradients(outputs: int, shared: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    shapes = ((5, 6) if shared else (3, 5, 6), (3, 6, outputs), (3, 1, outputs))
    arrays = [torch.randn(shape, generator=generator, requires_grad=True) for shape in shapes]
    weight = torch.randn((3, 5, outputs), generator=generator)
    made = kernels.ensemble_linear(*arrays)
    known = arrays[0] @ arrays[1] + arrays[2]
    torch.testing.assert_close(made, known)
    for wanted in ([0], [1, 2], [0, 1, 2]):  # actors climb fixed critics; critics learn from data
        leaves = [arrays[i] for i in wanted]
        gradients = [torch.autograd.grad((x * weight).sum(), leaves, retain_graph=True) for x in (made, known)]
        torch.testing.assert_close(*gradients)
