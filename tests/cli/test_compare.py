"""The command `robot-hil compare` as a user calls it: processes, Ctrl-C, a worker that dies."""

import json
import os
import signal
from pathlib import Path

from cli.shell import Shell, child_of, interrupt, until

QUICK = ("--smoke", "--quick", "--tuning", "--persons", "competent", "--tasks", "peg_slot", "--seeds", 100)
FOLDER = Path("runs", "compare", "smoke-tuning-quick")


def test_methods_learn_online_and_from_one_log_and_the_table_is_written(shell: Shell) -> None:
    output = shell.run("compare", *QUICK, "--methods", "bc", "--processes", 2)
    folder = shell.folder / FOLDER
    rows = [row for row in json.loads((folder / "compare.json").read_text()) if row["kind"] == "cells" and row["seeds"]]
    assert {(row["method"], row["way"]) for row in rows} == {("anchored", "online"), ("bc", "online"), ("bc", "log")}
    assert all(row["success"] is not None and not row["failures"] for row in rows)
    assert "3 of 3 cells" in output
    assert "| `bc` | imitation |" in (folder / "compare.md").read_text()
    assert (folder / "compare_smoke-tuning-quick_peg_slot.png").exists()
    assert not (shell.folder / "docs").exists()


def test_ctrl_c_saves_and_the_same_command_goes_on(shell: Shell) -> None:
    command = ("compare", *QUICK, "--methods", "bc", "--ways", "online", "--processes", 1)
    process = shell.start(*command)
    log = shell.folder / FOLDER / "worker-0.log"
    until(lambda: log.exists() and "cell " in log.read_text())
    output = interrupt(process)
    assert process.returncode == 130, output
    assert "1 of 1 cells are left. Go on with the same command." in output
    assert "1 of 1 cells" in shell.run(*command)


def test_a_worker_that_dies_costs_its_cell_which_the_next_call_tries_again(shell: Shell) -> None:
    command = ("compare", *QUICK, "--methods", "bc", "--ways", "online", "--processes", 1)
    process = shell.start(*command)
    log = shell.folder / FOLDER / "worker-0.log"
    until(lambda: log.exists() and "cell " in log.read_text())
    os.kill(child_of(process.pid, "compare"), signal.SIGKILL)
    output, _ = process.communicate(timeout=90)
    assert process.returncode == 1, output
    assert "failed: peg_slot-competent-bc-online-100: its process ended with exit code -9" in output
    shell.run(*command)
    assert "failed" not in (shell.folder / FOLDER / "compare.md").read_text()


def test_cells_of_another_folder_are_taken_and_not_run_again(shell: Shell) -> None:
    command = ("compare", *QUICK, "--methods", "bc", "--ways", "online", "--processes", 1)
    shell.run(*command)
    cells = FOLDER / "cells.json"
    output = shell.run(*command, "--out", "runs/other", "--take", cells)
    assert f"taken from {cells}: 1 cells, left out 0" in output
    assert not (shell.folder / "runs/other/worker-0.log").exists()
    tables = [(shell.folder / folder / "compare.md").read_text() for folder in (FOLDER, Path("runs/other"))]
    assert tables[0].partition("**`peg_slot`")[2] == tables[1].partition("**`peg_slot`")[2] != ""
    assert "cells.json" in shell.run(*command, "--out", "runs/third", "--take", "runs", code=1)
    assert not (shell.folder / "runs/third").exists()


def test_wrong_names_are_refused_before_anything_is_made(shell: Shell) -> None:
    output = shell.run("compare", "--smoke", "--methods", "magic", code=2)
    assert "method 'magic' does not exist" in output
    assert "robot-hil compare" in shell.run("compare", "--smoke", "--claim", code=2)
    assert not (shell.folder / "runs").exists()
