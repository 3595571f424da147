"""Numbers: what a search on tuning seeds finds holds on others, and how much of it was luck is said.

Eight sets of numbers and the default, five tuning seeds, 2000 steps each; then both on five test seeds. After Eimer et
al. 2023, arXiv 2306.01324. The seed of this experiment is that of the search.
"""

from collections.abc import Mapping
from dataclasses import replace

from lab import Claim, Size, main

from robot_hil.cli.signals import StopRequest
from robot_hil.cli.tune_search import Search
from robot_hil.cli.tune_space import Seeds, dimensions
from robot_hil.experiments import registry
from runs import folder

TASK = registry.get("peg_slot")
TRIALS, STEPS, EVALUATION = 8, 2000, 20
SPACE = ("agent.utd=1,2", "agent.ensemble=2,4", "agent.anchor=0.5..10:log", "agent.actor_rate=1e-4..1e-3:log",
         "agent.exploration=0.02..0.3:log", "method.demo_share=0.1..0.5")  # fmt: skip


def measure(seed: int, size: Size) -> Mapping[str, float]:
    """Run the experiment once; a tuning seed searches on tuning seeds alone and judges on those of the search."""
    count = 5 if size.share == 1 else 1
    experiment = replace(
        TASK, backend="torch", demos=10, eval_episodes=size.of(EVALUATION),
        learner=replace(TASK.learner, clone_updates=size.of(TASK.learner.clone_updates)),
        goal=replace(TASK.goal, max_env_steps=size.of(STEPS)),
    )  # fmt: skip
    with folder() as path:
        result = Search(
            experiment=experiment, root=path, space=dimensions(SPACE, experiment),
            seeds=Seeds(tuning=tuple(range(100, 100 + count)), test=tuple(range(count))), trials=size.of(TRIALS),
            sampler="tpe", seed=seed, human_cost=0.1, stop=StopRequest(), argv=[experiment.name],
        ).run()  # fmt: skip
    assert result is not None
    return {
        "difference": result["difference"], "low": result["difference_ci95"][0], "gap": result["gap"],
        "test": result["test_score"], "default": result["default_test_score"], "runs": result["budget"]["runs"],
        "steps": result["budget"]["env_steps"],
    }  # fmt: skip


CLAIMS = (
    Claim(key="difference", what="test score of what was found less that of the default", target=0.0, unit="score"),
    Claim(key="low", what="lower end of the interval of that difference", unit="score"),
    Claim(key="gap", what="tuning score less test score of what was found", higher_is_better=False, unit="score"),
    Claim(key="test", what="test score of what was found", unit="score"),
    Claim(key="default", what="test score of the default", unit="score"),
    Claim(key="runs", what="trainings", higher_is_better=False, unit="runs"),
    Claim(key="steps", what="env steps spent", higher_is_better=False, unit="steps"),
)

if __name__ == "__main__":
    main("tuning", CLAIMS, measure, __doc__ or "")
