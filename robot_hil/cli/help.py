"""Short help of the commands that need an experiment, without loading any."""

from robot_hil.errors import ConfigError


class UsageError(ConfigError):
    """A command line that cannot work."""


_TEXT = {
    "train": """usage: robot-hil train EXPERIMENT [options]
       robot-hil train --resume RUN

Trains EXPERIMENT with an actor process and a learner process and shows how it goes.
Ctrl-C saves and says how to resume.

examples:
  robot-hil train pick_cube_state                         into runs/pick_cube_state-<n>
  robot-hil train pick_cube --seed 1 --out runs/mine      seed and folder
  robot-hil train pick_cube_state --agent.anchor 0.5      any number of the experiment
  robot-hil train pick_cube_state --method iwr            a published method; `robot-hil methods` lists them
  robot-hil train pick_cube_state --env Pendulum-v1       any Gymnasium environment
  robot-hil train --resume runs/mine                      go on where it stopped
""",
    "actor": """usage: robot-hil actor EXPERIMENT [options]

The robot's side alone. Give the same experiment and overrides as to the learner.

example, on two machines that share a file made by `robot-hil keys`:
  robot-hil learner pick_cube --endpoint tcp://0.0.0.0:5588 --weights-endpoint tcp://0.0.0.0:5589 --keys robot_hil.keys
  robot-hil actor pick_cube --endpoint tcp://LEARNER:5588 --weights-endpoint tcp://LEARNER:5589 --keys robot_hil.keys
""",
    "record": """usage: robot-hil record EXPERIMENT [--demos N] [--out FOLDER]

Records demonstrations; `robot-hil train EXPERIMENT --demos-from FOLDER` uses them.
With --against RUN each is judged by the committee of that run (`robot-hil committee RUN`).
""",
    "tune": """usage: robot-hil tune EXPERIMENT [--trials N] [--space NAME=VALUES ...]
       robot-hil tune --resume FOLDER [--trials N]

Searches an experiment's numbers on tuning seeds, then compares the best with the default on test seeds.

examples:
  robot-hil tune peg_slot --trials 8 --goal.max-env-steps 2000
  robot-hil tune peg_slot --space agent.utd=1,2,4 agent.anchor=0.5..10:log agent.exploration=0.02..0.3
  robot-hil tune --resume runs/peg_slot-tune-1 --trials 16
""",
}
_TEXT["learner"] = (
    _TEXT["actor"]
    .replace("robot-hil actor EXPERIMENT", "robot-hil learner EXPERIMENT")
    .replace(
        "The robot's side alone. Give the same experiment and overrides as to the learner.",
        "The learning side alone. Give the same experiment and overrides as to the actor.",
    )
)


def has_help(command: str) -> bool:
    """Return whether `command` needs an experiment and has a short help."""
    return command in _TEXT


def command_help(command: str) -> str:
    """Return the help of `command`."""
    return (
        _TEXT[command]
        + f"\n`robot-hil experiments` lists the experiments; `robot-hil {command} EXPERIMENT --help` lists all options."
    )
