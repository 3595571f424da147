"""What the console says of a run folder, while it is written."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from serving import console_thread

from robot_hil.console.feed import HISTORY, RunFeed
from robot_hil.console.review import Review
from robot_hil.console.server import takeovers_of
from robot_hil.data.labels import LabelRow, Verdict
from robot_hil.data.step import Segment
from robot_hil.replay.step_log import StepLog
from robot_hil.report.labels import write_label
from robot_hil.report.metrics import ACTOR_FILE, LEARNER_FILE, EpisodeRow, JsonlSink, LearnerRow
from robot_hil.report.summary import WINDOW


def episode(number: int, **values: Any) -> EpisodeRow:
    defaults: dict[str, Any] = {
        "t_wall_s": 10.0 * number, "env_steps": 50 * number, "episode_id": number, "steps": 50, "success": True,
        "human_steps": 10, "interventions": 2, "phase": "train", "policy_version": number, "policy_age_s": 1.5,
    }  # fmt: skip
    return EpisodeRow(**(defaults | values))


def learnt(number: int, **losses: float) -> LearnerRow:
    return LearnerRow(
        t_wall_s=float(number), updates=100 * number, env_steps=50 * number, updates_per_s=80.0, utd=2.0,
        losses=losses, replay={"demo": 5, "online": number},
    )  # fmt: skip


def append(path: Path, *rows: Any) -> None:
    with JsonlSink(path) as sink:
        for row in rows:
            sink.write(row)


def test_a_folder_that_is_empty_says_so_once(tmp_path) -> None:
    feed = RunFeed(tmp_path)
    metrics = feed.poll()
    assert metrics is not None
    assert metrics["success_rate"] is metrics["learner"] is metrics["values"] is None
    assert feed.poll() is None
    assert feed.experiment == ""


def test_rates_are_of_the_last_window_of_trials(tmp_path) -> None:
    rows = [episode(number, success=False) for number in range(5)]
    rows += [episode(5 + number, success=number % 2 == 0, steps=40 + number) for number in range(20)]
    demos = [episode(number, phase="demo", human_steps=50) for number in range(3)]
    checks = [episode(0, phase="check", success=number == 0) for number in range(4)]
    append(tmp_path / ACTOR_FILE, *demos, *rows, *checks)
    metrics = RunFeed(tmp_path).poll(control_hz=10.0)
    steps = sum(40 + number for number in range(20))
    assert metrics["success_rate"] == 0.5
    assert metrics["intervention_rate"] == pytest.approx(200 / steps)
    assert metrics["takeovers"] == 2.0
    assert metrics["cycle_steps"] == 49.0
    assert metrics["cycle_s"] == pytest.approx(4.9)
    assert metrics["check_success"] == 0.25
    assert (metrics["demos"], metrics["episodes"], metrics["env_steps"]) == (3, 25, 50 * 24)
    assert {len(curve) for curve in metrics["history"].values()} == {32}
    assert metrics["history"]["phase"][0] == "demo"
    json.dumps(metrics, allow_nan=False)


def test_only_what_is_new_is_told_and_curves_are_bounded(tmp_path) -> None:
    feed = RunFeed(tmp_path)
    feed.poll()
    append(tmp_path / ACTOR_FILE, *(episode(number) for number in range(HISTORY + 50)))
    append(tmp_path / LEARNER_FILE, *(learnt(number, critic=0.5) for number in range(HISTORY + 50)))
    metrics = feed.poll()
    assert len(metrics["history"]["episode"]) == HISTORY
    assert metrics["policy_version"] == HISTORY + 49
    assert feed.poll() is None
    append(tmp_path / LEARNER_FILE, learnt(999, critic=0.25, actor=1.0))
    learner = feed.poll()["learner"]
    assert (learner["updates"], learner["replay"]) == (99900, {"demo": 5, "online": 999})
    assert learner["losses"] == {"critic": 0.25, "actor": 1.0}
    assert len(learner["history"]["t"]) == HISTORY
    assert learner["history"]["losses"]["actor"][-2:] == [None, 1.0]


def test_a_line_that_is_half_written_waits(tmp_path) -> None:
    append(tmp_path / ACTOR_FILE, episode(1))
    whole = (tmp_path / ACTOR_FILE).read_bytes()
    (tmp_path / ACTOR_FILE).write_bytes(whole + whole[:20])
    feed = RunFeed(tmp_path)
    assert feed.poll()["episodes"] == 1
    (tmp_path / ACTOR_FILE).write_bytes(whole + whole)
    assert feed.poll()["episodes"] == 2


def test_a_damaged_file_is_told_and_not_the_end(tmp_path) -> None:
    (tmp_path / ACTOR_FILE).write_text("nonsense\n")
    feed = RunFeed(tmp_path)
    assert "line 1" in feed.poll()["problem"]
    assert feed.poll() is None
    append(tmp_path / ACTOR_FILE, episode(1))
    metrics = feed.poll()
    assert metrics["episodes"] == 1
    assert "line 1" in metrics["problem"]


def test_values_are_told_when_they_change(tmp_path) -> None:
    feed = RunFeed(tmp_path)
    (tmp_path / "values.json").write_text('{"episode_id": 3, "values": [0.1, 0.9]}')
    assert feed.poll()["values"] == {"episode_id": 3, "values": [0.1, 0.9]}
    assert feed.poll() is None
    (tmp_path / "values.json").write_text('{"episode_id": 4, "val')
    assert feed.poll() is None
    (tmp_path / "values.json").write_text('{"episode_id": 4, "values": [NaN]}')
    assert feed.poll()["values"] == {"episode_id": 4, "values": [None]}


def test_the_coach_is_asked_with_all_there_is(tmp_path) -> None:
    (tmp_path / "config.json").write_text('{"experiment": {"name": "pick_cube", "demos": 20}}')
    append(tmp_path / ACTOR_FILE, *(episode(number, phase="demo", steps=50 + number) for number in range(3)))
    feed = RunFeed(tmp_path)
    advice = feed.poll()["advice"]
    assert [one["kind"] for one in advice] == ["demos"]
    assert "20" in advice[0]["title"] + advice[0]["text"]
    verdict = LabelRow(actor_id="actor", epoch=1, episode_id=2, verdict=Verdict.FAIL, reason="", operator="ada", t=1.0)
    write_label(tmp_path, verdict)
    assert feed.poll() is not None
    assert feed.poll() is None


def test_takeovers_are_those_of_the_newest_trials(tmp_path, small_step) -> None:
    def trial(number: int, helped: range, **facts: Any) -> list[Any]:
        steps = []
        for index in range(6):
            last = {"terminated": True, "final_obs": small_step().obs} if index == 5 else {}
            place = {"episode_id": number, "step_index": index, "epoch": 1, "seq": 6 * number + index}
            steps.append(small_step(index, **place, **last, intervention_id=0 if index in helped else -1, **facts))
        return steps

    review = Review(tmp_path)
    assert asyncio.run(takeovers_of(review)) == []
    with StepLog(tmp_path / "steps", sync=False) as log:
        log.append_many(trial(0, range(6), segment=Segment.DEMO))
        for number in range(1, WINDOW + 5):
            log.append_many(trial(number, range(number % 3, 5)))
    assert asyncio.run(takeovers_of(review)) == [number % 3 for number in range(WINDOW + 4, 4, -1)]
    review.close()


def test_pages_get_the_metrics_and_the_episodes(tmp_path, browse) -> None:
    (tmp_path / "config.json").write_text('{"experiment": {"name": "pick_cube"}}')
    append(tmp_path / ACTOR_FILE, episode(1))

    async def look(browser):
        async with browser.page() as page:
            assert page.welcome["experiment"] == "pick_cube"
            assert page.welcome["folder"] == str(tmp_path)
            assert (await page.hear("metrics", lambda told: told["episodes"] == 1))["success_rate"] == 1.0
            append(tmp_path / ACTOR_FILE, episode(2, success=False))
            assert (await page.hear("metrics", lambda told: told["episodes"] == 2))["success_rate"] == 0.5
            await page.say("label", id="a", actor_id="actor", epoch=1, episode_id=2, verdict="success")
            assert (await page.hear("ack"))["ok"]
            await page.hear("metrics")  # the verdict counts for the coach
        async with browser.http.get(browser.origin + "/api/episodes") as answer:
            assert answer.status == 401
        async with browser.http.get(browser.origin + "/api/episodes", headers=browser.bearer()) as answer:
            assert (answer.status, await answer.json()) == (200, {"episodes": []})

    with console_thread(folder=tmp_path) as server:
        browse(server, look)
