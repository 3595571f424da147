"""Shared control of arm and hand: the person drives the arm, a policy the gripper, in mode `arm`.

The peg in its holder, a gripper that must hold it with a force in a band. The operator's hand shakes by 0.3 of the
range, and does not feel the force, which is misjudged by up to 0.3 of the largest. First the gripper is learnt from
demonstrations of somebody who feels it; with it the operator drives the arm alone, against driving all of it. A policy
of arm and gripper is taught by 40 such shared episodes that succeeded, and again with 20 more, in which the operator
takes over the arm only.

Changed on tuning seeds 100 and 101, where the operator with a policy's gripper succeeded in 0.17 of the episodes and
without in 0.45:
* A careful person's demonstrations hold the peg with one force and no other. The gripper's policy, which never saw a
  force that was off, let it drift out of the band. The demonstrator's hand now shakes as well, by 0.4, and the
  gripper's action by 0.2 while shared episodes are recorded, so that there is something to put right (as noise is
  injected on purpose in DART, Laskey et al. 2017).
* Pauses and inertia are not in the observation, and are imitated as slowness or not at all; nobody has them here.
* Without inertia shaking alone hardly ever lost the peg. What makes a gripper hard to drive from afar is that its force
  is not felt; so it is not.
* The slot is 2 mm wider to either side, for this is not about precision.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from lab import Claim, Episode, Size, Workplace, main, rate, taught, trials

from robot_hil.actor.policy import AgentPolicy
from robot_hil.actor.seeding import Stream
from robot_hil.actor.sharing import Mode
from robot_hil.data.specs import Array, Observation
from robot_hil.envs.toy.peg_grip import make_env
from robot_hil.teleop.simulated.expert import World
from robot_hil.teleop.simulated.expert_peg_grip import PegGripExpert
from robot_hil.teleop.simulated.gates import AlwaysGate, Gate, ProgressGate
from robot_hil.teleop.simulated.person import SimulatedPerson
from robot_hil.teleop.simulated.profile import STEADY

HAND_DEMOS, SHARED, CORRECTED, ALONE, UPDATES, TRIALS = 100, 40, 20, 40, 2000, 50
TOLERANCE = 0.006
"""Of the slot [m]."""
MISJUDGED = 0.3
"""Largest error in the force that the operator believes in."""
SHAKES = 0.2
"""Standard deviation of what is added to the gripper's action while shared episodes are recorded."""
SHAKY = replace(STEADY, smoothing=0.0, slew=2.0, dwell_steps=0, blunder_rate=0.0, noise=0.3, fatigue_noise=0.0)
FEELING = replace(SHAKY, noise=0.4)
"""Who shows how to grip."""


class Operator(SimulatedPerson):
    """Does not feel how hard the gripper grips, and believes in a force that is off by as much for an episode."""

    def begin_episode(self, seed: int) -> None:
        """See `SimulatedPerson.begin_episode`."""
        super().begin_episode(seed)
        self._off = float(np.random.default_rng([seed, 3]).uniform(-MISJUDGED, MISJUDGED))

    def _aim(self, seen: World) -> Array:
        """The arm goes by what is seen, the gripper by what is believed."""
        arm, believed = super()._aim(seen), super()._aim({**seen, "force": seen["force"] + self._off})
        return np.array([*arm[:-1], believed[-1]], np.float32)


class Shaken:
    """A policy whose gripper shakes by `SHAKES`."""

    def __init__(self, policy: AgentPolicy) -> None:
        self._policy = policy

    @property
    def version(self) -> int:
        """See `Policy.version`."""
        return self._policy.version

    def begin_episode(self, seed: int) -> None:
        """See `EpisodeAware.begin_episode`."""
        self._policy.begin_episode(seed)
        self._rng = np.random.default_rng([seed, 1])

    def act(self, obs: Observation, deterministic: bool = False) -> Array:
        """See `Policy.act`."""
        action = self._policy.act(obs, deterministic).copy()
        action[-1] = np.clip(action[-1] + SHAKES * self._rng.standard_normal(), -1.0, 1.0)
        return action


def measure(seed: int, size: Size) -> Mapping[str, float]:
    """Return success of operator and policies, and how much a takeover jumps."""
    env = make_env(tolerance_m=TOLERANCE)
    spec, expert, updates = env.env_spec, PegGripExpert(), size.of(UPDATES)

    def operator(place: Workplace, gate: Gate) -> Operator:
        return Operator(expert, gate, SHAKY, env.privileged, place.clock)

    place, shared_place = Workplace(env, seed), Workplace(env, seed, mode=Mode.ARM)
    hand = taught(spec, place.demonstrations(place.person(expert, FEELING), size.of(HAND_DEMOS)), seed, updates)
    numb = operator(place, AlwaysGate())
    alone = [place.episode(Stream.DEMO, None, numb)[-1].success for _ in range(size.of(ALONE))]
    driver, tried = operator(shared_place, AlwaysGate()), list[Episode]()
    while sum(steps[-1].success for steps in tried) < size.of(SHARED) and len(tried) < 3 * size.of(SHARED):
        tried.append(shared_place.episode(Stream.TRAIN, Shaken(hand), driver))
    shown = [steps for steps in tried if steps[-1].success] or tried
    policy = taught(spec, shown, seed, updates)
    before = rate(trials(env, policy, seed + 1000, size.of(TRIALS)))
    helper = operator(shared_place, ProgressGate(patience=8))
    corrected = shared_place.helped(policy, helper, count=size.of(CORRECTED))
    better = taught(spec, [*shown, *corrected], seed, updates)
    after = rate(trials(env, better, seed + 1000, size.of(TRIALS)))
    largest, mean = onset_jumps(corrected)
    return {
        "shared": float(np.mean([steps[-1].success for steps in tried])),
        "alone": float(np.mean(alone)),
        "policy": before,
        "corrected": after,
        "gain": after - before,
        "jump": largest,
        "mean jump": mean,
    }


def onset_jumps(episodes: Sequence[Episode]) -> tuple[float, float]:
    """Return largest and mean change of the arm's action at a takeover, over the 99th percentile of other changes."""
    onsets, usual = [0.0], [1e-9]
    for steps in episodes:
        for before, step in pairwise(steps):
            change = float(np.abs(step.action_executed - before.action_executed)[:2].max())
            (onsets if step.onset else usual).append(change)
    scale = float(np.quantile(usual, 0.99))
    return max(onsets) / scale, float(np.mean(onsets[1:] or onsets)) / scale


CLAIMS = (
    Claim(key="shared", what="success of the operator who drives the arm only", target=0.85),
    Claim(key="alone", what="success of the operator who drives everything", target=0.6, higher_is_better=False),
    Claim(key="policy", what="success of the policy taught by shared episodes", target=0.7),
    Claim(key="corrected", what="success of that policy after 20 corrective episodes"),
    Claim(
        key="gain", what="gain of 20 corrective episodes", target=0.1,
        note="two trainings on the same shared episodes differed by 0.1 to 0.3 on tuning seed 101",
    ),
    Claim(
        key="jump", what="largest jump at a takeover, over the 99th percentile of other steps", target=1.0,
        higher_is_better=False, unit="ratio",
    ),
    Claim(
        key="mean jump", what="mean jump at a takeover, over the 99th percentile of other steps",
        higher_is_better=False, unit="ratio",
    ),
)  # fmt: skip

if __name__ == "__main__":
    main("arm_hand", CLAIMS, measure, __doc__)
