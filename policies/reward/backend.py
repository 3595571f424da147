"""The array library of a reward model: its networks are small, and wanted at once."""

from importlib.util import find_spec

from robot_hil.errors import DependencyError, UnknownNameError
from robot_hil.policies import registry
from robot_hil.policies.base import Engine


def choose(backend: str) -> str:
    """Return `torch` or `jax`; `auto` is torch where it is installed, as jax would compile for seconds first."""
    if backend not in registry.BACKENDS:
        raise UnknownNameError("backend", backend, registry.BACKENDS)
    installed = [name for name in ("torch", "jax") if find_spec(name) is not None]
    if not installed or backend not in ("auto", *installed):
        missing = "torch" if backend == "auto" else backend
        raise DependencyError(f"{missing} is not installed: pip install 'robot_hil[{missing}]'.")
    return installed[0] if backend == "auto" else backend


def make_engine(backend: str) -> Engine:
    """Return an engine on the processor: beside a learner on the GPU, a judge must not wait for it."""
    return registry.make_engine(backend, device="cpu")
