"""An operator's page in a real browser, with a real console, a real link and the devices of the robot's process."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from page_rig import SCALE, tool
from serving import Robot, status

from robot_hil.clock import MonotonicClock
from robot_hil.console.messages import FromPage, Gone
from robot_hil.data.operator_input import Button, Keys
from robot_hil.teleop.browser_gamepad import BrowserGamepad, BrowserGamepadConfig
from robot_hil.teleop.keyboard import Keyboard, KeyboardConfig


class Desk:
    """An operator's page with everything behind it."""

    def __init__(self, browser: Any, robot: Robot, server: Any) -> None:
        self.robot, self.server = robot, server
        self.status = status()
        self.errors: list[str] = []
        self.context = browser.new_context(viewport={"width": 1400, "height": 900})
        self.page = self.context.new_page()
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda line: line.type == "error" and self.errors.append(line.text))

    def open(self, name: str = "Anna") -> None:
        self.page.add_init_script(f"localStorage.setItem('name', {json.dumps(name)})")
        self.page.goto(self.server.url())
        self.page.wait_for_selector("#seat.mine")

    def break_off(self) -> None:
        """Break the page's connection, as a bad network does; it comes back by itself."""
        self.page.dispatch_event("#name", "change")

    def told(self) -> list[Keys]:
        return [body for body in self.robot.bodies() if isinstance(body, Keys)]

    def edges(self) -> list[tuple[str, str]]:
        """Return presses and releases of keys that drive, in order, digits of the speed left out."""
        found: list[tuple[str, str]] = []
        before: set[str] = set()
        for body in self.told():
            now = {key for key in body.down if not key.startswith("Digit")}
            found += [("press", key) for key in sorted(now - before)] + [
                ("release", key) for key in sorted(before - now)
            ]
            before = now
        return found

    def say(self, **values: Any) -> None:
        self.status = status(**values)

    @contextmanager
    def alive(self) -> Iterator[None]:
        """Let the robot tell its state ten times per second, as it does."""
        done = threading.Event()

        def tell() -> None:
            while not done.wait(0.1):
                self.robot.link.send(self.status)

        teller = threading.Thread(target=tell, name="robot-status")
        teller.start()
        try:
            yield
        finally:
            done.set()
            teller.join()

    def state_word(self, word: str) -> None:
        self.page.wait_for_function("word => document.getElementById('state-word').textContent === word", arg=word)

    def buttons(self) -> list[str]:
        seen = {body.id: body.kind for body in self.robot.bodies() if isinstance(body, Button)}
        return list(seen.values())


@contextmanager
def devices(robot: Robot) -> Iterator[tuple[Keyboard, BrowserGamepad]]:
    """Feed the devices of the robot's process, as its link's thread does; they are patient with a busy machine."""
    clock = MonotonicClock()
    patient = {"silence_s": 60.0, "max_age_s": 60.0, "tap_s": 60.0}
    made = (
        Keyboard(SCALE, tool, clock, KeyboardConfig(**patient)),
        BrowserGamepad(SCALE, tool, clock, BrowserGamepadConfig(**patient)),
    )
    hear = robot.link._on_message

    def also(message: Any) -> None:
        hear(message)
        for device in made:
            if isinstance(message, FromPage):
                device.feed(
                    message.body,
                    client=message.client,
                    operator=message.operator,
                    t_recv=message.t_recv,
                    t_page=message.t_page,
                )
            elif isinstance(message, Gone):
                device.gone(message.client, message.reason)

    robot.link._on_message = also
    for device in made:
        device.start()
    yield made
    for device in made:
        device.stop()
