"""The scripted expert that lifts a cube with a parallel gripper pointing down."""

import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from robot_hil.data.specs import Array
from robot_hil.teleop.simulated.expert import World, clip01, floats, number, to_action, towards


class _Scene(NamedTuple):
    tcp: list[float]
    target: list[float]
    cube: list[float]
    width: float
    fit: float  # width at which the fingers touch the cube as it lies, turned about the vertical axis [m]
    side: float  # horizontal distance from the fingers to the cube [m]
    height: float  # of the fingers above the cube's centre [m]
    around: bool  # the cube is between the fingers
    held: bool  # and they are closed on it


@dataclass(frozen=True, slots=True, kw_only=True)
class PickCubeExpert:
    """Above the cube, down, close, lift; opens, rises and tries again when that did not hold.

    Reads `tcp_pos`, `target_pos`, `cube_pos`, `cube_quat` (a cube lying flat) and `gripper_width`.
    Action: x, y, z, gripper.
    """

    action_dim: ClassVar[int] = 4
    goal_key: ClassVar[str] = "cube_pos"
    misjudged: ClassVar[tuple[int, ...]] = (0, 1)
    action_scale: float = 0.025
    """Motion of the commanded target per step at full deflection [m]."""
    gripper_scale: float = 0.048
    """Change of the gripper width per step at full deflection [m]."""
    open_sign: float = 1.0
    """Sign of the gripper action that opens."""
    open_width: float = 0.08
    """Width of the open gripper [m]."""
    cube_size: float = 0.04
    """Edge of the cube [m]."""
    hover: float = 0.06
    """Height above the cube's centre at which the arm travels [m]."""
    lift_height: float = 0.125
    """Height of the cube's centre that is surely high enough [m]."""
    nominal_step: float = 0.010
    """Path of a careful person per step, the unit of the cost [m]."""

    @property
    def tolerance(self) -> float:
        return 0.5 * (self.open_width - self.cube_size)

    def action(self, world: World, speed: float) -> Array:
        """See `Expert.action`."""
        s = self._look(world)
        if s.held:
            high = s.cube[2] > self.lift_height
            goal, grip = [*s.target[:2], s.target[2] + (0.0 if high else 1.0)], -self.open_sign
        elif s.around:
            goal, grip = s.cube, -self.open_sign
        else:
            goal, grip = self._approach(s), self.open_sign
        error = [g - t for g, t in zip(goal, s.target, strict=True)]
        # Slowly down to the cube, and slowly up until it has left the table.
        delicate = s.cube[2] < self.cube_size if s.held else s.side < 0.02 and s.height < self.hover
        return to_action((*towards(error, self.action_scale, speed * (0.6 if delicate else 1.0)), grip))

    def cost_to_go(self, world: World) -> float:
        """Reach, grip and lift, each in careful steps; nearer in any of them is cheaper."""
        s = self._look(world)
        lift = max(0.0, self.lift_height - s.cube[2]) / self.nominal_step
        if s.held:
            return lift
        apart = math.dist(s.tcp, s.cube)
        openness = clip01((s.width - s.fit) / (self.open_width - s.fit))
        here = clip01(1.0 - (apart - 0.01) / 0.02)  # 1 around the cube, 0 from 3 cm on
        grip = here * (1.0 + 4.0 * openness) + (1.0 - here) * (5.0 + 3.0 * (1.0 - openness))
        return apart / self.nominal_step + grip + lift

    def predict(self, world: World, action: Array) -> World:
        """See `Expert.predict`; a held cube moves along."""
        s = self._look(world)
        move = [self.action_scale * float(a) for a in action[:3]]
        opening = self.open_sign * float(action[3]) * self.gripper_scale
        width = s.width if s.held and opening < 0.0 else min(self.open_width, max(0.0, s.width + opening))
        return {
            **world,
            "tcp_pos": [a + b for a, b in zip(s.tcp, move, strict=True)],
            "target_pos": [a + b for a, b in zip(s.target, move, strict=True)],
            "cube_pos": [a + b for a, b in zip(s.cube, move, strict=True)] if s.held else s.cube,
            "gripper_width": width,
        }

    def hazard(self, world: World, action: Array) -> bool:
        """The fingers are about to come down on the cube, or a held cube is about to be let go."""
        s = self._look(world)
        if s.held:
            return self.open_sign * float(action[3]) > 0.5
        clears = s.width > s.fit and s.side < self.tolerance
        return not clears and s.side < self.cube_size and 0.0 < s.height < 0.04 and float(action[2]) < -0.1

    def pauses(self, world: World) -> bool:
        """Fingers around the cube, still open."""
        s = self._look(world)
        return s.around and s.width > self.open_width - 0.012

    def settled(self, world: World) -> bool:
        """Holding the cube, or above it with open fingers; not beside it or in the middle of closing."""
        s = self._look(world)
        return s.held or (s.width > s.fit + 0.01 and s.height > 0.5 * self.cube_size + 0.015)

    def _approach(self, s: _Scene) -> list[float]:
        """Travel high, come down in a funnel over the cube; rise first when low beside it."""
        fits = s.width > s.fit + 0.012
        if fits and s.side < 0.010 + 0.15 * max(0.0, s.height):
            return s.cube
        above = s.cube[2] + self.hover
        if s.height < 0.7 * self.hover and s.side < 2.0 * self.cube_size:
            return [*s.target[:2], above]
        return [*s.cube[:2], above]

    def _look(self, world: World) -> _Scene:
        tcp, cube = floats(world["tcp_pos"]), floats(world["cube_pos"])
        width = number(world["gripper_width"])
        side, height = math.hypot(tcp[0] - cube[0], tcp[1] - cube[1]), tcp[2] - cube[2]
        around = side < 0.012 and abs(height) < 0.012
        w, _, _, z = floats(world["cube_quat"])
        turn = 2.0 * math.atan2(z, w)
        fit = self.cube_size * (abs(math.cos(turn)) + abs(math.sin(turn)))
        held = around and width < fit + 0.003
        return _Scene(tcp, floats(world["target_pos"]), cube, width, fit, side, height, around, held)
