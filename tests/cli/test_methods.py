"""The methods on the command line: listed, chosen, with their numbers to change."""

from pathlib import Path

import pytest

from robot_hil.cli import options
from robot_hil.cli.help import UsageError
from robot_hil.cli.main import main
from robot_hil.cli.runfolder import RunFolder
from robot_hil.errors import UnknownNameError
from robot_hil.methods import registry
from robot_hil.methods.sirius import Sirius


def parsed(*argv: str, folder: Path | None = None) -> options.Parsed:
    return options.parse("train", options.Train, ["peg_slot", *argv], folder)


def test_every_method_has_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["methods"]) == 0
    lines = capsys.readouterr().out.splitlines()
    names = registry.names()
    assert [line.split()[0] for line in lines[: len(names)]] == list(names)
    for name, line in zip(names, lines, strict=False):
        method = registry.get(name)
        assert all(word in line for word in (method.family, method.title, method.source, *method.needs))
    assert main(["methods", "all"]) == 2


def test_a_method_is_chosen_by_name_and_its_numbers_changed() -> None:
    made = parsed("--method", "sirius", "--method.memory", "30", "--agent.learning-rate", "0.01")
    experiment = made.experiment
    assert experiment.name == "peg_slot_sirius"
    assert experiment.method == Sirius(memory=30)
    assert (experiment.agent.algorithm, experiment.agent.learning_rate) == ("bc", 0.01)  # type: ignore[attr-defined]
    assert made.argv == ("peg_slot", "--method", "sirius", "--method.memory", "30", "--agent.learning-rate", "0.01")
    assert parsed().experiment.name == "peg_slot"


def test_a_run_keeps_its_method_and_numbers(tmp_path: Path) -> None:
    first = parsed("--method=iwr", "--learner.gamma", "0.9")
    run = RunFolder(tmp_path / "run")
    run.create(first.experiment, first.argv, 0)
    again = parsed("--method", "iwr", folder=run.path)
    assert again.experiment == first.experiment
    assert again.stored == first.experiment


@pytest.mark.parametrize(("flag", "method"), [("--baseline", "hil_serl"), ("--imitation", "bc")])
def test_a_flag_of_earlier_versions_is_answered_with_the_method(flag: str, method: str) -> None:
    with pytest.raises(UsageError, match=f"{flag} is no option any more: --method {method} does the same"):
        parsed(flag)
    with pytest.raises(UsageError, match=f"--method {method}"):
        parsed("--method", "iwr", flag)


def test_an_unknown_method_is_told_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match="anchored, awac, bc"):
        parsed("--method", "dreamer")
