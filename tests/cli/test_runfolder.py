"""Run folders: which configuration they belong to."""

from dataclasses import replace
from pathlib import Path

import pytest

from robot_hil.cli.runfolder import RunFolder
from robot_hil.errors import ConfigError
from robot_hil.experiments import registry
from robot_hil.experiments.base import Goal

NAME = "pick_cube_state"


def test_a_folder_is_joined_by_its_own_run_and_with_another_goal(tmp_path: Path) -> None:
    run, experiment = RunFolder(tmp_path / "run"), registry.get(NAME)
    run.join(experiment, [NAME], 0)
    run.join(replace(experiment, goal=Goal(max_env_steps=7), eval_episodes=3), [NAME], 0)
    with pytest.raises(ConfigError, match=r"seed: the folder has 0, this command has 1\nGo on with that run by"):
        run.join(experiment, [NAME, "--seed", "1"], 1)


def test_numbers_that_changed_in_the_program_are_called_that(tmp_path: Path) -> None:
    """The same command, with another version of the program: the way out is not the command that was just given."""
    run, experiment = RunFolder(tmp_path / "run"), registry.get(NAME)
    run.create(experiment, [NAME, "--seed", "4"], 4)
    newer = replace(experiment, agent=replace(experiment.agent, tau=0.5))
    with pytest.raises(ConfigError, match=r"(?s)agent.tau: .* has 0.5.*give the folder's as options"):
        run.join(newer, [NAME, "--seed", "4"], 4)


def test_a_folder_has_one_process_of_a_kind(tmp_path: Path) -> None:
    run, other = RunFolder(tmp_path / "run"), RunFolder(tmp_path / "run")
    run.create(registry.get(NAME), [NAME], 0)
    run.lock("learner")
    other.lock("actor")
    with pytest.raises(ConfigError, match="another process is its learner"):
        other.lock("learner")
    run.unlock()
    run.unlock()
    other.lock("learner")
    other.unlock()
