"""`robot-hil committee RUN`: imitators of what people did in a run, whose doubt says what is new and when to call.

The committee lies in the run's folder. It judges new demonstrations (`robot-hil record --against RUN`) and watches over
a robot that acts (`robot-hil train --committee RUN`).
"""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from robot_hil.cli import compose
from robot_hil.cli.episodes import Episode, demonstrations, experiment_of, spec_of_env
from robot_hil.cli.runfolder import RunFolder
from robot_hil.data.labels import EpisodeKey
from robot_hil.data.specs import Array, EnvSpec, FloatArray, Observation
from robot_hil.errors import SpecError, StorageError
from robot_hil.help import compatibility, conformal, covariates
from robot_hil.help.autonomy import AutonomyConfig
from robot_hil.help.compatibility import Compatibility, Yardstick
from robot_hil.help.conformal import Calibration
from robot_hil.learner import checkpoint
from robot_hil.methods import bc
from robot_hil.protocols import Agent

if TYPE_CHECKING:
    from robot_hil.experiments.base import Experiment

FOLDER = "committee"
_UNUSED = np.random.default_rng(0)
"""What is asked for without noise draws nothing."""


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
        self._before: FloatArray | None = None

    def actions(self, observations: Sequence[Observation]) -> Array:
        """Return what the members would do, (K, n, A)."""
        return act_all(self._agent, self._actors, observations)

    def judge(self, episode: Episode) -> Compatibility:
        """Judge a demonstration; raises `SpecError` for one of another environment."""
        for step in episode[:1]:
            self.spec.validate_observation(step.obs)
        error, doubt = errors_of(self.actions([step.obs for step in episode]), episode)
        return compatibility.judge(error, doubt, self.usual)

    def begin_episode(self) -> None:
        """The next observation is an episode's first."""
        self._before = None

    def reliability(self, obs: Observation, executed: Array | None, driven: bool = False) -> tuple[float, str]:
        """Return the reliability in [0, 1] of acting on `obs`, and in words what is unusual.

        `executed` is the action that led here, whoever drove; it does not count for an episode's first observation.
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
    agent, spec = agent_of(experiment), spec_of_env(experiment)
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


def incompatible(source: Path, against: Committee) -> dict[EpisodeKey, Compatibility]:
    """Return the demonstrations in a run folder that do not fit, with how badly."""
    people = demonstrations(RunFolder(source))
    found = {key: against.judge(episode) for key, episode in people.items()}
    return {key: judged for key, judged in found.items() if not judged.accepted}


def same_task(committee: Committee, spec: EnvSpec, path: Path | str) -> None:
    """Raise `SpecError` when a committee was made for other observations or actions than those of `spec`."""
    own = committee.spec
    if own.observation != spec.observation or own.action != spec.action:
        raise SpecError(
            f"the committee of {path} is of {own.env_id} with {sorted(own.observation)}; this is {spec.env_id} with "
            f"{sorted(spec.observation)}. Make one of a run of this task."
        )


def errors_of(actions: Array, episode: Episode) -> tuple[Array, Array]:
    """Return l and u (n,) of the steps of an episode, given what the members would do (K, n, A)."""
    mean, doubt = compatibility.opinions(actions)
    return compatibility.errors(mean, np.stack([step.action_executed for step in episode])), doubt


def act_all(agent: Agent, actors: Sequence[Any], observations: Sequence[Observation]) -> Array:
    """Return what each of `actors` would do, (K, n, A), without noise."""
    return np.stack([[agent.act(actor, obs, True, _UNUSED) for obs in observations] for actor in actors])


def agent_of(experiment: "Experiment") -> Agent:
    """Return the agent whose parameters the members have."""
    return compose.make_agent(experiment.taught_by(bc.METHOD))


def save(run: RunFolder, made: Committee, params: Sequence[dict[str, Array]]) -> None:
    """Keep a committee in a run folder, in place of an earlier one."""
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
