"""What is run: every combination once, logs before what learns from them, test seeds apart from tuning seeds."""

from dataclasses import replace

import pytest
from compare.results import PLAN
from hypothesis import given
from hypothesis import strategies as st

from robot_hil.cli import options
from robot_hil.compare import plans
from robot_hil.compare.plan import TUNING, Plan, Selection, for_tuning, quick
from robot_hil.errors import ConfigError, UnknownNameError
from robot_hil.experiments import registry as experiments
from robot_hil.methods import registry as methods
from robot_hil.teleop.simulated.profile import PROFILES


def test_every_combination_is_one_cell_with_a_name_of_its_own() -> None:
    cells = PLAN.cells()
    assert len(cells) == 2 * 2 * 2 * 2 * 2  # methods, ways, persons, tasks, seeds
    assert len({cell.name for cell in cells}) == len(cells)


def test_a_log_is_recorded_before_anything_learns_from_it_and_seeds_come_one_after_the_other() -> None:
    cells = PLAN.cells()
    for cell in cells:
        recorder = PLAN.recorder(cell)
        assert (recorder is None) == (cell.way == "online")
        if recorder is not None:
            assert recorder.entry == "anchored"
            assert (recorder.task, recorder.person, recorder.seed) == (cell.task, cell.person, cell.seed)
            assert cells.index(recorder) < cells.index(cell)
    seeds = [cell.seed for cell in cells]
    assert seeds == sorted(seeds)


def test_without_rounds_on_a_log_all_learn_online() -> None:
    assert {cell.way for cell in replace(PLAN, rounds=0, log_by="").cells()} == {"online"}


def test_selection_takes_along_the_log_that_it_needs() -> None:
    chosen = Selection(entries=("bc",), persons=("poor",), tasks=("peg_slot",), seeds=(1,)).of(PLAN)
    assert [(cell.entry, cell.way) for cell in chosen] == [("anchored", "online"), ("bc", "online"), ("bc", "log")]
    assert {(cell.person, cell.task, cell.seed) for cell in chosen} == {("poor", "peg_slot", 1)}
    online = Selection(entries=("bc",), ways=("online",)).of(PLAN)
    assert {(cell.entry, cell.way) for cell in online} == {("bc", "online")}
    assert Selection().of(PLAN) == PLAN.cells()


@pytest.mark.parametrize(
    "selection",
    [
        Selection(entries=("magic",)),
        Selection(persons=("nobody",)),
        Selection(tasks=("cooking",)),
        Selection(seeds=(7,)),
    ],
)
def test_selection_of_what_the_plan_does_not_have_is_refused(selection: Selection) -> None:
    with pytest.raises(UnknownNameError, match="does not exist"):
        selection.of(PLAN)


@given(steps=st.integers(1, 10_000), points=st.integers(1, 30))
def test_evaluations_ascend_from_the_first_episode_to_the_last_step(steps: int, points: int) -> None:
    plan = Plan(name="p", purpose="", entries={"a": ()}, persons=("b",), tasks={"t": steps}, seeds=(0,), points=points)
    limits = plan.limits("t")
    assert limits[0] == 1
    assert limits[-1] == steps
    assert limits == sorted(set(limits))
    assert len(limits) <= points + 1


@pytest.mark.parametrize("name", ["entries", "persons", "tasks", "seeds"])
def test_plan_without_something_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=f"no {name}"):
        replace(PLAN, **{name: type(getattr(PLAN, name))()})


def test_plan_with_a_recorder_that_it_lacks_or_without_evaluations_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="'magic'"):
        replace(PLAN, log_by="magic")
    with pytest.raises(ConfigError, match="trials is 0"):
        replace(PLAN, trials=0)


@pytest.mark.parametrize("name", plans.PLANS)
def test_plans_by_name_are_of_test_seeds_tasks_and_persons_there_are(name: str) -> None:
    plan = plans.get(name)
    assert plan.name == name
    assert plan.published
    assert max(plan.seeds) < TUNING
    assert plan.final_trials >= 50
    assert set(plan.tasks) <= set(experiments.NAMES)
    assert set(plan.persons) <= set(PROFILES)


@pytest.mark.parametrize("name", plans.PLANS)
def test_tuning_shares_no_seed_with_what_is_claimed_and_like_a_quick_one_is_not_published(name: str) -> None:
    plan = plans.get(name)
    tuned = for_tuning(plan)
    assert not set(tuned.seeds) & set(plan.seeds)
    assert not tuned.published
    assert not quick(plan).published
    assert len({plan.name, tuned.name, quick(plan).name}) == 3


@pytest.mark.parametrize("name", ["smoke", "methods"])
def test_every_method_takes_part_by_itself(name: str) -> None:
    assert tuple(plans.get(name).entries) == methods.names()


def test_unknown_plan_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="smoke"):
        plans.get("magic")


def test_default_is_compared_on_six_tasks_small_networks_on_the_toys_for_both() -> None:
    plan = plans.get("default")
    assert len(plan.tasks) == 6
    sizes = {
        (cell.task, options.parse("train", options.Train, plan.argv(cell)).experiment.agent.hidden)
        for cell in plan.cells()
    }
    assert len(sizes) == 6
    assert {task for task, hidden in sizes if hidden == (64, 64)} == set(plans.TOYS)


@pytest.mark.parametrize("term", plans.TERMS)
def test_every_term_of_the_ablation_can_be_switched_off(term: str) -> None:
    plan = plans.get("ablation")
    changed = set()
    for cell in (cell for cell in plan.cells_of(0) if cell.entry == f"no_{term}"):
        whole, parsed = (
            options.parse("train", options.Train, plan.argv(one)).experiment
            for one in (replace(cell, entry="default"), cell)
        )
        if (parsed.agent, parsed.method, parsed.learner) != (whole.agent, whole.method, whole.learner):
            changed.add(cell.task)
    assert changed == ({"peg_grip"} if term == "reaction_cost" else set(plan.tasks)), (
        "the options change nothing: the term is off already, or called otherwise"
    )


def test_command_line_of_a_cell_makes_its_experiment() -> None:
    cell = next(cell for cell in PLAN.cells() if (cell.entry, cell.person) == ("bc", "poor"))
    parsed = options.parse("train", options.Train, PLAN.argv(cell)).experiment
    assert parsed.name == "peg_slot_bc"
    assert parsed.person.profile == "poor"
    assert parsed.goal.max_env_steps == 300
    assert parsed.eval_episodes == PLAN.final_trials


def test_the_small_comparison_imitates_less_at_first_but_only_who_imitates_at_all() -> None:
    entries, whole = plans.get("smoke").entries, plans.get("methods").entries
    assert entries["bc"] == (*whole["bc"], "--learner.clone-updates", "700")
    assert entries["rlpd"] == whole["rlpd"] == ("--method", "rlpd")
