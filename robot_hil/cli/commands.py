"""Each command from its arguments to its exit code; what is heavy is imported by the command that needs it."""

import logging
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from robot_hil.cli.help import UsageError, command_help
from robot_hil.cli.runfolder import RunFolder, next_free
from robot_hil.errors import ConfigError, UnknownNameError

if TYPE_CHECKING:
    from robot_hil.cli.options import Parsed
    from robot_hil.transport.keys import Keys

Arguments = Sequence[str]
T = TypeVar("T")


def train(argv: Arguments, command: str = "train") -> int:
    """Train an experiment with two processes and a display, or in one process."""
    argv, resumed = _resumed(list(argv))
    _need_experiment(command, argv)
    from robot_hil.cli import options, required

    given = options.value_of(argv, "--out")
    folder = resumed or (Path(given) if given and "--resume" in argv else None)
    parsed = options.parse(command, options.Train, argv, folder)
    made = parsed.options
    require = required.require_parts if made.in_process else required.require_parts_apart
    require(parsed.experiment)
    run = RunFolder(resumed or made.out or next_free(Path("runs"), "demo" if command == "demo" else argv[0]))
    if resumed or made.resume:
        run.config()
        run.join(parsed.experiment, parsed.argv, made.seed, stored=parsed.stored)
    else:
        run.create(parsed.experiment, parsed.argv, made.seed)
        if made.demos_from is not None:
            from robot_hil.cli.record import adopt

            count = adopt(made.demos_from, parsed.experiment, run, made.compatible_with)
            print(f"{count} demonstrations taken from {made.demos_from}")
    from robot_hil.cli.train import train_run

    return train_run(parsed, run)


def demo(argv: Arguments) -> int:
    """Train pick_cube from camera images."""
    return train(["pick_cube", *argv], "demo")


def actor(argv: Arguments) -> int:
    """Run the actor alone."""
    _need_experiment("actor", argv)
    parsed, run, secrets = _side("actor", argv)
    from robot_hil.cli import compose

    compose.limit_threads(parsed.experiment, 1)
    from robot_hil.cli.actor import ActorProcess

    made = parsed.options
    process = ActorProcess(
        parsed.experiment, run, made.seed, made.endpoint, made.weights_endpoint, secrets, made.actor_id, made.operator
    )
    print(f"actor: {process.run()}")
    return 0


def learner(argv: Arguments) -> int:
    """Run the learner alone."""
    _need_experiment("learner", argv)
    parsed, run, secrets = _side("learner", argv)
    from robot_hil.cli import compose

    threads = int(os.environ.get("OMP_NUM_THREADS", "0")) or os.cpu_count() or 1
    compose.prepare_training(parsed.experiment, threads)
    from robot_hil.cli.learner import LearnerProcess

    made = parsed.options
    LearnerProcess(parsed.experiment, run, made.seed, made.endpoint, made.weights_endpoint, secrets).run()
    print("learner: saved")
    return 0


def record(argv: Arguments) -> int:
    """Record demonstrations."""
    _need_experiment("record", argv)
    from robot_hil.cli import options

    given = options.value_of(argv, "--out")
    run = RunFolder(Path(given) if given else next_free(Path("runs"), f"{argv[0]}-demos"))
    parsed = options.parse("record", options.Record, argv, run.path)
    made = parsed.options
    run.join(parsed.experiment, parsed.argv, made.seed, changeable=("demos",), stored=parsed.stored)
    run.lock("record")
    from robot_hil.cli.record import record as work

    against = None
    if made.against is not None:
        from robot_hil.cli.against import Against

        against = Against(made.against, run)
    count = work(parsed.experiment, run, made.seed, made.operator, against)
    if against is not None:
        against.show()
    print(f"{run.path} holds {count} demonstrations. Use them: robot-hil train {argv[0]} --demos-from {run.path}")
    return 0 if count >= parsed.experiment.demos else 130


def reward(argv: Arguments) -> int:
    """Success told from images."""
    from robot_hil.cli.reward.commands import reward as work

    return work(argv)


def teleop(argv: Arguments) -> int:
    """Drive the robot without learning."""
    from robot_hil.cli import options

    named = bool(argv) and not argv[0].startswith("-")
    asked = tyro_cli(options.Teleop, argv[1:] if named else argv, "robot-hil teleop [EXPERIMENT]")
    from robot_hil.cli.teleop import at_hand
    from robot_hil.cli.teleop import teleop as work
    from robot_hil.experiments import registry

    experiment = registry.get(argv[0] if named else "pick_cube")
    operator = replace(asked.operator, teleop=asked.teleop or at_hand())
    return work(experiment, replace(operator, console=operator.console or "console" in operator.teleop), asked.seed)


def console(argv: Arguments) -> int:
    """Serve the operator's page."""
    from robot_hil.cli.console import console as work

    return work(argv)


def doctor(argv: Arguments) -> int:
    """Check this computer and measure devices."""
    from robot_hil.cli.doctor import doctor as work

    return work(argv)


def evaluate(argv: Arguments) -> int:
    """Let a learnt policy act alone."""
    import tyro

    from robot_hil.cli import options

    asked = tyro.cli(options.Eval, args=list(argv), prog="robot-hil eval")
    from robot_hil.cli import evaluate as module

    run, saved_at = module.find_run(asked.run)
    config = run.config()
    parsed = options.parse("train", options.Train, config["argv"], run.path)
    seed = int(config["seed"]) if asked.seed is None else asked.seed
    experiment = replace(parsed.experiment, backend=asked.backend or parsed.experiment.backend)
    if asked.reward_model is not None:
        experiment = replace(experiment, reward_model=asked.reward_model)
    return module.evaluate(experiment, run, saved_at, seed, asked.episodes, parsed.options.operator)


def report(argv: Arguments) -> int:
    """Tables and plots of runs."""
    import tyro

    from robot_hil.cli import options

    asked = tyro.cli(options.Report, args=list(argv), prog="robot-hil report")
    if not asked.runs:
        raise UsageError("report needs run folders: robot-hil report RUN...")
    from robot_hil.cli import evaluate as module

    module.report(asked.runs, asked.out)
    return 0


def keys(argv: Arguments) -> int:
    """Make a key file."""
    import tyro

    from robot_hil.cli.keys import keys as make

    tyro.cli(make, args=list(argv), prog="robot-hil keys")
    return 0


def experiments(argv: Arguments) -> int:
    """List the experiments."""
    if argv and argv[0] not in ("-h", "--help"):
        raise UnknownNameError("option", argv[0], ["--help"])
    from robot_hil.experiments import registry

    for name in registry.NAMES:
        experiment = registry.get(name)
        person = f"by a {experiment.person.profile} person" if experiment.person.expert != "none" else "and no person"
        print(f"{name:<20}  {registry.about(name)}; {experiment.demos} demonstrations {person}")
    print("\nTrain one with `robot-hil train NAME`; `robot-hil train NAME --help` lists its numbers.")
    return 0


def committee(argv: Arguments) -> int:
    """Make the committee of a run."""
    from robot_hil.cli.against import committee as work

    return work(argv)


def tune(argv: Arguments) -> int:
    """Search an experiment's numbers."""
    if "--resume" not in argv:
        _need_experiment("tune", argv)
    from robot_hil.cli.tune import tune as work

    return work(argv)


def relearn(argv: Arguments) -> int:
    """Learn anew from what a run has recorded."""
    from robot_hil.cli.relearn import relearn as work

    return work(argv)


def compare(argv: Arguments) -> int:
    """Compare methods, persons and tasks."""
    from robot_hil.cli.compare import compare as work

    return work(argv)


def methods(argv: Arguments) -> int:
    """List the methods."""
    from robot_hil.cli.methods import methods as work

    return work(argv)


def _side(command: str, argv: Arguments) -> "tuple[Parsed, RunFolder, Keys | None]":
    from robot_hil.cli import options, required
    from robot_hil.transport.sockets import check_endpoint

    logging.getLogger("robot_hil").setLevel(logging.INFO)
    run = RunFolder(Path(options.value_of(argv, "--out") or Path("runs") / f"{argv[0]}-{command}"))
    parsed = options.parse(command, options.Side, argv, run.path)
    made = parsed.options
    secrets = _keys(made.keys)
    for endpoint in (made.endpoint, made.weights_endpoint):
        check_endpoint(endpoint, secrets)
    required.require_parts(parsed.experiment, acts=command == "actor")
    run.join(parsed.experiment, parsed.argv, made.seed, stored=parsed.stored)
    run.lock(command)
    origin = options.clock_origin()
    run.start_clock(origin)
    return parsed, run, secrets


def _keys(path: Path | None) -> "Keys | None":
    from robot_hil.transport.keys import load_keys

    return None if path is None else load_keys(path)


def _resumed(argv: list[str]) -> tuple[list[str], Path | None]:
    """Turn `--resume FOLDER [overrides]` into the folder's own command line; return it and the folder."""
    for index, word in enumerate(argv):
        folder = argv[index + 1] if word == "--resume" and index + 1 < len(argv) else ""
        if folder and not folder.startswith("-"):
            rest = argv[:index] + argv[index + 2 :]
            if rest and not rest[0].startswith("-"):
                raise ConfigError(
                    f"--resume {folder} knows its experiment; leave out {rest[0]!r}, or write --out {folder} --resume."
                )
            return [*RunFolder(Path(folder)).config()["argv"], *rest], Path(folder)
    return argv, None


def _need_experiment(command: str, argv: Arguments) -> None:
    """Print the short help and raise `UsageError` when no experiment is named."""
    if argv and not argv[0].startswith("-"):
        return
    print(command_help(command), file=sys.stderr)
    raise UsageError(f"{command} needs the name of an experiment as its first argument.")


def tyro_cli(kind: type[T], argv: Arguments, prog: str) -> T:
    """Parse `argv` into `kind`."""
    import tyro

    return tyro.cli(kind, args=list(argv), prog=prog, config=(tyro.conf.FlagCreatePairsOff,))


RUN: dict[str, Callable[[Arguments], int]] = {
    "demo": demo,
    "train": train,
    "actor": actor,
    "learner": learner,
    "record": record,
    "reward": reward,
    "teleop": teleop,
    "console": console,
    "doctor": doctor,
    "eval": evaluate,
    "committee": committee,
    "relearn": relearn,
    "tune": tune,
    "compare": compare,
    "report": report,
    "experiments": experiments,
    "methods": methods,
    "keys": keys,
}
