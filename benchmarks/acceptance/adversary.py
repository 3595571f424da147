"""Demonstrations that an adversary disturbs (Huang et al. 2025) against five times as many that nobody does.

The peg and one slot. In 20 demonstrations the slot moves up to three times, by 24 to 72 mm, and the demonstrator has to
follow; 100 others are static. Two imitators with equally many updates are tried where nothing moves, and where the
slot moves once. A third has as many static frames as the disturbed demonstrations have, which are longer.
"""

from collections.abc import Mapping

from lab import Claim, Size, Workplace, human_frames, main, rate, taught, trials

from robot_hil.actor.adversary import Schedule
from robot_hil.envs.toy.peg_slot import make_env
from robot_hil.teleop.simulated.expert_peg_slot import PegSlotExpert
from robot_hil.teleop.simulated.profile import COMPETENT

DISTURBED, STATIC, UPDATES, TRIALS = 20, 100, 2000, 50
NEAR, FAR = 0.024, 0.072
"""Least and largest motion of the slot [m]."""
OFTEN = Schedule(kinds=("object",), rate=0.15, most=3, first_step=4, pause_steps=6, low_m=NEAR, high_m=FAR)
ONCE = Schedule(kinds=("object",), rate=0.25, most=1, first_step=8, low_m=NEAR, high_m=FAR)


def measure(seed: int, size: Size) -> Mapping[str, float]:
    """Return success of the three imitators in both tests."""
    env = make_env()
    place, expert = Workplace(env, seed), PegSlotExpert()
    person = place.person(expert, COMPETENT)
    disturbed = place.demonstrations(person, size.of(DISTURBED), schedule=OFTEN)
    static = place.demonstrations(person, size.of(STATIC))
    few = place.demonstrations(person, frames=human_frames(disturbed))
    found: dict[str, float] = {}
    for name, episodes in (("disturbed", disturbed), ("static", static), ("equal", few)):
        policy = taught(env.env_spec, episodes, seed, size.of(UPDATES))
        found[f"{name} moving"] = rate(trials(env, policy, seed + 1000, size.of(TRIALS), ONCE))
        found[f"{name} still"] = rate(trials(env, policy, seed + 1000, size.of(TRIALS)))
        found[f"{name} frames"] = human_frames(episodes)
    for kind in ("moving", "still"):
        found[f"gain {kind}"] = found[f"disturbed {kind}"] - found[f"static {kind}"]
        found[f"gain {kind}, equal frames"] = found[f"disturbed {kind}"] - found[f"equal {kind}"]
    return found


CLAIMS = (
    Claim(key="disturbed moving", what="success of 20 disturbed demonstrations, slot moves"),
    Claim(key="static moving", what="success of 100 static demonstrations, slot moves"),
    Claim(key="gain moving", what="gain of 20 disturbed over 100 static, slot moves", target=0.3),
    Claim(key="gain still", what="gain of 20 disturbed over 100 static, nothing moves", target=-0.05),
    Claim(key="gain moving, equal frames", what="gain at equal frames, slot moves"),
    Claim(key="gain still, equal frames", what="gain at equal frames, nothing moves"),
)

if __name__ == "__main__":
    main("adversary", CLAIMS, measure, __doc__)
