"""Compatibility: the score tells a style that does not mix, and leaving it out keeps imitation whole.

Past a pillar, over it or under it. A committee has learnt from 30 demonstrations over it. New people give 15 over, 15
under and 15 of both; and 15 over from heights where none of the 30 began. Imitators of the base, of the base and what
fits, and of everything get equally many updates. After Gandhi et al. 2022, arXiv 2210.08073.

On seed 100 the score did all it should, and leaving out what does not fit gained nothing: an imitator of everything,
even of as many demonstrations under the pillar as over it, never ran into it in 40 trials. It went over where it began
above the pillar's middle and under where below (39 of 40): where the place tells which way to take, two ways mix well.
The target stays, and is missed.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from lab import Claim, Episode, Size, Workplace, main, taught

from robot_hil.actor.policy import AgentPolicy
from robot_hil.actor.seeding import Stream
from robot_hil.cli.committee import Committee
from robot_hil.cli.committee_make import MIN_EPISODES, CommitteeOptions, teach
from robot_hil.envs.toy.env import ToyEnv
from robot_hil.envs.toy.reach_pillar import ReachPillar, make_env
from robot_hil.experiments import registry
from robot_hil.help.compatibility import ranking
from robot_hil.teleop.simulated import experts
from robot_hil.teleop.simulated.profile import PROFILES

TASK = replace(registry.get("reach_pillar"), backend="torch")
BASE, NEW, TRIALS, UPDATES = 30, 15, 50, 1500
HIGHER = (0.18, 0.3)
"""Heights of the new starts [m]; the usual ones end at 0.12."""


class Higher(ToyEnv):
    """Begins above all that the base knows."""

    def reset(self, *, seed=None, options=None):  # type: ignore[no-untyped-def]  # as Gymnasium's
        super().reset(seed=seed, options=options)
        state = self.snapshot()
        scene = {**state["scene"], "z": float(np.random.default_rng(seed).uniform(*HIGHER))}
        return super().reset(options={"state": {**state, "scene": scene}})


def given(env: ToyEnv, style: str, seed: int, count: int) -> list[Episode]:
    """Return demonstrations in one style; `seed` is of these alone."""
    place = Workplace(env, seed)
    return place.demonstrations(place.person(experts.make(style), PROFILES["competent"]), count)


def accepted(committee: Committee, episodes: list[Episode]) -> float:
    """Return the share that fits."""
    return float(np.mean([committee.judge(episode).accepted for episode in episodes]))


def alone(env: ToyEnv, policy: AgentPolicy, seed: int, count: int) -> float:
    """Return the share of trials that a policy succeeds in."""
    place = Workplace(env, seed)
    return float(np.mean([place.episode(Stream.EVAL, policy, None)[-1].success for _ in range(count)]))


def measure(seed: int, size: Size) -> Mapping[str, float]:
    """Run the experiment once."""
    env, first = make_env(), 1000 * seed
    updates, new = size.of(UPDATES), max(4, size.of(NEW))
    base = given(env, "reach_over", first, max(MIN_EPISODES, size.of(BASE)))
    over, under = given(env, "reach_over", first + 1, new), given(env, "reach_under", first + 2, new)
    mixed = given(env, "reach_mixed", first + 3, new)
    higher = Higher(ReachPillar())
    novel = given(higher, "reach_over", first + 4, new)
    committee, _ = teach(TASK, base, [], [], CommitteeOptions(updates=updates, seed=seed))
    scores = [[committee.judge(episode).score for episode in group] for group in (over, under)]
    everybody = [*over, *under, *mixed]
    fitting = [episode for episode in everybody if committee.judge(episode).accepted]
    found = {
        "auroc": ranking(*scores), "over": accepted(committee, over), "under": accepted(committee, under),
        "novel": accepted(committee, novel),
    }  # fmt: skip
    for name, episodes in (("base", base), ("fitting", [*base, *fitting]), ("all", [*base, *everybody])):
        policy = taught(env.env_spec, episodes, seed, updates)
        found[name] = alone(env, policy, first + 5, size.of(TRIALS))
    return found | {"gain": found["fitting"] - found["all"], "harm": found["fitting"] - found["base"]}


CLAIMS = (
    Claim(key="auroc", what="how often a demonstration over scores above one under", target=0.95, unit="AUROC"),
    Claim(key="novel", what="accepted of the same style from new places", target=0.8),
    Claim(key="gain", what="imitation of what fits, less that of everything", target=0.15,
          note="two ways past a pillar do not hurt who imitates both: the place of the tool tells which one to take"),
    Claim(key="harm", what="imitation of what fits, less that of the base", target=0.0),
    Claim(key="over", what="accepted of the same style"),
    Claim(key="under", what="accepted of the other style", higher_is_better=False),
    Claim(key="base", what="success of imitating the base"),
    Claim(key="fitting", what="success of imitating base and what fits"),
    Claim(key="all", what="success of imitating everything"),
)  # fmt: skip

if __name__ == "__main__":
    main("compatibility", CLAIMS, measure, __doc__ or "")
