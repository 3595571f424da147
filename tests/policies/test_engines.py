"""Engines: Adam, clipping, targets, counters and gradients by hand; what they hand out and take in; on both."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from contracts import agent_batch, agent_spec

from robot_hil.policies.base import Engine, Group
from robot_hil.policies.config import HilSerlConfig
from robot_hil.policies.registry import make_agent, make_engine


@dataclass
class Two:
    """As much of an algorithm as an engine looks at: parameters `a`, and `b` with `c`, trained apart."""

    groups: dict[str, Group] = field(
        default_factory=lambda: {
            "first": Group(names=("a",), rate=0.1, clip_norm=1.0),
            "second": Group(names=("b", "c"), rate=0.1),
        }
    )
    counters: tuple[str, ...] = ("rounds",)


@pytest.fixture
def engine(backend: str) -> Engine:
    return make_engine(backend)


def started(engine: Engine) -> Any:
    params = {name: np.float32([1.0]) for name in "abc"}
    return engine.start(params, {"a": np.float32([0.0])}, Two())


def product(size: float):
    """Return a routine that minimises size * a * b by `a` alone."""

    def routine(nn, trainer, batch):
        loss, more = trainer.minimise("first", lambda p: ((size * p["a"] * p["b"]).sum(), {"seen": p["a"] * 3.0}))
        trainer.tick("rounds")
        return {"loss": loss, "seen": nn.sum(more["seen"]), "now": nn.sum(trainer.params["a"])}

    return routine


def test_a_step_moves_its_own_group_only_and_clips(engine: Engine) -> None:
    state, metrics = engine.train(product(1000.0), started(engine), {})
    assert metrics == pytest.approx({"loss": 1000.0, "seen": 3.0, "now": 0.9})
    saved = engine.export(state)
    assert saved["params/a"] == pytest.approx([0.9])
    assert saved["params/b"] == 1.0
    assert saved["adam/first/a/mean"] == pytest.approx([0.1])  # (1 - beta1) times the clipped gradient
    assert saved["adam/first/a/square"] == pytest.approx([0.001])
    assert saved["adam/first/a/step"] == 1.0
    assert saved["adam/second/b/step"] == 0.0
    assert saved["counters/rounds"] == 1
    assert saved["counters/rounds"].dtype == np.int32


def test_adam_by_hand(engine: Engine) -> None:
    """Kingma & Ba, algorithm 1, on gradients that change, in double precision."""
    state = started(engine)
    value, mean, square = 1.0, 0.0, 0.0

    def routine(nn, trainer, batch):
        loss, _ = trainer.minimise("second", lambda p: ((batch["slope"] * p["b"]).sum(), {}))
        return {"loss": loss}

    for step in range(1, 8):
        gradient = (-1.0) ** step * 0.3 * step
        state, _ = engine.train(routine, state, {"slope": np.float32([gradient])})
        mean, square = 0.9 * mean + 0.1 * gradient, 0.999 * square + 0.001 * gradient**2
        value -= 0.1 * (mean / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.999**step)) + 1e-8)
        assert engine.export(state)["params/b"] == pytest.approx([value], rel=1e-5)


def test_a_small_gradient_is_not_clipped(engine: Engine) -> None:
    state, _ = engine.train(product(0.5), started(engine), {})
    assert engine.export(state)["adam/first/a/mean"] == pytest.approx([0.05])


def test_gradients_are_whole_and_change_nothing(engine: Engine) -> None:
    def routine(nn, trainer, batch):
        loss, more, found = trainer.gradients("first", lambda p: ((7.0 * p["a"] * p["b"]).sum(), {"b": p["b"]}))
        _, _, none = trainer.gradients("second", lambda p: ((p["a"] * p["b"] ** 2).sum(), {}))
        assert set(found) == {"a"}
        assert set(none) == {"b", "c"}
        return {
            "loss": loss,
            "a": nn.sum(found["a"]),
            "b": nn.sum(none["b"]),
            "c": nn.sum(none["c"]),
            "more": nn.sum(more["b"]),
        }

    state = started(engine)
    before = engine.export(state)
    state, metrics = engine.train(routine, state, {})
    assert metrics == {"loss": 7.0, "a": 7.0, "b": 2.0, "c": 0.0, "more": 1.0}
    assert all(np.array_equal(value, before[name]) for name, value in engine.export(state).items())


def test_a_target_moves_by_its_rate(engine: Engine) -> None:
    def routine(nn, trainer, batch):
        trainer.follow("a", 0.25)
        trainer.follow("nothing/", 1.0)
        return {"rounds": nn.float32(trainer.count("rounds"))}

    state, metrics = engine.train(routine, started(engine), {})
    assert metrics == {"rounds": 0.0}
    saved = engine.export(state)
    assert saved["targets/a"].tolist() == [0.25]
    assert {name for name in saved if name.startswith("targets/")} == {"targets/a"}

    def whole(nn, trainer, batch):
        trainer.follow("a", 1.0)
        return {}

    state, metrics = engine.train(whole, state, {})
    assert metrics == {}
    assert engine.export(state)["targets/a"].tolist() == [1.0]


def test_nobody_elses_memory_is_trained(engine: Engine) -> None:
    params = {"a": np.float32([1.0]), "b": np.float32([1.0])}
    state = engine.start(params, {}, Two())
    state, _ = engine.train(product(1.0), state, {})
    assert params["a"].tolist() == params["b"].tolist() == [1.0]
    saved = engine.export(state)
    kept = {name: value.copy() for name, value in saved.items()}
    state = engine.restore(state, saved)
    state, _ = engine.train(product(1.0), state, {})
    assert all(np.array_equal(value, kept[name]) for name, value in saved.items())


def test_a_function_runs_without_gradients(engine: Engine) -> None:
    params = engine.place({"a": np.float32([[2.0]])})
    made = engine.run(
        lambda nn, p, batch: nn.linear(batch["x"], p["a"], None), params, {"x": np.ones((3, 1), np.float32)}
    )
    assert isinstance(made, np.ndarray)
    assert made.tolist() == [[2.0]] * 3


def test_read_only_and_strided_arrays_are_taken(engine: Engine) -> None:
    values = np.arange(12, dtype=np.float32).reshape(3, 4)
    values.flags.writeable = False
    made = engine.fetch(engine.place({"plain": values, "turned": values.T, "part": values[:, ::2]}))
    assert np.array_equal(made["plain"], values)
    assert np.array_equal(made["turned"], values.T)
    assert np.array_equal(made["part"], values[:, ::2])


def test_an_agent_bound_to_another_environment_is_compiled_anew(backend: str) -> None:
    """Equal shapes, another meaning: here the gripper's command lies elsewhere in the state."""
    agent = make_agent(HilSerlConfig(hidden=(8,), gripper_penalty=0.5), backend, "cpu")
    spec = agent_spec(gripper=True)
    names = spec.observation["state"].names
    turned = replace(spec, observation={"state": replace(spec.observation["state"], names=names[::-1])})
    losses = []
    for bound in (spec, turned, spec):
        state = agent.init(bound, 0)
        losses.append(agent.update(state, agent_batch(agent, spec, 8))[1]["critic_loss"])
    assert losses[0] == losses[2] != losses[1]
