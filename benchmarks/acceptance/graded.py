"""Graded help: fewer episodes to a goal than by fresh starts alone, at little cost in a person's time.

A peg into a slot, after 10 demonstrations; nobody watches. Fresh starts, against the schedule that returns to hard
states and asks a person to drive through what stays hard. In both, episodes that succeed are imitated, whoever drove
(Hi-ORS). After VLAC, Zhai et al. 2025, arXiv 2509.15937.

Two choices made on tuning seed 100. One slot and not two: an attempt at two lasts 160 steps, so that the steps that can
be paid for would be some 50 episodes, few for a schedule that looks at 20 of them. Imitation and not critics: with
rewards at success alone and as little help as is allowed here, the default's pull towards people fades before its
critics can tell one action from another; from 0.47 success fell to 0.13 and was back at 0.40 after 2000 steps.
"""

from collections.abc import Mapping
from dataclasses import replace

from lab import Claim, Size, main

from robot_hil.experiments import registry
from robot_hil.methods import registry as methods
from runs import first, folder, trained

BASE = registry.get("peg_slot").taught_by(methods.get("hi_ors"))
DEMOS, TRIALS, GOOD = 10, 40, 0.8
LIMITS = tuple(range(1000, 8001, 1000))


def measure(seed: int, size: Size) -> Mapping[str, float]:
    """Run the experiment once."""
    base = replace(
        BASE, backend="torch", demos=DEMOS, person=replace(BASE.person, gate="never"),
        agent=replace(BASE.agent, hidden=(64, 64)),
        learner=replace(BASE.learner, batch_size=128, clone_updates=size.of(3000), clone_batch_size=128),
    )  # fmt: skip
    limits = [size.of(limit) for limit in (LIMITS[:1] if size.share < 1 else LIMITS)]
    found: dict[str, float] = {}
    for name in ("graded", "fresh"):
        with folder() as path:
            points = trained(replace(base, practice=name), path, seed, limits, size.of(TRIALS), until=GOOD)
        last = points[-1]
        found |= {
            f"{name} episodes": float(last.episodes), f"{name} reached": float(first(points, GOOD) is not None),
            f"{name} human": last.human_steps / last.env_steps, f"{name} success": last.success,
        }  # fmt: skip
        print(f"  {name}: " + ", ".join(f"{p.env_steps}: {p.success:.2f}" for p in points), flush=True)
    return found | {"episodes": found["graded episodes"] / found["fresh episodes"]}


CLAIMS = (
    Claim(key="episodes", what="episodes to 80 % of graded help over those of fresh starts", target=0.67,
          higher_is_better=False, unit="ratio", note="the last point counts where 80 % was not reached"),
    Claim(key="graded human", what="human time, of driving all the time", target=0.2, higher_is_better=False),
    Claim(key="graded reached", what="seeds that reached 80 % with graded help"),
    Claim(key="fresh reached", what="seeds that reached 80 % with fresh starts"),
    Claim(key="graded success", what="last success with graded help"),
    Claim(key="fresh success", what="last success with fresh starts"),
)  # fmt: skip

if __name__ == "__main__":
    main("graded", CLAIMS, measure, __doc__ or "")
