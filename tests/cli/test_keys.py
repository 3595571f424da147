"""`robot-hil keys` makes a usable file, once."""

import stat
from pathlib import Path

import pytest

from robot_hil.cli.keys import keys
from robot_hil.errors import ConfigError
from robot_hil.transport.keys import load_keys


def test_keys_are_made_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "lab" / "robot_hil.keys"
    keys(path)
    assert f"Wrote {path}" in capsys.readouterr().out
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    made = load_keys(path)
    with pytest.raises(ConfigError, match="not overwritten"):
        keys(path)
    assert load_keys(path) == made
