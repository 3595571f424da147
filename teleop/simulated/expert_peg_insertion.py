"""The scripted expert that puts a square peg, held upside down in the gripper, into a hole of unknown yaw."""

import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from robot_hil.data.specs import Array
from robot_hil.teleop.simulated.expert import World, clip01, floats, number, to_action, towards, wrap


class _Scene(NamedTuple):
    off: tuple[float, float]  # from the tip to the hole's axis, horizontally [m]
    side: float  # length of that [m]
    height: float  # of the tip above the hole's mouth; negative inside [m]
    yaw: float  # to turn the peg about the vertical axis, nearest of the square's four [rad]
    tilt: tuple[float, float]  # to turn about x and y so that the peg stands upright [rad]
    lead: tuple[float, float, float]  # commanded minus measured tool position [m]
    touching: bool  # the height of the plate, or below it without being inside
    inside: bool
    aligned: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PegInsertionExpert:
    """Over the hole, turn, pause, down; lifts and tries again when it sits beside the hole.

    Reads `tcp_pos`, `tcp_quat`, `target_pos`, `peg_tip_pos`, `peg_yaw`, `hole_pos` (centre of the mouth) and
    `hole_yaw`. Action: x, y, z, rx, ry, rz in the base frame.
    """

    action_dim: ClassVar[int] = 6
    goal_key: ClassVar[str] = "hole_pos"
    misjudged: ClassVar[tuple[int, ...]] = (0, 1)
    action_scale: float = 0.010
    """Motion of the commanded target per step at full deflection [m]."""
    rotation_scale: float = 0.05
    """Turn of the commanded target per step at full deflection [rad]."""
    clearance: float = 0.0005
    """Hole width minus peg width [m]."""
    depth: float = 0.02
    """Depth of the tip below the mouth that counts as inserted [m]."""
    hover: float = 0.008
    """Height of the tip at which it is aligned [m]."""
    nominal_step: float = 0.004
    """Path of a careful person per step in the open, the unit of the cost [m]."""
    insert_step: float = 0.002
    """The same inside the hole [m]."""

    @property
    def tolerance(self) -> float:
        return 4.0 * self.clearance

    def action(self, world: World, speed: float) -> Array:
        """See `Expert.action`."""
        s = self._look(world)
        if s.inside:
            # The walls guide: centre by feel, push on, keep the commanded pose from running away.
            centre = [0.4 * off - 0.2 * lead for off, lead in zip(s.off, s.lead[:2], strict=True)]
            move = [*centre, -0.6 * speed * self.action_scale]
        elif s.aligned:
            move = [0.5 * (off - 0.3 * lead) for off, lead in zip(s.off, s.lead[:2], strict=True)]
            move.append(-0.5 * speed * self.action_scale)
        elif s.touching and s.side < 3.0 * self.clearance and abs(s.yaw) < 0.03:
            # Nearly there: lean on the edge and slide until it drops in, as one does by feel.
            move = [*(0.3 * off for off in s.off), 0.5 * (-0.001 - s.lead[2])]
        elif s.touching:
            move = [0.0, 0.0, speed * self.action_scale]  # beside the hole or jammed: lift first
        else:
            rise = self.hover - s.height
            goal = (*s.off, min(0.0, rise) if s.side < 4.0 * self.clearance else rise)
            # Allow for the motion already commanded; near the goal less, or the arm's sag would never be corrected.
            trust = 1.0 if s.side > 0.005 else 0.3
            way = [g - trust * lead for g, lead in zip(goal, s.lead, strict=True)]
            move = [self.action_scale * m for m in towards(way, self.action_scale, speed)]
        turn = [0.5 * t / self.rotation_scale for t in (*s.tilt, s.yaw)]
        turn = [max(-speed, min(speed, t)) for t in turn]
        return to_action((*(m / self.action_scale for m in move), *turn))

    def cost_to_go(self, world: World) -> float:
        """Travel, align and insert, in careful steps; a peg far beside the hole has the way back up to go.

        The last millimetres count by halvings, so that fine alignment shows as progress.
        """
        s = self._look(world)
        sink = max(0.0, self.depth + min(0.0, s.height)) / self.insert_step
        if s.inside:
            return sink
        fine = 0.5 * self.clearance
        halvings = min(4.0, math.log2(max(s.side, fine) / fine)) + min(3.0, math.log2(max(abs(s.yaw), 0.015) / 0.015))
        turn = abs(s.yaw) / (0.8 * self.rotation_scale) + max(abs(s.tilt[0]), abs(s.tilt[1])) / (
            0.8 * self.rotation_scale
        )
        travel = (s.side + max(0.0, s.height)) / self.nominal_step
        beside = clip01((s.side - 0.0015) / 0.0015)
        back_up = beside * max(0.0, 0.5 * self.hover - s.height) / self.nominal_step
        return travel + turn + halvings + 2.0 * back_up + sink

    def predict(self, world: World, action: Array) -> World:
        """See `Expert.predict`."""
        move = [self.action_scale * float(a) for a in action[:3]]
        moved = {
            key: [a + b for a, b in zip(floats(world[key]), move, strict=True)]
            for key in ("tcp_pos", "target_pos", "peg_tip_pos")
        }
        return {**world, **moved, "peg_yaw": float(world["peg_yaw"]) + self.rotation_scale * float(action[5])}

    def hazard(self, world: World, action: Array) -> bool:
        """The peg is about to be pressed on the plate beside the hole."""
        s = self._look(world)
        if s.inside or s.aligned:
            return False
        return s.height + self.action_scale * float(action[2]) < 0.0 and float(action[2]) < -0.1

    def pauses(self, world: World) -> bool:
        """Aligned above the mouth."""
        s = self._look(world)
        return s.aligned and not s.inside and 0.3 * self.hover < s.height < 1.2 * self.hover

    def settled(self, world: World) -> bool:
        """In the hole, or free above the plate."""
        s = self._look(world)
        return s.inside or s.height > 0.4 * self.hover

    def _look(self, world: World) -> _Scene:
        tip, hole = floats(world["peg_tip_pos"]), floats(world["hole_pos"])
        tcp, target = floats(world["tcp_pos"]), floats(world["target_pos"])
        w, x, y, z = floats(world["tcp_quat"])
        # Third column of the rotation: the tool's z axis, which should point straight down. Turning by the cross
        # product of the two (small angles) makes it so.
        tool_z = (2.0 * (x * z + w * y), 2.0 * (y * z - w * x))
        tilt = (-tool_z[1], tool_z[0])
        off = (hole[0] - tip[0], hole[1] - tip[1])
        side, height = math.hypot(*off), tip[2] - hole[2]
        yaw = wrap(number(world["hole_yaw"]) - number(world["peg_yaw"]), math.pi / 2)
        inside = height < -0.001 and side < 2.0 * self.clearance
        touching = height < 0.001 and not inside
        close = 0.5 * self.clearance + 0.05 * max(0.0, height)
        aligned = side < close and abs(yaw) < 0.015 and max(abs(tilt[0]), abs(tilt[1])) < 0.02
        lead = (target[0] - tcp[0], target[1] - tcp[1], target[2] - tcp[2])
        return _Scene(off, side, height, yaw, tilt, lead, touching, inside, aligned)
