"""Ways to help in whole runs, from the command line's options to the steps that are stored."""

from dataclasses import replace
from pathlib import Path

import pytest
from cli.runs import episodes_of, run_here

from robot_hil.actor.adversary import Schedule
from robot_hil.actor.sharing import Mode
from robot_hil.cli import compose
from robot_hil.cli.operator_options import OperatorOptions
from robot_hil.cli.options import Train, parse
from robot_hil.data.disturbance import read
from robot_hil.data.step import Segment, Step
from robot_hil.envs.base import spec_of
from robot_hil.errors import ConfigError
from robot_hil.experiments import registry

TWO_SLOTS = registry.get("peg_two_slots")
TASK = replace(
    TWO_SLOTS,
    demos=1,
    backend="torch",
    person=replace(TWO_SLOTS.person, patience_steps=4),
    agent=replace(TWO_SLOTS.agent, hidden=(8,)),
    learner=replace(TWO_SLOTS.learner, clone_updates=2, batch_size=8, rounds_per_step=0.01, capacity=3000),
    goal=replace(TWO_SLOTS.goal, max_env_steps=150),
)


def steps_of(folder: Path, operator: OperatorOptions) -> dict[int, list[Step]]:
    """Return the steps of a short run by episode."""
    return episodes_of(run_here(TASK, folder, operator))


def test_a_run_of_recoveries_and_corrections(tmp_path: Path) -> None:
    episodes = steps_of(tmp_path / "run", OperatorOptions(rac=True))
    helped = [steps for steps in episodes.values() if any(step.segment is Segment.CORRECTION for step in steps)]
    assert helped
    for steps in helped:
        kinds = [step.segment for step in steps]
        first, second = kinds.index(Segment.RECOVERY), kinds.index(Segment.CORRECTION)
        assert kinds == [Segment.NONE] * first + [Segment.RECOVERY] * (second - first) + kinds[second:]
        assert set(kinds[second:]) == {Segment.CORRECTION}
        assert steps[-1].is_last
    assert {step.segment for step in episodes[0]} == {Segment.DEMO}


def test_a_run_with_an_adversary_says_in_its_steps_what_was_done(tmp_path: Path) -> None:
    schedule = Schedule(kinds=("all",), rate=0.2)
    episodes = steps_of(tmp_path / "run", OperatorOptions(adversary=schedule))
    done = [one for steps in episodes.values() for step in steps for one in read(step.perturbation)]
    assert {one.kind for one in done} <= {"object", "goal", "gripper"}
    assert any(step.perturbation for step in episodes[0])
    assert all(sum(bool(step.perturbation) for step in steps) <= schedule.most for steps in episodes.values())


def test_options_become_modes_and_schedules() -> None:
    line = "peg_grip --mode arm --adversary slip goal --adversary-rate 0.1 --adversary-ramp 9"
    operator = parse("train", Train, line.split()).options.operator
    assert operator.adversary == Schedule(kinds=("slip", "goal"), rate=0.1, ramp_episodes=9)
    experiment = registry.get("peg_grip")
    env = compose.make_env(experiment)
    arbiter = compose.make_arbiter(experiment, spec_of(env), operator)
    assert arbiter.mode is Mode.ARM
    assert arbiter.config.hand == (False, False, True)
    env.close()


def test_what_the_task_does_not_know_is_refused() -> None:
    env = compose.make_env(TASK)
    with pytest.raises(ConfigError, match="by \\['slip'\\]; it knows"):
        compose.make_adversary(env, Schedule(kinds=("slip",)), print)
    with pytest.raises(ConfigError, match="an arm and a hand"):
        compose.make_arbiter(TASK, spec_of(env), OperatorOptions(mode="hand"))
    assert compose.make_adversary(env, None, print) is None
    env.close()
