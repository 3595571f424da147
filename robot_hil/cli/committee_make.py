"""Making a committee: its members are taught, and what is usual for them is measured on episodes withheld from them."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from robot_hil.cli import compose
from robot_hil.cli.committee import Committee, act_all, agent_of, errors_of, save
from robot_hil.cli.episodes import Episode, experiment_of, sorted_out, spec_of_env
from robot_hil.cli.runfolder import RunFolder
from robot_hil.data.specs import Array, EnvSpec, FloatArray
from robot_hil.errors import ConfigError
from robot_hil.help import compatibility, conformal, covariates
from robot_hil.help.autonomy import Autonomy, AutonomyConfig
from robot_hil.learner.learner import Learner
from robot_hil.methods.bc import Bc
from robot_hil.protocols import Agent

if TYPE_CHECKING:
    from robot_hil.experiments.base import Experiment

WITHHELD = 4
"""Every so many-th episode is withheld from the members and from the reference."""
MIN_EPISODES = 2 * WITHHELD
"""Episodes of a kind that are needed: two of them are then withheld."""
FALSE_ALARMS = 0.05
"""Share of nominal episodes in which the level may fall; the trigger is set to that on withheld ones."""
_LOWS = (0.05, 0.04, 0.03, 0.02, 0.015, 0.01, 0.005, 0.002, 0.0)

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, kw_only=True)
class CommitteeOptions:
    """Make the committee of a run: imitators of what people did there, whose doubt is measured on withheld episodes."""

    members: int = 5
    """Imitators, at least 2."""
    updates: int = 1500
    """Updates of each."""
    seed: int = 0
    """Seed of all of them; each begins elsewhere and draws its own batches."""

    def __post_init__(self) -> None:
        if self.members < 2 or self.updates < 1:
            raise ConfigError(f"members is {self.members}, must be >= 2; updates is {self.updates}, must be >= 1.")


def make(path: Path, asked: CommitteeOptions, progress: Progress = lambda name, done, of: None) -> Committee:
    """Make the committee of a run and keep it there; raises `ConfigError` when too little was recorded."""
    run = RunFolder(path)
    experiment = experiment_of(run)
    compose.prepare_training(experiment, int(os.environ.get("OMP_NUM_THREADS", "0")) or 1)
    people, own, helped = sorted_out(run)
    if len(people) < MIN_EPISODES:
        raise ConfigError(
            f"{path} holds {len(people)} demonstrations; a committee needs {MIN_EPISODES}, of which every {WITHHELD}th "
            "is withheld from it."
        )
    made, params = teach(experiment, people, own, helped, asked, progress)
    save(run, made, params)
    return made


def teach(
    experiment: "Experiment", people: Sequence[Episode], own: Sequence[Episode], helped: Sequence[Episode],
    asked: CommitteeOptions, progress: Progress = lambda name, done, of: None,
) -> tuple[Committee, list[dict[str, Array]]]:  # fmt: skip
    """Return a committee and its members' parameters, from demonstrations, what the robot did well, what was corrected.

    What is nominal is told by the robot's `own` episodes where there are enough of them, else by demonstrations.
    """
    spec, agent = spec_of_env(experiment), agent_of(experiment)
    kept, withheld = _part(people)
    actors, params = _train(experiment, agent, spec, [*kept, *helped], asked, progress)
    judged = [errors_of(act_all(agent, actors, [step.obs for step in episode]), episode) for episode in withheld]
    usual = compatibility.measure(*(np.concatenate(parts) for parts in zip(*judged, strict=True)))
    known: list[Episode] = []
    if len(own) >= MIN_EPISODES:
        known, withheld = _part(own)
    reference = covariates.refer(_described([*known, *kept]))
    nominal = []
    for episode in withheld:
        doubt = compatibility.opinions(act_all(agent, actors, [step.obs for step in episode]))[1]
        nominal.append((doubt, reference.distances(_described([episode]))))
    trigger = calibrated(nominal, 1.0 / spec.control_hz)
    return Committee(agent, actors, usual, reference, nominal, trigger, spec), params


def calibrated(
    nominal: Sequence[tuple[Array, Array]], period_s: float, base: AutonomyConfig | None = None
) -> AutonomyConfig:
    """Return `base` with the largest trigger that lowers the level in at most `FALSE_ALARMS` of withheld episodes."""
    base = base or AutonomyConfig()
    found = conformal.left_out(nominal)
    for low in _LOWS:
        config = replace(base, low=low, alarm=min(base.alarm, low))
        if np.mean([alarms(p, config, period_s) for p in found]) <= FALSE_ALARMS:
            return config
    return replace(base, low=0.0, alarm=0.0)


def alarms(p: Array, config: AutonomyConfig, period_s: float) -> bool:
    """Return whether the level falls in an episode whose steps have the reliabilities `p` (n,)."""
    autonomy = Autonomy(config, period_s)
    return any(autonomy.update(i * period_s, float(value)) is not None for i, value in enumerate(p))


# -- parts of the work -------------------------------------------------------------------------------------------------


def _train(
    experiment: "Experiment", agent: Agent, spec: EnvSpec, episodes: Sequence[Episode], asked: CommitteeOptions,
    progress: Progress,
) -> tuple[list[Any], list[dict[str, Array]]]:  # fmt: skip
    steps = [step for episode in episodes for step in episode]
    config = replace(experiment.learner, prefetch=0, capacity=max(1000, 3 * len(steps)))
    learner = Learner(agent, Bc(), spec, config, asked.seed)
    learner.add_all(steps)
    params = []
    for member in range(asked.members):
        learner.state = agent.init(spec, asked.seed * 1000 + member)
        for update in range(asked.updates):
            learner.train_round()
            progress("members", member * asked.updates + update + 1, asked.members * asked.updates)
        params.append(agent.actor_params(learner.state))
    learner.close()
    return [agent.load_actor(one) for one in params], params


def _part(episodes: Sequence[Episode]) -> tuple[list[Episode], list[Episode]]:
    withheld = [episode for i, episode in enumerate(episodes) if i % WITHHELD == WITHHELD - 1]
    return [episode for i, episode in enumerate(episodes) if i % WITHHELD != WITHHELD - 1], withheld


def _described(episodes: Sequence[Episode]) -> FloatArray:
    parts = [covariates.describe_episode([s.obs for s in e], [s.action_executed for s in e]) for e in episodes]
    return np.concatenate(parts)
