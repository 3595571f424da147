"""What two processes must agree on before data flows between them, as plain data, and their readable difference."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from robot_hil.data.specs import EnvSpec

_ABSENT = "nothing"


def spec_to_dict(spec: EnvSpec) -> dict[str, Any]:
    """Return `spec` as nested dicts of plain values, to be stored, sent and compared."""
    return {
        "env_id": spec.env_id,
        "observation": {name: _plain(asdict(array)) for name, array in sorted(spec.observation.items())},
        "action": _plain(asdict(spec.action)),
        "control_hz": float(spec.control_hz),
        "max_episode_steps": int(spec.max_episode_steps),
        "task": spec.task,
        "version": int(spec.version),
    }


def differences(ours: Any, theirs: Any, name_ours: str, name_theirs: str, path: str = "") -> list[str]:
    """Return one line for each value in which two nested dicts differ; empty when they agree."""
    if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
        lines = []
        for key in sorted({*ours, *theirs}):
            below = f"{path}.{key}" if path else str(key)
            lines += differences(ours.get(key, _ABSENT), theirs.get(key, _ABSENT), name_ours, name_theirs, below)
        return lines
    if ours == theirs:
        return []
    return [f"{path}: {name_ours} has {_short(ours)}, {name_theirs} has {_short(theirs)}"]


def _plain(array: dict[str, Any]) -> dict[str, Any]:
    low, high = float(array["low"]), float(array["high"])
    return {
        "shape": list(array["shape"]),
        "dtype": array["dtype"],
        # text, because infinity does not survive JSON
        "low": repr(low),
        "high": repr(high),
        "names": list(array["names"]),
    }


def _short(value: Any) -> str:
    if isinstance(value, Mapping) and "shape" in value and "dtype" in value:
        return f"{value['dtype']}{tuple(value['shape'])}"
    return value if value == _ABSENT else repr(value)
