"""Ask for help: a robot notices that its world has changed, and leaves the person alone when nothing has.

A policy cloned from 150 demonstrations puts a peg into a slot. Its own successes calibrate a committee. Then in half of
the trials, half-way, the tool begins to drift or the axes to overshoot. Whoever is there watches nothing but the call,
and leans against what pushes the tool, as people do. The same trials without supervision say what it saved. After
Abraham et al. 2021, arXiv 2103.15053, which reports no experiment.

Chosen on seed 100: with 60 demonstrations the policy failed in half of the unchanged trials, and most "false" alarms
were failures foreseen. So there are 150; the slot has 6 mm of play on either side where 4 mm were demonstrated; an
alarm counts as false where the robot alone succeeds, and how often it calls where it fails is a row of its own. A
person who does not lean fails in a drifting world as the robot does, and then no call can help. The robot slows first
and is held a second later (`--ask.no-at-once`): held at once, as by default, it leaves more to the person than the
quarter that is allowed, which is a row, too.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from lab import Claim, Episode, Size, Workplace, main, taught

from robot_hil.actor.arbiter import Arbiter, ArbiterConfig, TailDriver
from robot_hil.actor.loop import ControlLoop, LoopConfig
from robot_hil.actor.policy import AgentPolicy
from robot_hil.actor.seeding import Stream
from robot_hil.actor.supervised import SupervisedPolicy
from robot_hil.cli.committee import Committee
from robot_hil.cli.committee_make import MIN_EPISODES, CommitteeOptions, teach
from robot_hil.clock import VirtualClock
from robot_hil.data.disturbance import Disturbance
from robot_hil.data.specs import Array, Observation
from robot_hil.data.step import Step
from robot_hil.data.teleop import TeleopSample
from robot_hil.envs.toy.env import ToyEnv
from robot_hil.envs.toy.peg_slot import make_env
from robot_hil.experiments import registry
from robot_hil.help.autonomy import Autonomy
from robot_hil.teleop.simulated import experts
from robot_hil.teleop.simulated.expert import World
from robot_hil.teleop.simulated.gates import NeverGate
from robot_hil.teleop.simulated.person import SimulatedPerson
from robot_hil.teleop.simulated.profile import PROFILES

TASK = replace(registry.get("peg_slot"), backend="torch")
TOLERANCE_M = 0.006
DEMOS, TRIALS, UPDATES = 150, 60, 4000
MEMBER_UPDATES = 1000
CHANGES = (Disturbance(kind="drift", x=0.12), Disturbance(kind="gain", x=1.8, z=0.5))
FEEL = 0.5
"""How much of what is seen in one step the person believes."""
AT, IN_TIME = 10, 5
"""Step before which the world changes, and steps within which that should show."""


class Leaning(SimulatedPerson):
    """A person who sees that the tool does not go where it is pulled, and leans against that; else competent.

    Without it the simulated hand would fail in a drifting world as the robot does, which people do not.
    """

    def begin_episode(self, seed: int) -> None:
        super().begin_episode(seed)
        self._pulled: Array | None = None
        self._at: Array | None = None
        self._push = np.zeros(2)

    def latest(self) -> TeleopSample:
        sample = super().latest()
        self._pulled = sample.action
        return sample

    def _aim(self, seen: World) -> Array:
        at = np.asarray(seen["tip_pos"])[[0, 2]]
        if self._pulled is not None and self._at is not None:
            self._push += FEEL * ((at - self._at) / seen["step_m"] - self._pulled - self._push)
        self._at = at
        return np.clip(super()._aim(seen) - self._push, -1.0, 1.0)


class Changing:
    """A policy; before step `AT` of each episode the world changes."""

    def __init__(self, policy: AgentPolicy, env: ToyEnv, change: Disturbance | None) -> None:
        self._policy, self._env, self._change, self._step = policy, env, change, 0

    @property
    def version(self) -> int:
        """See `Policy.version`."""
        return self._policy.version

    def begin_episode(self, seed: int) -> None:
        """See `EpisodeAware`."""
        self._policy.begin_episode(seed)
        self._step = 0

    def act(self, obs: Observation, deterministic: bool = False) -> Array:
        """See `Policy.act`."""
        if self._step == AT and self._change is not None:
            self._env.disturb(self._change)
        self._step += 1
        return self._policy.act(obs, deterministic=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One trial."""

    changed: bool
    success: bool
    lowered: tuple[int, ...]
    """Steps at which the level changed."""
    human: int
    steps: int


def trial(
    env: ToyEnv, policy: AgentPolicy, watch: Committee | None, seed: int, number: int, at_once: bool = False
) -> Seen:
    """Run one trial, every other of which is changed; with `watch` the robot is supervised, and a person comes."""
    change = CHANGES[number // 2 % len(CHANGES)] if number % 2 else None
    clock, steps, changes = VirtualClock(), list[Step](), list[int]()
    plain = Changing(policy, env, change)
    person = Leaning(experts.make("peg_slot"), NeverGate(), PROFILES["competent"], env.privileged, clock)
    person.start()
    acting: Changing | SupervisedPolicy = plain
    if watch is not None:
        trigger = watch.trigger if at_once else replace(watch.trigger, alarm=0.0)
        acting = SupervisedPolicy(
            plain, watch, Autonomy(trigger, 1.0 / env.control_hz), np.ones(2, bool),
            decided=lambda: loop.last_decision, now=clock.now,
            on_change=lambda change: changes.append(round(change.t * env.control_hz)),
        )  # fmt: skip
        person.come_when(lambda: isinstance(acting, SupervisedPolicy) and acting.calling)
    loop = ControlLoop(
        env, acting, Arbiter(ArbiterConfig(action_dim=2, release_tail_s=0.0, tail_driver=TailDriver.POLICY)),
        steps.append, LoopConfig(control_hz=env.control_hz, run_seed=seed), teleop=person, clock=clock,
    )  # fmt: skip
    result = loop.run_episode(Stream.TRAIN, number)
    return Seen(
        changed=change is not None, success=result.success, lowered=tuple(changes), human=result.human_steps,
        steps=result.steps,
    )  # fmt: skip


def own_successes(env: ToyEnv, policy: AgentPolicy, seed: int, count: int) -> list[Episode]:
    """Return what the policy does well by itself, of `count` trials."""
    place = Workplace(env, seed)
    found = [place.episode(Stream.EVAL, policy, None) for _ in range(count)]
    return [steps for steps in found if steps[-1].success]


def measure(seed: int, size: Size) -> Mapping[str, float]:
    """Run the experiment once."""
    env, first, updates = make_env(tolerance_m=TOLERANCE_M), 1000 * seed, size.of(UPDATES)
    place = Workplace(make_env(), first)
    people = place.demonstrations(
        place.person(experts.make("peg_slot"), PROFILES["competent"]), max(MIN_EPISODES, size.of(DEMOS))
    )
    policy = taught(env.env_spec, people, seed, updates)
    own = own_successes(env, policy, first + 1, max(2 * MIN_EPISODES, 4 * size.of(TRIALS)))
    committee, _ = teach(TASK, people, own, [], CommitteeOptions(updates=size.of(MEMBER_UPDATES), seed=seed))
    count = max(8, size.of(TRIALS))
    watched, alone, held = (
        [trial(env, policy, watch, first + 2, number, at_once) for number in range(count)]
        for watch, at_once in ((committee, False), (None, False), (committee, True))
    )
    at_once = {f"{key}, at once": value for key, value in numbers(held, alone).items()}
    return numbers(watched, alone) | at_once | {"calibration": committee.calibration_error}


def numbers(watched: list[Seen], alone: list[Seen]) -> dict[str, float]:
    """Return what is claimed of trials with supervision and, in the same order, without."""
    pairs = list(zip(watched, alone, strict=True))
    failed = [np.mean([not one.success for one in group if one.changed]) for group in (watched, alone)]
    in_time = [any(AT <= step <= AT + IN_TIME for step in one.lowered) for one in watched if one.changed]
    good = [bool(one.lowered) for one, by_itself in pairs if not one.changed and by_itself.success]
    bad = [bool(one.lowered) for one, by_itself in pairs if not one.changed and not by_itself.success]
    return {
        "in time": float(np.mean(in_time)),
        "false": float(np.mean(good)) if good else 1.0,
        "foreseen": float(np.mean(bad)) if bad else 1.0,
        "nominal": len(good) / (len(good) + len(bad)),
        "failures left": float(failed[0] / max(failed[1], 1e-9)),
        "failures alone": float(failed[1]),
        "human": sum(one.human for one in watched) / sum(one.steps for one in watched),
        "switches": float(np.mean([len(one.lowered) for one in watched])),
        "most switches": float(max(len(one.lowered) for one in watched)),
    }


CLAIMS = (
    Claim(key="in time", what="level lowered within 5 steps of a change", target=0.9),
    Claim(key="false", what="level lowered in unchanged trials that the robot does alone", target=0.05,
          higher_is_better=False, note="not of all unchanged ones: where it fails alone it is right to call"),
    Claim(key="failures left", what="failures with supervision over those without", target=0.5,
          higher_is_better=False, unit="ratio"),
    Claim(key="human", what="human steps", target=0.25, higher_is_better=False),
    Claim(key="most switches", what="most changes of level in a trial", target=4.0, higher_is_better=False,
          unit="changes"),
    Claim(key="calibration", what="calibration error", target=0.02, higher_is_better=False),
    Claim(key="human, at once", what="human steps where the robot is held at once", higher_is_better=False),
    Claim(key="failures left, at once", what="failures over those without, held at once", higher_is_better=False,
          unit="ratio"),
    Claim(key="foreseen", what="level lowered in unchanged trials that the robot fails alone"),
    Claim(key="nominal", what="success in unchanged trials without supervision"),
    Claim(key="switches", what="changes of level per trial", higher_is_better=False, unit="changes"),
    Claim(key="failures alone", what="failures in a changed world without supervision", higher_is_better=False),
)  # fmt: skip

if __name__ == "__main__":
    main("autonomy", CLAIMS, measure, __doc__ or "")
