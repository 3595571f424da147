"""The scripted expert that passes the toy pillar, over it or under it. Its cost is exact, in closed form."""

from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

from robot_hil.data.specs import Array
from robot_hil.teleop.simulated.expert import World, floats, number, to_action
from robot_hil.teleop.simulated.expert_peg_slot import bounded

Style = Literal["over", "under", "mixed", "nearest"]


class _Scene(NamedTuple):
    x: float
    z: float
    goal: tuple[float, float]
    radius: float
    pillar: float  # height of its centre [m]
    half: tuple[float, float]  # of its width and height [m]
    step: float  # at full deflection [m]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReachPillarExpert:
    """Reads `tcp_pos`, `goal_pos`, `goal_radius`, `pillar_pos`, `pillar_half`, `episode`, `step_m`. Action: x, z."""

    action_dim: ClassVar[int] = 2
    goal_key: ClassVar[str] = "goal_pos"
    misjudged: ClassVar[tuple[int, ...]] = (2,)  # who sees the goal too far along the way would pass through it
    style: Style = "nearest"
    """Which way past the pillar; `mixed` goes over in even episodes and under in odd ones, `nearest` the shorter."""
    pace: float = 0.5
    """Deflection that the cost is counted at: with it the cost is the steps to the goal."""
    tolerance: float = 0.02
    """See `Expert.tolerance`."""
    clearance: float = 0.01
    """Distance kept from the pillar [m]."""

    def action(self, world: World, speed: float) -> Array:
        """See `Expert.action`."""
        s = self._look(world)
        (wide, high), keep = s.half, self.clearance
        level = s.pillar + self._side(world, s) * (high + keep)
        past = (s.z - level) * self._side(world, s) >= -keep
        goal = s.goal
        if s.x < wide and abs(s.x) <= wide and not past and self._wrong_side(world, s):
            goal = (-wide - 2.0 * keep, s.z)  # back, and past it on the other side
        elif s.x < wide + keep and s.goal[0] > wide:
            goal = (-wide - keep if not past else wide + 2.0 * keep, level)
        return to_action((bounded((goal[0] - s.x) / s.step, speed), bounded((goal[1] - s.z) / s.step, speed)))

    def cost_to_go(self, world: World) -> float:
        """The shortest way on the expert's side of the pillar, both axes at `pace`; exact but for whole steps."""
        s = self._look(world)
        return self._way(s, self._side(world, s)) / (s.step * self.pace)

    def predict(self, world: World, action: Array) -> World:
        """See `Expert.predict`; the pillar stops what runs into it."""
        s = self._look(world)
        x, z = s.x + s.step * float(action[0]), s.z + s.step * float(action[1])
        if _inside(s, x, z):
            x, z = s.x, s.z
        place = [x, 0.0, z]
        return {**world, "tcp_pos": place, "target_pos": place}

    def hazard(self, world: World, action: Array) -> bool:
        """The point is about to run into the pillar."""
        s = self._look(world)
        return _inside(s, s.x + s.step * float(action[0]), s.z + s.step * float(action[1]))

    def pauses(self, world: World) -> bool:
        """Never: nothing here is delicate."""
        del world
        return False

    def settled(self, world: World) -> bool:
        """Past the pillar, or at a height that passes it."""
        s = self._look(world)
        return s.x > s.half[0] or abs(s.z - s.pillar) >= s.half[1]

    def _side(self, world: World, s: _Scene) -> float:
        """Return +1 for over, -1 for under."""
        style = self.style
        if style == "mixed":
            style = "under" if int(world["episode"]) % 2 else "over"
        if style == "nearest":
            over, under = self._way(s, 1.0), self._way(s, -1.0)
            style = "over" if over < under or (over == under and s.z >= s.pillar) else "under"
        return 1.0 if style == "over" else -1.0

    def _wrong_side(self, world: World, s: _Scene) -> bool:
        return (s.z - s.pillar) * self._side(world, s) < 0.0

    def _way(self, s: _Scene, side: float) -> float:
        """Return the length of the shortest way on `side`, the longer axis counting [m]."""
        wide, high = s.half
        gx, gz = s.goal[0] - s.radius, s.goal[1]
        top = high + side * s.pillar  # heights below are measured upwards for `over`, downwards for `under`
        z, gz = side * s.z, side * gz
        rest = abs(z - gz) - s.radius
        if s.x >= wide:
            return max(gx - s.x, rest, 0.0)
        after = max(gx - wide, top - gz - s.radius)
        if s.x > -wide and z >= top:
            return max(wide - s.x + after, rest)
        back = max(0.0, s.x + wide)
        return max(back + max(-wide - min(s.x, -wide), top - z) + 2.0 * wide + after, rest)

    def _look(self, world: World) -> _Scene:
        x, _, z = floats(world["tcp_pos"])
        gx, _, gz = floats(world["goal_pos"])
        wide, _, high = floats(world["pillar_half"])
        pillar = floats(world["pillar_pos"])[2]
        return _Scene(x, z, (gx, gz), number(world["goal_radius"]), pillar, (wide, high), number(world["step_m"]))


def _inside(s: _Scene, x: float, z: float) -> bool:
    return abs(x) < s.half[0] and abs(z - s.pillar) < s.half[1]
