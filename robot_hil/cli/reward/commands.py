"""`robot-hil reward ...`: its commands from their arguments to their exit codes."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from robot_hil.cli.help import UsageError
from robot_hil.errors import ConfigError, UnknownNameError

USAGE = """usage: robot-hil reward COMMAND ...

Tell success from camera images: no sensor, no code of your own. In order:

  robot-hil reward record pick_cube --teleop spacemouse --out frames    drive; success key = a success can be seen
  robot-hil reward record runs/mine --out frames                        or: frames of episodes that were recorded
  robot-hil reward train frames --out model                             train, with held-out figures and pictures
  robot-hil reward check model runs/other                               when would it have ended other episodes?
  robot-hil reward label model                                          a page with the frames that it doubts
  robot-hil train pick_cube --reward-model model                        success as the model sees it

commands:
  record    collect labelled frames, from run folders or live; Ctrl-C saves
  train     train a success classifier from frames
  progress  train a critic of progress from run folders with demonstrations: a dense reward
  check     run a model over other frames or episodes; pass or fail
  label     serve a page with the most doubtful frames, and retrain
  retrain   go on training with what was labelled since

In a run with --reward-model the key X (gamepad: Y) says that a success was none; the model learns from it.
`robot-hil reward COMMAND --help` says more.
"""
Arguments = Sequence[str]
T = TypeVar("T")


def reward(argv: Arguments) -> int:
    """Run one command; return the exit code."""
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(USAGE)
        return 0 if argv else 2
    if argv[0] not in COMMANDS:
        raise UnknownNameError("reward command", argv[0], COMMANDS)
    return COMMANDS[argv[0]](argv[1:])


def record(argv: Arguments) -> int:
    """Collect frames from run folders, or live."""
    if not argv or (argv[0].startswith("-") and argv[0] not in ("-h", "--help")):
        print(USAGE, file=sys.stderr)
        raise UsageError("reward record needs run folders, or the name of an experiment, as its first argument.")
    if argv[0] in ("-h", "--help"):
        print(USAGE)
        print("`robot-hil reward record RUN --help` and `robot-hil reward record EXPERIMENT --help` list the options.")
        return 0
    from robot_hil.experiments import registry

    if argv[0] in registry.NAMES:
        from robot_hil.cli.reward.live import record_live

        return record_live(argv)
    if not Path(argv[0]).is_dir():
        raise UnknownNameError("run folder or experiment", argv[0], registry.NAMES)
    from robot_hil.cli.reward import options
    from robot_hil.cli.reward.logged import record_logged

    return record_logged(_parse(options.FromRuns, argv, "record"))


def train(argv: Arguments) -> int:
    """Train a classifier."""
    from robot_hil.cli.reward import options
    from robot_hil.cli.reward.train import train as work

    return work(_parse(options.TrainReward, argv, "train"))


def progress(argv: Arguments) -> int:
    """Train a critic of progress."""
    from robot_hil.cli.reward import options
    from robot_hil.cli.reward.progress import train_progress

    return train_progress(_parse(options.TrainProgress, argv, "progress"))


def retrain(argv: Arguments) -> int:
    """Go on training."""
    from robot_hil.cli.reward import options
    from robot_hil.cli.reward.train import retrain as work

    asked = _parse(options.Retrain, argv, "retrain")
    return work(asked.model, asked.frames, asked.nice)


def check(argv: Arguments) -> int:
    """Check a model."""
    from robot_hil.cli.reward import options
    from robot_hil.cli.reward.check import check as work

    return work(_parse(options.Check, argv, "check"))


def label(argv: Arguments) -> int:
    """Serve the page with doubtful frames."""
    from robot_hil.cli.reward import options
    from robot_hil.cli.reward.label import label as work

    return work(_parse(options.LabelFrames, argv, "label"))


def _parse(kind: type[T], argv: Arguments, command: str) -> T:
    import tyro

    prog = f"robot-hil reward {command}"
    try:
        return tyro.cli(kind, args=list(argv), prog=prog, config=(tyro.conf.FlagCreatePairsOff,))
    except (ConfigError, ValueError) as error:  # a value that its dataclass refuses
        raise UsageError(f"{error} See {prog} --help.") from error


COMMANDS: dict[str, Callable[[Arguments], int]] = {
    "record": record,
    "train": train,
    "progress": progress,
    "check": check,
    "label": label,
    "retrain": retrain,
}
