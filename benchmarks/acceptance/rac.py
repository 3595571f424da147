"""Recovery and correction (RaC, Hu et al. 2025) against more demonstrations and against corrections with resume.

Two slots in turn. A policy imitates 10 demonstrations; then three arms get equally many human frames: (i) more
demonstrations, (ii) HG-DAgger, where the person corrects and the policy resumes, (iii) RaC, where the person lifts the
peg clear, fills the slot, and the episode ends. Both correct in three rounds with training in between; every policy
gets as many updates. A policy that is seldom stuck needs little help, so a round ends after 120 trials, too: what
counts is then the smaller number of frames, of all three arms the first so many.

After corrections hardly any trial jams, and a share of few says nothing. So whether a policy has learnt to recover is
asked in trials of their own, which begin with the peg jammed beside the first slot: the share that succeeds.

The test seeds are 8, 9 and 10: the person's hand was made cleaner after a look at seed 0, and with 600 human frames
more demonstrations reached 0.84 on seeds 5 to 7, above which little is to be gained; here there are 300. Changed on
tuning seeds 100 and 101: 10 demonstrations, as 20 alone reached 0.86; and the person who recovers lifts the peg to 3
cm, where demonstrations pass, not to 6, from where they only go down (1.00 against 0.68, at equal frames). With 300
frames recovery and correction had 1.00 and 0.92 there, more demonstrations 0.76 and 0.50, corrections with resume 1.00
and 0.98.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from lab import Claim, Episode, Size, Workplace, first_frames, human_frames, main, rate, taught, trials

from robot_hil.envs.toy.env import ToyEnv
from robot_hil.envs.toy.peg_slot import TOLERANCE, PegScene, PegSlot
from robot_hil.teleop.simulated.expert_peg_slot import PegSlotExpert
from robot_hil.teleop.simulated.gates import ProgressGate
from robot_hil.teleop.simulated.profile import COMPETENT
from robot_hil.teleop.simulated.recovering import RecoveringPerson

TESTS = 8, 9, 10
DEMOS, FRAMES, ROUNDS, UPDATES, TRIALS = 10, 300, 3, 1500, 50
HORIZONS = (80, 120, 160)
"""Steps allowed."""
PATIENCE = 8
"""Steps without progress after which the person takes over."""
CLEAN = replace(COMPETENT, noise=0.04, blunder_rate=0.0)
"""A person whose demonstrations hardly ever jam, so that they teach nothing about it."""


class Jammed(PegSlot):
    """Episodes begin with the peg jammed beside the first slot."""

    def start(self, rng: np.random.Generator, goal: str) -> PegScene:
        """See `PegSlot.start`."""
        scene = super().start(rng, goal)
        aside = float(rng.choice((-1.0, 1.0)) * rng.uniform(1.5, 4.0)) * TOLERANCE
        return self._begin(scene._replace(x=scene.slots[0] + aside, z=0.0))


def measure(seed: int, size: Size) -> Mapping[str, float]:
    """Return success and recoveries of the three arms."""
    env, jammed = ToyEnv(PegSlot(slots=2)), ToyEnv(Jammed(slots=2))
    spec, expert = env.env_spec, PegSlotExpert()
    classroom = Workplace(env, seed)
    demonstrator = classroom.person(expert, CLEAN)
    first = classroom.demonstrations(demonstrator, size.of(DEMOS))
    frames, updates = size.of(FRAMES), size.of(UPDATES)
    start = taught(spec, first, seed, updates)
    data: dict[str, list[Episode]] = {}
    for name in ("resume", "rac"):
        place = Workplace(env, seed, rac=name == "rac")
        gate = ProgressGate(patience=PATIENCE)
        person = (
            RecoveringPerson(expert, gate, CLEAN, env.privileged, place.clock)
            if name == "rac"
            else place.person(expert, CLEAN, gate)
        )
        data[name] = []
        for turn in range(ROUNDS):
            policy = taught(spec, [*first, *data[name]], seed, updates) if turn else start
            missing = (turn + 1) * frames // ROUNDS - human_frames(data[name])
            data[name] += place.helped(policy, person, frames=max(1, missing))
    equal = min(frames, *map(human_frames, data.values()))
    data = {name: first_frames(episodes, equal) for name, episodes in data.items()}
    data["demos"] = classroom.demonstrations(demonstrator, frames=equal)
    found: dict[str, float] = {}
    for name, extra in data.items():
        policy = taught(spec, [*first, *extra], seed, updates)
        alone = trials(env, policy, seed + 1000, size.of(TRIALS))
        for steps in HORIZONS:  # nobody sees the clock, so a shorter trial is the beginning of a longer one
            found[f"{name} {steps}"] = sum(t.success and t.steps <= steps for t in alone) / len(alone)
        found[f"{name} jams"] = sum(trial.jams for trial in alone) / len(alone)
        found[f"{name} recovered"] = rate(trials(jammed, policy, seed + 1000, size.of(TRIALS)))
        found[f"{name} frames"] = human_frames(extra)
    shortest, longest = HORIZONS[0], HORIZONS[-1]
    found["over demos"] = found[f"rac {longest}"] - found[f"demos {longest}"]
    found["over resume"] = found[f"rac {longest}"] - found[f"resume {longest}"]
    for name, key in (("rac", "retries"), ("demos", "retries of demos")):
        found[key] = found[f"{name} {longest}"] - found[f"{name} {shortest}"]
    return found


CLAIMS = (
    Claim(key="rac 160", what="success of recovery and correction"),
    Claim(key="demos 160", what="success of more demonstrations"),
    Claim(key="resume 160", what="success of corrections with resume"),
    Claim(key="over demos", what="gain over more demonstrations", target=0.15),
    Claim(key="over resume", what="gain over corrections with resume", target=0.0),
    Claim(key="resume recovered", what="success from a jam after corrections with resume"),
    Claim(key="rac recovered", what="success from a jam after recovery and correction", target=0.5),
    Claim(key="demos recovered", what="success from a jam after demonstrations", target=0.1, higher_is_better=False),
    Claim(key="retries", what="gain of twice the time after recovery and correction"),
    Claim(
        key="retries of demos", what="gain of twice the time after demonstrations", target=0.05, higher_is_better=False
    ),
)

if __name__ == "__main__":
    main("rac", CLAIMS, measure, __doc__, TESTS)
