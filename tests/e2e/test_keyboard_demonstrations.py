"""A person at the console's page drives by keyboard: demonstrations are stored, and training from them starts."""

import time
from pathlib import Path
from typing import Any

import browser
import numpy as np
import pytest
from e2e.demonstrations import DEMOS, WITHIN_M, check_log, over, record, train
from e2e.person import PATIENCE_S, Eyes, Program, keep_picture

AXES = (("KeyW", "KeyS"), ("KeyA", "KeyD"), ("KeyE", "KeyQ"))
"""Keys that increase and decrease x, y and z."""
FINE = "ShiftLeft"
pytestmark = pytest.mark.timeout(900)


class Typist:
    """Holds down the keys that bring the tool nearer to a goal."""

    def __init__(self, page: Any, eyes: Eyes, folder: Path) -> None:
        self.page, self.eyes, self.folder = page, eyes, folder
        self.down: set[str] = set()

    def hold(self, keys: set[str]) -> None:
        for key in self.down - keys:
            self.page.keyboard.up(key)
        for key in keys - self.down:
            self.page.keyboard.down(key)
        self.down = keys

    def begin(self) -> None:
        pass

    def go(self, goal: object, episode: int) -> None:
        deadline = time.monotonic() + PATIENCE_S / 2
        while time.monotonic() < deadline and not over(self.eyes, episode):
            if self.eyes.state["state"] in ("HOLD", "LOST"):  # a busy machine made the page stutter
                self.hold(set())
                self.resume()
                continue
            error = np.asarray(goal) - np.asarray(self.eyes.state["tool"])
            far = np.abs(error) > WITHIN_M
            if not far.any():
                break
            keys = {AXES[axis][int(error[axis] < 0)] for axis in range(3) if far[axis]}
            self.hold(keys | ({FINE} if np.abs(error).max() < 0.05 else set()))
            time.sleep(0.02)
        self.hold(set())

    def close(self) -> None:
        self.page.keyboard.press("KeyC", delay=60)
        time.sleep(0.7)

    def look(self) -> None:
        keep_picture(self.page, self.folder, "keyboard_driving.png")

    def let_go(self) -> None:
        self.hold(set())

    def resume(self) -> None:
        time.sleep(0.3)
        self.page.keyboard.press("KeyP")
        time.sleep(0.3)

    def again(self) -> None:
        self.page.keyboard.press("KeyN")


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
            program.until(lambda: eyes.state.get("tool") is not None)
            page.click("body", position={"x": 5, "y": 5})
            record(program, Typist(page, eyes, tmp_path))
            assert errors == []
        eyes.close()
    finally:
        program.kill()
    check_log(folder, "keyboard")
    train(tmp_path, folder)
