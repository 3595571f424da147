"""What a scripted expert is: pure functions of the true state of the world, one per task."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from robot_hil.data.specs import Array

World = Mapping[str, Any]
"""Ground truth by name, as the simulated environments give it: metres, radians, base frame, quaternions wxyz."""


class Expert(Protocol):
    """A careful way to do one task from any state. No memory: equal worlds give equal answers."""

    @property
    def action_dim(self) -> int:
        """Length of an action."""
        ...

    @property
    def goal_key(self) -> str:
        """The world's entry that a person can misjudge, (3,) [m]."""
        ...

    @property
    def tolerance(self) -> float:
        """Sideways error of `goal_key` that the task just forgives [m]."""
        ...

    @property
    def misjudged(self) -> tuple[int, ...]:
        """Axes of `goal_key` along which a person can misjudge it, one or two of 0, 1, 2."""
        ...

    def action(self, world: World, speed: float) -> Array:
        """Return float32 (A,) in [-1, 1]; `speed` in (0, 1] bounds the deflection in free space."""
        ...

    def cost_to_go(self, world: World) -> float:
        """Return the steps a careful person still needs, >= 0; falls along any sensible way to the goal."""
        ...

    def predict(self, world: World, action: Array) -> World:
        """Return the world one step later if nothing were in the way (kinematics only)."""
        ...

    def hazard(self, world: World, action: Array) -> bool:
        """Return whether `action` is about to do what is hard to undo: a jam, a blow on the part."""
        ...

    def pauses(self, world: World) -> bool:
        """Return whether a careful person would pause here before going on."""
        ...

    def settled(self, world: World) -> bool:
        """Return whether this is a safe moment to let go: not in the middle of a delicate move."""
        ...


def towards(error: Sequence[float], scale: float, speed: float) -> tuple[float, ...]:
    """Return the deflection that moves along `error` [m or rad], in a straight line, at most `speed` long per axis.

    Slows in proportion within two steps of the goal, so it arrives without overshoot.
    """
    largest = max(abs(e) for e in error)
    if largest < 1e-9:
        return tuple(0.0 for _ in error)
    step = min(0.5 * largest / scale, speed)
    return tuple(e / largest * step for e in error)


def to_action(values: Sequence[float]) -> Array:
    """Return `values` clipped to [-1, 1] as float32 (A,)."""
    return np.array([min(1.0, max(-1.0, v)) for v in values], dtype=np.float32)


def clip01(x: float) -> float:
    """Return `x` limited to [0, 1]."""
    return min(1.0, max(0.0, x))


def wrap(angle: float, period: float) -> float:
    """Return `angle` shifted by whole periods into [-period/2, period/2)."""
    return (angle + 0.5 * period) % period - 0.5 * period


def floats(value: Any) -> list[float]:
    """Return a small vector as Python floats, far quicker than numpy for three numbers; refuses what is not finite."""
    out = value.tolist() if isinstance(value, np.ndarray) else [float(v) for v in value]
    if not math.isfinite(sum(out)):
        raise ValueError(f"the world holds {out}; every number must be finite")
    return out


def number(value: Any) -> float:
    """Return one number of the world; refuses what is not finite."""
    out = float(value)
    if not math.isfinite(out):
        raise ValueError(f"the world holds {out}; every number must be finite")
    return out
