"""Methods are found by their files; each names an algorithm that exists, numbers it has, and what it needs."""

import re
from dataclasses import fields, replace

import numpy as np
import pytest

from robot_hil.data.step import Segment
from robot_hil.errors import UnknownNameError
from robot_hil.experiments import registry as experiments
from robot_hil.learner.learner import LearnerConfig
from robot_hil.methods import registry
from robot_hil.methods.base import Method
from robot_hil.policies.config import HilSerlConfig
from robot_hil.policies.registry import config_type

NAMES = registry.names()


@pytest.mark.parametrize("name", NAMES)
def test_a_method_is_complete(name: str) -> None:
    method = registry.get(name)
    assert isinstance(method.view, Method)
    kind = config_type(method.algorithm)
    assert set(method.agent) <= {field.name for field in fields(kind)}
    assert set(method.learner) <= {field.name for field in fields(LearnerConfig)}
    assert len(method.title) <= 110
    assert not method.title.endswith(".")
    assert re.search(r"\d{4}|this project", method.source)


@pytest.mark.parametrize("name", NAMES)
def test_an_experiment_can_be_taught_by_it(name: str) -> None:
    method, experiment = registry.get(name), experiments.get("pick_cube")
    taught = experiment.taught_by(method)
    assert taught.agent.algorithm == method.algorithm
    assert (taught.agent.crops, taught.agent.trunk) == (experiment.agent.crops, experiment.agent.trunk)
    assert all(getattr(taught.agent, key) == value for key, value in method.agent.items())
    assert all(getattr(taught.learner, key) == value for key, value in method.learner.items())
    assert taught.method == method.view


def test_an_algorithm_that_builds_on_the_experiments_keeps_its_numbers() -> None:
    experiment = experiments.get("pick_cube")
    assert experiment.taught_by(registry.get("anchored")).agent == experiment.agent
    assert experiment.taught_by(registry.get("hil_serl")).agent == HilSerlConfig()


def test_names_are_files_with_a_method() -> None:
    assert {"anchored", "bc", "hil_serl", "rlpd"} <= set(NAMES)
    assert {"base", "registry", "published"}.isdisjoint(NAMES)
    for wrong in ("base", "sac"):
        with pytest.raises(UnknownNameError, match="anchored, "):
            registry.get(wrong)
    with pytest.raises(UnknownNameError, match=r"bc, .*hil_serl"):
        config_type("seeing")


def facts(**columns: object) -> dict[str, np.ndarray]:
    nan, no = np.full(2, np.nan, np.float32), np.zeros(2, bool)
    base = {f"reward/{source}": nan for source in ("env", "human", "classifier", "progress")}
    base |= {"segment": np.zeros(2, np.uint8), "is_human": no, "success": no, "action_policy": np.full((2, 2), np.nan)}
    return base | {name: np.asarray(values) for name, values in columns.items()}


@pytest.mark.parametrize(
    ("need", "columns"),
    [
        ("demonstrations", {"segment": [0, Segment.DEMO], "is_human": [False, True]}),
        ("interventions", {"is_human": [False, True]}),
        ("proposals", {"is_human": [False, True], "action_policy": [[np.nan, np.nan], [0.1, 0.2]]}),
        ("rewards", {"reward/env": [0.0, 1.0]}),
        ("rewards", {"success": [False, True]}),
    ],
)
def test_what_a_log_lacks_is_said(need: str, columns: dict[str, object]) -> None:
    method = replace(registry.get("bc"), needs=(need,))
    assert method.lacks(facts(**columns)) == []
    assert len(method.lacks(facts())) == 1
    driven_but_not_asked = facts(is_human=[True, True], segment=[Segment.DEMO] * 2)
    assert bool(method.lacks(driven_but_not_asked)) == (need != "demonstrations")
