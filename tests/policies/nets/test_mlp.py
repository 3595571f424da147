"""Dense networks and ensembles of them, on both libraries."""

import numpy as np
import pytest

from robot_hil.errors import ConfigError
from robot_hil.policies.nets.mlp import MlpSpec, init_mlp, mlp, select, xavier_uniform
from robot_hil.policies.ops import Ops


@pytest.mark.parametrize("affine", [False, True])
def test_each_member_of_an_ensemble_is_a_network_of_its_own(nn: Ops, affine: bool) -> None:
    spec = MlpSpec(inputs=5, outputs=2, hidden=(8, 6), activation="silu", affine_norm=affine)
    params = init_mlp("net", spec, np.random.default_rng(0), members=3)
    x = np.random.default_rng(1).standard_normal((7, 5), dtype=np.float32)

    def applied(params, x):
        return np.asarray(mlp(nn, {k: nn.array(v) for k, v in params.items()}, "net", spec, nn.array(x)))

    together = applied(params, x)
    assert together.shape == (3, 7, 2)
    assert np.allclose(applied(params, np.stack([x] * 3)), together, atol=1e-6)  # inputs of their own
    for member in range(3):
        one = {name: value[member] for name, value in params.items()}
        assert np.allclose(applied(one, x), together[member], atol=1e-6)
    assert not np.allclose(together[0], together[1])
    assert all(value.shape[0] == 3 for value in params.values())  # the output layer too
    params["net/out/kernel"][1] += 1.0
    changed = applied(params, x)
    assert np.array_equal(changed[0], together[0])
    assert np.array_equal(changed[2], together[2])
    assert not np.allclose(changed[1], together[1])


@pytest.mark.parametrize("members", [None, 2])
def test_network_by_hand(nn: Ops, members: int | None) -> None:
    """Dense, layer norm, gain and shift, activation, output: in numpy."""
    spec = MlpSpec(inputs=3, outputs=2, hidden=(4,), activation="tanh", affine_norm=True)
    rng = np.random.default_rng(0)
    shapes = {name: value.shape for name, value in init_mlp("net", spec, rng, members=members).items()}
    params = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    x = rng.standard_normal((5, 3)).astype(np.float32)
    hidden = x @ params["net/dense0/kernel"] + params["net/dense0/bias"]
    hidden = hidden - hidden.mean(-1, keepdims=True)
    hidden /= np.sqrt((hidden**2).mean(-1, keepdims=True) + 1e-5)
    hidden = np.tanh(hidden * params["net/norm0/scale"] + params["net/norm0/shift"])
    expected = hidden @ params["net/out/kernel"] + params["net/out/bias"]
    found = mlp(nn, {k: nn.array(v) for k, v in params.items()}, "net", spec, nn.array(x))
    assert np.allclose(np.asarray(found), expected, atol=1e-5)


def test_initial_values_are_those_of_glorot_and_repeatable() -> None:
    spec = MlpSpec(inputs=30, outputs=20, hidden=(50,), affine_norm=True)
    one, two = (init_mlp("net", spec, np.random.default_rng(0), members=4, out_scale=0.1) for _ in range(2))
    assert all(np.array_equal(one[name], two[name]) for name in one)
    assert {value.dtype.name for value in one.values()} == {"float32"}
    bound = np.sqrt(6 / 80)
    assert np.abs(one["net/dense0/kernel"]).max() == pytest.approx(bound, rel=0.01)
    assert one["net/dense0/kernel"].std() == pytest.approx(bound / np.sqrt(3), rel=0.05)
    assert np.abs(one["net/out/kernel"]).max() == pytest.approx(0.1 * np.sqrt(6 / 70), rel=0.01)
    assert not any(one[f"net/{name}"].any() for name in ("dense0/bias", "norm0/shift", "out/bias"))
    assert (one["net/norm0/scale"] == 1).all()
    assert xavier_uniform((2, 3), np.random.default_rng(0)).dtype == np.float32


def test_parameters_are_selected_by_a_whole_first_name() -> None:
    assert set(select({"a/x": 1, "ab/x": 2, "a/b/x": 3}, "a")) == {"a/x", "a/b/x"}


def test_an_unknown_activation_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"'swish'.*relu, tanh, silu"):
        MlpSpec(inputs=1, outputs=1, activation="swish")
