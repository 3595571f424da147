"""Shared control of arm and hand: the person drives the arm, a policy the gripper, in mode `arm`.

The peg in its holder, a gripper that must hold it with a force in a band. The operator's hand shakes by 0.3 of the
range. First the gripper is learnt from a careful person's demonstrations; with it the operator drives the arm alone,
against driving all of it. A policy of arm and gripper is taught by 40 such shared episodes, and again with 20 more,
in which the operator takes over the arm only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from lab import Claim, Episode, Size, Workplace, main, rate, taught, trials

from robot_hil.actor.seeding import Stream
from robot_hil.actor.sharing import Mode
from robot_hil.envs.toy.peg_grip import make_env
from robot_hil.teleop.simulated.expert_peg_grip import PegGripExpert
from robot_hil.teleop.simulated.gates import ProgressGate
from robot_hil.teleop.simulated.profile import CAREFUL

HAND_DEMOS, SHARED, CORRECTED, ALONE, UPDATES, TRIALS = 100, 40, 20, 40, 3000, 50
SHAKY = replace(CAREFUL, noise=0.3)


def measure(seed: int, size: Size) -> Mapping[str, float]:
    """Return success of operator and policies, and how much a takeover jumps."""
    env = make_env()
    spec, expert, updates = env.env_spec, PegGripExpert(), size.of(UPDATES)
    place = Workplace(env, seed)
    hand = taught(spec, place.demonstrations(place.person(expert, CAREFUL), size.of(HAND_DEMOS)), seed, updates)
    shaky = place.person(expert, SHAKY)
    alone = [place.episode(Stream.DEMO, None, shaky)[-1].success for _ in range(size.of(ALONE))]
    shared_place = Workplace(env, seed, mode=Mode.ARM)
    operator = shared_place.person(expert, SHAKY)
    tried = [shared_place.episode(Stream.TRAIN, hand, operator) for _ in range(size.of(SHARED))]
    policy = taught(spec, tried, seed, updates)
    before = rate(trials(env, policy, seed + 1000, size.of(TRIALS)))
    helper = shared_place.person(expert, SHAKY, ProgressGate(patience=8))
    corrected = shared_place.helped(policy, helper, count=size.of(CORRECTED))
    better = taught(spec, [*tried, *corrected], seed, updates)
    after = rate(trials(env, better, seed + 1000, size.of(TRIALS)))
    return {
        "shared": float(np.mean([steps[-1].success for steps in tried])),
        "alone": float(np.mean(alone)),
        "policy": before,
        "corrected": after,
        "gain": after - before,
        "jump": onset_jump(corrected),
    }


def onset_jump(episodes: Sequence[Episode]) -> float:
    """Return the largest change of the arm's action at a takeover, over the 99th percentile of all other changes."""
    onsets, usual = [0.0], [1e-9]
    for steps in episodes:
        for before, step in pairwise(steps):
            change = float(np.abs(step.action_executed - before.action_executed)[:2].max())
            (onsets if step.onset else usual).append(change)
    return max(onsets) / float(np.quantile(usual, 0.99))


CLAIMS = (
    Claim(key="shared", what="success of the operator who drives the arm only", target=0.85),
    Claim(key="alone", what="success of the operator who drives everything", target=0.6, higher_is_better=False),
    Claim(key="policy", what="success of the policy taught by shared episodes", target=0.7),
    Claim(key="gain", what="gain of 20 corrective episodes", target=0.1),
    Claim(
        key="jump", what="largest jump at a takeover, over the 99th percentile of other steps", target=1.0,
        higher_is_better=False, unit="ratio",
    ),
)  # fmt: skip

if __name__ == "__main__":
    main("arm_hand", CLAIMS, measure, __doc__)
