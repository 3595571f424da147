"""Key files: made once, private, refused with the way out when they cannot be used."""

import stat

import pytest

from robot_hil.errors import ConfigError
from robot_hil.transport.keys import load_keys, make_keys


def test_made_private_and_read_back(tmp_path) -> None:
    path = tmp_path / "deep" / "keys"
    keys = make_keys(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_keys(path) == keys
    assert keys.server_secret.decode() not in repr(keys)


def test_never_overwritten(tmp_path) -> None:
    keys = make_keys(tmp_path / "keys")
    with pytest.raises(ConfigError, match="not overwritten"):
        make_keys(tmp_path / "keys")
    assert load_keys(tmp_path / "keys") == keys


def test_missing_names_the_command(tmp_path) -> None:
    with pytest.raises(ConfigError, match=r"does not exist. Make one with `robot-hil keys"):
        load_keys(tmp_path / "keys")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o620, 0o644])
def test_readable_by_others_is_refused(tmp_path, mode: int) -> None:
    make_keys(tmp_path / "keys")
    (tmp_path / "keys").chmod(mode)
    with pytest.raises(ConfigError, match=rf"mode 0{mode:o}.*chmod 600"):
        load_keys(tmp_path / "keys")


@pytest.mark.parametrize("change", ["cut", "swap", "binary", "empty", "illegal"])
def test_damaged_is_refused(tmp_path, change: str) -> None:
    path = tmp_path / "keys"
    keys = make_keys(path)
    text = path.read_bytes()
    path.write_bytes(
        {
            "cut": text[:-20],
            "swap": text.replace(keys.server_public, keys.client_public),
            "binary": b"\xff\x00" * 100,
            "empty": b"",
            "illegal": text.replace(keys.server_secret, b'"' * 40),
        }[change]
    )
    with pytest.raises(ConfigError, match="robot-hil keys"):
        load_keys(path)
