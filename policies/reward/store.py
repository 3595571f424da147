"""A model in a folder: a JSON file that says what it is, and a safetensors file that it names by its hash.

The arrays are written first, under a name of their own, the JSON file last and at once: a reader finds the old model or
the new one. The arrays of the model before stay, for a reader that had just opened its JSON.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from robot_hil.data.specs import Array
from robot_hil.errors import StorageError


def save(folder: Path, name: str, about: Mapping[str, Any], arrays: Mapping[str, Array]) -> None:
    """Write `name`.json and `name`-<hash>.safetensors; raises `StorageError` and leaves the model that was there."""
    from safetensors.numpy import save as encode

    data = encode({key: np.ascontiguousarray(value) for key, value in arrays.items()})
    digest = hashlib.sha256(data).hexdigest()
    file = f"{name}-{digest[:16]}.safetensors"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        before = _named(folder / f"{name}.json")
        _write(folder / file, data)
        text = json.dumps({**about, "file": file, "sha256": digest}, indent=2, allow_nan=False) + "\n"
        _write(folder / f"{name}.json", text.encode())
        for old in folder.glob(f"{name}-*.safetensors"):
            if old.name not in (file, before):
                old.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"{folder} cannot be written: {error}. The model was not saved.") from error


def load(folder: Path, name: str) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return what `save` wrote; raises `StorageError` when it is missing, damaged or not what its JSON says."""
    from safetensors import SafetensorError
    from safetensors.numpy import load as decode

    path = Path(folder) / f"{name}.json"
    try:
        about: dict[str, Any] = json.loads(path.read_text())
        data = (path.parent / about["file"]).read_bytes()
        if hashlib.sha256(data).hexdigest() != about["sha256"]:
            raise StorageError(f"{path.parent / about['file']} is damaged: its SHA-256 is not that in {path.name}.")
        return about, decode(data)
    except FileNotFoundError as error:
        raise StorageError(f"{error.filename} is missing: {folder} holds no trained model of this kind.") from error
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise StorageError(f"{path} cannot be read: {error!r}.") from error


def _named(path: Path) -> str:
    """Return the arrays' file that a JSON file names; empty when there is none that can be read."""
    try:
        return str(json.loads(path.read_text())["file"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _write(path: Path, data: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
