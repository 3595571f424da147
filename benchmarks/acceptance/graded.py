"""Graded help: fewer episodes to a goal than by fresh starts alone, at little cost in a person's time.

A peg into two slots in turn, after few demonstrations; nobody watches. Fresh starts, against the schedule that returns
to hard states and asks a person to drive through what stays hard. After VLAC, Zhai et al. 2025, arXiv 2509.15937.
"""

from collections.abc import Mapping
from dataclasses import replace

from lab import Claim, Size, main

from robot_hil.experiments import registry
from runs import first, folder, trained

BASE = registry.get("peg_two_slots")
DEMOS, TRIALS, GOOD = 4, 30, 0.8
LIMITS = (1500, 2250, 3000, 3750, 4500, 5250, 6000)


def measure(seed: int, size: Size) -> Mapping[str, float]:
    """Run the experiment once."""
    base = replace(BASE, backend="torch", demos=DEMOS, person=replace(BASE.person, gate="never"))
    base = replace(base, learner=replace(base.learner, clone_updates=size.of(base.learner.clone_updates)))
    limits = [size.of(limit) for limit in (LIMITS[:1] if size.share < 1 else LIMITS)]
    found: dict[str, float] = {}
    for name in ("fresh", "graded"):
        with folder() as path:
            points = trained(replace(base, practice=name), path, seed, limits, size.of(TRIALS))
        reached, last = first(points, GOOD), points[-1]
        at = reached or last
        found |= {
            f"{name} episodes": float(at.episodes), f"{name} reached": float(reached is not None),
            f"{name} human": at.human_steps / at.env_steps, f"{name} success": last.success,
        }  # fmt: skip
    return found | {"episodes": found["graded episodes"] / found["fresh episodes"]}


CLAIMS = (
    Claim(key="episodes", what="episodes to 80 % of graded help over those of fresh starts", target=0.67,
          higher_is_better=False, unit="ratio", note="the last point counts where 80 % was not reached"),
    Claim(key="graded human", what="human time, of driving all the time", target=0.2, higher_is_better=False),
    Claim(key="graded reached", what="seeds that reached 80 % with graded help"),
    Claim(key="fresh reached", what="seeds that reached 80 % with fresh starts"),
    Claim(key="graded success", what="final success with graded help"),
    Claim(key="fresh success", what="final success with fresh starts"),
)  # fmt: skip

if __name__ == "__main__":
    main("graded", CLAIMS, measure, __doc__ or "")
