"""A tiny experiment and the command line as a user starts it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TINY = (
    "--demos", 3, "--learner.clone-updates", 40, "--learner.start-after", 20, "--learner.rounds-per-step", 0.25,
    "--agent.hidden", 32, 32, "--eval-episodes", 1, "--backend", "torch",  # which starts at once
)  # fmt: skip


@dataclass
class Shell:
    """Starts `robot-hil` in a folder of its own."""

    folder: Path
    started: list["subprocess.Popen[str]"]

    def start(self, *args: object) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-m", "robot_hil.cli.main", *map(str, args)],
            cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "100"},
        )  # fmt: skip
        self.started.append(process)
        return process

    def run(self, *args: object, code: int = 0) -> str:
        """Return the output; the exit code must be `code`."""
        process = self.start(*args)
        output, _ = process.communicate(timeout=120)
        assert process.returncode == code, output
        return output


def rows(path: Path) -> list[dict[str, Any]]:
    """The whole rows of a file that may be being written: a last line without an end is not one yet."""
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]


def until(condition: Callable[[], bool], timeout: float = 180.0) -> None:
    """Wait for `condition`; fails after `timeout` [s], long enough for a background process on a busy machine."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def child_of(pid: int, word: str) -> int:
    """Return the process id of the child of `pid` that was started with the command `word`."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                command = (folder / "cmdline").read_bytes().split(b"\0")
            except (OSError, IndexError):
                continue
            if parent == pid and word.encode() in command:
                return int(folder.name)
    raise AssertionError(f"process {pid} has no child {word}")


def interrupt(process: "subprocess.Popen[str]") -> str:
    """Press Ctrl-C and return the output."""
    process.send_signal(signal.SIGINT)
    return process.communicate(timeout=90)[0]
