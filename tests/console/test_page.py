"""The page in a real browser: keys, gamepad and buttons on their way to the robot."""

from page_desk import Desk, devices
from serving import until

from robot_hil.console.messages import Ack
from robot_hil.data.operator_input import Button, Pad, Words


def test_every_tap_arrives_as_a_press_and_a_release(desk: Desk) -> None:
    desk.open()
    for _ in range(100):
        desk.page.keyboard.down("w")
        desk.page.wait_for_timeout(15)
        desk.page.keyboard.up("w")
    until(lambda: len(desk.edges()) >= 200)
    assert desk.edges() == [("press", "KeyW"), ("release", "KeyW")] * 100
    told = desk.told()
    assert [body.seq for body in told] == list(range(len(told)))


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
    for key in ("Enter", "Backspace", "n", "p", "x"):
        desk.page.keyboard.press(key)
    desk.page.click("[data-kind=success]")
    desk.page.wait_for_function("() => document.querySelectorAll('#log .edge.ok').length === 6")
    assert desk.buttons() == ["success", "fail", "reset", "pause", "false_positive", "success"]
    desk.say(state="HOLD", reason="paused by Anna")
    desk.state_word("HOLD")
    desk.page.keyboard.press("p")
    until(lambda: desk.buttons()[-1] == "resume")


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
