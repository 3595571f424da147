"""Command lines: experiment first, then options and overrides of the experiment's numbers, parsed by tyro."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, make_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from robot_hil.actor.adversary import Schedule
from robot_hil.cli.help import UsageError
from robot_hil.cli.operator_options import OperatorOptions
from robot_hil.cli.pinned import pinned
from robot_hil.cli.runfolder import RunFolder
from robot_hil.errors import ConfigError

if TYPE_CHECKING:
    from robot_hil.experiments.base import Experiment
else:
    Experiment = Any

CLOCK_VARIABLE = "ROBOT_HIL_CLOCK"
ENDPOINT, WEIGHTS_ENDPOINT = "tcp://127.0.0.1:5588", "tcp://127.0.0.1:5589"
_RUN_ONLY = {"--out": 1, "--resume": 0, "--demos-from": 1, "--against": 1, "--compatible-with": 1}
"""Options that say where a run lies and how it starts, not what it is; with the count of their values."""
_METHODS_ONCE = {"--baseline": "hil_serl", "--imitation": "bc"}
"""Flags of earlier versions, which older run folders name, and the methods that they stood for."""


@dataclass(frozen=True, kw_only=True)
class Operated:
    """Who operates the robot."""

    teleop: tuple[str, ...] = ()
    """Devices to drive with, in real time and instead of the simulated person: spacemouse, spacemouse:PATH, gamepad,
    leader:PORT, console (keyboard, gamepad and VR in the browser). Several may be given."""
    facing: float = 0.0
    """Direction that is away from the operator, about the robot's vertical axis [degrees]: 0 for one behind the robot's
    base, 180 for one who faces the robot."""
    mode: Literal["takeover", "residual", "masked", "arm", "hand"] = "takeover"
    """What a person who engages does: drive all of the robot, add to the policy, drive what the device masks, or drive
    the arm while the policy drives the hand, and the other way round. The console's M key changes it."""
    residual_gain: float = 0.3
    """Share of the person's command that is added in mode residual."""
    rac: bool = False
    """Recovery and correction: who takes over first brings the robot back, says so (R), then goes on from there, and
    with that the episode ends. The simulated person does so too, where its expert knows a way back."""
    adversary: tuple[str, ...] = ()
    """Disturb the simulated world by script in demonstrations and trials: object, goal, gripper, slip, or all of what
    the task knows. On a real robot people do it by hand, and the console's buttons note it."""
    adversary_rate: float = 0.05
    """Probability of a disturbance per step; 0 leaves them to the console's buttons."""
    adversary_m: tuple[float, float] = (0.01, 0.04)
    """Least and largest motion of a disturbance along each axis [m]."""
    adversary_ramp: int = 0
    """Episodes over which rate and largest motion grow from nothing: a curriculum."""
    console: bool = False
    """Serve the operator's console; its address is printed. Given by `--teleop console`, too."""
    console_host: str = "127.0.0.1"
    """Interface of the console; another than this machine's own needs HTTPS, which is set up by itself."""
    console_port: int = 8443
    """Port of the console."""

    @property
    def operator(self) -> OperatorOptions:
        """Who operates the run."""
        return OperatorOptions(
            teleop=self.teleop,
            mode=self.mode,
            residual_gain=self.residual_gain,
            rac=self.rac,
            adversary=self._schedule,
            facing=math.radians(self.facing),
            console=self.console or "console" in self.teleop,
            console_host=self.console_host,
            console_port=self.console_port,
        )

    @property
    def _schedule(self) -> Schedule | None:
        if not self.adversary:
            return None
        low, high = self.adversary_m
        return Schedule(
            kinds=self.adversary, rate=self.adversary_rate, low_m=low, high_m=high, ramp_episodes=self.adversary_ramp
        )


@dataclass(frozen=True, kw_only=True)
class Common(Operated):
    """What every command that runs an experiment takes."""

    seed: int = 0
    """Seed of everything random."""
    out: Path | None = None
    """Run folder; default runs/<experiment>-<n>."""
    env: str | None = None
    """Any Gymnasium environment by id instead of the experiment's, without a simulated person."""
    method: str | None = None
    """Learn by a published method, with its numbers; `robot-hil methods` lists them."""


@dataclass(frozen=True, kw_only=True)
class Train(Common):
    """Record demonstrations, imitate them, then let the robot try while a person helps; every number is an option."""

    resume: bool = False
    """Go on with the run in --out."""
    in_process: bool = False
    """One process and one thread: slower, but the same seed gives the same policy, bit by bit."""
    demos_from: Path | None = None
    """Run folder whose demonstrations are used instead of recording new ones."""
    compatible_with: Path | None = None
    """Of these leave out what does not fit the committee of this run (`robot-hil committee RUN`)."""


@dataclass(frozen=True, kw_only=True)
class Record(Common):
    """Record demonstrations of an experiment, for `robot-hil train --demos-from`."""

    against: Path | None = None
    """Judge each demonstration by the committee of this run (`robot-hil committee RUN`), and show what does not fit."""


@dataclass(frozen=True, kw_only=True)
class Side(Common):
    """Run one half of an experiment: what acts, or what learns. Give both the same experiment and numbers."""

    endpoint: str = ENDPOINT
    """Where the learner takes steps, tcp://HOST:PORT."""
    weights_endpoint: str = WEIGHTS_ENDPOINT
    """Where the learner hands out weights."""
    keys: Path | None = None
    """Key file made by `robot-hil keys`; needed between machines."""
    actor_id: str = "actor"
    """Name of the actor; give each its own."""


@dataclass(frozen=True, kw_only=True)
class Teleop(Operated):
    """Drive the robot of an experiment (pick_cube unless named) by hand. Without --teleop: with all that is at hand."""

    seed: int = 0
    """Seed of where things lie."""


@dataclass(frozen=True, kw_only=True)
class Eval:
    """Let a learnt policy act alone: person off, deterministic, fresh episodes."""

    run: tyro.conf.Positional[Path]
    """Run folder, or one of its checkpoints."""
    episodes: int = 50
    """How many."""
    seed: int | None = None
    """Seed of the episodes; the run's own by default."""
    backend: Literal["auto", "torch", "jax"] | None = None
    """Library that computes; the run's own by default. A policy learnt by one acts in the other."""
    reward_model: str | None = None
    """Reward model that tells success, the run's own by default; an empty word lets the environment tell."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """Print a table of runs and write their learning curves; several runs are also compared in one picture."""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Run folders."""
    out: Path = Path("comparison.png")
    """Where the comparison goes."""


@dataclass(frozen=True)
class Parsed:
    """An experiment with its options."""

    experiment: "Experiment"
    options: Any
    argv: tuple[str, ...]
    """Experiment and overrides, without what says where the run lies: enough to parse it again."""
    stored: "Experiment | None" = None
    """What the run folder holds, where it holds a run of this experiment."""


def parse(command: str, kind: type[Common], argv: Sequence[str], folder: Path | None = None) -> Parsed:
    """Parse `argv`, the experiment's name and its options; exits with code 2 and a message on a wrong option.

    Numbers that `argv` does not give are those of the run in `folder`, if there is one, else the experiment's own.
    """
    from robot_hil.experiments import registry

    name, rest = argv[0], list(argv[1:])
    experiment = registry.get(name)
    experiment = changed(experiment, rest)
    stored = None
    if folder is not None and (found := RunFolder(folder).stored()).get("name") == experiment.name:
        experiment = stored = pinned(experiment, found)
    parsed = with_numbers(kind, experiment, rest, f"robot-hil {command} {name}")
    return Parsed(_with_hash(parsed.experiment), parsed, (name, *without(rest, _RUN_ONLY)), stored)


def with_numbers(kind: type, experiment: "Experiment", argv: Sequence[str], prog: str) -> Any:
    """Return `kind` from `argv`, with `experiment`, some numbers of which `argv` changes, as `experiment`."""
    made = dataclass_with_experiment(kind, type(experiment))
    try:
        return tyro.cli(
            made,
            default=made(experiment=experiment),
            args=list(argv),
            prog=prog,
            config=(tyro.conf.AvoidSubcommands,),  # a flag that a run holds may be given again: both forms are known
        )
    except (ConfigError, ValueError) as error:  # a value that its dataclass refuses
        raise UsageError(f"{error} See {prog} --help.") from error


def dataclass_with_experiment(kind: type, experiment: type) -> Any:
    """Return `kind` with the experiment's numbers as further options, without a prefix."""
    annotated: Any = Annotated[experiment, tyro.conf.arg(name="")]
    made = make_dataclass(kind.__name__, [("experiment", annotated)], bases=(kind,), frozen=True, kw_only=True)
    made.__doc__ = kind.__doc__
    return made


def without(argv: Sequence[str], names: dict[str, int]) -> list[str]:
    """Return `argv` without the options in `names` (name -> how many values follow it)."""
    kept: list[str] = []
    skip = 0
    for token in argv:
        name, _, value = token.replace("_", "-").partition("=")
        if skip:
            skip -= 1
        elif name in names:
            skip = 0 if value else names[name]
        else:
            kept.append(token)
    return kept


def value_of(argv: Sequence[str], name: str) -> str | None:
    """Return the value of option `name` in `argv`; None when it is not there."""
    for index, token in enumerate(argv):
        if token.startswith(f"{name}="):
            return token.partition("=")[2]
        if token == name and index + 1 < len(argv):
            return argv[index + 1]
    return None


def changed(experiment: "Experiment", argv: Sequence[str]) -> "Experiment":
    """Apply --method, --env and --teleop, which change what further options there are."""
    from robot_hil.cli import compose

    for flag, name in _METHODS_ONCE.items():
        if flag in argv:
            raise UsageError(f"{flag} is no option any more: --method {name} does the same.")
    if (method := value_of(argv, "--method")) is not None:
        experiment = compose.with_method(experiment, method)
    if env_id := value_of(argv, "--env"):
        experiment = compose.with_env(experiment, env_id)
    if any(token.partition("=")[0] == "--teleop" for token in argv):
        experiment = compose.with_operator(experiment)
    return experiment


def _with_hash(experiment: "Experiment") -> "Experiment":
    """Note which trunk the agent has, so that the run is never continued with another; see `TrunkConfig.sha256`."""
    trunk = experiment.agent.trunk
    if not trunk.file or trunk.sha256:
        return experiment
    from robot_hil.policies.trunks import check_file

    agent = replace(experiment.agent, trunk=replace(trunk, sha256=check_file(trunk)))
    return replace(experiment, agent=agent)


def clock_origin() -> float | None:
    """Return when the run's clock began, where a parent process said so."""
    value = os.environ.get(CLOCK_VARIABLE, "")
    return float(value) if value else None
