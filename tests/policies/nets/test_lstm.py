"""LSTM and mixture of Gaussians against numpy."""

import numpy as np
import pytest

from robot_hil.policies.nets.lstm import LstmSpec, init_lstm, lstm_step
from robot_hil.policies.nets.mixture import mixture, mixture_log_prob


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_steps_are_those_of_the_equations(nn) -> None:
    spec = LstmSpec(inputs=3, hidden=(4, 2))
    rng = np.random.default_rng(0)
    params = init_lstm("m", spec, rng)
    assert {name: value.shape for name, value in params.items()} == {
        "m/gates0/kernel": (7, 16), "m/gates0/bias": (16,), "m/gates1/kernel": (6, 8), "m/gates1/bias": (8,),
    }  # fmt: skip
    placed = {name: nn.array(value) for name, value in params.items()}
    memory = np.zeros((5, spec.memory_size), np.float32)
    state = [np.zeros((5, width)) for width in (4, 4, 2, 2)]
    for _ in range(3):
        x = rng.standard_normal((5, 3)).astype(np.float32)
        out, memory = lstm_step(nn, placed, "m", spec, nn.array(x), nn.array(np.asarray(memory)))
        for layer, width in enumerate((4, 2)):
            h, c = state[2 * layer : 2 * layer + 2]
            gates = np.concatenate([x, h], 1) @ params[f"m/gates{layer}/kernel"] + params[f"m/gates{layer}/bias"]
            i, f, o, g = np.split(gates, 4, 1)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            state[2 * layer], state[2 * layer + 1] = x, _ = sigmoid(o) * np.tanh(c), c
            assert x.shape == (5, width)
        assert np.asarray(out) == pytest.approx(x, abs=1e-5)
        assert np.asarray(memory) == pytest.approx(np.concatenate(state, 1), abs=1e-5)


def test_at_first_it_stays() -> None:
    bias = init_lstm("m", LstmSpec(inputs=2, hidden=(3,)), np.random.default_rng(0))["m/gates0/bias"]
    assert bias.tolist() == [0] * 3 + [1] * 3 + [0] * 6


def test_density_of_a_mixture(nn) -> None:
    rng = np.random.default_rng(1)
    raw, action = rng.standard_normal((4, 3 * 5)), rng.uniform(-1, 1, (4, 2))
    parts = mixture(nn, nn.array(raw.astype(np.float32)), 3, 2, 0.1)
    found = np.asarray(mixture_log_prob(nn, *parts, nn.array(action.astype(np.float32))))
    weight = np.exp(raw[:, :3]) / np.exp(raw[:, :3]).sum(1, keepdims=True)
    mean = np.tanh(raw[:, 3:9]).reshape(4, 3, 2)
    std = np.log1p(np.exp(raw[:, 9:])).reshape(4, 3, 2) + 0.1
    density = np.exp(-0.5 * ((action[:, None] - mean) / std) ** 2) / (std * np.sqrt(2 * np.pi))
    assert found == pytest.approx(np.log((weight * density.prod(-1)).sum(1)), rel=1e-4)
    assert np.exp(np.asarray(parts[0])).sum(1) == pytest.approx(np.ones(4), rel=1e-5)
