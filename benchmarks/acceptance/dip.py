"""From offline to online without unlearning: Cal-QL, against RLPD that begins from nothing.

A peg into a slot, 20 demonstrations of a person who fails in four of ten; nobody watches. Both learners have the same
demonstrations; Cal-QL trains on them before the robot moves, RLPD from its first online steps on. Trials are made
before anything is learnt online and four times within the first thousand steps. After Cal-QL (Nakamoto et al. 2023,
arXiv 2303.05479), with which RoboFuME (Yang et al. 2023) goes from recorded data to practice.
"""

from collections.abc import Mapping
from dataclasses import replace

from lab import Claim, Size, main

from robot_hil.experiments import registry
from robot_hil.methods import registry as methods
from runs import folder, trained

DEMOS, TRIALS, PRETRAINED = 20, 40, 500
LIMITS = (100, 325, 550, 775, 1000)
"""At the first nothing has been learnt online (`start_after`)."""


def measure(seed: int, size: Size) -> Mapping[str, float]:
    """Run the experiment once."""
    found: dict[str, list[float]] = {}
    for name in ("cal_ql", "rlpd"):
        base = registry.get("peg_slot").taught_by(methods.get(name))
        learner = replace(base.learner, batch_size=128)
        if name == "cal_ql":
            updates, clones = size.of(PRETRAINED), size.of(learner.clone_updates)
            learner = replace(learner, critic_warmup=updates, clone_updates=clones)
        base = replace(
            base, backend="torch", demos=max(2, size.of(DEMOS)), learner=learner,
            person=replace(base.person, profile="sixty_percent", gate="never"),
            agent=replace(base.agent, hidden=(64, 64)),
        )  # fmt: skip
        with folder() as path:
            points = trained(base, path, seed, [size.of(limit) for limit in LIMITS], size.of(TRIALS))
        found[name] = [point.success for point in points]
        print(f"  {name}: " + ", ".join(f"{p.env_steps}: {p.success:.2f}" for p in points), flush=True)
    low, high = min(found["cal_ql"][1:]), max(found["rlpd"][1:])
    return {
        "offline": found["cal_ql"][0], "low": low, "dip": found["cal_ql"][0] - low, "high": high, "above": low - high,
    }  # fmt: skip


CLAIMS = (
    Claim(key="dip", what="Cal-QL's success before practice less its least in 1000 steps", target=0.1,
          higher_is_better=False),
    Claim(key="above", what="Cal-QL's least less RLPD's most in 1000 steps", target=0.05),
    Claim(key="offline", what="Cal-QL's success before practice"),
    Claim(key="low", what="Cal-QL's least success in 1000 steps"),
    Claim(key="high", what="RLPD's most success in 1000 steps"),
)  # fmt: skip

if __name__ == "__main__":
    main("dip", CLAIMS, measure, __doc__ or "")
