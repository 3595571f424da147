"""What the user reads when a command line is wrong: exit code and message, never a traceback."""

import os
import subprocess
import sys

import pytest
from cli.shell import Shell

from robot_hil.cli import options
from robot_hil.cli.main import COMMANDS, main, usage
from robot_hil.experiments import registry

CHOICES = ", ".join(sorted(registry.NAMES))


@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        (
            "trian",
            2,
            "robot-hil: command 'trian' does not exist. Choose one of: actor, committee, compare, console, demo, ",
        ),
        ("train", 2, "robot-hil: train needs the name of an experiment as its first argument."),
        ("train nope", 2, f"robot-hil: experiment 'nope' does not exist. Choose one of: {CHOICES}."),
        ("train pick_cube_state --agent.anchr 3", 2, "--agent.anchor FLOAT"),
        ("train pick_cube_state --demos x", 2, "Error parsing --demos: invalid literal for int() with base 10: 'x'"),
        ("train pick_cube_state --demos -1", 2, "demos is -1, must be >= 0"),
        ("train --resume gone", 1, "robot-hil: gone is no run folder: it has no config.json."),
        ("eval gone", 1, "robot-hil: gone is no run folder: it has no config.json."),
        ("report", 2, "robot-hil: report needs run folders"),
        ("report gone", 1, "robot-hil: gone is no run folder: it has no config.json."),
        ("actor pick_cube_state --keys gone", 1, "robot-hil: key file gone does not exist."),
        ("learner pick_cube_state --endpoint tcp://0.0.0.0:1", 1, "can be reached from other machines and no keys"),
        ("learner pick_cube_state --endpoint nonsense", 1, "address 'nonsense' is not of the form tcp://HOST:PORT"),
        ("train pick_cube_state --env Nope-v0", 1, "environment 'Nope-v0' cannot be made"),
        ("train pick_cube_state --demos-from gone", 1, "robot-hil: gone is no run folder"),
    ],
)
def test_wrong_command_lines(
    line: str, code: int, message: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    try:
        found = main(line.split())
    except SystemExit as leave:  # tyro leaves by itself
        found = leave.code
    output = "".join(capfd.readouterr())
    assert message in output
    assert found == code
    assert "Traceback" not in output


def test_a_folder_of_another_run_is_refused_with_the_differences(shell: Shell) -> None:
    run = shell.folder / "run"
    shell.run("record", "pick_cube_state", "--demos", 1, "--out", run)
    output = shell.run("train", "pick_cube_state", "--out", run, code=1)
    assert f"folder {run} is not empty and is not overwritten" in output
    output = shell.run(
        "train", "pick_cube_state", "--out", run, "--resume", "--agent.anchor", 0.25, "--seed", 4, code=1
    )
    anchor = registry.get("pick_cube_state").agent.anchor
    assert f"agent.anchor: the folder has {anchor}, this command has 0.25" in output
    assert "seed: the folder has 0, this command has 4" in output


def test_help_names_every_command_and_loads_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert capsys.readouterr().out.strip() == usage().strip()
    assert all(name in usage() for name in COMMANDS)
    code = "import sys; from robot_hil.cli.main import main; main(['--help']); main(['train', '--help']); "
    code += "assert not {'torch', 'mujoco', 'tyro', 'numpy'} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


def test_options_that_say_where_a_run_lies_are_left_out_of_what_it_is() -> None:
    line = ["pick_cube", "--out", "a", "--demos", "3", "--resume", "--demos_from=b", "--agent.hidden", "1", "2"]
    kept = options.without(line, {"--out": 1, "--resume": 0, "--demos-from": 1})
    assert kept == ["pick_cube", "--demos", "3", "--agent.hidden", "1", "2"]
    assert options.value_of(["--env", "x"], "--env") == options.value_of(["--env=x"], "--env") == "x"
    assert options.value_of(["--env"], "--env") is None


@pytest.mark.parametrize("line", ["methods", "--help", "train --help"])
@pytest.mark.parametrize("buffered", ["", "1"])
def test_a_reader_that_goes_away_is_no_error(line: str, buffered: str) -> None:
    command = [sys.executable, "-m", "robot_hil.cli.main", *line.split()]
    reading, writing = os.pipe()
    os.close(reading)  # before anything is written
    with os.fdopen(writing, "wb") as gone:
        process = subprocess.run(
            command, stdout=gone, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": buffered}
        )
    assert (process.returncode, process.stderr) == (141, "")
