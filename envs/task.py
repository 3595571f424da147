"""What a task of a robot arm is: how it begins, what is seen of it, when it succeeded; and what its actions mean."""

from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np

from robot_hil.data import rotation
from robot_hil.data.disturbance import Disturbance
from robot_hil.data.robot import ArmState, CartesianTarget
from robot_hil.data.specs import ArraySpec

ObsType = Literal["state", "pixels"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Motion:
    """What an action means: which axes it moves, how fast, and how far the commanded pose may lead the measured one."""

    axes: tuple[str, ...]
    """Subset of x, y, z, rx, ry, rz, gripper, in this order; base frame."""
    linear_speed: float
    """Of the commanded position at full deflection, per axis [m/s]."""
    angular_speed: float = 0.0
    """Of the commanded orientation at full deflection, per axis [rad/s]."""
    gripper_speed: float = 0.0
    """Of the commanded width at full deflection [m/s]; +1 opens."""
    lead_m: float = 0.03
    """Largest distance between commanded and measured position: pressing on a surface cannot wind up."""
    lead_rad: float = 0.3
    """The same for the orientation."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a task judges: the measured state and what was commanded."""

    arm: ArmState
    target_pos: tuple[float, float, float]
    target_quat: rotation.Quat
    target_width: float
    """Commanded distance between the fingers [m]."""


class Task(Protocol):
    """A task: how it begins, what is seen of it, when it succeeded."""

    env_id: str
    instruction: str
    max_seconds: float
    motion: Motion

    def observation_spec(self, obs_type: ObsType) -> ArraySpec:
        """Specification of the vector `observe` returns for `obs_type`: `state`, or `proprio` beside images."""
        ...

    def reset(self, rng: np.random.Generator) -> CartesianTarget:
        """Prepare a new episode and return the pose the tool shall start from."""
        ...

    def observe(self, reading: Reading, obs_type: ObsType) -> list[float]:
        """Return the vector of `observation_spec`, not yet clipped to its bounds."""
        ...

    def success(self, reading: Reading) -> bool:
        """Return whether the task is done."""
        ...

    def privileged(self, reading: Reading) -> dict[str, Any]:
        """Return the task's ground truth; empty on a real robot."""
        ...


@runtime_checkable
class DisturbableTask(Protocol):
    """A simulated task whose world an adversary may push."""

    disturbances: tuple[str, ...]
    """Kinds of disturbance that it knows; see `robot_hil.data.disturbance.Disturbance`."""

    def disturb(self, reading: Reading, what: Disturbance) -> None:
        """Do it between two steps, unless something holds in place what was to move, or stands where it was to go."""
        ...
