"""The console over real sockets: who gets in, what is relayed, what pages are told."""

import asyncio

import aiohttp
import pytest
from serving import console_thread, robot_end, status, until

from robot_hil.console.auth import RELOAD, UNAUTHORIZED, Tokens
from robot_hil.console.messages import Event, FromPage, Haptic
from robot_hil.console.server import ConsoleConfig
from robot_hil.data.operator_input import MAX_MESSAGE, Button, Keys, Label, Words
from robot_hil.errors import ConfigError, TransportError


def test_pages_are_served_with_headers_of_safety_and_nothing_else_is(robot, tmp_path, browse) -> None:
    pages = tmp_path / "xr"
    (pages / "parts").mkdir(parents=True)
    (pages / "index.html").write_text("<p>headset</p>")
    (pages / "xr.js").write_text("export {};")
    (pages / "notes.py").write_text("no page")
    (tmp_path / "secret.js").write_text("no")

    async def look(browser):
        async def get(path, **values):
            async with browser.http.get(browser.origin + path, **values) as answer:
                return answer.status, answer.content_type, await answer.text(), answer.headers

        code, kind, _, headers = await get("/")
        assert (code, kind) == (200, "text/html")
        assert headers["Cache-Control"] == "no-store"
        assert headers["X-Content-Type-Options"] == "nosniff"
        policy = headers["Content-Security-Policy"]
        assert "default-src 'self'" in policy
        assert f"ws://127.0.0.1:{browser.server.port}" in policy
        assert "unsafe" not in policy
        assert (await get("/xr"))[2] == "<p>headset</p>"
        assert (await get("/xr/xr.js"))[:2] == (200, "text/javascript")
        for path in (
            "/xr/parts",
            "/xr/parts/",
            "/xr/notes.py",
            "/static/",
            "/static",
            "/nothing",
            "/xr/..%2fsecret.js",
        ):
            assert (await get(path))[0] == 404, path
        assert (await get("/", headers={"Host": "evil.example:80"}))[0] == 421

    with console_thread(link=robot.link.endpoint, pages={"/xr": pages}) as server:
        browse(server, look)


def test_who_is_let_in(console, browse) -> None:
    async def knock(browser):
        for headers in ({}, {"Origin": "http://evil.example"}, {"Origin": "null"}):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
                async with browser.http.ws_connect(browser.origin + "/ws", headers=headers):
                    pass
            assert refusal.value.status == 403
        for path in ("/ws", "/video"):
            async with browser.socket(path) as socket:
                await socket.send_json({"type": "hello", "token": "wrong" * 5})
                assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
                assert socket.close_code == UNAUTHORIZED
        for wrong in ({}, browser.bearer("wrong"), {"Authorization": browser.token}):
            async with browser.http.post(browser.origin + "/api/estop", headers=wrong) as answer:
                assert answer.status == 401
        foreign = browser.bearer() | {"Origin": "http://evil.example"}
        async with browser.http.post(browser.origin + "/api/estop", headers=foreign) as answer:
            assert answer.status == 403

    browse(console, knock)


def test_the_first_message_is_a_hello_of_this_version(console, browse) -> None:
    async def knock(browser):
        async with browser.socket() as socket:
            await socket.send_json({"type": "hello", "token": browser.token, "v": 999, "more": 1})
            said = await socket.receive_json()
            assert said["reload"]
            assert "reload" in said["reason"]
            assert (await socket.receive()).data == RELOAD
        async with browser.socket() as socket:
            await socket.send_json({"type": "ping", "t": 1})
            assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
        async with browser.socket() as socket:  # says nothing
            assert (await socket.receive(timeout=20)).type is aiohttp.WSMsgType.CLOSE

    browse(console, knock)


def test_a_pilot_is_greeted_and_heard(console, robot, browse) -> None:
    async def drive(browser):
        async with browser.page() as page:
            assert page.welcome["role"] == "pilot"
            assert page.welcome["cameras"] == ["front"]
            assert (await page.hear("pilot"))["you"]
            await page.say("ping", t=3.5)
            pong = await page.hear("pong", lambda told: told["t"] == 3.5)
            await page.say("clock", offset=pong["s"] - 3.5, rtt=1.0)
            await page.say("keys", seq=1, t=3.5, down=["KeyW"])
            await page.say("keys", seq=2, t=1e12, down=[])  # made long after it was received
            await page.say("event", id="one", kind="success")
            assert await page.hear("ack") == {"type": "ack", "id": "one", "ok": True, "reason": ""}

    browse(console, drive)
    until(robot.gone)
    first, second, third = robot.pages()
    assert (first.body.down, first.operator, first.pilot) == (["KeyW"], "ada", True)
    assert first.t_page < first.t_recv
    assert second.t_page <= second.t_recv
    assert second.t_page == pytest.approx(second.t_recv, abs=1e-3)
    assert third.body == Button(id="one", kind="success")
    assert robot.gone()[0].client == first.client
    assert any(type(one).__name__ == "Alive" for one in robot.heard)


def test_messages_that_do_not_fit_are_refused_and_the_connection_lives(console, robot, browse) -> None:
    async def misbehave(browser):
        async with browser.page() as page:
            bad = [
                '{"type":"keys"',
                "[]",
                '{"type":"keys","seq":1,"t":1,"down":[],"more":1}',
                '{"type":"got","camera":"a","seq":1}',
                '{"type":"pad","seq":1,"t":1,"connected":true,"axes":[1.5]}',
                '{"type":"keys","seq":1,"t":1e999,"down":[]}',
            ]
            for text in bad:
                await page.socket.send_str(text)
            await page.socket.send_bytes(b"\x00")
            await page.say("ping", t=1)
            await page.hear("pong", lambda told: told["t"] == 1)
            assert (await page.hear("refused"))["reason"]
            assert browser.server.hub.refused == len(bad) + 1
            await page.socket.send_str(" " * (MAX_MESSAGE + 1))
            assert await page.close_code() == aiohttp.WSCloseCode.MESSAGE_TOO_BIG

    browse(console, misbehave)
    until(robot.gone)
    assert not robot.pages()


def test_who_is_not_the_pilot_may_only_stop(console, robot, browse) -> None:
    async def meet(browser):
        observer = Tokens(browser.token).observer
        async with browser.page("ada"), browser.page("bob") as bob, browser.page("eve", token=observer) as eve:
            assert (await bob.hear("pilot"))["name"] == "ada"
            assert bob.welcome["role"] == eve.welcome["role"] == "observer"
            for page in (bob, eve):
                await page.say("keys", seq=1, t=1, down=["KeyW"])
                await page.hear("refused")
                await page.say("event", id=f"s-{id(page)}", kind="success")
                assert not (await page.hear("ack"))["ok"]
                await page.say("event", id=f"e-{id(page)}", kind="estop")
                assert (await page.hear("ack"))["ok"]
            await eve.say("pilot", want=True, take=True)
            assert "observer" in (await eve.hear("refused", lambda told: "observer" in told["reason"]))["reason"]
            headers = browser.bearer(observer)
            async with browser.http.post(
                browser.origin + "/api/estop", headers=headers, json={"reason": "smoke"}
            ) as answer:
                assert (answer.status, (await answer.json())["ok"]) == (200, True)

    browse(console, meet)
    assert {one.body.kind for one in robot.pages()} == {"estop"}
    assert not any(one.pilot for one in robot.pages())
    assert "smoke" in robot.pages()[-1].body.reason


def test_the_seat_is_taken_given_back_and_inherited(console, robot, browse) -> None:
    async def meet(browser):
        async with browser.page("ada") as ada:
            async with browser.page("bob") as bob:
                await bob.say("pilot", want=True, take=True)
                assert (await bob.hear("pilot", lambda told: told["you"]))["name"] == "bob"
                assert not (await ada.hear("pilot", lambda told: told["name"] == "bob"))["you"]
                until(lambda: len(robot.gone()) == 1)
                assert "bob took" in robot.gone()[0].reason
            assert (await ada.hear("pilot", lambda told: told["you"]))["name"] == "ada"
            await ada.say("pilot", want=False)
            assert (await ada.hear("pilot", lambda told: not told["you"] and not told["name"]))["name"] == ""
            await ada.say("keys", seq=1, t=1, down=[])
            await ada.hear("refused")

    browse(console, meet)


def test_a_silent_pilot_loses_the_seat(console, robot, browse) -> None:
    async def fall_silent(browser):
        async with browser.page("ada", alive=False) as ada:
            await ada.say("keys", seq=1, t=1, down=["KeyW"])
            await ada.hear("pilot", lambda told: told["name"] == "")
            until(robot.gone)
            assert "silent" in robot.gone()[0].reason
            await ada.say("ping", t=1)  # it wanted the seat, and nobody else has it
            assert (await ada.hear("pilot", lambda told: told["you"]))["name"] == "ada"

    browse(console, fall_silent)


def test_pages_are_told_of_the_robot(console, robot, browse) -> None:
    async def watch(browser):
        async with browser.page() as page:
            with robot.says(state="HUMAN", driver="keyboard, ada"):
                state = await page.hear("state", lambda told: told["state"] == "HUMAN")
            assert (state["driver"], state["pilot"], state["robot"]) == ("keyboard, ada", "ada", True)
            robot.link.send(Event(t=1.0, level="warning", text="the cube fell"))
            entries = (await page.hear("log", lambda told: "cube" in told["entries"][0]["text"]))["entries"]
            assert entries[0]["level"] == "warning"
            robot.link.send(Haptic(client=page.welcome["client"], hand="left", strength=0.5, seconds=0.1))
            assert (await page.hear("haptic"))["hand"] == "left"
            lost = await page.hear("state", lambda told: told["state"] == "LOST")  # it says nothing more
            assert not lost["robot"]
            assert "silent" in lost["reason"]
            async with browser.page("late") as late:
                assert any("cube" in one["text"] for one in (await late.hear("log"))["entries"])

    browse(console, watch)


def test_without_a_robot_everything_says_so(browse) -> None:
    async def watch(browser):
        async with browser.page() as page:
            assert (await page.hear("state"))["state"] == "NO ROBOT"
            await page.say("event", id="one", kind="success")
            assert "no robot" in (await page.hear("refused"))["reason"]
        async with browser.http.post(browser.origin + "/api/estop", headers=browser.bearer()) as answer:
            assert answer.status == 503
            assert "hardware stop" in (await answer.json())["reason"]

    with console_thread() as server:
        browse(server, watch)


def test_an_estop_is_repeated_until_the_robot_has_it(browse) -> None:
    async def stop(browser):
        async with browser.page() as page:
            await page.say("event", id="stop", kind="estop")
            await asyncio.to_thread(until, lambda: len(robot.pages()) >= 3)
            robot.answer = True
            assert (await page.hear("ack"))["ok"]

    with robot_end(answer=False) as robot, console_thread(link=robot.link.endpoint) as server:
        browse(server, stop)
    assert {one.body for one in robot.pages()} == {Button(id="stop", kind="estop")}


def test_a_page_that_reconnects_gets_the_answer_to_its_button(console, robot, browse) -> None:
    robot.answer = False

    async def press(browser):
        async with browser.page() as page:
            await page.say("event", id="one", kind="success")
            await asyncio.to_thread(until, robot.pages)
        robot.answer = True
        async with browser.page() as page:
            await page.say("event", id="one", kind="success")
            await page.say("words", id="two", text="more to the left")
            assert (await page.hear("ack", lambda told: told["id"] == "two"))["ok"]
            robot.link.send(ack_of(robot.pages()[0]))
            assert (await page.hear("ack", lambda told: told["id"] == "one"))["ok"]

    def ack_of(message):
        from robot_hil.console.messages import Ack

        return Ack(id=message.body.id, client=message.client, ok=True)

    browse(console, press)
    assert robot.bodies() == [Button(id="one", kind="success"), Words(id="two", text="more to the left")]


def test_verdicts_go_to_whoever_keeps_the_episodes(console, browse) -> None:
    given = []

    async def judge(label, name):
        given.append((label, name))
        return "no such episode" if label.episode_id else ""

    async def label(browser):
        async with browser.page() as page:
            values = {"actor_id": "actor", "epoch": 1, "verdict": "fail"}
            await page.say("label", id="a", episode_id=0, **values)
            assert "no run folder" in (await page.hear("ack"))["reason"]
            browser.server.hub.on_label = judge
            await page.say("label", id="b", episode_id=0, **values)
            assert (await page.hear("ack"))["ok"]
            await page.say("label", id="c", episode_id=1, **values)
            assert (await page.hear("ack"))["reason"] == "no such episode"

    browse(console, label)
    assert given[0] == (Label(id="b", actor_id="actor", epoch=1, episode_id=0, verdict="fail"), "ada")


def test_a_torn_connection_reaches_the_robot(console, robot, browse) -> None:
    async def tear(browser):
        async with browser.page() as page:
            await page.say("keys", seq=1, t=1, down=["KeyW"])
            await asyncio.to_thread(until, robot.pages)
            page.socket._response.connection.transport.abort()
            await asyncio.to_thread(until, robot.gone)

    browse(console, tear)
    assert isinstance(robot.pages()[0], FromPage)
    assert isinstance(robot.bodies()[0], Keys)


def test_a_page_that_does_not_read_holds_up_nobody_and_piles_up_nothing(console, robot, browse) -> None:
    long = "x" * 20_000

    async def watch(browser):
        async with browser.page("slow") as slow, browser.page("quick") as quick:
            client = next(one for one in console.hub.clients.values() if one.name == "slow")
            slow.socket._response.connection.transport.pause_reading()
            for number in range(300):
                robot.link.send(status(state="POLICY" if number % 2 else "HUMAN", message=f"{number} {long}"))
                await quick.say("ping", t=number)
                await quick.hear("pong", lambda told, number=number: told["t"] == number)
                assert len(client._queue) <= 64
            await quick.hear("state", lambda told: told["message"].startswith("299"))
            slow.socket._response.connection.transport.resume_reading()
            await slow.hear("state", lambda told: told["message"].startswith("299"))
            shown = [one for one in slow.told if one["type"] == "state"]
            assert len(shown) < 150

    browse(console, watch)


def test_settings_that_are_not_safe_are_refused(robot) -> None:
    with pytest.raises(ConfigError, match="only with TLS"):
        ConsoleConfig(host="0.0.0.0")
    with pytest.raises(ConfigError, match="at least 16"):
        ConsoleConfig(token="short")
    with (
        console_thread(link=robot.link.endpoint) as server,
        pytest.raises(TransportError, match="Choose another port"),
        console_thread(link=robot.link.endpoint, port=server.port),
    ):
        pass
