"""The scripted expert of the toy peg: over the slot, down; up again when it jams. Its cost is exact, in closed form."""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from robot_hil.data.specs import Array
from robot_hil.teleop.simulated.expert import World, floats, number, to_action

JAM_HEIGHT, FREE_HEIGHT, DEPTH = 0.01, 0.02, 0.05
"""Below the first, beside the slot, a peg jams; above the second it is free; at the third below 0 it is done [m]."""
HOVER = 0.03
"""Height at which the expert aligns the peg [m]."""
CLEAR = HOVER
"""Height at which a peg is back where demonstrations pass [m]; a way farther up is the opposite of what they show."""
BAND_SIDE, BAND_LOW, BAND_HIGH = 0.3, 0.30, 0.45
"""The goal `return`: x within +-the first, z between the others [m]."""


class Peg(NamedTuple):
    """What an expert looks at."""

    x: float
    z: float
    """Of the tip [m]."""
    slot: float
    tolerance: float
    jammed: bool
    step: float
    """Motion per step at full deflection [m]."""


def look(world: World) -> Peg:
    """Return the peg of `world`."""
    x, _, z = floats(world["tip_pos"])
    return Peg(
        x, z, floats(world["slot_pos"])[0], number(world["slot_tolerance"]), bool(world["jammed"]),
        number(world["step_m"]),
    )  # fmt: skip


def insertion_m(aside: float, height: float, tolerance: float, jammed: bool) -> float:
    """Return the shortest way of a tip into the slot, in metres per axis that moves while the other does, too.

    `aside` is the distance to the slot's middle [m]. The tip may go down while it goes sideways, but must be over the
    slot before it is lower than `JAM_HEIGHT`; one that is jammed, or low beside the slot, has to be lifted to
    `FREE_HEIGHT` first.
    """
    excess = max(0.0, aside - tolerance)
    if excess < 1e-9:  # a peg that leans on the side of its slot is in it, whatever rounding says
        return height + DEPTH
    lift = 0.0
    if height < JAM_HEIGHT or (jammed and height < FREE_HEIGHT):
        lift, height = FREE_HEIGHT - height, FREE_HEIGHT
    return lift + max(excess, height - JAM_HEIGHT) + JAM_HEIGHT + DEPTH


def insert(peg: Peg, speed: float) -> tuple[float, float]:
    """Return the deflections x, z that bring the tip on its way into the slot."""
    off = peg.slot - peg.x
    if peg.jammed or (peg.z < JAM_HEIGHT and abs(off) > peg.tolerance):
        return 0.0, speed  # lift and try again
    sideways = bounded(off / peg.step, speed)
    if peg.z < 0.0 or abs(off) <= 0.5 * peg.tolerance:
        return 0.5 * sideways, -speed
    return sideways, bounded((HOVER - peg.z) / peg.step, speed)


def moved(peg: Peg, dx: float, dz: float) -> Peg:
    """Return the peg after it was told to move by (dx, dz) [m], contact included; the workspace has no end."""
    x, z = peg.x if peg.jammed else peg.x + dx, max(peg.z + dz, -DEPTH)
    if peg.z < 0.0:  # in this slot, or in another one
        this = abs(peg.x - peg.slot) <= peg.tolerance + 1e-9
        x = peg.slot + bounded(x - peg.slot, peg.tolerance) if this else peg.x
    beside = peg.z >= 0.0 and abs(x - peg.slot) > peg.tolerance + 1e-9
    if beside:
        z = max(z, 0.0)
    return peg._replace(x=x, z=z, jammed=z < FREE_HEIGHT if peg.jammed else beside and z < JAM_HEIGHT)


@dataclass(frozen=True, slots=True, kw_only=True)
class PegSlotExpert:
    """Reads `tip_pos`, `slot_pos` (the next slot), `later_slots`, `slot_tolerance`, `jammed`, `goal`, `step_m`.

    Action: x, z.
    """

    action_dim: ClassVar[int] = 2
    goal_key: ClassVar[str] = "slot_pos"
    misjudged: ClassVar[tuple[int, ...]] = (0,)
    pace: float = 0.5
    """Deflection that the cost is counted at: with it the cost is the steps to the goal."""
    tolerance: float = 0.004
    """See `Expert.tolerance`."""

    def action(self, world: World, speed: float) -> Array:
        """See `Expert.action`."""
        peg = look(world)
        if world["goal"] == "return":
            home = 0.5 * (BAND_LOW + BAND_HIGH)
            aside = bounded(peg.x, 0.8 * BAND_SIDE) - peg.x
            return to_action((bounded(aside / peg.step, speed), bounded((home - peg.z) / peg.step, speed)))
        return to_action(insert(peg, speed))

    def retreat(self, world: World, speed: float) -> Array:
        """Straight up, see `recovering.KnowsWayBack`."""
        return to_action((0.0, bounded((1.5 * CLEAR - look(world).z) / number(world["step_m"]), speed)))

    def recovered(self, world: World) -> bool:
        """Clear of the plate."""
        peg = look(world)
        return peg.z >= CLEAR and not peg.jammed

    def parts_left(self, world: World) -> int:
        """Slots still to be filled."""
        peg = look(world)
        inside = peg.z <= -DEPTH and abs(peg.x - peg.slot) <= peg.tolerance + 1e-9
        return len(world.get("later_slots", ())) + (not inside)

    def cost_to_go(self, world: World) -> float:
        """The way in, slot after slot, or the way up: exact but for whole steps, at `pace`."""
        peg = look(world)
        if world["goal"] == "return":
            way = max(BAND_LOW - peg.z, peg.z - BAND_HIGH, abs(peg.x) - BAND_SIDE, 0.0)
        else:
            way = insertion_m(abs(peg.slot - peg.x), peg.z, peg.tolerance, peg.jammed)
            here = peg.slot
            for place in world.get("later_slots", ()):
                there = floats(place)[0]
                # Out of one slot, whose nearer edge is a tolerance closer, and into the next.
                aside = abs(there - here) - peg.tolerance
                way += FREE_HEIGHT + DEPTH + insertion_m(aside, FREE_HEIGHT, peg.tolerance, False)
                here = there
        return way / (peg.step * self.pace)

    def predict(self, world: World, action: Array) -> World:
        """See `Expert.predict`; contact with the plate and the slot's sides included."""
        peg = look(world)
        after = moved(peg, peg.step * float(action[0]), peg.step * float(action[1]))
        place = [after.x, 0.0, after.z]
        return {**world, "tip_pos": place, "tcp_pos": place, "target_pos": place, "jammed": after.jammed}

    def hazard(self, world: World, action: Array) -> bool:
        """The peg is about to jam."""
        return bool(self.predict(world, action)["jammed"]) and not world["jammed"]

    def pauses(self, world: World) -> bool:
        """Over the slot, about to go in."""
        peg = look(world)
        return world["goal"] == "insert" and JAM_HEIGHT < peg.z < 1.5 * HOVER and abs(peg.slot - peg.x) < peg.tolerance

    def settled(self, world: World) -> bool:
        """In the slot, or free above the plate."""
        peg = look(world)
        return peg.z < 0.0 or (peg.z >= FREE_HEIGHT and not peg.jammed)


def bounded(value: float, limit: float) -> float:
    """Return `value` limited to +-`limit`."""
    return min(max(value, -limit), limit)
