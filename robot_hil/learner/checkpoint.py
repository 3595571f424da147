"""Checkpoints: a directory per save, complete or not there at all, and checked byte by byte when loaded.

Written under a temporary name, every file and the directory synced, renamed, the parent synced. A kill or power cut
at any moment leaves the earlier checkpoints whole.
"""

import hashlib
import json
import logging
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from robot_hil.data.specs import Array
from robot_hil.errors import StorageError

_log = logging.getLogger(__name__)
_NAME = re.compile(r"checkpoint-(\d{6,})")
_GROUP = re.compile(r"[a-z][a-z0-9_]*")
_MANIFEST = "manifest.json"
_FORMAT = 1
_MAX_MANIFEST = 64 << 20
_TEMPORARY = ".tmp-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """One loaded checkpoint."""

    path: Path
    number: int
    """Counts saves, from 1; the largest is the newest."""
    arrays: dict[str, dict[str, Array]]
    """Group (e.g. `agent`) -> name -> array, writable."""
    state: dict[str, Any]
    """Plain values given to `save`: counters, RNG states, replay high-water marks, configuration, git hash."""
    skipped: tuple[str, ...]
    """Newer checkpoints that could not be used, and why."""


def save(
    root: Path | str, arrays: Mapping[str, Mapping[str, Array]], state: Mapping[str, Any], *, keep: int = 3
) -> Path:
    """Write a new checkpoint below `root`, durable on return, and drop all but the newest `keep`.

    `arrays`: group -> name -> numeric array, one safetensors file each. `state`: JSON values (integers of any size, so
    generator states fit). Raises `StorageError` when the disk refuses; earlier checkpoints are then untouched.
    """
    if keep < 1:
        raise StorageError(f"keep is {keep}; at least one checkpoint must be kept.")
    root = Path(root)
    try:
        files = {f"{group}.safetensors": _encode(group, params) for group, params in arrays.items()}
        manifest = _manifest(files, state)
    except (TypeError, ValueError, safetensors.SafetensorError) as error:
        raise StorageError(f"checkpoint cannot be encoded: {error}. Give numeric arrays, plain values.") from error
    try:
        os.makedirs(root, exist_ok=True)
        _remove_temporary(root)
        number = 1 + max((number for number, _ in _found(root)), default=0)
        target = root / f"checkpoint-{number:06d}"
        temporary = root / f"{_TEMPORARY}{target.name}"
        os.mkdir(temporary)
        for name, data in files.items():
            _write(temporary / name, data)
        _write(temporary / _MANIFEST, manifest)
        _sync(temporary)
        os.rename(temporary, target)
        _sync(root)
    except OSError as error:
        raise StorageError(
            f"checkpoint below {root} cannot be written: {error}. Earlier checkpoints are untouched; free some room "
            f"on the disk."
        ) from error
    _prune(root, keep)
    return target


def load(path: Path | str) -> Checkpoint:
    """Return the checkpoint in the directory `path`; raises `StorageError` unless its every byte is as written."""
    path = Path(path)
    match = _NAME.fullmatch(path.name)
    if match is None:
        raise StorageError(f"{path} is no checkpoint: its name is not of the form checkpoint-000001.")
    try:
        arrays, state = _load(path)
    except (StorageError, OSError) as error:
        raise StorageError(f"checkpoint {path} cannot be used: {error}.") from error
    return Checkpoint(path=path, number=int(match[1]), arrays=arrays, state=state, skipped=())


def load_newest(root: Path | str) -> Checkpoint:
    """Return the newest checkpoint below `root` whose every byte is as written; logs what it skipped and why.

    Raises `StorageError` when there is none: training never starts from zero by itself.
    """
    root = Path(root)
    skipped: list[str] = []
    for number, path in sorted(_found(root), reverse=True):
        try:
            arrays, state = _load(path)
        except (StorageError, OSError) as error:
            skipped.append(f"{path.name}: {error}")
            _log.warning("skipped %s: %s", path, error)
            continue
        return Checkpoint(path=path, number=number, arrays=arrays, state=state, skipped=tuple(skipped))
    found = "; ".join(skipped) if skipped else "there is none"
    raise StorageError(
        f"no usable checkpoint below {root}: {found}. Restore one from a copy, or start a new run without --resume."
    )


def has_checkpoint(root: Path | str) -> bool:
    """Return whether there is any checkpoint, usable or not, below `root`."""
    return bool(_found(Path(root)))


def _encode(group: str, params: Mapping[str, Array]) -> bytes:
    if not _GROUP.fullmatch(group):
        raise ValueError(f"group {group!r} is not a lower-case name")
    return safetensors.numpy.save({name: np.asarray(array, order="C") for name, array in params.items()})


def _manifest(files: Mapping[str, bytes], state: Mapping[str, Any]) -> bytes:
    rows = {name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in files.items()}
    body = _canonical({"format": _FORMAT, "files": rows, "state": dict(state)})
    # the first line vouches for the rest, so that no byte of the manifest can change unnoticed
    return hashlib.sha256(body).hexdigest().encode() + b"\n" + body


def _canonical(value: Any) -> bytes:
    return json.dumps(value, indent=1, sort_keys=True).encode() + b"\n"


def _write(path: Path, data: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(handle, view) :]
        os.fsync(handle)
    finally:
        os.close(handle)


def _sync(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _found(root: Path) -> list[tuple[int, Path]]:
    if not root.is_dir():
        return []
    matches = ((_NAME.fullmatch(path.name), path) for path in root.iterdir())
    return [(int(match[1]), path) for match, path in matches if match]


def _load(path: Path) -> tuple[dict[str, dict[str, Array]], dict[str, Any]]:
    manifest = path / _MANIFEST
    if not manifest.is_file() or manifest.stat().st_size > _MAX_MANIFEST:
        raise StorageError(f"{_MANIFEST} is missing or too large")
    digest, _, body = manifest.read_bytes().partition(b"\n")
    if hashlib.sha256(body).hexdigest().encode() != digest:
        raise StorageError(f"{_MANIFEST} is damaged")
    try:
        content = json.loads(body)
        version, files, state = content["format"], content["files"], content["state"]
    except (ValueError, KeyError, TypeError) as error:
        raise StorageError(f"{_MANIFEST} is not one of this program") from error
    if version != _FORMAT:
        raise StorageError(f"format is {version}; this program reads {_FORMAT}")
    arrays: dict[str, dict[str, Array]] = {}
    for name, row in files.items():
        file = path / Path(name).name
        if not file.is_file() or file.stat().st_size != row["bytes"]:
            raise StorageError(f"{name} is missing or not of {row['bytes']} bytes")
        data = file.read_bytes()
        if hashlib.sha256(data).hexdigest() != row["sha256"]:
            raise StorageError(f"{name} is damaged: its sha256 is not the manifest's")
        try:
            loaded = safetensors.numpy.load(data)
        except (safetensors.SafetensorError, ValueError, KeyError) as error:
            raise StorageError(f"{name} cannot be decoded: {error}") from error
        arrays[file.stem] = {key: np.array(array) for key, array in loaded.items()}
    return arrays, state


def _prune(root: Path, keep: int) -> None:
    """Drop old checkpoints; first renamed, so that a half-deleted one is never taken for a whole one."""
    for number, path in sorted(_found(root), reverse=True)[keep:]:
        try:
            doomed = root / f"{_TEMPORARY}old-{number}"
            os.rename(path, doomed)
            shutil.rmtree(doomed)
        except OSError as error:
            _log.warning("old checkpoint %s could not be removed: %s", path, error)


def _remove_temporary(root: Path) -> None:
    """Remove what a killed save left behind."""
    for path in root.iterdir():
        if path.name.startswith(_TEMPORARY):
            shutil.rmtree(path)
