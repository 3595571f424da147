"""From servo positions to joint angles: where each joint's zero is, which way it turns, how far the gripper opens."""

import math
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from robot_hil.errors import ConfigError

TURN = 4096
"""Ticks per turn of a servo."""
RAD_PER_TICK = 2.0 * math.pi / TURN
_HEADER = "# Leader arm: joint angle = sign * (tick - zero_tick) * 2 pi / 4096, in the turn next to middle_rad.\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class JointServo:
    """A servo in a joint."""

    id: int
    zero_tick: int
    """Where the robot's joint angle is 0."""
    sign: int = 1
    """-1 when the servo's positions fall as the robot's joint angle rises."""
    middle_rad: float = 0.0
    """Of the joint's range. A servo that was switched off does not know which turn it is in: it is the one next to
    this angle [rad]."""

    def __post_init__(self) -> None:
        _check_id(self.id)
        if self.sign not in (-1, 1):
            raise ConfigError(f"servo {self.id} has sign {self.sign}; give 1 or -1.")
        if not math.isfinite(self.middle_rad):
            raise ConfigError(f"servo {self.id} has middle_rad {self.middle_rad}; give an angle in rad.")


@dataclass(frozen=True, slots=True, kw_only=True)
class GripperServo:
    """The servo of the trigger that stands for the gripper."""

    id: int
    open_tick: int
    closed_tick: int

    def __post_init__(self) -> None:
        _check_id(self.id)
        if abs(self.closed_tick - self.open_tick) < 0.02 * TURN:
            raise ConfigError(
                f"the gripper's servo {self.id} has open_tick {self.open_tick} and closed_tick {self.closed_tick}; "
                f"they must be at least {math.ceil(0.02 * TURN)} ticks apart: measure them again."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """All servos of a leader arm, in the order of the robot's joints."""

    joints: tuple[JointServo, ...]
    gripper: GripperServo | None = None

    def __post_init__(self) -> None:
        if not self.joints:
            raise ConfigError("a leader arm without joints drives nothing; name at least one.")
        if len(set(self.ids)) != len(self.ids):
            raise ConfigError(f"the servos' ids {self.ids} must all differ.")

    @property
    def ids(self) -> tuple[int, ...]:
        """Return the ids on the bus: the joints', then the gripper's."""
        return (*(joint.id for joint in self.joints), *((self.gripper.id,) if self.gripper else ()))

    def joint_pos(self, ticks: Sequence[int], near: Sequence[float] | None = None) -> tuple[float, ...]:
        """Return joint angles [rad] for `ticks` of `ids`, each in the turn next to `near` [rad], or to its middle."""
        near = near or [joint.middle_rad for joint in self.joints]
        angles = []
        for joint, tick, close in zip(self.joints, ticks, near, strict=False):
            angle = joint.sign * (tick - joint.zero_tick) * RAD_PER_TICK
            angles.append(angle + 2.0 * math.pi * round((close - angle) / (2.0 * math.pi)))
        return tuple(angles)

    def squeeze(self, ticks: Sequence[int]) -> float | None:
        """Return how far the trigger is pulled, 0 open to 1 closed; None without one."""
        if self.gripper is None:
            return None
        way = self.gripper.closed_tick - self.gripper.open_tick
        # In the turn in which the trigger is nearest to the middle of its way.
        past = (ticks[len(self.joints)] - self.gripper.open_tick - way / 2 + TURN / 2) % TURN - TURN / 2 + way / 2
        return min(max(past / way, 0.0), 1.0)

    @staticmethod
    def load(path: Path) -> "Calibration":
        """Read a file that `save` wrote; raises `ConfigError` that names what is wrong with it."""
        try:
            content = tomllib.loads(path.read_text(encoding="utf-8"))
            gripper = content.get("gripper")
            return Calibration(
                joints=tuple(JointServo(**joint) for joint in content["joint"]),
                gripper=GripperServo(**gripper) if gripper else None,
            )
        except OSError as error:
            raise ConfigError(f"calibration {path} cannot be read ({error}); make one as docs say.") from error
        except (tomllib.TOMLDecodeError, TypeError, KeyError, ValueError) as error:
            raise ConfigError(f"calibration {path} is damaged: {error}. Correct it or make it anew.") from error

    def save(self, path: Path) -> None:
        """Write a file that a person can read and correct."""
        text = _HEADER
        for joint in self.joints:
            text += f"\n[[joint]]\nid = {joint.id}\nzero_tick = {joint.zero_tick}\nsign = {joint.sign}\n"
            text += f"middle_rad = {float(joint.middle_rad)!r}\n"
        if self.gripper is not None:
            gripper = self.gripper
            text += f"\n[gripper]\nid = {gripper.id}\nopen_tick = {gripper.open_tick}\n"
            text += f"closed_tick = {gripper.closed_tick}\n"
        path.write_text(text, encoding="utf-8")


def calibrate(
    ids: Sequence[int],
    ticks: Sequence[int],
    joint_pos: Sequence[float],
    signs: Sequence[int],
    gripper: GripperServo | None = None,
) -> Calibration:
    """Return the calibration of an arm that was held in a known pose.

    Parameters
    ----------
    ids, ticks
        Of the joints' servos in the order of the robot's joints, and what they said in that pose.
    joint_pos
        The robot's joint angles in the same pose [rad]: put the leader beside the robot and read `ToolState.joint_pos`.
        They are also taken for the middle of each joint's range: choose a pose half-way.
    signs
        1 or -1 per joint: which way each servo turns.
    gripper
        The trigger's servo, if there is one.
    """
    if not len(ids) == len(ticks) == len(joint_pos) == len(signs):
        raise ConfigError(
            f"{len(ids)} ids, {len(ticks)} ticks, {len(joint_pos)} joint angles and {len(signs)} signs were given; "
            "give as many of each as the robot has joints."
        )
    joints = [
        JointServo(id=id_, zero_tick=round(tick - sign * angle / RAD_PER_TICK), sign=sign, middle_rad=float(angle))
        for id_, tick, angle, sign in zip(ids, ticks, joint_pos, signs, strict=True)
    ]
    return Calibration(joints=tuple(joints), gripper=gripper)


def find_signs(
    ticks: Sequence[int], joint_pos: Sequence[float], other_ticks: Sequence[int], other_pos: Sequence[float]
) -> tuple[int, ...]:
    """Return which way each servo turns, 1 or -1, from two poses of leader and robot, less than half a turn apart.

    Raises `ConfigError` for a joint that moved less than 0.2 rad, or not as far on the leader as on the robot.
    """
    signs = []
    pairs = zip(ticks, joint_pos, other_ticks, other_pos, strict=True)
    for joint, (tick, angle, other_tick, other_angle) in enumerate(pairs, 1):
        leader = ((other_tick - tick + TURN / 2) % TURN - TURN / 2) * RAD_PER_TICK
        robot = other_angle - angle
        if abs(robot) < 0.2 or abs(abs(leader) - abs(robot)) > 0.3:
            raise ConfigError(
                f"joint {joint} moved by {robot:.2f} rad on the robot and {leader:.2f} on the leader; "
                "move each at least 0.2 rad, and both alike."
            )
        signs.append(1 if leader * robot > 0 else -1)
    return tuple(signs)


def _check_id(servo: int) -> None:
    if not 0 <= servo <= 252:
        raise ConfigError(f"servo id {servo} does not exist; allowed are 0 to 252.")
