"""Take the pictures of the VR page in docs/images: a real console and device, MuJoCo's arm, a simulated headset.

python .ci/vr_pictures.py [--out docs/images]
"""

import argparse
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import browser  # noqa: E402
import headset  # noqa: E402

import robot_hil.envs  # noqa: E402, F401 - registers the ids
from robot_hil.actor.arbiter import ArbiterState  # noqa: E402
from robot_hil.teleop.webxr.config import WebXRConfig  # noqa: E402


class Scene(threading.Thread):
    """The simulated arm follows the robot's commanded height, so that the cameras have something to show."""

    def __init__(self, robot: headset.Robot) -> None:
        super().__init__(name="scene")
        self.robot, self.done = robot, threading.Event()

    def run(self) -> None:
        env: Any = gymnasium.make("robot_hil/PickCube-v0", obs_type="pixels", image_size=256).unwrapped
        obs, _ = env.reset(seed=3)
        before = self.robot.pos.copy()
        while not self.done.is_set():
            moved, before = self.robot.pos - before, self.robot.pos.copy()
            action = np.zeros(env.action_space.shape, np.float32)
            action[:3] = np.clip(moved / env.action_scale.linear_m, -1, 1)
            obs = env.step(action)[0]
            self.robot.link.show({name: obs[name] for name in ("front", "wrist")}, time.monotonic())
            self.done.wait(0.1)
        env.close()


def main() -> None:
    """Write `vr_page.png` and `vr_session.png`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "docs/images")
    out: Path = parser.parse_args().out
    robot = headset.Robot(config=WebXRConfig(silence_s=1.0, max_age_s=1.0), max_age_s=1.0)  # this machine is slow
    with tempfile.TemporaryDirectory() as folder:
        trust = browser.make_trust(Path(folder))
        with browser.chromium(trust.home) as chromium, headset.station(chromium, trust, robot, fine=True) as (page, _):
            scene = Scene(robot)
            scene.start()
            page.page.set_viewport_size({"width": 1180, "height": 760})
            page.open()
            headset.wait_for(lambda: page.page.evaluate("document.querySelector('canvas')?.width") == 256, "a camera")
            headset.wait_for(lambda: page.word() == "POLICY", "the robot's state")
            page.page.evaluate("document.activeElement.blur()")
            page.page.screenshot(path=out / "vr_page.png")
            page.page.set_viewport_size({"width": 640, "height": 540})
            page.enter()
            for side, x in (("left", -0.22), ("right", 0.24)):
                page.do("move", side, x, 1.25, -0.45)
            time.sleep(1.0)
            headset.drive(page, robot)
            page.do("glide", "right", 0.02, -0.05, -0.08, 2.0)
            time.sleep(3.0)
            assert robot.state is ArbiterState.HUMAN, robot.device.info()
            page.page.screenshot(path=out / "vr_session.png")
            scene.done.set()
            scene.join()


if __name__ == "__main__":
    main()
