"""Fixtures of the command line's tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from cli.runs import signals_kept
from cli.shell import Shell


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    made = Shell(tmp_path, [])
    yield made
    for process in made.started:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture(autouse=True)
def own_signals() -> Iterator[None]:
    """Every test gets its signals back, also from what it leaves unfinished."""
    with signals_kept():
        yield
