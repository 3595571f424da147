"""Numbers: what a search on tuning seeds finds holds on others, and how much of it was luck is said.

Eight sets of numbers by chance and the default, five tuning seeds, 1200 steps each; then as many trainings once more,
of sets that are bred from good ones and given up early (`robot-hil tune --sampler evolve`). What either finds, and the
default, on five test seeds. After Eimer et al. 2023, arXiv 2306.01324, who compare with DEHB (Awad et al. 2021); its
part here differs in the fidelity, which is the number of seeds. The seed of this experiment is that of the searches,
and one is enough: they have five of their own. Given a tuning seed, nothing is judged by test seeds either.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from lab import FIRST_TUNING_SEED, Claim, Size, main

from robot_hil.cli.signals import StopRequest
from robot_hil.cli.tune_search import DEFAULT, Search
from robot_hil.cli.tune_space import Seeds, dimensions
from robot_hil.experiments import registry
from robot_hil.experiments.base import Experiment
from runs import folder

TASK = registry.get("peg_slot")
TRIALS, STEPS, EVALUATION, SEEDS = 8, 1200, 20, 5
SPACE = ("agent.utd=1,2", "agent.ensemble=2,4", "agent.anchor=0.5..10:log", "agent.actor_rate=1e-4..1e-3:log",
         "agent.exploration=0.02..0.3:log", "method.demo_share=0.1..0.5")  # fmt: skip


def seeds_of(seed: int, count: int) -> Seeds:
    """Return the seeds to search and to judge by: `count` each, for a tuning seed none that is for tests."""
    rehearsal = seed >= FIRST_TUNING_SEED
    tuning = range(FIRST_TUNING_SEED, FIRST_TUNING_SEED + count)
    first = FIRST_TUNING_SEED + SEEDS if rehearsal else 0
    return Seeds(tuning=tuple(tuning), test=tuple(range(first, first + count)), rehearsal=rehearsal)


def found_by(sampler: str, experiment: Experiment, root: Path, seeds: Seeds, trials: int, seed: int) -> dict[str, Any]:
    """Return the result of one search in the folder `root`."""
    search = Search(
        experiment=experiment, root=root, space=dimensions(SPACE, experiment), seeds=seeds, trials=trials,
        sampler=sampler, seed=seed, human_cost=0.1, stop=StopRequest(), argv=[experiment.name],
    )  # fmt: skip
    result = search.run()
    assert result is not None  # nobody stopped it
    return result


def measure(seed: int, size: Size) -> Mapping[str, float]:
    """Run the experiment once."""
    small = size.share < 1
    experiment = replace(
        TASK, backend="torch", demos=10, eval_episodes=size.of(EVALUATION),
        agent=replace(TASK.agent, hidden=(64, 64)),
        learner=replace(TASK.learner, batch_size=128, clone_updates=size.of(TASK.learner.clone_updates)),
        goal=replace(TASK.goal, max_env_steps=size.of(STEPS)),
    )  # fmt: skip
    seeds, trials = seeds_of(seed, 2 if small else SEEDS), size.of(TRIALS)
    with folder() as path:
        chance, bred = path / "random", path / "evolve"
        by_chance = found_by("random", experiment, chance, seeds, trials, seed)
        bred.mkdir()
        (bred / DEFAULT).symlink_to(chance / DEFAULT)  # the default is trained once
        by_breeding = found_by("evolve", experiment, bred, seeds, trials, seed)
        runs = sorted(path.glob("*/*/seed-*"))
        trained = len({run.resolve() for run in runs})
    low, high = by_chance["difference_ci95"]
    return {
        "difference": by_chance["difference"], "low": low, "high": high, "gap": by_chance["gap"],
        "test": by_chance["test_score"], "default": by_chance["default_test_score"],
        "bred": by_breeding["test_score"], "bred gap": by_breeding["gap"],
        "bred difference": by_breeding["test_score"] - by_chance["test_score"],
        "sets": len(by_breeding["trials"]) - 1, "runs": trained,
    }  # fmt: skip


CLAIMS = (
    Claim(key="difference", what="test score of the best of chance less that of the default", target=0.0, unit="score"),
    Claim(key="high", what="upper end of the interval of that difference", target=0.0, unit="score"),
    Claim(key="bred difference", what="test score of the best bred less that of the best of chance", target=-0.03,
          unit="score", note="successive halving over seeds with differential evolution, as many trainings"),
    Claim(key="low", what="lower end of the interval of the first difference", unit="score"),
    Claim(key="gap", what="tuning score less test score, best of chance", higher_is_better=False, unit="score"),
    Claim(key="bred gap", what="tuning score less test score, best bred", higher_is_better=False, unit="score"),
    Claim(key="test", what="test score of the best of chance", unit="score"),
    Claim(key="bred", what="test score of the best bred", unit="score"),
    Claim(key="default", what="test score of the default", unit="score"),
    Claim(key="sets", what="sets of numbers that were bred or drawn, instead of eight", unit="sets"),
    Claim(key="runs", what="trainings in all", higher_is_better=False, unit="runs"),
)  # fmt: skip

if __name__ == "__main__":
    main("tuning", CLAIMS, measure, __doc__ or "", tests=(0,))
