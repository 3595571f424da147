"""CURVE keys: one file with the server's and the clients' pair, made once and copied to the second machine."""

import os
import stat
from dataclasses import dataclass, fields
from pathlib import Path

import zmq

from robot_hil.errors import ConfigError, TransportError

_MAKE = "Make one with `robot-hil keys {path}` on one machine and copy it to the other (scp -p)."
_MAX_BYTES = 4096


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Keys:
    """Both pairs, Z85 text as bytes (40 each). The learner holds the server's secret, actors the client's."""

    server_public: bytes
    server_secret: bytes
    client_public: bytes
    client_secret: bytes


def make_keys(path: Path | str) -> Keys:
    """Write a new key file readable by its owner only, and return it; never overwrites one."""
    path = Path(path)
    server_public, server_secret = zmq.curve_keypair()
    client_public, client_secret = zmq.curve_keypair()
    keys = Keys(
        server_public=server_public,
        server_secret=server_secret,
        client_public=client_public,
        client_secret=client_secret,
    )
    lines = ["# robot_hil keys. Whoever can read this file can send data to the learner and read its policy."]
    lines += [f"{field.name} = {getattr(keys, field.name).decode()}" for field in fields(Keys)]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise ConfigError(
            f"key file {path} exists and is not overwritten. Use it, name another file, or remove it first "
            f"(every machine with a copy then needs the new one)."
        ) from error
    except OSError as error:
        raise ConfigError(f"key file {path} cannot be written: {error.strerror}. Choose another folder.") from error
    with os.fdopen(handle, "w") as file:
        file.write("\n".join(lines) + "\n")
        file.flush()
        os.fsync(file.fileno())
    return keys


def load_keys(path: Path | str) -> Keys:
    """Read a key file; refuses one that is missing, damaged, or readable by anyone but its owner."""
    path = Path(path)
    try:
        mode = path.stat().st_mode
        text = path.read_bytes()[:_MAX_BYTES].decode("ascii")
    except FileNotFoundError as error:
        raise ConfigError(f"key file {path} does not exist. {_MAKE.format(path=path)}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"key file {path} cannot be read: {error}. {_MAKE.format(path=path)}") from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigError(
            f"key file {path} has mode {stat.S_IMODE(mode):04o}: others can read it. Run `chmod 600 {path}`; "
            f"if strangers use this machine, make a new one with `robot-hil keys`."
        )
    rows = [line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#")]
    values = {name.strip(): value.strip().encode() for name, value in rows}
    names = {field.name for field in fields(Keys)}
    if set(values) != names or any(len(value) != 40 for value in values.values()):
        raise ConfigError(f"key file {path} is damaged or no key file. {_MAKE.format(path=path)}")
    keys = Keys(**values)
    for public, secret in ((keys.server_public, keys.server_secret), (keys.client_public, keys.client_secret)):
        try:
            matches = zmq.curve_public(secret) == public
        except (zmq.ZMQError, ValueError) as error:
            raise ConfigError(f"key file {path} holds a key that is none. {_MAKE.format(path=path)}") from error
        if not matches:
            raise ConfigError(f"key file {path} holds keys that do not belong together. {_MAKE.format(path=path)}")
    return keys


def require_curve() -> None:
    """Raise `TransportError` when the installed libzmq cannot encrypt."""
    if not zmq.has("curve"):
        raise TransportError("the installed pyzmq has no CURVE encryption. Install the wheel: `pip install -U pyzmq`.")
