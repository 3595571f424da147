"""Stored episodes: listed, shown and judged, beside the process that writes them."""

import asyncio
import io
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from PIL import Image

from robot_hil.console import review as module
from robot_hil.console.review import Review, add_routes
from robot_hil.data import codec
from robot_hil.data.labels import Verdict
from robot_hil.data.operator_input import Label, Message
from robot_hil.data.step import Segment, Step
from robot_hil.errors import StorageError
from robot_hil.replay.spool import Spool
from robot_hil.replay.step_log import StepLog
from robot_hil.report.labels import read_labels

Make = Callable[..., Step]
STEPS = 6


def picture(index: int) -> np.ndarray:
    """An even image that says which step it is."""
    return np.full((8, 8, 3), 20 * index, np.uint8)


def episode(make: Make, number: int, *, first_seq: int, helped: tuple[range, ...] = (), **facts: Any) -> list[Step]:
    steps = []
    for i in range(STEPS):
        last = i == STEPS - 1
        which = next((k for k, stretch in enumerate(helped) if i in stretch), -1)
        ends = {"terminated": True, "success": True, "reward": {"env": 1.0}} if last else {}
        seen = {"front": picture(i), "state": np.zeros(5, np.float32)}
        end = {"final_obs": {**seen, "front": picture(i + 1)}} if last else {}
        plain = {"episode_id": number, "step_index": i, "epoch": 1, "seq": first_seq + i, "intervention_id": which}
        steps.append(make(**{**plain, **ends, **end, "obs": seen, **facts}))
    return steps


def write(folder: Path, *episodes: list[Step]) -> None:
    with StepLog(folder, sync=False) as log:
        for steps in episodes:
            log.append_many(steps)


def level(jpeg: bytes) -> int:
    """Return which step an image is of."""
    image = np.asarray(Image.open(io.BytesIO(jpeg)))
    assert image.shape == (8, 8, 3)
    return round(float(image.mean()) / 20)


@pytest.fixture
def review(tmp_path: Path) -> Iterator[Review]:
    made = Review(tmp_path)
    yield made
    made.close()
    made.close()


def test_a_run_without_steps_has_no_episodes(review: Review) -> None:
    assert review.listed() == []
    assert not any(review.folder.iterdir())
    with pytest.raises(LookupError, match="no episode 0 of actor"):
        review.image(("actor", 1, 0), "front", 0)


def test_episodes_are_described(review: Review, small_step: Make) -> None:
    demo = episode(small_step, 0, first_seq=0, segment=Segment.DEMO)
    helped = episode(small_step, 1, first_seq=STEPS, helped=(range(1, 3), range(3, 4), range(5, 6)))
    cut = episode(small_step, 2, first_seq=2 * STEPS, success=False, reward={"env": 0.25, "human": 0.5})[:3]
    write(review.folder / "steps", demo, helped, cut)
    found = review.listed()
    assert [one["episode_id"] for one in found] == [2, 1, 0]
    assert found[2] == {
        "actor_id": "actor", "epoch": 1, "episode_id": 0, "phase": "demo", "steps": STEPS, "complete": True,
        "success": True, "label": "", "interventions": [], "cameras": ["front"], "return": 1.0,
    }  # fmt: skip
    assert found[1]["phase"] == "train"
    assert found[1]["interventions"] == [[1, 2], [3, 3], [5, 5]]
    assert (found[0]["complete"], found[0]["steps"], found[0]["return"]) == (False, 3, 1.5)
    assert [one["episode_id"] for one in review.listed(1)] == [2]
    json.dumps(found)


def test_every_step_can_be_seen_and_what_came_after_the_last(review: Review, small_step: Make) -> None:
    write(review.folder / "steps", *(episode(small_step, n, first_seq=n * STEPS) for n in range(3)))
    for index in range(STEPS + 1):
        assert level(review.image(("actor", 1, 1), "front", index)) == index
    for key, camera, index in (
        (("actor", 1, 9), "front", 0),
        (("actor", 2, 1), "front", 0),
        (("actor", 1, 1), "state", 0),
        (("actor", 1, 1), "front", STEPS + 1),
    ):
        with pytest.raises(LookupError, match="there is no"):
            review.image(key, camera, index)


def test_actors_and_missing_steps_do_not_mix(review: Review, small_step: Make) -> None:
    one = episode(small_step, 0, first_seq=0)
    other = episode(small_step, 0, first_seq=0, actor_id="second", obs={"wrist": picture(7)}, final_obs=None)
    mixed = [step for pair in zip(one, other, strict=True) for step in pair if step is not one[2]]
    write(review.folder / "steps", mixed)
    assert {(e["actor_id"], e["steps"], *e["cameras"]) for e in review.listed()} == {
        ("actor", STEPS - 1, "front"),
        ("second", STEPS, "wrist"),
    }
    assert level(review.image(("actor", 1, 0), "front", 3)) == 3
    with pytest.raises(LookupError, match="no step 2"):
        review.image(("actor", 1, 0), "front", 2)
    assert level(review.image(("second", 1, 0), "wrist", 4)) == 7


def test_what_the_mind_holds_is_bounded(review: Review, small_step: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_EPISODES", 5)
    monkeypatch.setattr(module, "FIRST_LOOK", STEPS + 2)
    monkeypatch.setattr(module, "FURTHEST_LOOK", 3 * STEPS + 2)
    every = [episode(small_step, n, first_seq=n * STEPS) for n in range(20)]
    write(review.folder / "steps", *every[:10])
    assert [one["episode_id"] for one in review.listed(1)] == [9]
    assert len(review._episodes) == 2  # of episode 8 the end only
    assert [one["episode_id"] for one in review.listed(2)] == [9, 8]
    # the furthest look begins within episode 6, which is left out
    assert [one["episode_id"] for one in review.listed()] == [9, 8, 7]
    write_more(review, every[10:])
    assert [one["episode_id"] for one in review.listed()] == [19, 18, 17, 16, 15]


def write_more(review: Review, episodes: list[list[Step]]) -> None:
    review._reader.close()  # this process must not have the log open twice; in a run the writer is another one
    write(review.folder / "steps", *episodes)


def test_without_a_learner_here_the_spool_is_read(review: Review, small_step: Make) -> None:
    with Spool(review.folder / "spool", {}) as spool:
        spool.begin_epoch()
        spool.append([codec.encode(step) for step in episode(small_step, 0, first_seq=0)])
        assert [one["episode_id"] for one in review.listed()] == [0]
        spool.release(1, STEPS + 1)  # the learner has it: the actor forgets
        spool.compact()
    with pytest.raises(LookupError, match="not stored here any more"):
        review.image(("actor", 1, 0), "front", 0)
    write(review.folder / "steps", episode(small_step, 0, first_seq=0), episode(small_step, 1, first_seq=STEPS))
    assert [one["episode_id"] for one in review.listed()] == [1, 0]
    assert level(review.image(("actor", 1, 0), "front", 2)) == 2


def label(verdict: str, episode_id: int = 0, **more: Any) -> Label:
    """As it comes from a page."""
    body = {"type": "label", "id": "x", "actor_id": "actor", "epoch": 1, "episode_id": episode_id, "verdict": verdict}
    message = msgspec.json.decode(json.dumps(body | more), type=Message)
    assert isinstance(message, Label)
    return message


def test_verdicts_are_written_and_listed(review: Review, small_step: Make) -> None:
    write(review.folder / "steps", *(episode(small_step, n, first_seq=n * STEPS) for n in range(2)))
    review.write_label(label("fail", reason="crooked"), "Ann")
    review.write_label(label("discard", 1), "Bob")
    assert [one["label"] for one in review.listed()] == ["discard", "fail"]
    written = read_labels(review.folder)["actor", 1, 0]
    assert (written.verdict, written.reason, written.operator) == (Verdict.FAIL, "crooked", "Ann")
    assert written.t > 1.7e9
    assert asyncio.run(review.label(label("none"), "Ann")) == ""
    assert [one["label"] for one in review.listed()] == ["discard", ""]


def test_a_verdict_that_cannot_be_written_is_refused_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    review = Review(tmp_path / "file")
    assert "cannot append" in asyncio.run(review.label(label("fail"), "Ann"))
    review.close()


def ask(review: Review, work: Callable[[TestClient], Awaitable[None]]) -> None:
    """Serve `review` and let `work` ask; the token is a header."""

    async def serve() -> None:
        app = web.Application()
        add_routes(app, review, lambda request: request.headers.get("token") == "right")
        async with TestClient(TestServer(app)) as client:
            await work(client)

    asyncio.run(serve())


RIGHT = {"token": "right"}


def test_over_http(review: Review, small_step: Make) -> None:
    write(review.folder / "steps", *(episode(small_step, n, first_seq=n * STEPS) for n in range(3)))

    async def work(client: TestClient) -> None:
        answer = await client.get("/api/episodes?last=2", headers=RIGHT)
        assert answer.status == 200
        assert [one["episode_id"] for one in (await answer.json())["episodes"]] == [2, 1]
        answer = await client.get("/api/episodes/actor/1/1/front/4.jpg", headers=RIGHT)
        assert (answer.status, answer.content_type) == (200, "image/jpeg")
        assert level(await answer.read()) == 4

    ask(review, work)


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("/api/episodes?last=0", 400, "from 1 to"),
        ("/api/episodes?last=many", 400, "'many'"),
        ("/api/episodes?last=" + "9" * 5000, 400, "from 1 to"),
        ("/api/episodes/actor/1/7/front/0.jpg", 404, "no episode 7"),
        ("/api/episodes/..%2F/1/0/front/0.jpg", 404, "no episode 0"),
        ("/api/episodes/actor/1/0/state/0.jpg", 404, "no camera 'state'"),
        ("/api/episodes/actor/1/0/front/99.jpg", 404, "no step 99"),
    ],
)
def test_what_is_not_there_is_said(path: str, status: int, text: str, review: Review, small_step: Make) -> None:
    write(review.folder / "steps", episode(small_step, 0, first_seq=0))

    async def work(client: TestClient) -> None:
        answer = await client.get(path, headers=RIGHT)
        assert answer.status == status
        assert text in (await answer.json())["error"]
        for headers in ({}, {"token": "wrong"}):
            answer = await client.get(path, headers=headers)
            assert answer.status == 401
            assert (await answer.json())["error"]

    ask(review, work)


def test_a_log_that_cannot_be_read_is_said_and_may_become_whole(review: Review, small_step: Make) -> None:
    folder = review.folder / "steps"
    folder.mkdir()
    broken = folder / "0000000000000000.steps"
    broken.write_bytes(b"x" * 8192)
    (folder / "lock").touch()

    async def work(client: TestClient) -> None:
        answer = await client.get("/api/episodes", headers=RIGHT)
        assert answer.status == 503
        assert "cannot be read" in (await answer.json())["error"]
        broken.unlink()
        write(folder, episode(small_step, 0, first_seq=0))
        answer = await client.get("/api/episodes", headers=RIGHT)
        assert len((await answer.json())["episodes"]) == 1

    with pytest.raises(StorageError, match="cannot be read"):
        review.listed()
    ask(review, work)


_ACTOR = """
import sys, numpy as np
from robot_hil.data.step import Step
from robot_hil.replay.spool import Spool
from robot_hil.replay.step_log import StepLog
zeros = np.zeros(7, np.float32)
with StepLog(sys.argv[1], sync=False) as log:
    for seq in range(4000):
        number, index = divmod(seq, 40)
        step = Step(obs={"front": np.full((96, 96, 3), 2 * index, np.uint8)}, action_policy=zeros, action_human=zeros,
            action_executed=zeros, authority=np.zeros(7, np.uint8), reward={}, terminated=False, truncated=index == 39,
            success=False, episode_id=number, step_index=index, epoch=1, seq=seq)
        log.append_many([step])
    print("written", flush=True)
    sys.stdin.readline()
"""


def test_it_reads_while_another_process_writes(review: Review) -> None:
    """110 MB come in meanwhile, more than one file of the log."""
    command = [sys.executable, "-c", _ACTOR, str(review.folder / "steps")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        newest = -1
        while newest < 99 or not review.listed(1)[0]["complete"]:
            assert process.poll() is None
            found = review.listed(10)
            if not found:
                continue
            assert found[0]["episode_id"] >= newest
            newest = found[0]["episode_id"]
            assert all(one["complete"] and one["steps"] == 40 for one in found[1:])
            seen = np.asarray(Image.open(io.BytesIO(review.image(("actor", 1, newest), "front", 0))))
            assert abs(float(seen.mean())) < 2
        assert process.stdout is not None
        assert process.stdout.readline() == "written\n"
        process.communicate("end\n")
    assert len(review.listed(500)) == 100
