"""What the acceptance experiments share: episodes with a person, imitation, trials of the robot alone, rows.

    python benchmarks/acceptance/<name>.py                  # test seeds 0, 1, 2
    python benchmarks/acceptance/<name>.py --quick          # a tuning seed and a tenth of everything, for trying out
    python benchmarks/acceptance/<name>.py --seeds 100 101  # tuning: prints, writes nothing

Each experiment is a function of a seed that returns numbers by name, and claims about their means over the seeds. The
rows go to benchmarks/results/acceptance_<name>.json, with the number of every seed and a 95 % bootstrap interval of
the mean. Whatever was chosen was chosen with seeds from 100 on. In trials the person is away, and the policy does not
explore.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from robot_hil.actor.adversary import Adversary, Drawn, Schedule
from robot_hil.actor.arbiter import Arbiter, ArbiterConfig, TailDriver
from robot_hil.actor.desk import DeskConfig
from robot_hil.actor.loop import ControlLoop, LoopConfig
from robot_hil.actor.policy import AgentPolicy
from robot_hil.actor.rewind import Rewind
from robot_hil.actor.seeding import Stream
from robot_hil.actor.sharing import Mode, hand_of
from robot_hil.clock import VirtualClock
from robot_hil.data.specs import EnvSpec
from robot_hil.data.step import Step
from robot_hil.envs.base import scale_of, tool_of
from robot_hil.envs.toy.env import ToyEnv
from robot_hil.learner.learner import Learner, LearnerConfig
from robot_hil.methods.base import Method
from robot_hil.methods.bc import Bc
from robot_hil.policies.config import BcConfig
from robot_hil.policies.registry import make_agent
from robot_hil.protocols import Policy
from robot_hil.report.machine import Result, write_results
from robot_hil.teleop.simulated.expert import Expert
from robot_hil.teleop.simulated.gates import AlwaysGate, Gate
from robot_hil.teleop.simulated.person import SimulatedPerson
from robot_hil.teleop.simulated.profile import Profile

RESULTS = Path(__file__).resolve().parents[1] / "results"
TEST_SEEDS, FIRST_TUNING_SEED = (0, 1, 2), 100
Episode = Sequence[Step]


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is done for one seed."""

    share: float = 1.0
    """Of episodes, updates and trials."""

    def of(self, count: int) -> int:
        """Return `count` at this size, at least 1."""
        return max(1, round(self.share * count))


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One row: a number of the experiment and what it must reach."""

    key: str
    """Name of the number in what the experiment returns."""
    what: str
    """The same in words."""
    target: float | None = None
    higher_is_better: bool = True
    unit: str = "share"
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """An episode of the robot alone."""

    success: bool
    steps: int
    jams: int
    recoveries: int


class Workplace:
    """An environment with its clock, where episodes are driven; `mode` and `rac` say how who helps does so."""

    def __init__(
        self, env: ToyEnv, seed: int, *, mode: Mode = Mode.TAKEOVER, gain: float = 0.3, rac: bool = False
    ) -> None:
        self.env, self.spec, self.seed = env, env.env_spec, seed
        self.clock = VirtualClock()
        self._config = ArbiterConfig(
            action_dim=self.spec.action.shape[0], mode=mode, hand=hand_of(self.spec.action.names), residual_gain=gain,
            release_tail_s=0.0, tail_driver=TailDriver.POLICY,
        )  # fmt: skip
        self._rac = rac
        self._next = 0

    def person(self, expert: Expert, profile: Profile, gate: Gate | None = None) -> SimulatedPerson:
        """Return somebody who takes over by `gate`, or drives all the time."""
        return SimulatedPerson(expert, gate or AlwaysGate(), profile, self.env.privileged, self.clock)

    def episode(
        self, stream: Stream, policy: Policy | None, person: SimulatedPerson | None, schedule: Schedule | None = None
    ) -> list[Step]:
        """Drive the next episode; return its steps."""
        steps: list[Step] = []
        if person is not None:
            person.start()
        loop = ControlLoop(
            self.env, policy, Arbiter(self._config), steps.append,
            LoopConfig(control_hz=self.spec.control_hz, run_seed=self.seed, desk=DeskConfig(recovery=self._rac)),
            teleop=person, clock=self.clock, rewind=Rewind(scale_of(self.env), tool_of(self.env)),
            adversary=None if schedule is None else Adversary(self.env, Drawn(schedule)),
        )  # fmt: skip
        loop.run_episode(stream, self._next)
        self._next += 1
        return steps

    def demonstrations(
        self,
        person: SimulatedPerson,
        count: int | None = None,
        frames: int = 0,
        *,
        schedule: Schedule | None = None,
        failures: bool = False,
    ) -> list[Episode]:
        """Return `count` demonstrations, or as many as have `frames` steps; without `failures` successful ones only."""
        kept: list[Episode] = []
        while len(kept) < count if count is not None else human_frames(kept) < frames:
            steps = self.episode(Stream.DEMO, None, person, schedule)
            if failures or steps[-1].success:
                kept.append(steps)
        return kept

    def helped(
        self, policy: Policy, person: SimulatedPerson, *, count: int = 0, frames: int = 0, most: int = 120
    ) -> list[Episode]:
        """Return `count` trials with somebody at hand, or as many as have `frames` human steps, `most` in any case."""
        kept: list[Episode] = []
        while (len(kept) < count or human_frames(kept) < frames) and len(kept) < most:
            kept.append(self.episode(Stream.TRAIN, policy, person))
        return kept


def first_frames(episodes: Sequence[Episode], frames: int) -> list[Episode]:
    """Return the first `episodes`, as many as it takes to have `frames` human steps; all, if they have fewer."""
    kept: list[Episode] = []
    for steps in episodes:
        if human_frames(kept) >= frames:
            break
        kept.append(steps)
    return kept


def human_frames(episodes: Sequence[Episode]) -> int:
    """Return how many steps a person drove."""
    return sum(step.is_human for steps in episodes for step in steps)


def taught(
    spec: EnvSpec, episodes: Sequence[Episode], seed: int, updates: int, *, view: Method | None = None,
    hidden: tuple[int, ...] = (128, 128),
) -> AgentPolicy:  # fmt: skip
    """Return an imitator of what people did in `episodes`, after so many updates of 128 rows."""
    agent = make_agent(BcConfig(hidden=hidden), "torch", "cpu")
    agent.bind(spec)
    capacity = sum(len(steps) + 1 for steps in episodes) + 16
    config = LearnerConfig(batch_size=128, capacity=2 * capacity, prefetch=0)
    learner = Learner(agent, view or Bc(), spec, config, seed)
    for number, steps in enumerate(episodes):
        learner.add_all([replace(step, actor_id="lab", epoch=0, episode_id=number) for step in steps])
    for _ in range(updates):
        learner.train_round()
    policy = AgentPolicy(agent)
    policy.set_params(learner.rounds, agent.load_actor(learner.actor_params()))
    learner.close()
    return policy


def trials(env: ToyEnv, policy: Policy, seed: int, count: int, schedule: Schedule | None = None) -> list[Trial]:
    """Let the policy act alone in `count` fresh episodes."""
    place = Workplace(env, seed)
    found = []
    for _ in range(count):
        steps = place.episode(Stream.EVAL, policy, None, schedule)
        scene = env.snapshot()["scene"]
        found.append(
            Trial(success=steps[-1].success, steps=len(steps), jams=scene["jams"], recoveries=scene["recoveries"])
        )
    return found


def rate(found: Sequence[Trial]) -> float:
    """Return the share of successes."""
    return sum(trial.success for trial in found) / len(found)


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of the mean of `values` over the seeds."""
    rng = np.random.default_rng(0)
    means = np.array(values)[rng.integers(len(values), size=(4000, len(values)))].mean(1)
    return float(np.quantile(means, 0.025)), float(np.quantile(means, 0.975))


def rows_of(name: str, claims: Sequence[Claim], found: Mapping[int, Mapping[str, float]]) -> list[Result]:
    """Return a row for each claim; `found` holds the numbers of each seed."""
    rows = []
    for claim in claims:
        values = [numbers[claim.key] for numbers in found.values()]
        low, high = interval(values)
        seeds = ", ".join(f"{seed}: {value:.3g}" for seed, value in zip(found, values, strict=True))
        note = f"95 % interval {low:.3g} to {high:.3g}; by seed {seeds}"
        rows.append(
            Result(
                name=f"{name}: {claim.what}", value=float(np.mean(values)), unit=claim.unit,
                higher_is_better=claim.higher_is_better, target=claim.target,
                note=f"{claim.note}; {note}" if claim.note else note,
            )
        )  # fmt: skip
    return rows


def main(
    name: str, claims: Sequence[Claim], measure: Callable[[int, Size], Mapping[str, float]], about: str,
    tests: Sequence[int] = TEST_SEEDS,
) -> None:  # fmt: skip
    """Measure seed by seed, print, and write what test seeds gave; `tests` are those that nothing was tried on."""
    import torch

    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tuning seed and a tenth of everything; writes nothing")
    parser.add_argument("--seeds", type=int, nargs="+", default=[])
    args = parser.parse_args()
    seeds = args.seeds or ((FIRST_TUNING_SEED,) if args.quick else tests)
    found: dict[int, Mapping[str, float]] = {}
    for seed in seeds:
        found[seed] = measure(seed, Size(share=0.1 if args.quick else 1.0))
        print(f"seed {seed}: " + ", ".join(f"{key} {value:.3g}" for key, value in found[seed].items()), flush=True)
    rows = rows_of(name, claims, found)
    for row in rows:
        met = {True: "yes", False: "NO", None: ""}[row.reached]
        print(f"{row.name:90s} {row.value:8.3g} {row.unit:6s} target {row.target} {met}  {row.note}", flush=True)
    if not args.quick and max(seeds) < FIRST_TUNING_SEED:
        write_results(RESULTS / f"acceptance_{name}.json", rows)
