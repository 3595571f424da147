"""Threads of an update do not wait long in loops, unless a person wants it so; asked for before torch is loaded."""

import os
import subprocess
import sys

import pytest

PROGRAM = (
    "import os, sys; import robot_hil.policies.torch; print(os.environ.get('GOMP_SPINCOUNT'), 'torch' in sys.modules)"
)


@pytest.mark.parametrize(
    ("given", "found"),
    [({}, "3000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "active"}, "None")],
    ids=["default", "count", "policy"],
)
def test_waiting_is_short(given: dict[str, str], found: str) -> None:
    kept = {name: value for name, value in os.environ.items() if name not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=kept | given, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [found, "False"]
