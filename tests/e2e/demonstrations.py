"""What a person does to record demonstrations of pick_cube, whatever the hands are, and what must come of it."""

import time
from pathlib import Path
from typing import Protocol

import numpy as np
from e2e.person import Eyes, Program, cube_of

from robot_hil.data.step import Authority, Segment
from robot_hil.replay.step_log import StepLog

DEMOS = 2
WITHIN_M = 0.006


class Hands(Protocol):
    """How a person moves the robot."""

    eyes: Eyes

    def begin(self) -> None:
        """Take hold."""

    def go(self, goal: object, episode: int) -> None:
        """Drive the tool to `goal` (3,) [m], or until `episode` is over."""

    def close(self) -> None:
        """Close the gripper."""

    def look(self) -> None:
        """Take a picture of the page."""

    def let_go(self) -> None:
        """Let go of everything."""

    def resume(self) -> None:
        """Go on after a hold."""

    def again(self) -> None:
        """Give this attempt up."""


def record(program: Program, hands: Hands) -> None:
    """Demonstrate until `program` has enough."""
    eyes = hands.eyes
    attempts = 0
    while running(program, eyes) and attempts < 4 * DEMOS:
        ready(program, hands)
        episode = int(eyes.state["episode_id"])
        if not running(program, eyes):
            break
        attempts += 1
        demonstrate(hands, episode)
        hands.let_go()
        if not over(eyes, episode) and running(program, eyes):
            time.sleep(1.0)
            if not over(eyes, episode):
                hands.again()
        while running(program, eyes) and not over(eyes, episode):
            time.sleep(0.05)
    assert program.end() == 0, program.output[-3000:]


def ready(program: Program, hands: Hands) -> None:
    """Wait until the next attempt may begin, and resume where the robot holds."""
    eyes = hands.eyes
    while eyes.state["waiting"] != "start" and running(program, eyes):
        if eyes.state["state"] in ("HOLD", "LOST"):
            hands.let_go()
            hands.resume()
        time.sleep(0.05)


def running(program: Program, eyes: Eyes) -> bool:
    return program.process.poll() is None and eyes.state["message"] != "done"


def over(eyes: Eyes, episode: int) -> bool:
    return eyes.state["episode_id"] != episode or eyes.state["message"] == "done"


def demonstrate(hands: Hands, episode: int) -> None:
    cube = cube_of(0, episode)
    hands.begin()
    hands.go([*cube[:2], 0.10], episode)
    hands.go(cube, episode)
    hands.close()
    hands.look()
    hands.go([*cube[:2], 0.20], episode)


def check_log(folder: Path, device: str) -> None:
    with StepLog(folder / "steps") as log:
        steps = list(log.steps())
    assert len({step.episode_id for step in steps}) == DEMOS
    human = [step for step in steps if step.is_human]
    assert {step.device for step in human} == {device}
    assert len(human) > len(steps) / 3
    for step in steps:
        assert step.segment is Segment.DEMO
        expected = step.action_human if step.is_human else np.zeros(4, np.float32)
        assert step.action_executed.tobytes() == np.asarray(expected, np.float32).tobytes()
        assert step.is_human or (step.authority == Authority.HOLD).all()
    assert sum(step.success for step in steps if step.is_last) == DEMOS


def train(tmp_path: Path, folder: Path) -> None:
    run = Program(
        tmp_path / "train.log", "train", "pick_cube_state", "--demos-from", str(folder), "--demos", str(DEMOS),
        "--in-process", "--goal.max-env-steps", "30", "--eval-episodes", "1", "--learner.clone-updates", "5",
        "--learner.critic-warmup", "5", "--out", str(tmp_path / "run"),
    )  # fmt: skip
    try:
        assert run.end() == 0, run.output
    finally:
        run.kill()
    assert f"{DEMOS} demonstrations taken" in run.output
    assert (tmp_path / "run" / "summary.json").exists()
