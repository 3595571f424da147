"""An agent is found by its numbers, a backend by its name."""

from dataclasses import replace

import pytest
from agent_rig import BACKENDS, SMALL

from robot_hil.errors import ConfigError, DependencyError, UnknownNameError
from robot_hil.policies import registry
from robot_hil.policies.algorithms import anchored, bc, hil_serl
from robot_hil.policies.config import AnchoredConfig, BcConfig, HilSerlConfig, TrunkConfig
from robot_hil.policies.registry import choose, make_agent, make_engine
from robot_hil.protocols import Valuing


def test_agent_is_made_from_its_numbers(backend: str) -> None:
    for config, kind in (
        (AnchoredConfig(), anchored.AnchoredRlpd),
        (HilSerlConfig(), hil_serl.HilSerl),
        (BcConfig(), bc.BehaviourCloning),
    ):
        agent = make_agent(config, backend)
        assert isinstance(agent.algorithm, kind)
        assert agent.backend == backend
        assert isinstance(agent, Valuing) == (kind is not bc.BehaviourCloning)
    with pytest.raises(ConfigError, match="str"):
        make_agent("sac", backend)  # type: ignore[arg-type]


def test_a_backend_is_one_of_two_and_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnknownNameError, match="auto, jax, torch"):
        choose("numpy", SMALL)
    assert choose("auto", SMALL) in BACKENDS
    for left, gone in (BACKENDS, BACKENDS[::-1]):
        monkeypatch.setattr(registry, "find_spec", lambda name, left=left: object() if name == left else None)
        assert choose("auto", SMALL) == choose(left, SMALL) == left
        with pytest.raises(DependencyError, match=rf"robot_hil\[{gone}\]"):
            choose(gone, SMALL)
    monkeypatch.setattr(registry, "find_spec", lambda name: None)
    with pytest.raises(DependencyError, match="neither"):
        choose("auto", SMALL)


def test_what_is_measured_to_be_faster_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "find_spec", lambda name: object())
    monkeypatch.setattr(registry, "_has_nvidia_gpu", lambda: False)
    monkeypatch.setattr(registry, "FASTER", {"products": "jax", "convolutions": "torch"})
    frozen, trained = AnchoredConfig(), AnchoredConfig(freeze_encoder=False)
    trunk = TrunkConfig(kind="resnet10", file="weights.safetensors")
    assert choose("auto", trained) == choose("auto", HilSerlConfig()) == "jax"  # without images there is no convolution
    assert choose("auto", frozen, images=True) == choose("auto", HilSerlConfig(trunk=trunk), images=True) == "jax"
    fresh = replace(frozen, views=0)
    for config in (trained, fresh, HilSerlConfig(), BcConfig()):
        assert choose("auto", config, images=True) == "torch"
    assert choose("auto") == "torch"
    monkeypatch.setattr(registry, "_has_nvidia_gpu", lambda: True)
    assert choose("auto", trained, images=True) == "jax"


def test_an_engine_knows_its_precision(backend: str) -> None:
    assert make_engine(backend, "bfloat16").ops.name == backend
    with pytest.raises((ConfigError, KeyError)):
        make_engine(backend, "float16")
    assert make_agent(replace(SMALL, precision="bfloat16"), backend).backend == backend
