"""Take the pictures of the console in docs/images: a real console, page and devices, a simulated arm, a recorded run.

    python .ci/screenshots.py runs/learning/pick_cube-1 [--out docs/images] [--all]

The curves are those of the run, cut off in the middle of its training; the arm is driven by the scripted expert in the
policy's place, until the keys that the script holds down in the page take over.
"""

import argparse
import json
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gymnasium

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))  # for the browser and the console in a thread

from browser import chromium  # noqa: E402
from serving import console_thread  # noqa: E402

import robot_hil.envs  # noqa: E402, F401 - registers the ids
from robot_hil.actor.arbiter import Arbiter, ArbiterConfig, ArbiterState  # noqa: E402
from robot_hil.cli.devices import page_devices  # noqa: E402
from robot_hil.cli.status import on_wire  # noqa: E402
from robot_hil.clock import MonotonicClock  # noqa: E402
from robot_hil.console.link import RobotLink  # noqa: E402
from robot_hil.console.messages import Ack, Event, FromPage, Gone, Status, ToRobot, Welcome  # noqa: E402
from robot_hil.data.operator_input import Button, Words  # noqa: E402
from robot_hil.data.teleop import EventKind, TeleopEvent  # noqa: E402
from robot_hil.envs.base import privileged_of, scale_of, tool_of  # noqa: E402
from robot_hil.teleop.simulated.expert_pick_cube import PickCubeExpert  # noqa: E402
from robot_hil.teleop.station import Station  # noqa: E402

CUT = 0.55
"""Share of the run that has happened when the picture is taken."""
PERIOD_S = 0.1


def halfway(run: Path, folder: Path) -> dict[str, Any]:
    """Copy the first part of a run to `folder`; return the row of its last episode."""
    rows = [json.loads(line) for line in (run / "actor.jsonl").read_text().splitlines()]
    online = [row for row in rows if row["phase"] == "train"]
    end = online[int(CUT * len(online))]
    kept = [row for row in rows if row["t_wall_s"] <= end["t_wall_s"]]
    learner = [json.loads(line) for line in (run / "learner.jsonl").read_text().splitlines()]
    for name, lines in (("actor", kept), ("learner", [r for r in learner if r["t_wall_s"] <= end["t_wall_s"]])):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    shutil.copy(run / "config.json", folder)
    shutil.copytree(run / "steps", folder / "steps")
    return dict(end)


class Robot:
    """An arm in simulation that obeys the expert, and whoever takes over in the page."""

    def __init__(self, folder: Path, newest: dict[str, Any]) -> None:
        self.env: Any = gymnasium.make("robot_hil/PickCube-v0", obs_type="pixels", image_size=400).unwrapped
        clock = MonotonicClock()
        self.devices = page_devices(self.env, clock, lambda *_: None)
        self.station = Station(self.devices, clock)
        self.arbiter = Arbiter(ArbiterConfig(action_dim=len(scale_of(self.env).axes)))
        cameras = ["front", "wrist"]
        self.link = RobotLink(Welcome("pick_cube", "lift the cube", cameras, 10.0, folder.name), self._hear)
        self.newest, self.episode, self.step = newest, newest["episode_id"] + 1, 0
        self._expert, self._clock = PickCubeExpert(), clock
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="robot")

    def _hear(self, message: ToRobot) -> None:
        if isinstance(message, FromPage) and isinstance(message.body, Button | Words):
            body = message.body
            if isinstance(body, Button):
                event = TeleopEvent(kind=EventKind(body.kind), t=message.t_recv, source=message.operator)
                self.station.post(event)
            self.link.send(Ack(id=body.id, client=message.client, ok=True))
        keyboard, pad, _, words = self.devices
        if isinstance(message, FromPage):
            words.heard(message.client, message.t_page)
            for device in (keyboard, pad):  # each takes only what is for it
                times = {"t_recv": message.t_recv, "t_page": message.t_page}
                device.feed(message.body, client=message.client, operator=message.operator, **times)
        elif isinstance(message, Gone):
            for device in self.devices:
                device.gone(message.client, message.reason)

    def start(self) -> None:
        """Bring it to life."""
        self.station.start()
        self.link.start()
        self._thread.start()

    def stop(self) -> None:
        """End it."""
        self._done.set()
        self._thread.join()
        self.link.stop()

    def _run(self) -> None:
        obs, _ = self.env.reset(seed=self.episode)
        due = time.monotonic()
        while not self._done.is_set():
            sample = self.station.latest()
            proposal = self._expert.action(privileged_of(self.env), 0.35)
            events = self.station.drain_events()
            for event in events:
                if event.kind is EventKind.CLEAR:
                    self.arbiter.clear_estop("cleared")
            decision = self.arbiter.update(self._clock.now(), proposal, sample, events)
            obs, _, terminated, truncated, _ = self.env.step(decision.action)
            self.step += decision.state not in (ArbiterState.HOLD, ArbiterState.ESTOP)
            self.link.show({name: obs[name].copy() for name in ("front", "wrist")}, time.monotonic())
            driver = f"{sample.device} · {sample.operator}" if decision.state is ArbiterState.HUMAN else "policy"
            self._tell(decision.state.name, decision.reason, driver)
            if terminated or truncated or self.step > 100:
                self.link.send(
                    Event(
                        time.monotonic(), "info", f"episode {self.episode}: {'success' if terminated else 'time is up'}"
                    )
                )
                self.episode, self.step = self.episode + 1, 0
                obs, _ = self.env.reset(seed=self.episode)
                self.arbiter.begin_episode()
            due = max(due + PERIOD_S, time.monotonic())
            time.sleep(max(0.0, due - time.monotonic()))
        self.env.close()  # its GL context belongs to this thread

    def _tell(self, state: str, reason: str, driver: str) -> None:
        tool = tool_of(self.env)()
        place = (float(tool.pos_base[0]), float(tool.pos_base[1]), float(tool.pos_base[2]))
        self.link.send(
            Status(
                t=time.monotonic(), state=state, reason=reason, phase="train", message="", driver=driver,
                episode_id=self.episode, step=self.step, episode_s=self.step * PERIOD_S,
                devices=[on_wire(info) for info in self.station.infos()], tool=place, gripper=tool.gripper_width,
                last_episode=("actor", 1, self.newest["episode_id"]), env_steps=self.newest["env_steps"] + self.step,
                policy_version=self.newest["policy_version"], policy_age_s=self.newest["policy_age_s"],
            )
        )  # fmt: skip


@contextmanager
def console_with_life(run: Path) -> Iterator[Any]:
    """Give a page of a console with everything behind it."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / run.name
        folder.mkdir()
        robot = Robot(folder, halfway(run, folder))
        robot.start()
        try:
            with console_thread(link=robot.link.endpoint, folder=folder) as server, chromium() as browser:
                page = browser.new_page(viewport={"width": 1400, "height": 900})
                page.add_init_script("localStorage.setItem('name', 'Anna')")
                page.goto(server.url())
                page.wait_for_selector("#seat.mine")
                page.wait_for_timeout(4000)
                yield page
        finally:
            robot.stop()


def drive(page: Any, key: str) -> None:
    """Hold a key down until the person drives; a busy machine may lose the page for a moment, which holds the robot."""
    for _ in range(10):
        page.keyboard.down(key)
        page.wait_for_timeout(700)
        if page.get_attribute("body", "data-state") == "human":
            return
        page.keyboard.up(key)
        page.keyboard.press("p")
        page.wait_for_timeout(2000)


def until_state(page: Any, look: str) -> None:
    """Wait until the page shows a state."""
    page.wait_for_selector(f"body[data-state={look}]")
    page.wait_for_timeout(300)


def take(page: Any, save: Callable[[str], None], everything: bool) -> None:
    """Drive, and take the pictures."""
    page.keyboard.press("Enter")
    page.wait_for_timeout(2500)
    drive(page, "a")
    save("console")
    page.keyboard.up("a")
    if not everything:
        return
    page.wait_for_timeout(1500)
    save("console-policy")
    page.set_viewport_size({"width": 1024, "height": 768})
    page.wait_for_timeout(500)
    save("console-tablet")
    page.set_viewport_size({"width": 1400, "height": 900})
    for name in ("cycle", "losses", "learning"):
        page.click(f"[data-plot={name}]")
        page.wait_for_timeout(300)
        save(f"console-plot-{name}")
    page.keyboard.press("p")
    until_state(page, "hold")
    save("console-hold")
    page.click("#estop")
    until_state(page, "estop")
    save("console-stopped")
    page.click("#help-open")
    save("console-help")
    page.click("#help .close")
    page.click("#review-open")
    page.click("#episodes button:has-text('takeover')")
    page.wait_for_timeout(1500)
    save("console-review")


def main() -> None:
    """Take them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="folder of a finished run of pick_cube from pixels")
    parser.add_argument("--out", type=Path, default=ROOT / "docs/images")
    parser.add_argument("--all", action="store_true", help="all states, not only the picture of the pages")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with console_with_life(options.run) as page:
        take(page, lambda name: page.screenshot(path=options.out / f"{name}.png"), options.all)


if __name__ == "__main__":
    main()
