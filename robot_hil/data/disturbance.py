"""What an adversary does to the world between two steps, and how a step keeps it, to be done again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from robot_hil.errors import SpecError

AXES = ("x", "y", "z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Disturbance:
    """One push of the world, by a script or a second person."""

    kind: str
    """`gripper`: the tool is moved by (x, y, z) [m], as far as it can. `gain`: from now on its axes move x and z times
    as far as told. `drift`: from now on it drifts by (x, z) [m/s]. And what the task knows: `object`, `goal`, `slip`.
    A world takes those that it names as its `disturbances`."""
    x: float = 0.0
    y: float = 0.0
    """Nothing to tasks in a plane."""
    z: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Disturbed:
    """What a disturbance did: with the episode's first state and its actions enough to play the episode again."""

    disturbance: Disturbance
    step: int
    """Steps of the episode made before it."""
    before: Mapping[str, Any]
    """State of the world, JSON-ready; equal to `after` where something held in place what was to move."""
    after: Mapping[str, Any]


def written(disturbances: Sequence[Disturbance]) -> str:
    """Return what `Step.perturbation` holds of a step with `disturbances`; empty for none.

    >>> written([Disturbance(kind="object", x=0.02), Disturbance(kind="slip")])
    'object x=0.02; slip'
    """
    parts = []
    for one in disturbances:
        values = [f"{axis}={value!r}" for axis in AXES if (value := getattr(one, axis))]
        parts.append(" ".join([one.kind, *values]))
    return "; ".join(parts)


def read(text: str) -> tuple[Disturbance, ...]:
    """Return the disturbances of a step's `perturbation`; raises `SpecError` for what `written` never wrote.

    >>> read("object x=0.02; slip")[0].x
    0.02
    """
    return tuple(_read(part) for part in text.split(";")) if text.strip() else ()


def _read(part: str) -> Disturbance:
    words = part.split()
    pairs = [word.partition("=") for word in words[1:]]
    try:
        values = {name: float(value) for name, _, value in pairs}
    except ValueError:
        values = {"": 0.0}
    if not words or "=" in words[0] or not set(values) <= set(AXES) or not all(map(isfinite, values.values())):
        raise SpecError(f"{part!r} is no disturbance; one looks like 'object x=0.02 z=-0.01'.")
    return Disturbance(kind=words[0], **values)
