"""Put an experiment's parts together: environment, simulated person, agent, control loop."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from robot_hil.actor.adversary import Adversary, Disturbable, Drawn, Schedule
from robot_hil.actor.arbiter import Arbiter, TailDriver
from robot_hil.actor.arms import AnyArbiter, ArmsArbiter, arms_of
from robot_hil.actor.rewind import Rewind
from robot_hil.actor.sharing import Mode, hand_of
from robot_hil.cli.operator_options import NOBODY, OperatorOptions
from robot_hil.clock import Clock
from robot_hil.data.disturbance import Disturbed
from robot_hil.data.specs import EnvSpec
from robot_hil.errors import ConfigError, UnknownNameError
from robot_hil.protocols import Agent

if TYPE_CHECKING:
    import gymnasium

    from robot_hil.experiments.base import Experiment, PersonConfig
    from robot_hil.teleop.simulated.expert import World
    from robot_hil.teleop.simulated.gates import Gate
    from robot_hil.teleop.simulated.person import SimulatedPerson

ANY_RETURN = (-1e6, 1e6)
"""Range of returns of an environment that nobody knows anything about."""


OPERATED_S = 30.0
"""Time of an episode of the simulated tasks when a person drives [s]: a hand is slower than a script."""


def limit_threads(experiment: "Experiment", count: int) -> None:
    """Let torch, if it computes, use `count` threads, in a process that acts."""
    if _backend(experiment) == "torch":
        import torch

        torch.set_num_threads(count)


def prepare_training(experiment: "Experiment", threads: int) -> None:
    """Let torch, if it computes, use `threads` threads, in a process that trains; before anything is trained."""
    from robot_hil.policies.runtime import keep_freed_memory

    keep_freed_memory()
    if _backend(experiment) == "torch":
        import torch

        torch.set_num_threads(threads)


def _backend(experiment: "Experiment") -> str:
    from robot_hil.policies import registry

    return registry.choose(experiment.backend, experiment.agent, experiment.observation == "pixels")


def make_env(experiment: "Experiment", render_mode: str | None = None) -> "gymnasium.Env[Any, Any]":
    """Return the experiment's environment; `render_mode="rgb_array"` also for pictures for people."""
    from robot_hil.envs import gym_adapter

    options = dict(experiment.env_kwargs)
    if has_pictures(experiment):
        options["obs_type"] = experiment.observation
    if render_mode is not None:
        options["render_mode"] = render_mode
    return gym_adapter.make(experiment.env_id, disable_env_checker=True, **options)


def has_pictures(experiment: "Experiment") -> bool:
    """Return whether the experiment's environment draws pictures for people."""
    return experiment.env_id.startswith("robot_hil/")


def make_agent(experiment: "Experiment") -> Agent:
    """Return the experiment's agent."""
    from robot_hil.policies import registry

    agent: Agent = registry.make_agent(
        experiment.agent, experiment.backend, experiment.device, images=experiment.observation == "pixels"
    )
    return agent


def make_person(
    experiment: "Experiment",
    env: "gymnasium.Env[Any, Any]",
    clock: Clock,
    *,
    demonstrates: bool = False,
    recovers: bool = False,
    adds: float = 0.0,
) -> "SimulatedPerson | None":
    """Return the simulated person, None for an experiment without.

    One who `demonstrates` drives all the time; one who `recovers` does so before correcting, and says when it is done;
    one who `adds` does so by this share of what it commands, if above 0.
    """
    from robot_hil.envs.base import privileged_of
    from robot_hil.teleop.simulated import experts
    from robot_hil.teleop.simulated.gates import AlwaysGate
    from robot_hil.teleop.simulated.person import SimulatedPerson
    from robot_hil.teleop.simulated.profile import PROFILES

    config = experiment.person
    if config.expert == "none":
        return None
    if config.profile not in PROFILES:
        raise UnknownNameError("profile", config.profile, PROFILES)
    expert = experts.make(config.expert)
    gate = AlwaysGate() if demonstrates else _gate(config, expert)
    profile = PROFILES[config.profile]

    def world() -> "World":
        return privileged_of(env)

    if recovers:
        from robot_hil.teleop.simulated.recovering import RecoveringPerson

        return RecoveringPerson(expert, gate, profile, world, clock)
    if adds and not demonstrates:
        from robot_hil.teleop.simulated.adding import AddingPerson

        return AddingPerson(expert, gate, profile, world, clock, gain=adds)
    return SimulatedPerson(expert, gate, profile, world, clock)


def make_rewind(env: "gymnasium.Env[Any, Any]") -> Rewind:
    """Return what leads the tool of `env` back the way it came; for environments whose actions are its motions."""
    from robot_hil.envs.base import scale_of, tool_of

    return Rewind(scale_of(env), tool_of(env))


def make_adversary(
    env: "gymnasium.Env[Any, Any]", schedule: Schedule | None, on_strike: Callable[[Disturbed], object]
) -> Adversary | None:
    """Return who disturbs `env` by `schedule`; None without one. The kind `all` means what the task knows.

    What changes the robot itself for good, its gain and drift, has to be asked for by name. An environment that cannot
    be disturbed is a real robot's: there people do it by hand.
    """
    if schedule is None:
        return None
    inner = env.unwrapped
    world = inner if isinstance(inner, Disturbable) and inner.disturbances else None
    known = schedule.kinds if world is None else world.disturbances
    kinds = tuple(kind for kind in known if kind not in ("gain", "drift", "all")) if "all" in schedule.kinds else ()
    schedule = replace(schedule, kinds=kinds or schedule.kinds)
    if unknown := set(schedule.kinds) - set(known):
        raise ConfigError(f"nobody can disturb this task by {sorted(unknown)}; it knows {sorted(known)}, or `all`.")
    return Adversary(world, Drawn(schedule), on_strike)


def make_arbiter(experiment: "Experiment", spec: EnvSpec, operator: OperatorOptions = NOBODY) -> AnyArbiter:
    """Return a fresh arbiter, one that knows the arms where the action's names do (`left.x`).

    Operated by a person with a device, it holds until that device works.
    """
    config = replace(
        experiment.arbiter(spec.action.shape[0]),
        mode=Mode(operator.mode),
        hand=hand_of(spec.action.names),
        residual_gain=operator.residual_gain,
    )
    if operator.teleop:
        config = replace(config, device_required=True, tail_driver=TailDriver.HOLD)
    arms = arms_of(spec.action.names)
    return ArmsArbiter(config, arms) if arms else Arbiter(config)


def with_env(experiment: "Experiment", env_id: str) -> "Experiment":
    """Return `experiment` for any Gymnasium environment: no simulated person, no demonstrations, any return."""
    from robot_hil.policies.config import AnchoredConfig

    if isinstance(experiment.agent, AnchoredConfig):
        # without demonstrations there is no warm start that could teach the encoder
        agent = replace(
            experiment.agent, value_range=ANY_RETURN, bins=0, freeze_encoder=False, goal_features=(), goal_only=False
        )
        experiment = replace(experiment, agent=agent)
    return replace(
        experiment,
        name=f"{experiment.name}@{env_id}",
        env_id=env_id,
        env_kwargs={},
        person=replace(experiment.person, expert="none"),
        demos=0,
    )


def with_method(experiment: "Experiment", name: str) -> "Experiment":
    """Return `experiment` by the published method `name`, under a name of its own."""
    from robot_hil.methods import registry

    return replace(experiment.taught_by(registry.get(name)), name=f"{experiment.name}_{name}")


def with_operator(experiment: "Experiment") -> "Experiment":
    """Return `experiment` for a person with a real device: in real time, with time enough, no simulated person."""
    env_kwargs = dict(experiment.env_kwargs)
    if has_pictures(experiment):
        env_kwargs.setdefault("max_seconds", OPERATED_S)
    return replace(experiment, realtime=True, env_kwargs=env_kwargs, person=replace(experiment.person, expert="none"))


def _gate(config: "PersonConfig", expert: Any) -> "Gate":
    from robot_hil.teleop.simulated import gates

    makers: dict[str, Callable[[], Gate]] = {
        "progress": lambda: gates.ProgressGate(patience=config.patience_steps),
        "predicted_failure": lambda: gates.PredictedFailureGate(expert),
        "imminent": lambda: gates.ImminentGate(expert),
        "value": lambda: gates.ValueGate(expert),
        "random": lambda: gates.RandomGate(0.02),
        "never": gates.NeverGate,
    }
    if config.gate not in makers:
        raise UnknownNameError("gate", config.gate, makers)
    return makers[config.gate]()


def require_person(experiment: "Experiment", operated: bool = False) -> None:
    """Raise `ConfigError` when demonstrations are wanted and nobody can give them."""
    if experiment.demos and experiment.person.expert == "none" and not operated:
        raise ConfigError(
            f"{experiment.name} wants {experiment.demos} demonstrations and has no person to give them. Drive yourself "
            "with --teleop (e.g. --teleop console), set --demos 0, or --person.expert to one that knows the task."
        )
