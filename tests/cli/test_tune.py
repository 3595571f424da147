"""A search: trained on tuning seeds, judged on others, stopped and gone on with, and all of it accounted for."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cli.runs import signals_kept
from cli.shell import Shell

from robot_hil.cli import tune, tune_search
from robot_hil.cli.runfolder import RunFolder
from robot_hil.cli.signals import StopRequest
from robot_hil.cli.tune_search import RESULT_FILE, Search, outcome_of
from robot_hil.cli.tune_space import Seeds, dimensions
from robot_hil.errors import DependencyError
from robot_hil.experiments import registry
from robot_hil.report.metrics import ACTOR_FILE, EpisodeRow, JsonlSink
from robot_hil.report.search import plot_search

pytestmark = pytest.mark.xdist_group("tune")
TASK = registry.get("peg_slot")
SMALL = replace(
    TASK,
    demos=1,
    eval_episodes=2,
    backend="torch",
    agent=replace(TASK.agent, hidden=(8,)),
    learner=replace(TASK.learner, clone_updates=2, batch_size=8, rounds_per_step=0.01, capacity=500),
    goal=replace(TASK.goal, max_env_steps=40),
)
SPACE = ("agent.utd=1,2,4", "agent.anchor=0.5..10:log")


def search(
    root: Path, trials: int, space: tuple[str, ...] = SPACE, tuning: tuple[int, ...] = (100,), sampler: str = "tpe"
) -> Search:
    return Search(
        experiment=SMALL, root=root, space=dimensions(space, SMALL), seeds=Seeds(tuning=tuning, test=(0, 1)),
        trials=trials, sampler=sampler, seed=0, human_cost=0.1, stop=StopRequest(), argv=["peg_slot"],
    )  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    root = tmp_path_factory.mktemp("tune")
    with signals_kept():
        result = search(root, 2).run()
    assert result is not None
    return root, result


def test_a_search_says_what_it_did_with_which_seeds_and_what_it_cost(whole: tuple[Path, dict[str, Any]]) -> None:
    root, result = whole
    assert [row["name"] for row in result["trials"]] == ["default", "trial-000", "trial-001"]
    assert result["trials"][0]["numbers"] == {"agent.utd": 2, "agent.anchor": 5.0}
    assert (result["tuning_seeds"], result["test_seeds"]) == ([100], [0, 1])
    assert [one.seed for one in result["test"]["chosen"]] == [0, 1]
    assert result["gap"] == pytest.approx(result["tuning_score"] - result["test_score"])
    assert result["tuning_score"] == max(row["score"] for row in result["trials"])
    trained = sorted(path.parent.name + "/" + path.name for path in root.glob("*/seed-*"))
    chosen = {f"{result['chosen']}/seed-{seed}" for seed in (0, 1)}
    assert set(trained) == chosen | {"default/seed-100", "default/seed-0", "default/seed-1"} | {
        "trial-000/seed-100", "trial-001/seed-100",
    }  # fmt: skip
    assert result["budget"]["runs"] == len(trained)
    assert result["budget"]["env_steps"] >= 40 * len(trained)
    stored = json.loads((root / RESULT_FILE).read_text())
    assert stored["test"]["chosen"][0]["seed"] == 0
    plot_search(root / tune.PLOT_FILE, stored)
    assert (root / tune.PLOT_FILE).stat().st_size > 10_000


def test_a_search_that_was_stopped_goes_on_as_if_it_had_not_been(
    whole: tuple[Path, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = search(tmp_path, 2)
    usual = Search._train

    def stops(self: Search, experiment: Any, name: str, seed: int) -> Any:
        if name == "trial-001":
            self.stop.requested = True
        return usual(self, experiment, name, seed)

    monkeypatch.setattr(Search, "_train", stops)
    assert first.run() is None
    assert not (tmp_path / RESULT_FILE).exists()
    monkeypatch.setattr(Search, "_train", usual)
    result = search(tmp_path, 2).run()
    assert result is not None
    assert [row["numbers"] for row in result["trials"]] == [row["numbers"] for row in whole[1]["trials"]]
    assert [row["score"] for row in result["trials"]] == [row["score"] for row in whole[1]["trials"]]


def test_numbers_that_do_not_work_together_are_refused_and_the_search_goes_on(tmp_path: Path) -> None:
    impossible = search(tmp_path, 2, ("agent.subset=3,4", "agent.ensemble=1,2"))
    result = impossible.run()
    assert result is not None
    assert [row["score"] for row in result["trials"][1:]] == [None, None]
    assert "subset is" in result["trials"][1]["refused"]
    assert result["chosen"] == "default"
    assert (result["difference"], result["numbers"]) == (0.0, {})


def test_numbers_are_bred_given_up_early_and_cost_as_much_as_so_many_sets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What trainings come to is told here: the more `anchor`, the better. It is stopped once, and goes on."""
    trained: list[str] = []
    stops = [9]

    def train(self: Search, experiment: Any, name: str, seed: int) -> Any:
        run = self.root / name / f"seed-{seed}"
        if not run.exists():
            trained.append(name)
            run.mkdir(parents=True)
            good = round(experiment.agent.anchor)
            rows = [replace(row("eval", i < good, 0), episode_id=i) for i in range(10)]
            with JsonlSink(run / ACTOR_FILE) as file:
                for one in rows:
                    file.write(one)
        self.stop.requested = len(trained) in stops
        return None if self.stop else outcome_of(seed, RunFolder(run).episodes(), 0.1, 1.0)

    monkeypatch.setattr(Search, "_train", train)
    asked = (SPACE, (100, 101, 102), "evolve")
    made = [replace(search(tmp_path, 4, *asked), experiment=replace(SMALL, eval_episodes=10)) for _ in range(2)]
    assert made[0].run() is None
    stops.clear()
    result = made[1].run()
    assert result is not None
    on_tuning_seeds = len([*tmp_path.glob("trial-*/seed-1??")])
    assert on_tuning_seeds == 4 * 3
    assert len({*trained}) > 5
    given_up = [one for one in result["trials"] if "given_up" in one]
    assert given_up
    assert {one["seeds"] for one in given_up} == {1}
    whole = {one["name"]: one["score"] for one in result["trials"] if one["score"] is not None}
    assert result["tuning_score"] == max(whole.values())
    assert all(one["given_up"] <= max(whole.values()) for one in given_up)


def row(phase: Any, success: bool, human: int) -> EpisodeRow:
    return EpisodeRow(
        t_wall_s=1.0, env_steps=40, episode_id=0, steps=20, success=success, human_steps=human, interventions=0,
        phase=phase,
    )  # fmt: skip


def test_a_score_is_success_alone_less_what_the_person_did() -> None:
    rows = [row("demo", True, 20), row("train", True, 10), row("train", False, 0), row("eval", True, 0)]
    outcome = outcome_of(100, [*rows, row("eval", False, 0)], 0.1, 3.0)
    assert (outcome.success, outcome.human_steps, outcome.env_steps) == (0.5, 10, 40)
    assert outcome.score == pytest.approx(0.5 - 0.1 * 0.25)


def test_without_optuna_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(DependencyError, match=r"pip install 'robot_hil\[tune\]'"):
        tune_search.optuna_or_raise()


def test_from_the_command_line(shell: Shell) -> None:
    small = ("--demos", 1, "--agent.hidden", 8, "--learner.clone-updates", 2, "--learner.rounds-per-step", 0.01,
             "--goal.max-env-steps", 30, "--eval-episodes", 1, "--backend", "torch")  # fmt: skip
    asked = ("--tuning-seeds", 100, "--test-seeds", 0, "--space", "agent.utd=1,2", "--out", "found")
    output = shell.run("tune", "peg_slot", "--trials", 1, *asked, *small)
    assert "on tuning seeds" in output
    assert "Written: found/tune.json, found/tune.png." in output
    more = shell.run("tune", "--resume", "found", "--trials", 2)
    assert "trial-001" in more
    assert "takes --trials alone" in shell.run("tune", "--resume", "found", "--seed", 3, code=2)
    assert "given twice" in shell.run("tune", "peg_slot", "--tuning-seeds", 100, "--test-seeds", 100, code=1)
    assert "needs the name of an experiment" in shell.run("tune", code=2)
