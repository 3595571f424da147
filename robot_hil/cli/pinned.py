"""A run keeps the numbers it was started with, whatever the program's defaults have become since."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

from robot_hil.errors import StorageError


def pinned(value: Any, stored: Any, path: str = "") -> Any:
    """Return `value`, a dataclass, with the numbers that `stored` (its JSON) holds; what is newer keeps its default.

    Raises `StorageError` where `stored` has a number that no longer exists: such a run cannot go on as it was.
    """
    if is_dataclass(value) and not isinstance(value, type) and isinstance(stored, Mapping):
        if gone := sorted(set(stored) - {field.name for field in fields(value)}):
            names = ", ".join(f"{path}{name}" for name in gone)
            raise StorageError(
                f"the run was made with {names}, which this version of the program does not have. Use that of "
                "the commit in the run's config.json (`git`), or learn anew from its steps with `robot-hil relearn`."
            )
        changes = {name: pinned(getattr(value, name), entry, f"{path}{name}.") for name, entry in stored.items()}
        return replace(value, **changes)
    if isinstance(value, tuple) and isinstance(stored, list):
        return tuple(stored)
    if isinstance(value, Mapping) and isinstance(stored, Mapping):
        return {name: tuple(entry) if isinstance(entry, list) else entry for name, entry in stored.items()}
    return value if stored is None else stored  # JSON has no infinity
