"""The link between robot and console: real sockets, deaths, strangers, camera images."""

import asyncio
import os
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec
import numpy as np
import pytest
import zmq
from serving import WELCOME, Robot, robot_end, status, until

from robot_hil.console import messages
from robot_hil.console.link import LINK_FILE, ConsoleLink, RobotLink, link_of
from robot_hil.console.messages import Ack, Alive, Event, FromPage, Gone, Welcome, allowed
from robot_hil.data.operator_input import Button, Keys, Words
from robot_hil.errors import TransportError


def page(body: Any, pilot: bool = True) -> FromPage:
    return FromPage(body, client="c", operator="ada", pilot=pilot, t_recv=2.0, t_page=1.0)


def at_console(endpoint: str, work: Callable[[ConsoleLink], Coroutine[Any, Any, Any]]) -> Any:
    """Run `work` with the console's end, connected: the robot has answered."""

    async def run() -> Any:
        link = ConsoleLink(endpoint)
        try:
            async with asyncio.timeout(30):
                while not await link.send(Alive(1.0)):
                    await asyncio.sleep(0.005)
                assert isinstance(await link.receive(), Welcome)
                return await work(link)
        finally:
            link.close()
            link.close()

    return asyncio.run(run())


def test_messages_arrive_in_order_both_ways(robot) -> None:
    sent = [page(Keys(seq=number, t=0.0, down=[])) for number in range(50)]

    async def talk(link):
        for message in (*sent, Gone("c", "closed")):
            assert await link.send(message)
        robot.link.send(status(state="HUMAN"))
        robot.link.send(Event(t=1.0, level="info", text="hello"))
        return [await link.receive(), await link.receive()]

    first, second = at_console(robot.link.endpoint, talk)
    assert (first.state, second.text) == ("HUMAN", "hello")
    until(robot.gone)
    assert robot.pages() == sent


def test_nothing_is_kept_for_a_robot_that_is_not_there(tmp_path) -> None:
    async def send():
        link = ConsoleLink(f"ipc://{tmp_path}/nobody")
        try:
            return await link.send(Alive(1.0))
        finally:
            link.close()

    assert asyncio.run(send()) is False


def test_a_console_comes_and_goes_and_another_is_greeted() -> None:
    async def nothing(link):
        pass

    async def listen(link):
        robot.link.send(status(state="HOLD"))
        return (await link.receive()).state

    with robot_end() as robot:
        for _ in range(3):
            at_console(robot.link.endpoint, nothing)
            for _ in range(20):
                robot.link.send(status())  # to nobody
        assert at_console(robot.link.endpoint, listen) == "HOLD"


def test_strangers_bytes_are_counted_and_dropped(robot) -> None:
    context = zmq.Context()
    stranger = context.socket(zmq.DEALER)
    stranger.connect(robot.link.endpoint)
    try:
        stranger.send(b"\xc1 nonsense")
        stranger.send_multipart([b"a", b"b"])
        stranger.send(messages.encode(status()))
        until(lambda: robot.link.refused == 3)
    finally:
        context.destroy(0)
    assert robot.heard == []


def test_an_edge_that_comes_again_is_answered_and_not_obeyed_again(robot) -> None:
    success, other = Button(id="1", kind="success"), Button(id="1", kind="fail")

    async def press(link):
        answers = []
        for body in (success, success, Words(id="2", text="left"), Words(id="2", text="left"), other):
            await link.send(page(body))
            answers.append(await link.receive())
        return answers

    answers = at_console(robot.link.endpoint, press)
    assert [one.id for one in answers] == ["1", "1", "2", "2", "1"]
    assert robot.bodies() == [success, Words(id="2", text="left"), other]


def test_an_estop_is_obeyed_every_time(robot) -> None:
    async def press(link):
        for _ in range(3):
            await link.send(page(Button(id="1", kind="estop"), pilot=False))
            await link.receive()

    at_console(robot.link.endpoint, press)
    assert len(robot.pages()) == 3


def test_an_edge_that_was_not_answered_is_not_obeyed_again_but_answered_once() -> None:
    async def press(link):
        await link.send(page(Button(id="1", kind="reset")))
        await link.send(page(Button(id="1", kind="reset")))
        await link.send(Gone("c", "marks the end"))
        await asyncio.to_thread(until, robot.gone)
        robot.link.send(Ack(id="1", client="c", ok=False, reason="not now"))
        first = await link.receive()
        await link.send(page(Button(id="1", kind="reset")))
        return [first, await link.receive()]

    with robot_end(answer=False) as robot:
        answers = at_console(robot.link.endpoint, press)
    assert answers == [Ack(id="1", client="c", ok=False, reason="not now")] * 2
    assert len(robot.pages()) == 1


def test_a_failing_receiver_does_not_end_the_link_and_is_asked_again() -> None:
    heard = []

    def fail_once(message):
        if isinstance(message, FromPage):
            heard.append(message.body)
            if len(heard) == 1:
                raise ValueError("a broken device")

    link = RobotLink(WELCOME, fail_once)
    link.start()

    async def press(console):
        for _ in range(2):
            await console.send(page(Button(id="1", kind="reset")))

    try:
        at_console(link.endpoint, press)
        until(lambda: len(heard) == 2)
    finally:
        link.stop()


def test_images_go_only_to_who_watches_and_only_of_what_is_watched(robot) -> None:
    rng = np.random.default_rng(0)
    front, wrist = rng.integers(0, 256, (2, 12, 16, 3), np.uint8)

    async def look(link):
        link.watch({"front"})
        await asyncio.to_thread(until, lambda: robot.link.watched)
        assert robot.link.watched == {"front"}
        robot.link.show({"wrist": wrist}, 1.0)
        robot.link.show({"front": front[::-1], "depth": np.zeros((4, 4), np.uint16)}, 2.5)
        seen = await link.receive_frame()
        link.watch(set())
        await asyncio.to_thread(until, lambda: not robot.link.watched)
        return seen

    name, image, stamp = at_console(robot.link.endpoint, look)
    assert (name, stamp) == ("front", 2.5)
    np.testing.assert_array_equal(image, front[::-1])


def test_cameras_that_are_shown_together_all_arrive_every_time() -> None:
    cameras = [f"camera {number}" for number in range(6)]
    frames = {name: np.full((480, 640, 3), number, np.uint8) for number, name in enumerate(cameras)}

    async def look(link):
        link.watch(set(cameras))
        await asyncio.to_thread(until, lambda: len(robot.link.watched) == len(cameras))
        for tick in range(20):
            robot.link.show(frames, float(tick))
            async with asyncio.timeout(10):
                seen = [await link.receive_frame() for _ in cameras]
            assert {(name, stamp) for name, _, stamp in seen} == {(name, float(tick)) for name in cameras}

    with robot_end(welcome=msgspec.structs.replace(WELCOME, cameras=cameras)) as robot:
        at_console(robot.link.endpoint, look)


def test_an_image_that_is_none_is_refused_and_the_rest_goes_on(robot, caplog) -> None:
    good = np.full((4, 4, 3), 7, np.uint8)

    async def look(link):
        link.watch({"front", "depth"})
        await asyncio.to_thread(until, lambda: len(robot.link.watched) == 2)
        robot.link.show({"depth": np.zeros((4, 4), np.uint16)}, 1.0)
        await asyncio.to_thread(until, lambda: "depth" in caplog.text)
        robot.link.show({"front": good}, 1.0)
        return await link.receive_frame()

    assert at_console(robot.link.endpoint, look)[0] == "front"


def test_start_and_stop_are_legal_twice_and_nobody_waits() -> None:
    robot = Robot()
    robot.link.send(status())
    robot.link.start()
    endpoint = robot.link.endpoint
    robot.link.start()
    assert robot.link.endpoint == endpoint
    folder = endpoint.removeprefix("ipc://").removesuffix("/link")
    assert os.stat(folder).st_mode & 0o777 == 0o700
    robot.link.stop()
    robot.link.stop()
    assert not os.path.exists(folder)
    robot.link.send(status())
    robot.link.show({"front": np.zeros((2, 2, 3), np.uint8)}, 0.0)
    robot.link.start()
    robot.link.stop()


def test_a_late_message_never_ends_up_in_another_file(tmp_path) -> None:
    robot = Robot()
    done = threading.Event()

    def chatter():
        while not done.is_set():
            robot.link.send(status())

    thread = threading.Thread(target=chatter)
    thread.start()
    try:
        for number in range(10):
            robot.link.start()
            robot.link.stop()
            with (tmp_path / str(number)).open("wb") as file:  # likely gets the number of a handle just closed
                time.sleep(0.002)
                file.flush()
    finally:
        done.set()
        thread.join()
    assert all(path.stat().st_size == 0 for path in tmp_path.iterdir())


def test_a_link_that_cannot_be_opened_says_so(monkeypatch, tmp_path) -> None:
    long = tmp_path / ("x" * 120)  # longer than a local socket's name may be
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))
    with pytest.raises(TransportError, match="cannot be opened"):
        Robot().link.start()


def test_the_run_folder_names_the_link(tmp_path) -> None:
    assert link_of(tmp_path) == ""
    (tmp_path / LINK_FILE).write_text("ipc:///x/link\n")
    assert link_of(tmp_path) == "ipc:///x/link"


def test_who_is_no_pilot_may_only_stop() -> None:
    assert not allowed(page(Keys(seq=1, t=0.0, down=[])))
    assert "not the pilot" in allowed(page(Keys(seq=1, t=0.0, down=[]), pilot=False))
    assert "not the pilot" in allowed(page(Button(id="1", kind="resume"), pilot=False))
    assert not allowed(page(Button(id="1", kind="estop"), pilot=False))
