"""Every experiment can be put together; naming one loads no learning library; the baseline is a fair one."""

import subprocess
import sys
from dataclasses import replace
from typing import get_args, get_type_hints

import pytest

from robot_hil.cli import compose
from robot_hil.clock import VirtualClock
from robot_hil.envs.base import spec_of
from robot_hil.errors import ConfigError, UnknownNameError
from robot_hil.experiments import registry
from robot_hil.experiments.base import Experiment, PersonConfig
from robot_hil.methods import hil_serl
from robot_hil.policies.config import HilSerlConfig
from robot_hil.teleop.simulated import experts
from robot_hil.teleop.simulated.profile import PROFILES


def critic_updates_per_step(experiment: Experiment) -> float:
    return experiment.learner.rounds_per_step * compose.make_agent(experiment).updates_per_round


@pytest.mark.parametrize("name", registry.NAMES)
@pytest.mark.parametrize("baseline", [False, True])
def test_an_experiment_can_be_put_together(name: str, baseline: bool) -> None:
    experiment = registry.get(name)
    assert experiment.name == name
    assert 10 < len(registry.about(name)) < 80
    if baseline:
        experiment = compose.with_method(experiment, "hil_serl")
        assert experiment.name == f"{name}_hil_serl"
    env = compose.make_env(experiment)
    spec = spec_of(env)
    assert bool(spec.images) == (experiment.observation == "pixels")
    agent = compose.make_agent(experiment)
    state = agent.init(spec, 0)
    assert agent.actor_params(state)
    person = compose.make_person(experiment, env, VirtualClock())
    assert person is not None
    compose.require_person(experiment)
    compose.make_arbiter(experiment, spec)
    env.close()


@pytest.mark.parametrize("name", registry.NAMES)
def test_the_baseline_makes_no_fewer_critic_updates_per_step(name: str) -> None:
    experiment = registry.get(name)
    baseline = experiment.taught_by(hil_serl.METHOD)
    assert isinstance(baseline.agent, HilSerlConfig)
    assert isinstance(baseline.method, hil_serl.HilSerl)
    assert critic_updates_per_step(baseline) >= critic_updates_per_step(experiment)
    assert (baseline.env_id, baseline.person, baseline.demos, baseline.goal) == (
        experiment.env_id, experiment.person, experiment.demos, experiment.goal,
    )  # fmt: skip


def test_another_environment_may_have_any_return_and_needs_nobody() -> None:
    experiment = compose.with_env(registry.get("pick_cube_state"), "Pendulum-v1")
    assert experiment.agent.value_range[0] < -2000  # the worst episode of a pendulum
    assert not experiment.agent.freeze_encoder
    compose.require_person(experiment)
    baseline = compose.with_env(compose.with_method(registry.get("pick_cube_state"), "hil_serl"), "Pendulum-v1")
    assert isinstance(baseline.agent, HilSerlConfig)


@pytest.mark.parametrize("field", ["expert", "profile", "gate"])
def test_every_person_that_can_be_named_exists(field: str) -> None:
    """On the command line the choices are those of the annotation."""
    names = get_args(get_type_hints(PersonConfig)[field])
    experiment = registry.get("peg_slot")
    env = compose.make_env(experiment)
    for name in names:
        person = replace(experiment.person, **{field: name})
        made = compose.make_person(replace(experiment, person=person), env, VirtualClock())
        assert (made is None) == (name == "none")
    env.close()
    if field == "expert":
        assert set(names) == {*experts.NAMES, "none"}
    if field == "profile":
        assert set(names) == set(PROFILES)


def test_an_unknown_name_is_answered_with_the_choices() -> None:
    with pytest.raises(UnknownNameError, match="peg_slot, peg_two_slots, pick_cube, pick_cube_state"):
        registry.get("nope")


@pytest.mark.parametrize("wrong", [{"demos": -1}, {"eval_episodes": 0}])
def test_impossible_numbers_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        replace(registry.get("pick_cube"), **wrong)


@pytest.mark.parametrize(("line", "code"), [("experiments", 0), ("train nope", 2)])
def test_naming_experiments_is_light(line: str, code: int) -> None:
    program = (
        "import sys\nfrom robot_hil.cli.main import main\n"
        f"assert main({line.split()!r}) == {code}\n"
        "loaded = {'torch', 'jax', 'mujoco', 'cv2', 'matplotlib'} & set(sys.modules)\nassert not loaded, loaded"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
