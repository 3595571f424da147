"""A run folder's numbers stand above the program's defaults, and below what the command line says."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from robot_hil.cli import options
from robot_hil.cli.pinned import pinned
from robot_hil.cli.runfolder import RunFolder
from robot_hil.errors import ConfigError, StorageError
from robot_hil.experiments import registry
from robot_hil.methods import hil_serl
from robot_hil.report.metrics import plain

NAME = "pick_cube_state"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a run that was made when the default of `tau` was another."""
    experiment = registry.get(NAME)
    older = replace(experiment, agent=replace(experiment.agent, tau=0.5, hidden=(8, 4)), demos=7)
    RunFolder(tmp_path / "run").create(older, [NAME], 0)
    return tmp_path / "run"


def edit(folder: Path, change: Any) -> None:
    """Change the configuration that `folder` holds."""
    path = folder / "config.json"
    config = json.loads(path.read_text())
    change(config["experiment"])
    path.write_text(json.dumps(config))


@pytest.mark.parametrize("name", registry.NAMES)
def test_every_experiment_survives_its_json(name: str) -> None:
    experiment = registry.get(name)
    for made in (experiment, experiment.taught_by(hil_serl.METHOD)):
        assert pinned(made, json.loads(json.dumps(plain(made)))) == made


def test_a_run_goes_on_with_its_own_numbers(folder: Path) -> None:
    parsed = options.parse("train", options.Train, [NAME], folder)
    assert parsed.experiment.agent.tau == 0.5
    assert parsed.experiment.agent.hidden == (8, 4)
    assert parsed.experiment.demos == 7
    RunFolder(folder).join(parsed.experiment, parsed.argv, 0, stored=parsed.stored)
    assert options.parse("train", options.Train, [NAME]).stored is None


def test_what_the_command_says_otherwise_is_refused(folder: Path) -> None:
    parsed = options.parse("train", options.Train, [NAME, "--agent.tau", "0.1"], folder)
    with pytest.raises(ConfigError, match=r"(?s)agent\.tau: the folder has 0\.5, this command has 0\.1.*only the goal"):
        RunFolder(folder).join(parsed.experiment, parsed.argv, 0, stored=parsed.stored)


def test_a_number_newer_than_the_run_has_its_default_and_is_not_to_be_changed(folder: Path) -> None:
    edit(folder, lambda experiment: experiment["agent"].pop("caution"))
    parsed = options.parse("train", options.Train, [NAME], folder)
    RunFolder(folder).join(parsed.experiment, parsed.argv, 0, stored=parsed.stored)
    parsed = options.parse("train", options.Train, [NAME, "--agent.caution", "3"], folder)
    with pytest.raises(ConfigError, match=r"agent\.caution"):
        RunFolder(folder).join(parsed.experiment, parsed.argv, 0, stored=parsed.stored)


def test_a_number_that_is_gone_is_named(folder: Path) -> None:
    edit(folder, lambda experiment: experiment["agent"].update(magic=1))
    with pytest.raises(StorageError, match=r"agent\.magic, which this version .*relearn"):
        options.parse("train", options.Train, [NAME], folder)


def test_a_folder_of_another_experiment_gives_no_numbers(folder: Path) -> None:
    parsed = options.parse("train", options.Train, ["peg_insertion_state"], folder)
    assert parsed.stored is None
    with pytest.raises(ConfigError, match="belongs to another run"):
        RunFolder(folder).join(parsed.experiment, parsed.argv, 0, stored=parsed.stored)


@pytest.mark.parametrize("flags", [["--realtime"], ["--teleop", "console"]])
def test_a_flag_that_the_folder_holds_may_be_given_again(tmp_path: Path, flags: list[str]) -> None:
    first = options.parse("train", options.Train, [NAME, *flags])
    assert first.experiment.realtime
    RunFolder(tmp_path / "run").create(first.experiment, first.argv, 0)
    again = options.parse("learner", options.Side, first.argv, tmp_path / "run")
    assert again.experiment == first.experiment
    RunFolder(tmp_path / "run").join(again.experiment, again.argv, 0, stored=again.stored)
