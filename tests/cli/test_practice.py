"""Training that begins its episodes otherwise: from hard states, or where the last one ended."""

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from cli.runs import episodes_of, run_here
from cli.shell import rows

from robot_hil.actor.seeding import Stream
from robot_hil.cli import compose, practice
from robot_hil.cli.practice import starts_of
from robot_hil.cli.robot import Robot
from robot_hil.cli.runfolder import RunFolder
from robot_hil.data.step import Segment, Step
from robot_hil.errors import ConfigError, StorageError
from robot_hil.experiments import registry
from robot_hil.experiments.base import Experiment
from robot_hil.help.graded import Grade

TASK = registry.get("peg_slot")


def task(kind: str, *, demos: int = 0, steps: int = 400, gate: str = "never") -> Experiment:
    return replace(
        TASK,
        practice=kind,
        demos=demos,
        backend="torch",
        person=replace(TASK.person, gate=gate, patience_steps=5),
        agent=replace(TASK.agent, hidden=(8,)),
        learner=replace(TASK.learner, clone_updates=2, batch_size=8, rounds_per_step=0.01, capacity=3000),
        goal=replace(TASK.goal, max_env_steps=steps),
    )


def test_practice_without_resets_goes_on_where_the_last_episode_ended(tmp_path: Path) -> None:
    folder = run_here(task("reset_free", demos=2, gate="progress"), tmp_path / "run")
    logged, noted = episodes_of(folder), rows(folder / practice.ROWS_FILE)
    assert noted[0]["reset"]
    assert {row["goal"] for row in noted} == {"insert", "return"}
    assert [logged[i][0].obs["state"][3] for i in (0, 1)] == [1.0, -1.0]  # one demonstration of each goal
    followed = [(a, b) for a, b in pairwise(noted) if not b["reset"]]
    assert followed
    for before, after in followed:
        end, begin = logged[before["episode_id"]][-1].final_obs, logged[after["episode_id"]][0].obs
        assert end is not None
        assert np.array_equal(end["state"][[0, 1]], begin["state"][[0, 1]])
        assert begin["state"][3] == (1.0 if after["goal"] == "insert" else -1.0)
    saved = json.loads((folder / practice.STATE_FILE).read_text())
    assert saved["episodes"] == len(noted)
    assert saved["resets"] == noted[-1]["resets"] == sum(row["reset"] for row in noted)


def test_demonstrations_that_fail_are_tried_again_so_that_both_goals_have_as_many(tmp_path: Path) -> None:
    unsure = task("reset_free", demos=8, steps=20)
    unsure = replace(unsure, person=replace(unsure.person, profile="thirty_percent"))
    logged = episodes_of(run_here(unsure, tmp_path / "run"))
    goals = [steps[0].obs["state"][3] for steps in logged.values() if steps[0].segment is Segment.DEMO]
    assert goals == [1.0, -1.0] * 4
    ids = [number for number, steps in logged.items() if steps[0].segment is Segment.DEMO]
    assert len({number % 2 for number in ids[::2]}) == 2  # some failed between them


def robot_of(experiment: Experiment, folder: Path, sink: list[Step]) -> Robot:
    """A robot whose policy knows nothing."""
    agent = compose.make_agent(experiment)
    folder.mkdir(exist_ok=True)
    robot = Robot(experiment, RunFolder(folder), agent, 100, sink=sink.append)
    robot.policy.set_params(0, agent.load_actor(agent.actor_params(agent.init(robot.spec, 0))))
    robot.start()
    return robot


def test_a_robot_that_fails_returns_to_where_it_went_wrong_and_is_guided_from_there(tmp_path: Path) -> None:
    steps: list[Step] = []
    robot = robot_of(task("graded"), tmp_path / "run", steps)
    for episode in range(16):
        assert robot.run(Stream.TRAIN, episode) is not None
    alone = robot.run(Stream.EVAL, 0)
    robot.close()
    noted = rows(tmp_path / "run" / practice.ROWS_FILE)
    assert [row["grade"] for row in noted[:6]] == [Grade.REPLAY] * 6
    assert {row["grade"] for row in noted} == {1, 2, 3}
    assert all((row["human_steps"] > 0) == (row["grade"] == 3) for row in noted)  # this person comes only to guide
    assert all(row["human_s"] == row["human_steps"] / 10 for row in noted)
    guided = {row["episode_id"] for row in noted if row["grade"] == 3}
    assert {step.segment for step in steps if step.is_human} == {Segment.GUIDED}
    assert all(step.episode_id in guided for step in steps if step.is_human)
    begins = {step.episode_id: tuple(step.obs["state"].tolist()) for step in steps if step.step_index == 0}
    again = [row["episode_id"] for row in noted if row["place"] == noted[6]["place"]]
    assert len({begins[episode] for episode in again}) == 1  # the very same state
    assert alone is not None
    assert len(noted) == 16
    later = robot_of(task("graded"), tmp_path / "run", steps)
    assert len(later.practice.schedule.places) == noted[-1]["hard_places"]  # type: ignore[union-attr]
    later.close()


def test_an_environment_that_cannot_is_refused() -> None:
    pick = compose.make_env(registry.get("pick_cube_state"))
    with pytest.raises(ConfigError, match="can return to a stored state"):
        starts_of("graded", pick)
    pick.close()
    pillar = compose.make_env(registry.get("reach_pillar"))
    with pytest.raises(ConfigError, match="a task and its way back"):
        starts_of("reset_free", pillar)
    pillar.close()


def test_a_broken_state_is_named(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / practice.STATE_FILE).write_text("{")
    with pytest.raises(StorageError, match="Remove it to begin practice anew"):
        robot_of(task("graded"), tmp_path / "run", [])
