"""A person at the console's page drives by keyboard: demonstrations are stored, and training from them starts."""

import time
from pathlib import Path
from typing import Any

import browser
import numpy as np
import pytest
from e2e.person import PATIENCE_S, Eyes, Program, cube_of

from robot_hil.data.step import Authority, Segment
from robot_hil.replay.step_log import StepLog

DEMOS = 2
AXES = (("KeyW", "KeyS"), ("KeyA", "KeyD"), ("KeyE", "KeyQ"))
"""Keys that increase and decrease x, y and z."""
FINE = "ShiftLeft"
pytestmark = pytest.mark.timeout(600)


class Typist:
    """Holds down the keys that bring the tool nearer to a goal."""

    def __init__(self, page: Any, eyes: Eyes) -> None:
        self.page, self.eyes = page, eyes
        self.down: set[str] = set()

    def hold(self, keys: set[str]) -> None:
        for key in self.down - keys:
            self.page.keyboard.up(key)
        for key in keys - self.down:
            self.page.keyboard.down(key)
        self.down = keys

    def go(self, goal: Any, within: float, until: Any = lambda: False) -> None:
        """Drive to `goal` (3,) [m] until each axis is `within` it, or until something else happens."""
        deadline = time.monotonic() + PATIENCE_S / 2
        while time.monotonic() < deadline and not until():
            if self.eyes.state["state"] in ("HOLD", "LOST"):  # a busy machine made the page stutter
                self.hold(set())
                time.sleep(0.3)
                self.page.keyboard.press("KeyP")
                time.sleep(0.3)
                continue
            error = np.asarray(goal) - np.asarray(self.eyes.state["tool"])
            far = np.abs(error) > within
            if not far.any():
                break
            keys = {AXES[axis][int(error[axis] < 0)] for axis in range(3) if far[axis]}
            self.hold(keys | ({FINE} if np.abs(error).max() < 0.05 else set()))
            time.sleep(0.02)
        self.hold(set())

    def tap(self, key: str) -> None:
        self.page.keyboard.press(key, delay=60)
        time.sleep(0.7)


def demonstrate(typist: Typist, episode: int) -> None:
    eyes, cube = typist.eyes, cube_of(0, episode)

    def over() -> bool:
        return eyes.state["episode_id"] != episode or eyes.state["phase"] != "demo"

    typist.go([*cube[:2], 0.10], 0.006, over)
    typist.go(cube, 0.006, over)
    typist.tap("KeyC")
    typist.go([*cube[:2], 0.20], 0.006, over)


def test_demonstrations_by_keyboard_are_stored_and_learnt_from(tmp_path: Path):
    browser.require("chromium")
    folder = tmp_path / "demos"
    program = Program(
        tmp_path / "record.log", "record", "pick_cube_state", "--teleop", "console", "--demos", str(DEMOS),
        "--console-port", "0", "--out", str(folder),
    )  # fmt: skip
    try:
        origin, token = program.address(folder)
        eyes = Eyes(origin, token)
        with browser.chromium() as chrome:
            page = chrome.new_page()
            errors: list[str] = []
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.goto(f"{origin}/#t={token}")
            program.until(lambda: eyes.state.get("tool") is not None and eyes.state["waiting"] == "start")
            page.click("body", position={"x": 5, "y": 5})
            typist = Typist(page, eyes)
            attempts = 0
            while program.process.poll() is None and eyes.state["phase"] == "demo" and attempts < 3 * DEMOS:
                episode = int(eyes.state["episode_id"])
                demonstrate(typist, episode)
                if program.process.poll() is None and eyes.state["episode_id"] == episode:
                    page.keyboard.press("KeyN")  # it went wrong: once more
                    deadline = time.monotonic() + 30
                    while eyes.state["episode_id"] == episode and program.process.poll() is None:
                        assert time.monotonic() < deadline, eyes.state
                        time.sleep(0.05)
                attempts += 1
                while program.process.poll() is None and not (
                    eyes.state["waiting"] == "start" and eyes.state["episode_id"] != episode
                ):
                    time.sleep(0.05)
            assert program.end() == 0, program.output
            assert errors == []
        eyes.close()
    finally:
        program.kill()
    check_log(folder)
    train(tmp_path, folder)


def check_log(folder: Path, device: str = "keyboard") -> None:
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
