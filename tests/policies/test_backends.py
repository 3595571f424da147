"""An actor, and a learner, need one of the libraries only; importing the package loads neither."""

import subprocess
import sys

import pytest

REFUSE = """
import sys
for name in {refused!r}:
    sys.modules[name] = None  # as if it were not installed: not found, and refused when imported
"""
ALL = """
import importlib, pkgutil, sys
import robot_hil.policies
for found in pkgutil.walk_packages(robot_hil.policies.__path__, "robot_hil.policies.", onerror=None):
    if not found.name.startswith(("robot_hil.policies.torch", "robot_hil.policies.jax")):
        importlib.import_module(found.name)
assert not {"torch", "jax"} & set(sys.modules)
"""
LEARN = """
import numpy as np
from dataclasses import replace
from agent_rig import SMALL
from contracts import agent_batch, agent_spec
from robot_hil.policies.registry import make_agent

assert not sys.modules.get("torch") and not sys.modules.get("jax")
agent, spec = make_agent(replace(SMALL, hidden=(), ensemble=2, utd=1), "auto"), agent_spec()
assert agent.backend == {backend!r}
state = agent.init(spec, 0)
batch = agent_batch(agent, spec, 4)
state, _ = agent.pretrain(state, batch)
state, metrics = agent.update(state, batch)
assert np.isfinite(list(metrics.values())).all()
actor = agent.load_actor(agent.actor_params(state))
rng = np.random.default_rng(0)
action = agent.act(actor, dict((name, array.sample(rng)) for name, array in spec.observation.items()), False, rng)
spec.action.validate(action)
assert sys.modules[{backend!r}] and not sys.modules[{other!r}]
"""


def run(code: str) -> None:
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, cwd="tests", timeout=120
    )
    assert result.returncode == 0, result.stderr


def test_importing_loads_no_library() -> None:
    run(ALL)


@pytest.mark.parametrize(("backend", "other"), [("torch", "jax"), ("jax", "torch")])
def test_one_library_is_enough_to_learn_and_to_act(backend: str, other: str) -> None:
    run(REFUSE.format(refused=(other,)) + LEARN.format(backend=backend, other=other))
