"""Two ways to correct a policy with a systematic error (DexCap, Wang et al. 2024): adding to it, or taking over.

A policy imitates a person who sees the slot 15 mm off, so that it jams. Then somebody helps in 30 episodes: adding 0.3
of what the hand does (mode `residual`), or taking over, both as soon as ten more such steps would jam. Either policy is
taught again with half of each batch from these corrections; the one of takeovers once more with all data as one pool.
Effort is the sum of |command of the hand| over the steps.

Changed on tuning seeds 100 to 102: the slot forgives 10 mm, not 4. The policy sees the true slot and steers back to its
wrong place with all that it is off by; to hold it 15 mm away took more than the 0.3 of the range that may be added, so
that the person pushed all the time, with three times the effort of taking over, and what that taught succeeded in 0.42
of the trials. In a slot of 10 mm the policy still jams, and a push of some millimetres is enough. Since then the person
who adds also leaves alone what goes well by itself, and both look ten steps ahead, for a small push takes time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from lab import Claim, Episode, Size, Workplace, main, rate, taught, trials

from robot_hil.actor.sharing import Mode
from robot_hil.envs.toy.env import ToyEnv
from robot_hil.envs.toy.peg_slot import PegSlot
from robot_hil.methods.base import Method
from robot_hil.methods.bc import Bc
from robot_hil.teleop.simulated.adding import AddingPerson
from robot_hil.teleop.simulated.expert_peg_slot import PegSlotExpert
from robot_hil.teleop.simulated.gates import ImminentGate
from robot_hil.teleop.simulated.profile import STEADY

OFFSET_M, TOLERANCE = 0.015, 0.01
DEMOS, HELPED, UPDATES, TRIALS, GAIN = 40, 30, 1500, 50, 0.3
HORIZON = 10
"""Steps that who helps looks ahead."""
CAREFUL_HAND = replace(
    STEADY, dwell_steps=0, reaction_steps=1, reaction_jitter=0, max_hold_steps=80, release_margin=40.0
)
"""Helps until the peg is in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Half(Method):
    """Half of each batch from demonstrations, half from corrections."""

    def share(self, pools: Mapping[str, int], step: int) -> Mapping[str, float]:
        """See the class."""
        return {"demo": 0.5, "intervention": 0.5, "online": 0.0}


def measure(seed: int, size: Size) -> Mapping[str, float]:
    """Return success, effort and jumps of both ways."""
    env = ToyEnv(PegSlot(tolerance=TOLERANCE))
    spec, expert, updates = env.env_spec, PegSlotExpert(tolerance=TOLERANCE), size.of(UPDATES)
    place = Workplace(env, seed)
    wrong = replace(STEADY, bias=OFFSET_M / TOLERANCE, dwell_steps=0)
    first = place.demonstrations(place.person(expert, wrong), size.of(DEMOS), failures=True)
    policy = taught(spec, first, seed, updates)
    found = {"before": rate(trials(env, policy, seed + 1000, size.of(TRIALS)))}
    for name, mode in (("takeover", Mode.TAKEOVER), ("residual", Mode.RESIDUAL)):
        place, gate = Workplace(env, seed, mode=mode, gain=GAIN), ImminentGate(expert, horizon=HORIZON)
        person = (
            AddingPerson(expert, gate, CAREFUL_HAND, env.privileged, place.clock, gain=GAIN)
            if mode is Mode.RESIDUAL
            else place.person(expert, CAREFUL_HAND, gate)
        )
        helped = place.helped(policy, person, count=size.of(HELPED))
        better = taught(spec, [*first, *helped], seed, updates, view=Half())
        found[name] = rate(trials(env, better, seed + 1000, size.of(TRIALS)))
        found[f"{name} helped"] = float(np.mean([steps[-1].success for steps in helped]))
        found[f"{name} effort"], found[f"{name} jump"] = effort(helped), jump(helped)
        if name == "takeover":
            pooled = taught(spec, [*first, *helped], seed, updates, view=Bc())
            found["pooled"] = rate(trials(env, pooled, seed + 1000, size.of(TRIALS)))
    found["effort"] = found["residual effort"] / max(1e-9, found["takeover effort"])
    found["jump"] = found["residual jump"] / max(1e-9, found["takeover jump"])
    found["half"] = found["takeover"] - found["pooled"]
    return found


def effort(episodes: Sequence[Episode]) -> float:
    """Return the mean over episodes of the sum of |command of the hand|."""
    sums = [np.nansum([np.abs(step.action_human) for step in steps]) for steps in episodes]
    return float(np.mean(sums))


def jump(episodes: Sequence[Episode]) -> float:
    """Return the mean change of the action at a takeover."""
    changes = [
        float(np.abs(step.action_executed - before.action_executed).max())
        for steps in episodes
        for before, step in pairwise(steps)
        if step.onset
    ]
    return float(np.mean(changes)) if changes else 0.0


CLAIMS = (
    Claim(key="before", what="success before any help", target=0.2, higher_is_better=False),
    Claim(key="residual", what="success after help by adding", target=0.8),
    Claim(key="takeover", what="success after help by taking over", target=0.8),
    Claim(
        key="effort", what="effort of adding over that of taking over", target=0.5, higher_is_better=False,
        unit="ratio",
        note="of the hand's command only 0.3 arrives, and it has to be held against a policy that steers back",
    ),
    Claim(
        key="jump", what="jump at the onset of adding over that of taking over", target=1 / 3, higher_is_better=False,
        unit="ratio",
    ),
    Claim(key="half", what="gain of half of each batch from corrections over one pool", target=0.0),
)  # fmt: skip

if __name__ == "__main__":
    main("dexcap", CLAIMS, measure, __doc__)
