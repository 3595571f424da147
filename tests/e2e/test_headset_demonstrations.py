"""A person in the VR page drives: clutch, move, grip, release; demonstrations are stored and learnt from."""

import time
from pathlib import Path
from typing import Any

import browser
import headset
import numpy as np
import pytest
from e2e.demonstrations import DEMOS, WITHIN_M, check_log, over, record, train
from e2e.person import PATIENCE_S, Eyes, Program, keep_picture

SIDE, SPEED = "right", 0.08
pytestmark = pytest.mark.timeout(900)


class Controller:
    """A hand in the simulated headset, looking along the robot's x axis."""

    def __init__(self, page: Any, eyes: Eyes, folder: Path) -> None:
        self.page, self.eyes, self.folder = page, eyes, folder

    def do(self, call: str) -> Any:
        return self.page.evaluate(f"headset.{call}")

    def press(self, button: str, value: float) -> None:
        self.do(f"button('{SIDE}', '{button}', {value})")

    def begin(self) -> None:
        self.do(f"move('{SIDE}', 0.2, 1.1, -0.4)")
        time.sleep(0.3)
        self.press("squeeze", 1)
        time.sleep(0.4)

    def go(self, goal: object, episode: int) -> None:
        deadline = time.monotonic() + PATIENCE_S / 2
        while time.monotonic() < deadline and not over(self.eyes, episode):
            if self.eyes.state["state"] in ("HOLD", "LOST"):  # a busy machine made the page stutter
                self.let_go()
                self.resume()
                self.press("squeeze", 1)
                time.sleep(0.4)
                continue
            error = np.asarray(goal) - np.asarray(self.eyes.state["tool"])
            if (np.abs(error) <= WITHIN_M).all():
                break
            x, y, z = np.clip(error, -0.1, 0.1).tolist()
            seconds = max(0.2, float(np.abs(error).max()) / SPEED)
            self.do(f"glide('{SIDE}', {-y}, {z}, {-x}, {min(seconds, 0.1 / SPEED)})")
            time.sleep(min(seconds, 0.1 / SPEED) + 0.4)

    def close(self) -> None:
        self.press("trigger", 1)
        time.sleep(0.8)

    def look(self) -> None:
        keep_picture(self.page, self.folder, "headset_driving.png")

    def let_go(self) -> None:
        self.do("script = null")
        self.press("squeeze", 0)
        self.press("trigger", 0)
        time.sleep(0.3)

    def resume(self) -> None:
        self.press("a", 1)
        time.sleep(0.3)
        self.press("a", 0)
        time.sleep(0.3)

    def again(self) -> None:
        self.press("b", 1)
        time.sleep(0.3)
        self.press("b", 0)


def test_demonstrations_by_headset_are_stored_and_learnt_from(tmp_path: Path):
    browser.require("chromium", "iwer")
    folder = tmp_path / "demos"
    program = Program(
        tmp_path / "record.log", "record", "pick_cube_state", "--teleop", "console", "--demos", str(DEMOS),
        "--console-port", "0", "--out", str(folder),
    )  # fmt: skip
    try:
        origin, token = program.address(folder)
        eyes = Eyes(origin, token)
        with browser.chromium() as chrome:
            context = chrome.new_context(viewport={"width": 900, "height": 560})
            context.add_init_script("window.HEADSET_HZ = 36; window.HEADSET_AR = false;")
            context.add_init_script(path=browser.IWER)
            context.add_init_script(path=headset.SHIM)
            page = context.new_page()
            errors: list[str] = []
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.goto(f"{origin}/xr/#t={token}")
            page.wait_for_selector("body[data-link=open]")
            page.click("#enter:enabled")
            page.wait_for_selector("body[data-session=on][data-pilot=true]")
            program.until(lambda: eyes.state.get("tool") is not None)
            record(program, Controller(page, eyes, tmp_path))
            assert errors == []
        eyes.close()
    finally:
        program.kill()
    check_log(folder, "webxr")
    train(tmp_path, folder)
