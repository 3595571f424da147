"""What a toy task is: pure functions of a scene, an immutable tuple of numbers. Plane of x (sideways) and z (up)."""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any, Protocol

import numpy as np

from robot_hil.data.specs import ArraySpec
from robot_hil.envs.task import ObsType
from robot_hil.envs.toy.picture import Canvas
from robot_hil.errors import StorageError


class ToyTask(Protocol):
    """How a toy task begins, moves, is seen and succeeds. Metres; no function changes its arguments."""

    env_id: str
    instruction: str
    max_seconds: float
    axes: tuple[str, ...]
    """Of the action: x, z and what else the task has; see `robot_hil.data.robot.ActionScale`."""
    speeds: tuple[float, ...]
    """Of each axis at full deflection, per second: m/s, or force per second for a gripper."""
    goals: tuple[str, ...]
    """What an episode can aim at; the first is the task's own."""
    disturbances: tuple[str, ...]
    """Kinds of disturbance beyond those every toy knows; see `robot_hil.data.disturbance.Disturbance`."""
    view: tuple[float, float, float]
    """Left edge, lower edge and side of the square that a picture shows [m]."""

    def observation_spec(self, obs_type: ObsType) -> ArraySpec:
        """Specification of the vector `observe` returns for `obs_type`: `state`, or `proprio` beside an image."""
        ...

    def start(self, rng: np.random.Generator, goal: str) -> Any:
        """Return the scene of a fresh episode that aims at `goal`."""
        ...

    def go_on(self, scene: Any, goal: str) -> Any:
        """Return `scene` as the start of an episode that aims at `goal`: nothing moves, counts begin anew."""
        ...

    def advance(self, scene: Any, move: Sequence[float]) -> Any:
        """Return the scene after the axes moved by `move` [m, or force] as far as they can."""
        ...

    def success(self, scene: Any) -> bool:
        """Return whether the goal is reached."""
        ...

    def observe(self, scene: Any, obs_type: ObsType) -> list[float]:
        """Return the vector of `observation_spec`, not yet clipped to its bounds."""
        ...

    def place(self, scene: Any) -> tuple[float, float, float]:
        """Return the tool's x and z [m] and the gripper's opening as a share, 1 open."""
        ...

    def privileged(self, scene: Any) -> dict[str, Any]:
        """Return the task's ground truth, copies."""
        ...

    def metrics(self, scene: Any) -> dict[str, float]:
        """Return what the episode counted so far, by name; part of the `info` of every step."""
        ...

    def disturb(self, scene: Any, kind: str, x: float, z: float) -> Any:
        """Return the scene after a disturbance of `kind`; one that something holds in place leaves it as it was."""
        ...

    def draw(self, scene: Any, canvas: Canvas) -> None:
        """Draw the scene."""
        ...


def clamp(value: float, low: float, high: float) -> float:
    """Return `value` limited to [low, high]."""
    return low if value < low else high if value > high else value


def scene_like(example: Any, values: Mapping[str, Any]) -> Any:
    """Return the scene with the fields `values`, e.g. from JSON; `example` says which fields of which types there are.

    Raises `StorageError` for fields that are missing, unknown, of another type or not finite.
    """
    if set(values) != set(example._fields):
        raise StorageError(f"a state of this task has {sorted(example._fields)}; this one has {sorted(values)}.")
    read: dict[str, Any] = {}
    for name, old in example._asdict().items():
        value = values[name]
        if isinstance(old, tuple) and isinstance(value, list | tuple):
            new: Any = tuple(value)
            good = len(new) == len(old) and all(_is_number(v) for v in new)
        elif isinstance(old, float):
            new, good = value, _is_number(value)
        else:
            new, good = value, type(value) is type(old)
        if not good:
            raise StorageError(f"the state's {name} is {value!r}; it must be something like {old!r}.")
        read[name] = float(new) if isinstance(old, float) else new
    return type(example)(**read)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
