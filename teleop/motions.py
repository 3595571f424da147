"""From commands in words to movements of a known length, and from movements to the action of each control period."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from robot_hil.data.robot import ActionScale
from robot_hil.data.specs import Array
from robot_hil.errors import ConfigError
from robot_hil.teleop.base import TWIST_AXES, Grip, to_action
from robot_hil.teleop.deflection import IDENTITY, DeflectionConfig
from robot_hil.teleop.phrases import Gripper, Move, Repeat, Size, Vector

_GRIP_S = 0.5
"""How long the gripper is driven where its speed is not known [s]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WordsConfig:
    """How far and how fast words move the robot."""

    small_m: float = 0.01
    """What "a bit" is [m]..."""
    normal_m: float = 0.03
    """...what a direction alone is [m]..."""
    large_m: float = 0.06
    """...and what "a lot" is [m]."""
    max_m: float = 0.15
    """A phrase that asks for more is refused [m]."""
    small_rad: float = math.radians(5)
    normal_rad: float = math.radians(15)
    large_rad: float = math.radians(30)
    max_rad: float = math.radians(90)
    speed_m_s: float = 0.05
    """Of the tool, limited by the task's own; "faster" and "slower" change it between a fifth and twice of this."""
    speed_rad_s: float = 0.3
    """The same of turns [rad/s]."""
    tail_s: float = 0.5
    """Time after a movement in which the person is still in charge [s]."""
    silence_s: float = 0.15
    """A page that is silent for longer while its words move the robot is lost [s]."""
    max_age_s: float = 0.5
    """A page that is silent for longer while nothing moves is not there [s]."""
    max_delay_s: float = 1.0
    """A phrase that is older when the robot comes to it moves nothing [s]."""
    rotation: tuple[tuple[float, float, float], ...] = IDENTITY
    """Operator's frame to robot base, a rotation matrix: x away from the operator, y to the left, z up."""

    def __post_init__(self) -> None:
        for unit in ("m", "rad"):
            sizes = [getattr(self, f"{size}_{unit}") for size in ("small", "normal", "large", "max")]
            if not (sizes[0] > 0 and sizes == sorted(sizes) and sizes[-1] < math.inf):
                raise ConfigError(
                    f"small, normal, large and max [{unit}] are {sizes}; give numbers above 0 in this order."
                )
        speeds = (self.speed_m_s, self.speed_rad_s)
        times = (self.silence_s, self.max_age_s, self.max_delay_s)
        if not all(0 < value < math.inf for value in (*speeds, *times)):
            raise ConfigError(f"speeds of words are {speeds}, times {times}; all must be above 0 and finite.")
        DeflectionConfig(rotation=self.rotation, tail_s=self.tail_s)  # the same is allowed as for a stick


class RefusedError(Exception):
    """A command that was understood and cannot be carried out; the text says why, for the operator."""


@dataclass(slots=True)
class Motion:
    """What is left to do of one command, robot base frame."""

    shift: Array
    """(3,) float64 [m]."""
    turn: Array
    """(3,) float64, axis times angle [rad]."""
    grip: Grip | None = None
    """Open or close instead of moving."""
    grip_steps: int = 1
    """Control periods that this still takes."""

    def begin(self, scale: ActionScale, width: float) -> None:
        """Find out how long the gripper takes from the commanded `width` [m]."""
        if self.grip is None:
            return
        goal = scale.gripper_range[1 if self.grip is Grip.OPEN else 0]
        if scale.gripper_m > 0:
            self.grip_steps = max(1, math.ceil(abs(goal - width) / scale.gripper_m - 1e-9))
        else:
            self.grip_steps = max(1, round(_GRIP_S / scale.period_s))

    def step(self, scale: ActionScale, config: WordsConfig, pace: float, grip: Grip) -> tuple[Array, bool]:
        """Return the next action, float32 (A,), and whether it was the last.

        The actions of all steps add up to the whole way: each takes an equal share of what is left, and what it is
        after rounding is what is taken off. `grip` is what the gripper goes on doing during a movement.
        """
        if self.grip is not None:
            self.grip_steps -= 1
            return to_action(scale, [0.0] * 6, self.grip), self.grip_steps <= 0
        steps = max(
            _steps(self.shift, config.speed_m_s * pace * scale.period_s, scale.linear_m),
            _steps(self.turn, config.speed_rad_s * pace * scale.period_s, scale.angular_rad),
        )
        twist = [*_share(self.shift, steps, scale.linear_m), *_share(self.turn, steps, scale.angular_rad)]
        action = to_action(scale, twist, grip)
        for i, name in enumerate(TWIST_AXES):
            if name in scale.axes:
                done = float(action[scale.axes.index(name)])
                left, step = (self.shift, scale.linear_m) if i < 3 else (self.turn, scale.angular_rad)
                left[i % 3] -= done * step
        return action, steps == 1

    def copy(self) -> "Motion":
        """Return one that can be carried out by itself."""
        return replace(self, shift=self.shift.copy(), turn=self.turn.copy())


def plan(
    command: Move | Gripper | Repeat, scale: ActionScale, config: WordsConfig, last: Sequence[Motion]
) -> list[Motion]:
    """Return the movements for `command`, where `last` is what was done last; raises `RefusedError`."""
    if isinstance(command, Move):
        return [_move(command, scale, config)]
    if isinstance(command, Gripper):
        if "gripper" not in scale.axes:
            raise RefusedError("There is no gripper to move in this task.")
        return [Motion(np.zeros(3), np.zeros(3), command.command)]
    if not last:
        raise RefusedError("There is nothing to do again yet; say a direction.")
    if command.amount is None:
        return [motion.copy() for motion in last]
    turn = bool(last[-1].turn.any())
    if last[-1].grip is not None or (not isinstance(command.amount, Size) and command.turn is not turn):
        raise RefusedError("That amount does not go with the last movement; say a direction.")
    way = last[-1].turn if turn else last[-1].shift
    x, y, z = (np.array(config.rotation).T @ (way / np.linalg.norm(way))).tolist()
    return [_move(Move((x, y, z), turn, command.amount), scale, config)]


def _move(command: Move, scale: ActionScale, config: WordsConfig) -> Motion:
    unit, limit = ("rad", config.max_rad) if command.turn else ("m", config.max_m)
    amount = command.amount
    length = getattr(config, f"{amount.name.lower()}_{unit}") if isinstance(amount, Size) else amount
    if length > limit * (1 + 1e-9):
        most = f"{math.degrees(limit):.0f} degrees" if command.turn else f"{limit * 100:g} cm"
        raise RefusedError(f"That is far: at most {most} at once.")
    axis: Vector = command.axis
    way = length * (np.array(config.rotation) @ np.array(axis))
    way[np.abs(way) < 1e-9 * length] = 0.0
    names, step = (TWIST_AXES[3:], scale.angular_rad) if command.turn else (TWIST_AXES[:3], scale.linear_m)
    if any(part and not (name in scale.axes and step > 0) for name, part in zip(names, way, strict=True)):
        raise RefusedError(f"The robot does not move that way in this task; its axes are {', '.join(scale.axes)}.")
    return Motion(np.zeros(3), way) if command.turn else Motion(way, np.zeros(3))


def _steps(way: Array, per_step: float, full: float) -> int:
    """Return how many periods `way` takes at `per_step` along it and at most `full` per axis."""
    if not way.any():
        return 1
    periods = max(float(np.linalg.norm(way)) / per_step, float(np.abs(way).max()) / full)
    return max(1, math.ceil(periods - 1e-6))


def _share(way: Array, steps: int, full: float) -> list[float]:
    """Return the deflections of the next of `steps` equal steps."""
    deflections: list[float] = (way / (steps * full)).tolist() if way.any() else [0.0] * 3
    return deflections
