"""The page in a real browser, against a real console, a real link and the devices of the robot's process."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from browser import chromium, require
from page_rig import SCALE, tool
from serving import Robot, console_thread, robot_end, status, until

from robot_hil.clock import MonotonicClock
from robot_hil.console.messages import Ack, Device, Event, FromPage, Gone
from robot_hil.data.operator_input import Button, Keys, Label, Pad, Words
from robot_hil.report.metrics import EpisodeRow, JsonlSink
from robot_hil.teleop.browser_gamepad import BrowserGamepad, BrowserGamepadConfig
from robot_hil.teleop.keyboard import Keyboard, KeyboardConfig

NASTY = "<img src=x onerror=\"document.body.dataset.broken='yes'\"><b>Eve</b>"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    require("chromium")
    with chromium() as browser:
        yield browser


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


@pytest.fixture
def desk(browser: Any) -> Iterator[Desk]:
    with robot_end() as robot, console_thread(link=robot.link.endpoint) as server:
        desk = Desk(browser, robot, server)
        with desk.alive():
            yield desk
        desk.context.close()
        assert desk.errors == []


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


def test_every_tap_arrives_as_a_press_and_a_release(desk: Desk) -> None:
    desk.open()
    for _ in range(100):
        desk.page.keyboard.down("w")
        desk.page.wait_for_timeout(15)
        desk.page.keyboard.up("w")
    until(lambda: len(desk.edges()) >= 200)
    assert desk.edges() == [("press", "KeyW"), ("release", "KeyW")] * 100
    assert [body.seq for body in desk.told()] == list(range(len(desk.told())))


def test_auto_repeat_adds_nothing_and_losing_the_focus_releases(desk: Desk) -> None:
    desk.open()
    for _ in range(5):
        desk.page.keyboard.down("d")  # the second and later ones are repeats
    until(lambda: desk.edges() == [("press", "KeyD")])
    desk.page.evaluate("document.hasFocus = () => false; dispatchEvent(new Event('blur'))")
    until(lambda: not desk.told()[-1].armed)
    assert desk.edges() == [("press", "KeyD"), ("release", "KeyD")]
    desk.page.evaluate("document.hasFocus = () => true; dispatchEvent(new Event('focus'))")
    until(lambda: desk.told()[-1].armed)
    assert desk.edges() == [("press", "KeyD"), ("release", "KeyD")]


def test_keys_of_the_page_drive_the_device_in_the_robots_process(desk: Desk) -> None:
    with devices(desk.robot) as (keyboard, _):
        desk.open("Anna")
        desk.page.keyboard.press("2")
        desk.page.keyboard.down("w")
        until(lambda: keyboard.latest().engaged)
        sample = keyboard.latest()
        assert sample.operator == "Anna"
        assert sample.action.tolist() == [0.5, 0, 0, 1]
        desk.page.keyboard.up("w")
        until(lambda: not keyboard.latest().engaged)
        desk.page.keyboard.down("w")
        until(lambda: keyboard.latest().engaged)
        desk.break_off()
        until(lambda: keyboard.latest().status.value == "lost")
        desk.page.wait_for_selector("#seat.mine")  # it is back, but the key that is still down does not count
        until(lambda: keyboard.latest().status.value == "ok")
        assert not keyboard.latest().engaged


def test_what_is_typed_into_a_field_does_not_drive(desk: Desk) -> None:
    desk.open()
    desk.page.click("#words-text")
    desk.page.keyboard.type("was nnn")
    desk.page.keyboard.press("Enter")
    until(lambda: [body for body in desk.robot.bodies() if isinstance(body, Words)])
    assert next(b.text for b in desk.robot.bodies() if isinstance(b, Words)) == "was nnn"
    assert desk.edges() == []
    assert desk.buttons() == []
    desk.page.wait_for_selector("#log .edge.ok")


def test_keys_and_buttons_are_acknowledged(desk: Desk) -> None:
    desk.open()
    desk.state_word("POLICY")
    for key in ("Enter", "Backspace", "n", "p"):
        desk.page.keyboard.press(key)
    desk.page.click("[data-kind=success]")
    desk.page.wait_for_function("() => document.querySelectorAll('#log .edge.ok').length === 5")
    assert desk.buttons() == ["success", "fail", "reset", "pause", "success"]
    desk.say(state="HOLD", reason="paused by Anna")
    desk.state_word("HOLD")
    desk.page.keyboard.press("p")
    until(lambda: desk.buttons()[-1] == "resume")


def test_a_button_is_sent_again_until_it_is_answered_and_then_given_up_visibly(desk: Desk) -> None:
    desk.robot.answer = False
    desk.open()
    desk.page.keyboard.press("Enter")
    desk.page.wait_for_selector("#log .edge.lost")
    assert "NOT CONFIRMED" in desk.page.inner_text("#log .edge")
    sent = [body for body in desk.robot.bodies() if isinstance(body, Button)]
    assert len(sent) >= 1
    assert len({body.id for body in sent}) == 1


def test_a_refusal_is_shown_with_its_reason(desk: Desk) -> None:
    desk.robot.answer = False
    desk.open()
    desk.page.keyboard.press("n")
    until(desk.buttons)
    message = next(m for m in desk.robot.pages() if isinstance(m.body, Button))
    desk.robot.link.send(Ack(id=message.body.id, client=message.client, ok=False, reason="not now"))
    desk.page.wait_for_selector("#log .edge.refused")
    assert "not now" in desk.page.inner_text("#log .edge")


def test_space_stops_only_when_it_is_held(desk: Desk) -> None:
    desk.open()
    desk.page.keyboard.press("Space")
    desk.page.keyboard.press("Enter")
    until(desk.buttons)
    assert desk.buttons() == ["success"]
    desk.page.focus("[data-kind=fail]")  # nor does a button that has the focus swallow it, or get pressed by it
    desk.page.keyboard.press("Tab")
    desk.page.keyboard.down("Space")
    until(lambda: "estop" in desk.buttons())
    desk.page.keyboard.up("Space")
    desk.page.click("#help-open")  # a panel does not cover it either
    desk.page.click("#estop")
    until(lambda: desk.buttons() == ["success", "estop", "estop"])


def test_a_stop_is_cleared_in_two_steps(desk: Desk) -> None:
    desk.open()
    desk.page.click("#estop")
    until(lambda: desk.buttons() == ["estop"])
    desk.say(state="ESTOP", reason="e-stop by Anna")
    desk.state_word("STOPPED")
    assert desk.page.is_visible("#clear")
    desk.page.click("#clear button")
    assert desk.buttons() == ["estop"]  # not without a reason
    desk.page.fill("#clear-reason", "cube back in place")
    desk.page.keyboard.press("Enter")
    until(lambda: desk.buttons() == ["estop", "clear"])
    clear = next(b for b in desk.robot.bodies() if isinstance(b, Button) and b.kind == "clear")
    assert clear.reason == "cube back in place"
    desk.say(state="HOLD", reason="e-stop cleared; resume to go on")
    desk.state_word("HOLD")
    assert not desk.page.is_visible("#clear")


@pytest.mark.parametrize(
    ("state", "word", "look"),
    [
        ("POLICY", "POLICY", "policy"),
        ("ENGAGING", "HUMAN", "human"),
        ("HUMAN", "HUMAN", "human"),
        ("RELEASING", "HUMAN", "human"),
        ("HOLD", "HOLD", "hold"),
        ("LOST", "LOST", "lost"),
        ("ESTOP", "STOPPED", "estop"),
        ("IDLE", "IDLE", "idle"),
    ],
)
def test_each_state_has_a_word_a_shape_and_a_colour(desk: Desk, state: str, word: str, look: str) -> None:
    desk.open()
    desk.say(state=state, reason="as it is")
    shown = """() => [document.getElementById('state-word').textContent, document.body.dataset.state,
                      document.getElementById('state-icon').getAttribute('href'),
                      document.getElementById('reason').textContent].join(' | ')"""
    desk.page.wait_for_function(f"wanted => ({shown})() === wanted", arg=f"{word} | {look} | #i-{look} | As it is.")


def test_text_from_outside_is_shown_as_text(desk: Desk) -> None:
    desk.open(NASTY[:40])
    nasty = Device(name=NASTY, kind="keyboard", status="lost", age_s=1.0, problem=NASTY)
    desk.say(state="HOLD", reason=NASTY, message=NASTY, driver=NASTY, devices=[nasty])
    desk.robot.link.send(Event(t=0.0, level="warning", text=NASTY))
    desk.page.wait_for_selector("#log .warning")
    desk.page.wait_for_selector("#devices .lost")
    for place in ("#reason", "#message", "#devices .problem", "#log .warning span"):
        assert "<b>Eve</b>" in desk.page.inner_text(place), place
    assert desk.page.get_attribute("body", "data-broken") is None
    assert desk.page.locator("body img").count() == 0


def test_an_observer_sees_and_stops_but_does_not_drive(desk: Desk) -> None:
    desk.page.goto(desk.server.url(observer=True))
    desk.say(state="POLICY")
    desk.state_word("POLICY")
    assert not desk.page.is_visible("#seat-button")
    desk.page.keyboard.press("w")
    desk.page.keyboard.press("Enter")
    desk.page.click("#estop")
    until(desk.buttons)
    assert desk.buttons() == ["estop"]
    assert desk.told() == []


def test_the_seat_is_given_back_and_taken(desk: Desk) -> None:
    desk.open()
    desk.page.click("#seat-button")
    desk.page.wait_for_selector("#seat:not(.mine)")
    desk.page.keyboard.press("Enter")
    desk.page.wait_for_selector("#toast.refused")
    desk.page.click("#seat-button")
    desk.page.wait_for_selector("#seat.mine")
    assert desk.buttons() == []


def test_a_gamepad_drives_and_says(desk: Desk) -> None:
    desk.page.add_init_script("""
        window.pad = { id: "Test Pad", index: 0, connected: true, mapping: "standard", axes: [0, 0, 0, 0],
                       buttons: Array.from({ length: 17 }, () => ({ value: 0, pressed: false })) };
        navigator.getGamepads = () => [window.pad, null];
    """)
    with devices(desk.robot) as (_, pad):
        desk.open()
        desk.page.evaluate("pad.buttons[5].value = 1; pad.axes[1] = -1")
        until(lambda: pad.latest().engaged)
        assert pad.latest().action.tolist() == [1, 0, 0, 1]
        desk.page.evaluate("pad.buttons[0].value = 1")
        until(lambda: desk.buttons() == ["success"])
        desk.page.evaluate("window.pad = null")
        until(lambda: pad.latest().status.value == "lost")
        assert not next(b for b in reversed(desk.robot.bodies()) if isinstance(b, Pad)).connected


def test_the_page_comes_back_with_its_token_after_a_reload_and_a_broken_connection(desk: Desk) -> None:
    desk.open()
    assert "#t=" not in desk.page.url
    desk.page.reload()
    desk.page.wait_for_selector("#seat.mine")
    desk.page.keyboard.press("w")
    until(lambda: [edge for edge in desk.edges() if edge[0] == "release"])
    first = desk.robot.pages()[-1].client
    desk.break_off()
    until(lambda: first in {gone.client for gone in desk.robot.gone()})
    desk.page.wait_for_selector("#seat.mine")
    desk.page.keyboard.press("w")
    until(lambda: desk.robot.pages()[-1].client != first)


def test_a_console_that_is_gone_is_said_in_big_letters(browser: Any) -> None:
    with robot_end() as robot:
        with console_thread(link=robot.link.endpoint) as server:
            desk = Desk(browser, robot, server)
            desk.open()
        desk.page.wait_for_selector("#offline:has-text('Connection lost')")
        assert desk.page.is_visible("#estop")
        desk.context.close()


def test_a_wrong_token_is_said_and_not_tried_for_ever(desk: Desk) -> None:
    desk.page.goto(desk.server.url().split("#")[0] + "#t=wrong")
    desk.page.wait_for_selector("#offline:has-text('token')")


def test_verdicts_on_the_last_episode_go_to_the_console(desk: Desk) -> None:
    got: list[Label] = []

    async def keep(label: Label, who: str) -> str:
        got.append(label)
        return ""

    desk.server.hub.on_label = keep
    desk.open()
    desk.say(last_episode=("robot", 1, 7))
    desk.page.click("#last [data-verdict=discard]")
    desk.page.wait_for_selector("#log .edge.ok")
    assert {(one.actor_id, one.epoch, one.episode_id, one.verdict) for one in got} == {("robot", 1, 7, "discard")}
    assert "labelled discard" in desk.page.inner_text("#last-words")
    desk.robot.link.send(Event(t=0.0, level="info", text="episode 7 labelled success by Bo"))
    desk.page.wait_for_selector("#last-words:has-text('labelled success')")


def test_a_stop_goes_by_http_when_the_socket_brings_no_answer(desk: Desk) -> None:
    desk.robot.answer = False
    desk.open()
    desk.page.click("#estop")
    until(lambda: [one for one in desk.robot.pages() if one.client == "http"])
    by_http = next(one.body for one in desk.robot.pages() if one.client == "http")
    assert isinstance(by_http, Button)
    assert by_http.kind == "estop"
    desk.robot.link.send(Ack(id=by_http.id, client="http", ok=True))
    desk.page.wait_for_selector("#log .edge.ok")


def test_a_pad_of_unknown_layout_is_named_and_not_used(desk: Desk) -> None:
    desk.page.add_init_script("""
        const odd = { id: "Odd Stick", index: 0, connected: true, mapping: "", axes: [1], buttons: [] };
        navigator.getGamepads = () => [odd];
    """)
    desk.open()
    desk.page.wait_for_selector("#drive-note:has-text('Odd Stick')")
    desk.page.keyboard.press("w")
    until(desk.edges)
    assert not [body for body in desk.robot.bodies() if isinstance(body, Pad)]


def test_numbers_curves_and_advice_of_the_run_are_shown(browser: Any, tmp_path: Path) -> None:
    with JsonlSink(tmp_path / "actor.jsonl") as sink:
        for i in range(40):
            row = EpisodeRow(
                t_wall_s=3.0 * i, env_steps=20 * i, episode_id=i, steps=20, success=i >= 25, human_steps=5,
                interventions=1, phase="train",
            )  # fmt: skip
            sink.write(row)
    with robot_end() as robot, console_thread(link=robot.link.endpoint, folder=tmp_path) as server:
        desk = Desk(browser, robot, server)
        with desk.alive():
            desk.open()
            desk.page.wait_for_function("() => document.getElementById('m-success').textContent === '75 %'")
            assert desk.page.inner_text("#m-human") == "25 %"
            assert desk.page.inner_text("#m-cycle") == "1.0 s"  # 20 steps at 20 Hz
            coloured = """() => {
                const canvas = document.getElementById('plot');
                const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
                return data.some((value, i) => i % 4 === 1 && value > 180 && data[i - 1] < 90);
            }"""
            desk.page.wait_for_function(coloured)
            desk.page.wait_for_selector("#coach li")
            for name in ("cycle", "losses", "values"):
                desk.page.click(f"[data-plot={name}]")
        desk.context.close()
        assert desk.errors == []


def test_cameras_are_drawn_with_their_age(desk: Desk) -> None:
    import numpy as np

    desk.open()
    desk.page.wait_for_selector(".camera")
    until(lambda: "front" in desk.robot.link.watched)
    image = np.full((60, 80, 3), (10, 200, 30), np.uint8)
    desk.robot.link.show({"front": image}, MonotonicClock().now())
    desk.page.wait_for_function("() => document.querySelector('.camera canvas').width === 80")
    pixel = desk.page.evaluate(
        "[...document.querySelector('.camera canvas').getContext('2d').getImageData(40, 30, 1, 1).data]"
    )
    assert abs(pixel[1] - 200) < 20
    desk.page.wait_for_selector(".camera .badge.old")  # no other image came
