"""Demonstrations that an adversary disturbs (Huang et al. 2025) against five times as many that nobody does.

The peg and one slot that lies where it always lies, to 1 cm, as on a bench. In 20 demonstrations the slot moves up to
three times, by 3 to 12 cm, and the demonstrator has to follow; 100 others are static. Two imitators with equally many
updates are tried where nothing moves, and where the slot moves once. A third has as many static frames as the disturbed
demonstrations have, which are longer. A fourth leaves the 0.5 s after each event out, in which a person still reacts.

Two things were changed on tuning seed 100, where at first the disturbed demonstrations lost by about 0.5 in both tests.
Slots that are drawn from 40 cm show in static demonstrations every place beside the peg that a moved slot can be at,
and nothing is left that only an adversary shows (0.87 against 0.78 where it moves): so here the slot keeps its place.
And a hand with inertia goes on the old way for some steps after an event, which an observation without the hand's
speed does not explain: a policy without memory averages the two and stops beside the slot (0.25 against 0.88 at equal
frames): so here the hand follows at once. The slot is 2 mm wider to either side, for this is about what was seen, not
about precision.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from lab import Claim, Episode, Size, Workplace, human_frames, main, rate, taught, trials

from robot_hil.actor.adversary import Schedule
from robot_hil.data.specs import Array
from robot_hil.envs.toy.env import ToyEnv
from robot_hil.envs.toy.peg_slot import PegScene, PegSlot
from robot_hil.methods.base import Columns
from robot_hil.methods.bc import Bc
from robot_hil.teleop.simulated.expert_peg_slot import PegSlotExpert
from robot_hil.teleop.simulated.profile import COMPETENT

DISTURBED, STATIC, UPDATES, TRIALS = 20, 100, 1500, 50
PLACE, TOLERANCE = 0.01, 0.006
"""Half the width of where the slot lies, and tolerance of the peg [m]."""
NEAR, FAR = 0.03, 0.12
"""Least and largest motion of the slot [m]."""
OFTEN = Schedule(kinds=("object",), rate=0.15, most=3, first_step=4, pause_steps=6, low_m=NEAR, high_m=FAR)
ONCE = Schedule(kinds=("object",), rate=0.25, most=1, first_step=8, low_m=NEAR, high_m=FAR)
QUICK = replace(COMPETENT, smoothing=0.0, slew=2.0, dwell_steps=0, noise=0.05, blunder_rate=0.0)
"""A person whose hand follows at once."""
REACTION = 5
"""Steps after an event in which a person still reacts: 0.5 s."""


class Bench(PegSlot):
    """The slot lies where it always lies."""

    def start(self, rng: np.random.Generator, goal: str) -> PegScene:
        """See `PegSlot.start`."""
        return super().start(rng, goal)._replace(slots=(float(rng.uniform(-PLACE, PLACE)),))


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled(Bc):
    """Imitates all but what was done within `REACTION` steps of an event."""

    reacting: frozenset[tuple[int, int]]
    """Such steps, by numbers of episode and step."""

    def aux(self, columns: Columns) -> Mapping[str, Array]:
        """See `Method.aux`; all rows are demonstrations."""
        where = zip(columns["episode_id"].tolist(), columns["step_index"].tolist(), strict=True)
        return {"imitate": np.array([step not in self.reacting for step in where], np.float32)}


def settled(episodes: Sequence[Episode]) -> Settled:
    """Return the view that leaves out the steps after each event, in which the hand does not know of it yet."""
    reacting = {
        (number, step.step_index + late)
        for number, steps in enumerate(episodes)
        for step in steps
        if step.perturbation
        for late in range(REACTION)
    }
    return Settled(reacting=frozenset(reacting))


def measure(seed: int, size: Size) -> Mapping[str, float]:
    """Return success of the imitators in both tests."""
    env = ToyEnv(Bench(tolerance=TOLERANCE))
    place = Workplace(env, seed)
    person = place.person(PegSlotExpert(), QUICK)
    disturbed = place.demonstrations(person, size.of(DISTURBED), schedule=OFTEN)
    static = place.demonstrations(person, size.of(STATIC))
    few = place.demonstrations(person, frames=human_frames(disturbed))
    arms = {"disturbed": disturbed, "static": static, "equal": few, "settled": disturbed}
    found: dict[str, float] = {}
    for name, episodes in arms.items():
        view = settled(episodes) if name == "settled" else None
        policy = taught(env.env_spec, episodes, seed, size.of(UPDATES), view=view)
        found[f"{name} moving"] = rate(trials(env, policy, seed + 1000, size.of(TRIALS), ONCE))
        found[f"{name} still"] = rate(trials(env, policy, seed + 1000, size.of(TRIALS)))
        found[f"{name} frames"] = human_frames(episodes)
    for kind in ("moving", "still"):
        found[f"gain {kind}"] = found[f"disturbed {kind}"] - found[f"static {kind}"]
        found[f"gain {kind}, equal frames"] = found[f"disturbed {kind}"] - found[f"equal {kind}"]
        found[f"gain {kind}, settled"] = found[f"settled {kind}"] - found[f"static {kind}"]
    return found


CLAIMS = (
    Claim(key="disturbed moving", what="success of 20 disturbed demonstrations, slot moves"),
    Claim(key="static moving", what="success of 100 static demonstrations, slot moves"),
    Claim(key="disturbed still", what="success of 20 disturbed demonstrations, nothing moves"),
    Claim(key="static still", what="success of 100 static demonstrations, nothing moves"),
    Claim(key="gain moving", what="gain of 20 disturbed over 100 static, slot moves", target=0.3),
    Claim(key="gain still", what="gain of 20 disturbed over 100 static, nothing moves", target=-0.05),
    Claim(key="gain moving, equal frames", what="gain at equal frames, slot moves"),
    Claim(key="gain still, equal frames", what="gain at equal frames, nothing moves"),
    Claim(key="gain moving, settled", what="gain without the 0.5 s after events, slot moves"),
    Claim(key="gain still, settled", what="gain without the 0.5 s after events, nothing moves"),
)

if __name__ == "__main__":
    main("adversary", CLAIMS, measure, __doc__)
