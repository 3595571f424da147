"""The page with doubtful frames: its routes, and in a real browser what a person sees and presses."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import browser
import pytest
from cli.shell import until
from serving import serve

from robot_hil.cli.reward.label import LabelSession, serving
from robot_hil.cli.reward.models import load_model
from robot_hil.console.auth import Tokens
from robot_hil.errors import ConfigError
from robot_hil.policies.reward.dataset import FrameSet

TOKEN = "0123456789abcdef-label"


@pytest.fixture
def session(own: Path) -> Iterator[LabelSession]:
    made = LabelSession(load_model(own / "model"), FrameSet.open(own / "frames"), 6, "Ann")
    yield made
    made.close()


@pytest.fixture
def served(session: LabelSession) -> Iterator[Any]:
    with serve(serving(session, "127.0.0.1", 0, TOKEN)) as server:
        yield server


def ask(server: Any, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
    async def go() -> tuple[int, Any]:
        url = f"http://127.0.0.1:{server.port}/api/reward/{path}"
        head = {"Authorization": f"Bearer {TOKEN}"} | headers
        async with (
            aiohttp.ClientSession() as http,
            http.request("GET" if body is None else "POST", url, headers=head, json=body) as answer,
        ):
            if answer.content_type == "image/png":
                return answer.status, await answer.read()
            return answer.status, await (answer.json() if "json" in answer.content_type else answer.text())

    return asyncio.run(go())


def test_the_most_doubtful_frames_come_first_with_what_the_model_thinks(served: Any, own: Path) -> None:
    status, answer = ask(served, "frames")
    assert status == 200
    frames = answer["frames"]
    assert len(frames) == 6
    assert [one["doubt"] for one in frames] == sorted((one["doubt"] for one in frames), reverse=True)
    for one in frames:
        assert sum(one["probabilities"]) == pytest.approx(1, abs=1e-3)
        assert one["cameras"] == ["front"]
    status, png = ask(served, f"frames/{frames[0]['id']}/front.png")
    assert (status, png) == (200, FrameSet.open(own / "frames").files(frames[0]["id"])["front"].read_bytes())


def test_labels_are_stored_and_taken_back(served: Any, own: Path) -> None:
    names = [one["id"] for one in ask(served, "frames")[1]["frames"][:2]]
    before = FrameSet.open(own / "frames")
    assert ask(served, "label", {"frame": names[0], "label": 1, "operator": "Bea"})[1]["labelled"] == 1
    assert ask(served, "label", {"frame": names[1], "label": None})[0] == 200
    now = FrameSet.open(own / "frames")
    assert now.label(names[0]) == (1, "review")
    assert now.label(names[1]) == (None, "review")
    assert names[1] not in now.ids
    assert [ask(served, "undo", {})[1]["frame"] for _ in range(3)] == [names[1], names[0], ""]
    now.refresh()
    assert [now.label(name) for name in names] == [before.label(name) for name in names]
    assert ask(served, "state")[1]["labelled"] == 0


def test_what_is_wrong_is_refused_and_changes_nothing(served: Any, own: Path) -> None:
    frames = FrameSet.open(own / "frames")
    name = ask(served, "frames")[1]["frames"][0]["id"]
    for body, status in (
        ({"frame": name, "label": 7}, 404), ({"frame": "none", "label": 0}, 404), ({"frame": name}, 400),
        ({"frame": name, "label": "success"}, 400), ({"frame": name, "label": 0, "more": 1}, 400),
    ):  # fmt: skip
        found, answer = ask(served, "label", body)
        assert found == status, answer
        assert answer["error"]
    assert ask(served, f"frames/{name}/side.png")[0] == 404
    assert ask(served, "frames/..%2f..%2fdataset.json/front.png")[0] == 404
    known = {one: frames.label(one) for one in frames.ids}
    frames.refresh()
    assert {one: frames.label(one) for one in frames.ids} == known


def test_only_who_has_the_token_and_comes_from_this_page_may_label(served: Any, own: Path) -> None:
    rows = (own / "frames/labels.jsonl").read_bytes()
    name = FrameSet.open(own / "frames").ids[0]
    body = {"frame": name, "label": 1}
    assert ask(served, "label", body, Authorization="Bearer wrong")[0] == 401
    assert ask(served, "frames", Authorization="")[0] == 401
    assert ask(served, "label", body, Origin="https://elsewhere.example")[0] == 403
    watching = f"Bearer {Tokens(TOKEN).observer}"
    assert ask(served, "frames", Authorization=watching)[0] == 200
    for path in ("label", "undo", "retrain"):
        assert ask(served, path, body, Authorization=watching)[0] == 403
    assert (own / "frames/labels.jsonl").read_bytes() == rows


def test_it_learns_from_the_labels_and_then_doubts_other_frames(session: LabelSession, own: Path) -> None:
    first = [one.id for one in session.frames()]
    for name in first[:3]:
        session.label(name, 0, "")
    session.retrain()
    session.retrain()  # while one is trained another is not begun
    session.close()
    state = session.state()
    assert (state.version, state.labelled, state.training, state.problem) == (2, 0, None, "")
    assert load_model(own / "model").version == 2
    assert not set(first[:3]) & {one.id for one in session.frames()}, "a person has looked at these"
    assert session.undo() == "", "what was learnt stays"


def test_a_training_that_fails_is_said(session: LabelSession, own: Path) -> None:
    for name in FrameSet.open(own / "frames").ids:
        session.label(name, None, "")
    session.retrain()
    session.close()
    assert session.state().problem
    assert load_model(own / "model").version == 1


def test_what_does_not_fit_is_refused(own: Path) -> None:
    model = load_model(own / "model")
    with pytest.raises(ConfigError, match="--count is 0"):
        LabelSession(model, FrameSet.open(own / "frames"), 0)
    other = FrameSet.create(own / "other", ("running", "success", "failure"), model.trained.setup.spec)
    with pytest.raises(ConfigError, match="has classes"):
        LabelSession(model, other, 5)


def test_a_person_labels_by_keys_undoes_skips_and_trains_again(session: LabelSession, served: Any, own: Path) -> None:
    browser.require("chromium")
    listed = [one.id for one in session.frames()]
    errors: list[str] = []
    with browser.chromium() as chrome:
        page = chrome.new_page(viewport={"width": 1400, "height": 900})
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda line: line.type == "error" and errors.append(line.text))
        page.goto(served.url("/label/"))

        def shown(name: str) -> None:
            """Wait until `name` is to be seen and keys count again."""
            page.wait_for_function(
                "name => document.body.dataset.shown === name && !document.body.dataset.busy", arg=name
            )

        shown(listed[0])
        assert "#" not in page.url, "the token is not left in the address"
        assert page.locator("#pictures canvas").count() == 1
        assert "failure" in page.inner_text("#answers")
        page.fill("#name", "Bea 2")  # digits that are typed label nothing
        page.keyboard.press("Enter")
        page.keyboard.press("2")
        shown(listed[1])
        page.keyboard.press("s")
        shown(listed[2])
        page.keyboard.press("u")
        shown(listed[0])
        page.keyboard.press("1")
        shown(listed[1])
        page.keyboard.press("d")
        shown(listed[2])
        page.click("#answers button:nth-child(2)")
        shown(listed[3])
        frames = FrameSet.open(own / "frames")
        found = [frames.label(name) for name in listed[:3]]
        assert found == [(0, "review"), (None, "review"), (1, "review")]
        for following in (*listed[4:], ""):
            page.keyboard.press("s")
            shown(following)
        assert "All of them looked at" in page.inner_text("#question")
        page.keyboard.press("r")
        page.wait_for_function("() => document.getElementById('version').textContent === 'v2'", timeout=120_000)
        until(lambda: load_model(own / "model").version == 2)
        page.wait_for_function("() => document.body.dataset.shown")
        assert page.evaluate("document.body.dataset.shown") not in (listed[0], listed[2])
    assert errors == []
