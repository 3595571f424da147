"""What the tests of learning agents share."""

import atexit
import os
import shutil
import sys
import tempfile

import pytest
from agent_rig import BACKENDS, library

from robot_hil.policies.ops import Ops

# What is compiled here runs a few times: optimising it took three times as long as all the rest.
if "jax" not in sys.modules:
    os.environ["XLA_FLAGS"] = " ".join(
        (
            os.environ.get("XLA_FLAGS", ""),
            "--xla_backend_optimization_level=0",
            "--xla_llvm_disable_expensive_passes=true",
            "--xla_cpu_use_fusion_emitters=false",
        )
    ).strip()
    # Equal computations of two agents are compiled once.
    _cache = tempfile.mkdtemp(prefix="robot_hil_jax_")
    atexit.register(shutil.rmtree, _cache, ignore_errors=True)
    os.environ |= {
        "JAX_COMPILATION_CACHE_DIR": _cache,
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "0",
    }


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    """Name of a backend: a test that asks for it runs on both."""
    name: str = request.param
    return name


@pytest.fixture
def nn(backend: str) -> Ops:
    """Operations of a backend: a test that asks for them runs on both."""
    return library(backend)
