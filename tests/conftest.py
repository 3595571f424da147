"""What every test shares."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from small_spec import SPEC

from robot_hil.data.specs import EnvSpec
from robot_hil.data.step import Step

# A busy machine must not fail a property: no time limit per example.
settings.register_profile("robot_hil", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("robot_hil")


@pytest.hookimpl(tryfirst=True)  # before the distribution over processes looks at it
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let tests with a browser run one after the other: two of them on two cores make each other stutter."""
    for item in items:
        if "browser" in getattr(getattr(item, "module", None), "__dict__", {}):
            item.add_marker(pytest.mark.xdist_group("browser"))


@pytest.fixture(scope="session")
def small_spec() -> EnvSpec:
    """A small specification with an image; `small_step` makes steps of it."""
    return SPEC


@pytest.fixture(scope="session")
def small_step(small_spec: EnvSpec) -> Callable[..., Step]:
    """Make a valid step, different for each `seed`; any field can be given."""

    def make(seed: int = 0, **values: Any) -> Step:
        rng = np.random.default_rng(seed)
        defaults: dict[str, Any] = {
            "obs": {name: spec.sample(rng) for name, spec in small_spec.observation.items()},
            "action_policy": small_spec.action.sample(rng),
            "action_human": np.full(7, np.nan, np.float32),
            "action_executed": small_spec.action.sample(rng),
            "authority": np.zeros(7, np.uint8),
            "reward": {"env": 0.0},
            "terminated": False,
            "truncated": False,
            "success": False,
            "episode_id": 0,
            "step_index": seed,
        }
        return Step(**(defaults | values))

    return make
