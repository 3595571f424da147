"""Agents by the type of their configuration; algorithm and backend are imported only when an agent is made."""

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

from robot_hil.errors import ConfigError, DependencyError, UnknownNameError
from robot_hil.policies import algorithms
from robot_hil.policies.agent import ForeseeingAgent, LearningAgent, ValuingAgent
from robot_hil.policies.base import Algorithm, Engine, Foreseer, Judge
from robot_hil.policies.config import AnchoredConfig, EncoderConfig
from robot_hil.policies.measured import FASTER, FASTER_ON_GPU

AgentConfig = EncoderConfig
"""Numbers of some agent, of a type derived from this one."""
BACKENDS = ("auto", "torch", "jax")
DEVICES = ("auto", "cpu", "gpu")


def make_agent(config: AgentConfig, backend: str = "auto", device: str = "auto", images: bool = False) -> LearningAgent:
    """Return the agent that `config` describes on `backend`; `auto` takes the faster one of those installed.

    `device` is `cpu`, `gpu`, or `auto`: the GPU where the library can use one. `images` says whether it will see any,
    which `auto` takes into account.
    """
    algorithm, engine = make_algorithm(config), make_engine(choose(backend, config, images), config.precision, device)
    if isinstance(algorithm, Foreseer):
        return ForeseeingAgent(algorithm, algorithm, engine)
    return (
        ValuingAgent(algorithm, algorithm, engine) if isinstance(algorithm, Judge) else LearningAgent(algorithm, engine)
    )


def make_algorithm(config: AgentConfig) -> Algorithm:
    """Return the algorithm of `config`."""
    if not isinstance(config, EncoderConfig):
        raise ConfigError(f"no agent takes a {type(config).__name__}.")
    made: Algorithm = _module(config.algorithm).ALGORITHM(config)
    return made


def config_type(algorithm: str) -> type[AgentConfig]:
    """Return the type of the numbers of an algorithm, e.g. `bc`; raises `UnknownNameError` with the choices."""
    known = sorted(module.name for module in iter_modules(algorithms.__path__))
    if algorithm not in known or not hasattr(_module(algorithm), "CONFIG"):
        raise UnknownNameError("algorithm", algorithm, (name for name in known if hasattr(_module(name), "CONFIG")))
    found: type[AgentConfig] = _module(algorithm).CONFIG
    return found


def _module(algorithm: str) -> Any:
    return import_module(f"{algorithms.__name__}.{algorithm}")


def choose(backend: str, config: AgentConfig | None = None, images: bool = False) -> str:
    """Return the backend for an agent or anything else that learns; raises `DependencyError` if it is not installed."""
    if backend not in BACKENDS:
        raise UnknownNameError("backend", backend, BACKENDS)
    installed = [name for name in ("torch", "jax") if find_spec(name) is not None]
    if not installed:
        raise DependencyError("neither torch nor jax is installed; install robot_hil as its README says.")
    if backend == "auto":
        faster = FASTER_ON_GPU if _has_nvidia_gpu() else FASTER[_work_of(config, images)]
        return faster if faster in installed else installed[0]
    if backend not in installed:
        raise DependencyError(f"{backend} is not installed: pip install 'robot_hil[{backend}]', or --backend auto.")
    return backend


def _work_of(config: AgentConfig | None, images: bool) -> str:
    """Return what most of an update is; of something unknown, convolutions."""
    if config is None:
        return "convolutions"
    cached = bool(config.trunk.file) or (isinstance(config, AnchoredConfig) and config.freeze_encoder)
    return "products" if not images or (cached and config.views > 0) else "convolutions"


def _has_nvidia_gpu() -> bool:
    """Tell it without loading a library that would take hold of the GPU."""
    return Path("/proc/driver/nvidia/version").exists() or Path("/dev/nvidia0").exists()


def make_engine(backend: str, precision: str = "float32", device: str = "auto") -> Engine:
    """Return the engine of a backend that is installed; raises `DependencyError` for a GPU that it cannot use."""
    if device not in DEVICES:
        raise UnknownNameError("device", device, DEVICES)
    if backend == "jax":
        from robot_hil.policies.jax.engine import JaxEngine, find_device

        return JaxEngine(find_device(device), precision)
    from robot_hil.policies.torch.engine import TorchEngine, find_device

    return TorchEngine(find_device(device), precision)
