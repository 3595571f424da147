"""The scripted expert of the toy peg with a gripper: fetch it with the right force, then as `PegSlotExpert`."""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from robot_hil.data.specs import Array
from robot_hil.teleop.simulated.expert import World, floats, number, to_action
from robot_hil.teleop.simulated.expert_peg_slot import (
    FREE_HEIGHT,
    JAM_HEIGHT,
    Peg,
    bounded,
    insert,
    insertion_m,
    look,
    moved,
)

OPEN_FORCE, REACH, PEG_TOP, ABOVE = 0.2, 0.02, 0.05, 0.06
"""Force up to which the fingers are open; sideways error with which they close on the peg, its height, and the height
at which the expert travels [m]."""


class _Hand(NamedTuple):
    peg: Peg
    off: float  # from the hand to the holder [m]
    force: float
    band: tuple[float, float]
    held: bool
    around: bool  # the peg stands between the fingers


@dataclass(frozen=True, slots=True, kw_only=True)
class PegGripExpert:
    """Reads `tip_pos`, `slot_pos`, `holder_pos`, `slot_tolerance`, `jammed`, `held`, `force`, `force_band`, `step_m`.

    Action: x, z, gripper (+1 opens).
    """

    action_dim: ClassVar[int] = 3
    goal_key: ClassVar[str] = "slot_pos"
    misjudged: ClassVar[tuple[int, ...]] = (0,)
    pace: float = 0.5
    """Deflection of x and z that the cost is counted at."""
    tolerance: float = 0.004
    """See `Expert.tolerance`."""
    force_step: float = 0.2
    """Change of the force per step at full deflection."""

    def action(self, world: World, speed: float) -> Array:
        """See `Expert.action`."""
        hand = self._look(world)
        peg, middle = hand.peg, 0.5 * sum(hand.band)
        close = bounded((hand.force - middle) / self.force_step, 1.0)
        if hand.held:
            return to_action((*insert(peg, speed), close))
        sideways = bounded(hand.off / peg.step, speed)
        if hand.around and peg.z <= 0.5 * JAM_HEIGHT:
            return to_action((0.0, bounded(-peg.z / peg.step, speed), close))
        over = abs(hand.off) <= 0.5 * REACH and hand.force <= OPEN_FORCE
        goal = 0.0 if over or (hand.around and hand.force <= OPEN_FORCE) else ABOVE
        return to_action((sideways, bounded((goal - peg.z) / peg.step, speed), 1.0))

    def cost_to_go(self, world: World) -> float:
        """To the holder and down, opening on the way; close; lift, sideways and in.

        Each at the least it can take, for a peg that is gripped in its middle, standing.
        """
        hand = self._look(world)
        peg, step = hand.peg, hand.peg.step * self.pace
        if hand.held:
            return insertion_m(abs(peg.slot - peg.x), peg.z, peg.tolerance, peg.jammed) / step
        force = hand.force if hand.around else min(hand.force, OPEN_FORCE)
        opening = (hand.force - force) / self.force_step
        closing = max(hand.band[0] - force, force - hand.band[1], 0.0) / self.force_step
        aside = max(0.0, abs(hand.off) - REACH)
        # Closed fingers cannot come down below the top of the peg before they are open.
        down = max(0.0, peg.z - JAM_HEIGHT)
        last = min(down, PEG_TOP - JAM_HEIGHT)
        reach = max(aside / step, down / step, (down - last) / step, opening + last / step if opening else 0.0)
        holder = abs(peg.slot - peg.x - hand.off)
        return reach + closing + (FREE_HEIGHT + insertion_m(holder, FREE_HEIGHT, peg.tolerance, False)) / step

    def predict(self, world: World, action: Array) -> World:
        """See `Expert.predict`; contact, grasp and loss of the peg included."""
        hand = self._look(world)
        peg = hand.peg
        dx, dz = (peg.step * float(a) for a in action[:2])
        force = bounded(hand.force - self.force_step * float(action[2]) - 0.5, 0.5) + 0.5
        holds = hand.band[0] <= force <= hand.band[1]
        if hand.held:
            after = moved(peg, dx, dz)
            after = after if holds else after._replace(jammed=False, z=max(after.z, FREE_HEIGHT))
            held = holds
        else:
            after = _moved_hand(hand, dx, dz)
            held = holds and after.z <= JAM_HEIGHT and abs(peg.x + hand.off - after.x) <= REACH
            after = after._replace(jammed=held)
        place = [after.x, 0.0, after.z]
        return {
            **world, "tip_pos": place, "tcp_pos": place, "target_pos": place, "jammed": after.jammed, "held": held,
            "force": force,
        }  # fmt: skip

    def hazard(self, world: World, action: Array) -> bool:
        """The peg is about to jam, or to be lost."""
        after = self.predict(world, action)
        if not world["held"]:
            return False
        return not after["held"] or bool(after["jammed"] and not world["jammed"])

    def pauses(self, world: World) -> bool:
        """Fingers around the peg, still open."""
        hand = self._look(world)
        return not hand.held and hand.around and hand.peg.z <= JAM_HEIGHT and hand.force <= OPEN_FORCE

    def settled(self, world: World) -> bool:
        """Free above the plate, or in the slot with the peg."""
        hand = self._look(world)
        return hand.peg.z > PEG_TOP or (hand.held and hand.peg.z < 0.0)

    def _look(self, world: World) -> _Hand:
        peg = look(world)
        off = floats(world["holder_pos"])[0] - peg.x
        low, high = floats(world["force_band"])
        around = peg.z < PEG_TOP and abs(off) <= REACH
        return _Hand(peg, off, number(world["force"]), (low, high), bool(world["held"]), around)


def _moved_hand(hand: _Hand, dx: float, dz: float) -> Peg:
    """Return where an empty hand gets: not through the plate, nor with closed fingers through the peg."""
    peg, holder = hand.peg, hand.peg.x + hand.off
    x, z = peg.x + dx, max(0.0, peg.z + dz)
    if z >= PEG_TOP:
        return peg._replace(x=x, z=z)
    if hand.around:
        x = holder + bounded(x - holder, REACH)
    elif abs(x - holder) <= REACH and hand.force > OPEN_FORCE:
        x, z = (x, PEG_TOP) if peg.z >= PEG_TOP else (peg.x, z)
    return peg._replace(x=x, z=z)
