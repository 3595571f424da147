"""`robot-hil committee RUN`: imitators of what people did in a run, whose doubt says what is new and when to call.

The committee lies in the run's folder. It judges new demonstrations (`robot-hil record --against RUN`) and watches over
a robot that acts (`robot-hil train --committee RUN`).
"""

import os
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from robot_hil.cli import compose
from robot_hil.cli.runfolder import RunFolder
from robot_hil.data.labels import EpisodeKey, Verdict
from robot_hil.data.specs import Array, EnvSpec, FloatArray, Observation
from robot_hil.data.step import Segment, Step
from robot_hil.errors import ConfigError, SpecError, StorageError
from robot_hil.help import compatibility, conformal, covariates
from robot_hil.help.autonomy import Autonomy, AutonomyConfig
from robot_hil.help.compatibility import Compatibility, Yardstick
from robot_hil.help.conformal import Calibration
from robot_hil.learner import checkpoint
from robot_hil.learner.learner import Learner
from robot_hil.methods.bc import Bc
from robot_hil.protocols import Agent
from robot_hil.replay.log_reader import StepLogReader
from robot_hil.report.labels import read_labels

if TYPE_CHECKING:
    from robot_hil.experiments.base import Experiment

FOLDER = "committee"
WITHHELD = 4
"""Every so many-th episode is withheld from the members and from the reference."""
MIN_EPISODES = 2 * WITHHELD
"""Episodes of a kind that are needed: two of them are then withheld."""
FALSE_ALARMS = 0.05
"""Share of nominal episodes in which the level may fall; the trigger is set to that on withheld ones."""
_LOWS = (0.05, 0.04, 0.03, 0.02, 0.015, 0.01, 0.005, 0.002, 0.0)

Progress = Callable[[str, int, int], None]
Episode = Sequence[Step]


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


class Committee:
    """Members that act, and what is usual for them. One thread uses it."""

    def __init__(
        self, agent: Agent, actors: Sequence[Any], usual: Yardstick, reference: covariates.Reference,
        nominal: Sequence[tuple[Array, Array]], trigger: AutonomyConfig, spec: EnvSpec,
    ) -> None:  # fmt: skip
        self.usual, self.reference, self.trigger, self.spec = usual, reference, trigger, spec
        self.nominal = tuple(nominal)
        """Doubt and distance of the steps of each withheld nominal episode."""
        self.calibration = Calibration(nominal)
        self._agent, self._actors = agent, tuple(actors)
        self._rng = np.random.default_rng(0)  # asked for, never drawn from
        self._before: FloatArray | None = None

    def actions(self, observations: Sequence[Observation]) -> Array:
        """Return what the members would do, (K, n, A)."""
        return _act_all(self._agent, self._actors, observations, self._rng)

    def judge(self, episode: Episode) -> Compatibility:
        """Judge a demonstration; raises `SpecError` for one of another environment."""
        for step in episode[:1]:
            self.spec.validate_observation(step.obs)
        error, doubt = _errors(self.actions([step.obs for step in episode]), episode)
        return compatibility.judge(error, doubt, self.usual)

    def begin_episode(self) -> None:
        """The next observation is an episode's first."""
        self._before = None

    def reliability(self, obs: Observation, executed: Array | None) -> tuple[float, str]:
        """Return the reliability in [0, 1] of acting on `obs`, and in words what is unusual.

        `executed` is the action that led here; it does not count for an episode's first observation.
        """
        now = covariates.look(obs)
        came = np.zeros(self.spec.action.shape[0]) if executed is None else executed
        distance = self.reference.distance(covariates.describe(now, self._before, came))
        self._before = now
        doubt = float(compatibility.opinions(self.actions([obs]))[1][0])
        p = float(self.calibration.p(doubt, distance))
        new = conformal.p_value(distance, self.calibration.distances) < conformal.p_value(
            doubt, self.calibration.doubts
        )
        return p, "what happens was not seen before" if new else "the imitators disagree on what to do"

    @property
    def calibration_error(self) -> float:
        """See `conformal.calibration_error`, each withheld episode by the others."""
        return conformal.calibration_error(np.concatenate(conformal.left_out(self.nominal)))


def load(path: Path) -> Committee:
    """Return the committee in the run folder `path`; raises `StorageError` when it has none."""
    run = RunFolder(path)
    if not checkpoint.has_checkpoint(run.path / FOLDER):
        raise StorageError(f"{path} has no committee; make one: robot-hil committee {path}")
    saved = checkpoint.load_newest(run.path / FOLDER)
    experiment = experiment_of(run)
    agent, spec = _agent(experiment), _spec(experiment)
    try:
        arrays, state = saved.arrays, saved.state
        agent.bind(spec)
        actors = [agent.load_actor(arrays[f"member{k}"]) for k in range(int(state["members"]))]
        nominal = _split(arrays["nominal"])
        reference = covariates.Reference(**{name: arrays["reference"][name] for name in ("mean", "whiten", "points")})
        return Committee(
            agent, actors, Yardstick(**state["usual"]), reference, nominal, AutonomyConfig(**state["trigger"]), spec
        )
    except (KeyError, TypeError) as error:
        raise StorageError(f"{saved.path} is no committee: {error!r}. Make it anew: robot-hil committee {path}") from (
            error
        )


def experiment_of(run: RunFolder) -> "Experiment":
    """Return the experiment that a run folder holds."""
    from robot_hil.cli import options

    return options.parse("train", options.Train, run.config()["argv"], run.path).experiment


def make(path: Path, asked: CommitteeOptions, progress: Progress = lambda name, done, of: None) -> Committee:
    """Make the committee of a run and keep it there; raises `ConfigError` when too little was recorded."""
    run = RunFolder(path)
    experiment = experiment_of(run)
    compose.prepare_training(experiment, int(os.environ.get("OMP_NUM_THREADS", "0")) or 1)
    spec, agent = _spec(experiment), _agent(experiment)
    people, own, helped = _episodes_of(run)
    if len(people) < MIN_EPISODES:
        raise ConfigError(
            f"{path} holds {len(people)} demonstrations; a committee needs {MIN_EPISODES}, of which every {WITHHELD}th "
            "is withheld from it."
        )
    kept, withheld = _part(people)
    actors, params = _train(experiment, agent, spec, [*kept, *helped], asked, progress)
    rng = np.random.default_rng(0)
    judged = [_errors(_act_all(agent, actors, [step.obs for step in episode], rng), episode) for episode in withheld]
    usual = compatibility.measure(*(np.concatenate(parts) for parts in zip(*judged, strict=True)))
    if len(own) >= MIN_EPISODES:  # what it looks like when the robot does well
        known, withheld = _part(own)
        reference = covariates.refer(_described([*known, *kept]))
    else:
        reference = covariates.refer(_described(kept))
    nominal = []
    for episode in withheld:
        doubt = compatibility.opinions(_act_all(agent, actors, [step.obs for step in episode], rng))[1]
        nominal.append((doubt, reference.distances(_described([episode]))))
    trigger = calibrated(nominal, 1.0 / spec.control_hz)
    made = Committee(agent, actors, usual, reference, nominal, trigger, spec)
    _save(run, made, params)
    return made


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


def incompatible(source: Path, against: Committee) -> dict[EpisodeKey, Compatibility]:
    """Return the demonstrations in a run folder that do not fit, with how badly."""
    people = _demonstrations(RunFolder(source))
    found = {key: against.judge(episode) for key, episode in people.items()}
    return {key: judged for key, judged in found.items() if not judged.accepted}


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


def _episodes_of(run: RunFolder) -> tuple[list[Episode], list[Episode], list[Episode]]:
    """Return demonstrations, what the robot did well by itself, and episodes in which a person helped."""
    people = list(_demonstrations(run).values())
    own: list[Episode] = []
    helped: list[Episode] = []
    bad = _rejected(run)
    for key, episode in _grouped(run, demos=False).items():
        if any(step.is_human for step in episode):
            if key not in bad:
                helped.append(episode)
        elif episode[-1].terminated and (episode[-1].success or max(episode[-1].reward.values(), default=0) > 0):
            own.append(episode)
    return people, own, helped


def _demonstrations(run: RunFolder) -> dict[EpisodeKey, Episode]:
    bad = _rejected(run)
    return {key: episode for key, episode in _grouped(run, demos=True).items() if key not in bad}


def _rejected(run: RunFolder) -> set[EpisodeKey]:
    return {key for key, row in read_labels(run.path).items() if row.verdict in (Verdict.FAIL, Verdict.DISCARD)}


def _grouped(run: RunFolder, *, demos: bool) -> dict[EpisodeKey, Episode]:
    """Return whole episodes in order of their steps."""
    if not run.steps.is_dir():
        raise StorageError(f"{run.path} has no step log; give the folder of a run that has recorded one.")
    found: dict[EpisodeKey, dict[int, Step]] = {}
    with closing(StepLogReader(run.steps)) as log:
        for step in log.steps():
            if (step.segment is Segment.DEMO) == demos:
                found.setdefault((step.actor_id, step.epoch, step.episode_id), {})[step.step_index] = step
    ordered = {key: [steps[i] for i in sorted(steps)] for key, steps in found.items()}
    return {key: e for key, e in ordered.items() if e[-1].is_last and e[-1].step_index == len(e) - 1}


def _part(episodes: Sequence[Episode]) -> tuple[list[Episode], list[Episode]]:
    withheld = [episode for i, episode in enumerate(episodes) if i % WITHHELD == WITHHELD - 1]
    return [episode for i, episode in enumerate(episodes) if i % WITHHELD != WITHHELD - 1], withheld


def _errors(actions: Array, episode: Episode) -> tuple[Array, Array]:
    mean, doubt = compatibility.opinions(actions)
    return compatibility.errors(mean, np.stack([step.action_executed for step in episode])), doubt


def _described(episodes: Sequence[Episode]) -> FloatArray:
    parts = [covariates.describe_episode([s.obs for s in e], [s.action_executed for s in e]) for e in episodes]
    return np.concatenate(parts)


def _act_all(
    agent: Agent, actors: Sequence[Any], observations: Sequence[Observation], rng: np.random.Generator
) -> Array:
    return np.stack([[agent.act(actor, obs, True, rng) for obs in observations] for actor in actors])


def _agent(experiment: "Experiment") -> Agent:
    return compose.make_agent(experiment.imitation())


def _spec(experiment: "Experiment") -> EnvSpec:
    from robot_hil.envs.base import spec_of

    env = compose.make_env(experiment)
    try:
        return spec_of(env)
    finally:
        env.close()


def _save(run: RunFolder, made: Committee, params: Sequence[dict[str, Array]]) -> None:
    doubts, distances = (np.concatenate([e[i] for e in made.nominal]).astype(np.float64) for i in (0, 1))
    arrays: dict[str, dict[str, Array]] = {f"member{k}": dict(one) for k, one in enumerate(params)}
    arrays["reference"] = {name: np.ascontiguousarray(value) for name, value in asdict(made.reference).items()}
    lengths = np.array([len(doubt) for doubt, _ in made.nominal])
    arrays["nominal"] = {"doubts": doubts, "distances": distances, "lengths": lengths}
    state = {"members": len(params), "usual": asdict(made.usual), "trigger": asdict(made.trigger)}
    checkpoint.save(run.path / FOLDER, arrays, state, keep=1)


def _split(nominal: dict[str, Array]) -> list[tuple[Array, Array]]:
    ends = np.cumsum(nominal["lengths"])[:-1]
    return list(zip(np.split(nominal["doubts"], ends), np.split(nominal["distances"], ends), strict=True))


def same_task(committee: Committee, spec: EnvSpec, path: Path | str) -> None:
    """Raise `SpecError` when a committee was made for other observations or actions than those of `spec`."""
    own = committee.spec
    if own.observation != spec.observation or own.action != spec.action:
        raise SpecError(
            f"the committee of {path} is of {own.env_id} with {sorted(own.observation)}; this is {spec.env_id} with "
            f"{sorted(spec.observation)}. Make one of a run of this task."
        )
