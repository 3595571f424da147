"""A measured number says where it comes from."""

import re
import subprocess
from pathlib import Path

import pytest

from robot_hil.report.machine import Result, describe_machine, git_hash, read_results, today, write_results


def test_machine_is_described() -> None:
    machine = describe_machine()
    assert machine.cpu
    assert machine.cores >= 1
    assert machine.memory_gib > 0
    assert f"{machine.cores} cores" in str(machine)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", today())


def test_git_hash_tells_changed_checkouts(tmp_path: Path) -> None:
    def git(*arguments: str) -> str:
        command = ["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout.strip()

    assert git_hash(tmp_path) == ""
    git("init", "-q")
    (tmp_path / "a").write_text("1")
    git("add", "a")
    git("commit", "-qm", "first")
    commit = git("rev-parse", "HEAD")
    assert git_hash(tmp_path) == commit
    (tmp_path / "a").write_text("2")
    assert git_hash(tmp_path) == f"{commit}-dirty"


@pytest.mark.parametrize(
    ("value", "higher", "target", "reached"),
    [
        (2.0, True, 1.0, True),
        (2.0, False, 1.0, False),
        (1.0, False, 1.0, True),
        (None, False, 1.0, False),
        (2.0, True, None, None),
    ],
)
def test_targets(value: float | None, higher: bool, target: float | None, reached: bool | None) -> None:
    result = Result(name="a", value=value, unit="s", higher_is_better=higher, target=target)
    assert result.reached is reached


def test_results_are_kept_and_replaced_by_name(tmp_path: Path) -> None:
    path = tmp_path / "results" / "env.json"
    assert read_results(path) == []
    write_results(path, [Result(name=n, value=1.0, unit="steps/s", higher_is_better=True) for n in ("a", "b")])
    write_results(path, [Result(name="b", value=2.0, unit="steps/s", higher_is_better=True, target=1.5)])
    rows = read_results(path)
    assert [(row["name"], row["value"], row["reached"]) for row in rows] == [("a", 1.0, None), ("b", 2.0, True)]
    assert {"unit", "higher_is_better", "target", "machine", "date", "commit", "note"} <= set(rows[0])
