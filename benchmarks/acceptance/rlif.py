"""Interventions as the only reward (RLIF, Luo et al. 2023, arXiv 2311.12996), from a person who does it badly alone.

The peg and one slot. The person sees the slot too far to one side, blunders in every seventh step, and succeeds in five
to six of ten; but takes over when the robot is about to lose ground, which is easier to see than to do better. Ten
demonstrations, failures among them, then practice with that person at hand: by RLIF; by HG-DAgger; by RLIF for which
nothing ever costs anything; and by RLIF with a person who takes over at random.

Two things differ from the published. Its gate errs in 5 % of all steps: with takeovers of four steps a person would
then hold a flawless robot for a sixth of the time, so here it errs in 0.5 %. And six steps without progress are a
reason to take over, too: the gate compares one step with the scripted expert's, which itself waits while it aligns, so
that a robot that hovered beside the slot was never interrupted, and learnt to hover (0.15 on tuning seed 101; with the
six steps 1.00 there and on seed 100, where the person has 0.61 and 0.54).

All arms but HG-DAgger go on imitating the demonstrations. That alone gains something without any reward, 0.35 to 0.53
on seed 101 after 3000 updates before practice, and 0 to 0.57 after 500.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from lab import Claim, Episode, Size, Workplace, main, rate, taught, trials

from robot_hil.actor.policy import AgentPolicy
from robot_hil.actor.seeding import Stream
from robot_hil.envs.toy.env import ToyEnv
from robot_hil.envs.toy.peg_slot import PegSlot
from robot_hil.learner.learner import Learner, LearnerConfig
from robot_hil.methods.base import Method
from robot_hil.methods.bc import Bc
from robot_hil.methods.rlif import METHOD, Rlif
from robot_hil.policies.algorithms.hg_dagger import HgDaggerConfig
from robot_hil.policies.config import AnchoredConfig, EncoderConfig
from robot_hil.policies.registry import make_agent
from robot_hil.teleop.simulated.expert_peg_slot import PegSlotExpert
from robot_hil.teleop.simulated.gates import Gate, RandomGate, ValueGate
from robot_hil.teleop.simulated.profile import BIASED

DEMOS, CLONES, STEPS, TRIALS = 10, 3000, 6000, 100
PATIENCE = 6
"""Steps without progress that the person watches."""
FIRST, LAST = 1000, 2000
"""Steps over which the person's share is counted, at the beginning and at the end."""
PERSON = replace(
    BIASED, reaction_steps=1, reaction_jitter=0, min_hold_steps=4, max_hold_steps=4, max_interventions=80,
    fatigue_steps=1e9,
)  # fmt: skip
"""About 60 % alone; takes over for four steps at a time, as published, right after the action that was the reason.

Never tired: who has to help more must not become worse by it.
"""
HIDDEN, ROWS = (128, 128), 128
RLIF = AnchoredConfig(**METHOD.agent, hidden=HIDDEN, utd=2, ensemble=4, exploration=0.05)
IMITATOR = HgDaggerConfig(hidden=HIDDEN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """Who learns how, and when the person takes over."""

    view: Method
    agent: EncoderConfig = RLIF
    at_random: bool = False

    def gate(self) -> Gate:
        """Return a fresh gate."""
        return (
            RandomGate(0.5) if self.at_random else ValueGate(PegSlotExpert(), delta=0.5, flip=0.005, patience=PATIENCE)
        )


ARMS = {
    "value": Arm(view=Rlif()),
    "hg_dagger": Arm(view=Bc(), agent=IMITATOR),
    "zero": Arm(view=Rlif(cost=0.0)),
    "random": Arm(view=Rlif(), at_random=True),
}


@dataclass(slots=True, kw_only=True)
class Course:
    """What practice brought."""

    before: float
    """Success after imitation of the demonstrations."""
    after: float = 0.0
    human: list[bool] = field(default_factory=list)
    """Of each step of practice, whether the person drove."""
    log: list[Episode] = field(default_factory=list)
    """Episodes of practice."""


def practise(arm: Arm, demos: Sequence[Episode], seed: int, size: Size) -> Course:
    """Imitate `demos`, then practise with one training round per step, made at the end of each episode."""
    env, steps = ToyEnv(PegSlot()), size.of(STEPS)
    place = Workplace(env, seed)
    agent = make_agent(arm.agent, "torch", "cpu")
    agent.bind(env.env_spec)
    config = LearnerConfig(
        batch_size=ROWS, clone_batch_size=ROWS, gamma=METHOD.learner["gamma"], clone_updates=size.of(CLONES),
        capacity=2 * steps + 4000, prefetch=0,
    )  # fmt: skip
    learner = Learner(agent, arm.view, env.env_spec, config, seed)
    policy, person = AgentPolicy(agent), place.person(PegSlotExpert(), PERSON, arm.gate())

    def take(episode: Episode, number: int) -> None:
        learner.add_all([replace(step, actor_id="lab", epoch=0, episode_id=number) for step in episode])

    def alone() -> float:
        policy.set_params(learner.rounds, agent.load_actor(learner.actor_params()))
        return rate(trials(ToyEnv(PegSlot()), policy, seed + 1000, size.of(TRIALS)))

    for number, episode in enumerate(demos):
        take(episode, number)
    learner.warm_start()
    course = Course(before=alone())
    while len(course.human) < steps:
        episode = place.episode(Stream.TRAIN, policy, person)
        take(episode, len(demos) + len(course.log))
        course.log.append(episode)
        course.human += [step.is_human for step in episode]
        for _ in episode:
            learner.train_round()
        policy.set_params(learner.rounds, agent.load_actor(learner.actor_params()))
    course.after = alone()
    learner.close()
    return course


def share(flags: Sequence[bool]) -> float:
    """Return the share of true ones."""
    return sum(flags) / len(flags)


def measure(seed: int, size: Size) -> Mapping[str, float]:
    """Return the person's success, that of every arm, and the person's share at both ends of practice."""
    env = ToyEnv(PegSlot())
    place = Workplace(env, seed)
    person = place.person(PegSlotExpert(), PERSON)
    demos = place.demonstrations(person, size.of(DEMOS), failures=True)
    driven = place.demonstrations(person, size.of(TRIALS), failures=True)
    found = {"expert": share([steps[-1].success for steps in driven])}
    courses = {name: practise(arm, demos, seed, size) for name, arm in ARMS.items()}
    found |= {name: course.after for name, course in courses.items()}
    value = courses["value"]
    imitator = taught(env.env_spec, [*demos, *value.log], seed, size.of(1500))
    found["bc"] = rate(trials(env, imitator, seed + 1000, size.of(TRIALS)))
    found |= {f"over {name}": value.after - found[name] for name in ("expert", "hg_dagger", "bc", "random")}
    return found | {
        "init": value.before, "zero gain": courses["zero"].after - courses["zero"].before,
        "human first": share(value.human[: size.of(FIRST)]), "human last": share(value.human[-size.of(LAST) :]),
    }  # fmt: skip


CLAIMS = (
    Claim(key="over expert", what="success of RLIF less that of the person alone", target=0.2),
    Claim(key="over hg_dagger", what="gain over HG-DAgger with as many steps", target=0.15),
    Claim(key="human first", what="person's share of the first thousand steps", target=0.2),
    Claim(key="human last", what="person's share of the last two thousand", target=0.05, higher_is_better=False),
    Claim(key="zero gain", what="what practice brings when nothing costs anything", target=0.05,
          higher_is_better=False),
    Claim(key="over random", what="gain over a person who takes over at random", target=0.1),
    Claim(key="expert", what="success of the person alone"),
    Claim(key="init", what="success of imitating the demonstrations"),
    Claim(key="value", what="success of RLIF"),
    Claim(key="hg_dagger", what="success of HG-DAgger"),
    Claim(key="over bc", what="gain over imitation of people on the same log"),
)  # fmt: skip

if __name__ == "__main__":
    main("rlif", CLAIMS, measure, __doc__ or "")
