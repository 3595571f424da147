"""The command `robot-hil`: which command, and what the user sees when something is wrong."""

import logging
import os
import select
import sys
from collections.abc import Sequence
from importlib import import_module

from robot_hil.cli.help import UsageError, command_help, has_help
from robot_hil.errors import RobotHilError, UnknownNameError

COMMANDS = {
    "demo": "teach the simulated arm to pick a cube from camera images, with a simulated person (minutes)",
    "train": "train an experiment and show how it goes",
    "actor": "run only the part that acts, e.g. on the robot's computer",
    "learner": "run only the part that learns, e.g. on the computer with the GPU",
    "record": "record demonstrations, for `train --demos-from`",
    "reward": "tell success from camera images: record frames, train a model, check it, label",
    "teleop": "drive the simulated arm by hand: keyboard, gamepad, SpaceMouse, headset; no learning",
    "console": "serve the operator's page of a run: cameras, buttons, curves, stored episodes",
    "doctor": "check devices, permissions, cameras, ports; measure rate and age of a device",
    "committee": "train imitators of a run's demonstrations: does a new one fit, when should the robot ask for help",
    "relearn": "learn anew, by any method, from what a run has recorded",
    "compare": "compare every method with every simulated person on every task",
    "tune": "search an experiment's numbers on tuning seeds, and judge the best on others",
    "eval": "let a learnt policy act alone and count successes",
    "report": "print a table of runs and plot their curves; several are compared",
    "experiments": "list the experiments",
    "methods": "list the published methods that a run can learn by",
    "keys": "make the key file that actor and learner need between two machines",
}
_READER_LEFT = 141
"""Exit code of a program whose reader went away, 128 + SIGPIPE as shells have it."""
EXAMPLES = """examples:
  robot-hil demo
  robot-hil train pick_cube_state --seed 1 --out runs/mine
  robot-hil train pick_cube_state --agent.anchor 0.5 --demos 10
  robot-hil teleop
  robot-hil record pick_cube --teleop console --demos 20
  robot-hil train pick_cube --teleop spacemouse console
  robot-hil train --resume runs/mine
  robot-hil reward record runs/mine --out frames
  robot-hil relearn runs/mine --method iql --steps 3000
  robot-hil eval runs/mine --episodes 100
  robot-hil report runs/mine runs/other
"""


def usage() -> str:
    """Return the overview of all commands."""
    width = max(map(len, COMMANDS))
    rows = "\n".join(f"  {name:<{width}}  {text}" for name, text in COMMANDS.items())
    return (
        f"usage: robot-hil COMMAND ...\n\nTeach a robot arm a skill from its own trials and a person's corrections.\n"
        "An experiment is a task with its robot, person and numbers; a run is the folder that training one leaves.\n"
        f"\ncommands:\n{rows}\n\n{EXAMPLES}\n`robot-hil COMMAND --help` says more; `robot-hil --version`."
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code.

    0 done, 1 failed, 2 wrong command line, 130 interrupted, 141 nobody reads on.
    """
    try:
        code = _run(list(sys.argv[1:] if argv is None else argv))
        sys.stdout.flush()  # here, where a reader that has gone away is no error
    except BrokenPipeError:
        if not _reader_left():
            raise  # of some connection
        return _READER_LEFT
    return code


def _run(args: list[str]) -> int:
    """Run one command; errors that a user can do something about are said in a line."""
    if not args or args[0] in ("-h", "--help", "help"):
        print(usage())
        return 0 if args else 2
    command, rest = args[0], args[1:]
    if command == "--version":
        from importlib.metadata import version

        print(f"robot-hil {version('robot_hil')}")
        return 0
    if has_help(command) and rest[:1] in (["-h"], ["--help"]):
        print(command_help(command))
        return 0
    logging.basicConfig(
        level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s", datefmt="%H:%M:%S"
    )
    try:
        if command not in COMMANDS:
            raise UnknownNameError("command", command, COMMANDS)
        run = import_module("robot_hil.cli.commands").RUN[command]
        code: int = run(rest)
        return code
    except (UnknownNameError, UsageError) as error:
        print(f"robot-hil: {error}", file=sys.stderr)
        return 2
    except RobotHilError as error:
        print(f"robot-hil: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("robot-hil: interrupted", file=sys.stderr)
        return 130


def _reader_left() -> bool:
    """Return whether nobody reads standard output any more, as in `robot-hil methods | head`; then silence it."""
    output = sys.stdout.fileno()
    poll = select.poll()
    poll.register(output, 0)
    left = any(event & select.POLLERR for _, event in poll.poll(0))
    if left:
        os.dup2(os.open(os.devnull, os.O_WRONLY), output)  # the interpreter flushes once more at its end
    return left


if __name__ == "__main__":
    sys.exit(main())
