"""What may be searched, and the wall between the seeds that choose and the seeds that judge."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_hil.cli.tune_space import Dimension, Seeds, changed, dimensions, value_of
from robot_hil.errors import ConfigError, UnknownNameError
from robot_hil.experiments import registry
from robot_hil.methods import bc

TASK = registry.get("peg_slot")


def test_choices_and_ranges_have_the_type_of_the_number() -> None:
    found = dimensions(
        ["agent.utd=1,2,4", "agent.anchor=0.5..10:log", "learner.clone_updates=100..900",
         "agent.freeze_encoder=true,false"],
        TASK,
    )  # fmt: skip
    assert found == (
        Dimension(name="agent.utd", choices=(1, 2, 4)),
        Dimension(name="agent.anchor", low=0.5, high=10.0, log=True),
        Dimension(name="learner.clone_updates", low=100, high=900, whole=True),
        Dimension(name="agent.freeze_encoder", choices=(True, False)),
    )


@pytest.mark.parametrize(
    "text",
    ["agent.utd", "agent.utd=2", "agent.utd=2,2", "agent.utd=a,b", "agent.anchor=2..1", "agent.anchor=0..1:log",
     "agent.activation=a..b", "agent.utd=1,2..3"],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_with_what_can(text: str) -> None:
    with pytest.raises(ConfigError, match=r"--space agent\..* cannot be read; give agent"):
        dimensions([text], TASK)


def test_unknown_numbers_are_refused_with_those_there_are() -> None:
    with pytest.raises(UnknownNameError, match=r"'agent\.ut' does not exist\. Choose one of: .*utd"):
        dimensions(["agent.ut=1,2"], TASK)
    with pytest.raises(ConfigError, match="searched twice"):
        dimensions(["agent.utd=1,2", "agent.utd=1,4"], TASK)
    with pytest.raises(ConfigError, match="no single number"):
        dimensions(["agent.hidden=1,2"], TASK)


def test_the_usual_space_is_what_an_experiment_has_of_it() -> None:
    ours = {one.name for one in dimensions((), TASK)}
    assert {"agent.utd", "agent.anchor", "method.demo_share", "learner.rounds_per_step"} <= ours
    cloned = {one.name for one in dimensions((), TASK.taught_by(bc.METHOD))}
    assert cloned == {"agent.exploration", "agent.learning_rate", "learner.rounds_per_step"}


def test_numbers_are_changed_together_and_nothing_else() -> None:
    made = changed(TASK, {"agent.utd": 4, "agent.anchor": 2.0, "demos": 5})
    assert made == replace(TASK, demos=5, agent=replace(TASK.agent, utd=4, anchor=2.0))
    assert value_of(made, "agent.utd") == 4
    assert changed(TASK, {}) == TASK
    with pytest.raises(ConfigError, match="subset is 2"):
        changed(TASK, {"agent.ensemble": 1})


def test_test_seeds_are_out_of_reach_while_tuning() -> None:
    seeds = Seeds(tuning=(100, 101), test=(0, 1))
    assert seeds.check(100, tuning=True) == 100
    assert seeds.check(1, tuning=False) == 1
    for seed, tuning in ((0, True), (100, False), (102, True)):
        with pytest.raises(ConfigError, match="nothing was run"):
            seeds.check(seed, tuning=tuning)


@pytest.mark.parametrize(
    ("tuning", "test", "words"),
    [((100,), (100,), "given twice"), ((100, 100), (0,), "given twice"), ((), (0,), "both kinds"),
     ((5,), (0,), "seeds from 100 on"), ((100,), (200,), "seeds from 100 on"), ((100,), (-1,), "seeds from 100 on")],
)  # fmt: skip
def test_seeds_that_are_not_apart_are_refused(tuning: tuple[int, ...], test: tuple[int, ...], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Seeds(tuning=tuning, test=test)


def test_a_rehearsal_touches_no_test_seed() -> None:
    seeds = Seeds(tuning=(100, 101), test=(110, 300), rehearsal=True)
    assert seeds.check(110, tuning=False) == 110
    with pytest.raises(ConfigError, match="given twice"):
        Seeds(tuning=(100,), test=(100,), rehearsal=True)
    with pytest.raises(ConfigError, match="seeds from 100 on"):
        Seeds(tuning=(100,), test=(3,), rehearsal=True)


@given(st.sets(st.integers(100, 140), min_size=1), st.sets(st.integers(0, 40), min_size=1))
def test_no_seed_is_ever_of_both_kinds(tuning: set[int], test: set[int]) -> None:
    seeds = Seeds(tuning=tuple(tuning), test=tuple(test))
    for seed in tuning:
        with pytest.raises(ConfigError):
            seeds.check(seed, tuning=False)
    for seed in test:
        with pytest.raises(ConfigError):
            seeds.check(seed, tuning=True)
