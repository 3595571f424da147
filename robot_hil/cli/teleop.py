"""`robot-hil teleop`: drive the robot with whatever is at hand; nothing is learnt and nothing is kept."""

import tempfile
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from robot_hil.actor.seeding import Stream
from robot_hil.cli import compose
from robot_hil.cli.operator_options import OperatorOptions
from robot_hil.cli.robot import Robot
from robot_hil.cli.runfolder import RunFolder
from robot_hil.cli.signals import StopRequest
from robot_hil.errors import DependencyError

if TYPE_CHECKING:
    from robot_hil.experiments.base import Experiment

CONTROL_HZ = 20.0
EPISODE_S = 120.0


def at_hand() -> tuple[str, ...]:
    """Return the devices that are plugged in, and the console, in which keyboard, gamepad and headset work."""
    from robot_hil.teleop.gamepad_sdl import find_gamepads
    from robot_hil.teleop.spacemouse_puck import find_spacemice

    found: list[str] = []
    with suppress(DependencyError):  # an extra that is not installed: the doctor says how
        found += [f"spacemouse:{mouse.path}" for mouse in find_spacemice() if mouse.openable]
    with suppress(DependencyError):
        found += ["gamepad"] * bool(find_gamepads())
    return (*found, "console")


def for_driving(experiment: "Experiment") -> "Experiment":
    """Return `experiment` at a rate at which driving feels direct, with time to play."""
    experiment = compose.with_operator(experiment)
    if compose.has_pictures(experiment):
        kwargs = {**experiment.env_kwargs, "control_hz": CONTROL_HZ, "max_seconds": EPISODE_S}
        experiment = replace(experiment, env_kwargs=kwargs, observation="state")
    return experiment


def teleop(experiment: "Experiment", options: OperatorOptions, seed: int) -> int:
    """Drive until interrupted; prints how each attempt ended. Returns the exit code."""
    experiment = for_driving(experiment)
    with tempfile.TemporaryDirectory(prefix="robot-hil-teleop-") as folder:
        robot = Robot(experiment, RunFolder(Path(folder)), compose.make_agent(experiment), seed, operator=options)
        stop = StopRequest(robot.request_stop)
        try:
            _greet(robot, options)
            robot.start()
            episode = good = 0
            began = time.monotonic()
            while not stop:
                robot.tell("drive: success, fail or reset begins anew", "demo")
                row = robot.run(Stream.DEMO, episode)
                if row is None or stop:
                    continue
                episode += 1
                good += row.success
                verdict = "success" if row.success else "not done"
                took = row.steps / robot.spec.control_hz
                print(f"attempt {episode}: {verdict} after {took:.1f} s of driving ({good} of {episode})", flush=True)
        finally:
            robot.close()
            stop.finish()
    print(f"\n{good} of {episode} attempts succeeded in {(time.monotonic() - began) / 60:.1f} min.")
    return 0


def _greet(robot: Robot, options: OperatorOptions) -> None:
    print(f"{robot.spec.task}: drive with {', '.join(options.teleop)}. The attempt begins when you do. Ctrl-C ends.")
