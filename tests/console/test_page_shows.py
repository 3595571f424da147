"""The page in a real browser: what it shows, of the robot, of the run, and of its own connection."""

from pathlib import Path
from typing import Any

import pytest
from page_desk import Desk
from serving import console_thread, robot_end, until

from robot_hil.clock import MonotonicClock
from robot_hil.console.messages import Ack, Device, Event, Reward
from robot_hil.data.operator_input import Button, Label
from robot_hil.report.metrics import EpisodeRow, JsonlSink

NASTY = "<img src=x onerror=\"document.body.dataset.broken='yes'\"><b>Eve</b>"


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


def test_a_console_that_is_gone_is_said_in_big_letters(chrome: Any) -> None:
    with robot_end() as robot:
        with console_thread(link=robot.link.endpoint) as server:
            desk = Desk(chrome, robot, server)
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


def test_the_reward_model_is_shown_where_one_judges_and_can_be_contradicted(desk: Desk) -> None:
    desk.open()
    desk.state_word("POLICY")
    assert not desk.page.is_visible("#reward")
    desk.say(
        reward=Reward(
            version=3, probability=0.25, false_positive=(0.004, 0.001, 0.021), false_positives=2, late=7, training=True
        )
    )
    wanted = "model v3 · false positives 0.4 % (0.1 % to 2.1 %) · now 25 % · 2 pointed out · 7 frames too late"
    wanted += " · learning from it…"
    shown = "words => document.getElementById('reward-words').textContent === words"
    desk.page.wait_for_function(shown, arg=wanted)
    desk.page.click("#false-positive")
    until(lambda: desk.buttons() == ["false_positive"])
    desk.say(reward=Reward(version=4))
    desk.page.wait_for_function(shown, arg="model v4")


def test_numbers_curves_and_advice_of_the_run_are_shown(chrome: Any, tmp_path: Path) -> None:
    with JsonlSink(tmp_path / "actor.jsonl") as sink:
        for i in range(40):
            row = EpisodeRow(
                t_wall_s=3.0 * i, env_steps=20 * i, episode_id=i, steps=20, success=i >= 25, human_steps=5,
                interventions=1, phase="train",
            )  # fmt: skip
            sink.write(row)
    with robot_end() as robot, console_thread(link=robot.link.endpoint, folder=tmp_path) as server:
        desk = Desk(chrome, robot, server)
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
    seen = """() => {
        const copy = new OffscreenCanvas(80, 60).getContext('2d');
        copy.drawImage(document.querySelector('.camera canvas'), 0, 0);
        return [...copy.getImageData(40, 30, 1, 1).data];
    }"""
    desk.page.wait_for_function(f"() => ({seen})()[3] > 0")
    pixel = desk.page.evaluate(seen)
    assert abs(pixel[1] - 200) < 20
    desk.page.wait_for_selector(".camera .badge.old")  # no other image came


def test_who_drives_which_axis_is_shown_and_the_mode_can_be_changed(desk: Desk) -> None:
    desk.open()
    desk.say(state="HUMAN", driver="keyboard · ann", mode="arm", modes=["takeover", "residual", "arm", "hand"],
             axes={"x": "human", "z": "human", "gripper": "policy"})  # fmt: skip
    desk.page.wait_for_function(
        "() => document.getElementById('state-driver').textContent === 'keyboard · ann · you: x z · policy: gripper'"
    )
    assert desk.page.inner_text("#mode-word") == "Arm"
    desk.page.keyboard.press("m")
    until(lambda: "mode" in desk.buttons())


def test_a_page_without_the_seat_may_disturb_the_world(desk: Desk) -> None:
    desk.open()
    desk.page.click("#seat-button")
    desk.page.wait_for_function("() => document.getElementById('pilot').textContent === 'nobody'")
    desk.say(disturbances=["object", "slip"])
    desk.page.click("#disturb button:has-text('slip')")
    until(lambda: "disturb" in desk.buttons())


def test_the_button_for_the_next_stage_is_there_while_somebody_helps(desk: Desk) -> None:
    desk.open()
    desk.say(state="HUMAN", stage="autonomous")
    desk.page.wait_for_selector("#next", state="hidden")
    desk.say(state="HUMAN", stage="recovery")
    desk.page.wait_for_function("() => document.getElementById('next-word').textContent === 'Recovered'")
    desk.page.keyboard.press("r")
    until(lambda: "next" in desk.buttons())
