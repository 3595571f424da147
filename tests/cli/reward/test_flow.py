"""From a recorded run to a run that is judged by what its pictures show, and back: a person contradicts, it learns."""

import json
import shutil
import signal
from pathlib import Path

import pytest
from cli.reward import seen
from cli.shell import Shell, rows
from e2e.person import Eyes, Program

from robot_hil.data.labels import Verdict
from robot_hil.data.step import Step
from robot_hil.policies.reward.dataset import FrameSet
from robot_hil.replay.step_log import StepLog
from robot_hil.report.labels import read_labels

pytestmark = pytest.mark.timeout(600)
RUN = (
    "pick_cube", "--env", "seen:Seen-v0", "--agent.hidden", 16, 16, "--learner.start-after", 10**6, "--eval-episodes",
    1, "--in-process",
)  # fmt: skip
TINY = (
    "--members", 2, "--updates", 40, "--image-size", 12, "--filters", 4, "--strides", 2, "--hidden", 16, "--shift", 0,
    "--retrain-updates", 5, "--false-positive-rate", 0.2,
)  # fmt: skip


def steps_of(run: Path) -> list[Step]:
    with StepLog(run / "steps") as log:
        return list(log.steps())


def test_a_run_is_judged_by_its_pictures_and_learns_from_being_wrong(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shell.folder
    shutil.copy(str(seen.__file__), folder / "seen.py")
    shell.run("train", *RUN, "--goal.max-env-steps", 120, "--out", "first")
    output = shell.run("reward", "record", "first", "--out", "frames", "--margin", 0, "--negatives-per-episode", 8)
    assert "Train a model: robot-hil reward train frames" in output
    frames = FrameSet.open(folder / "frames")
    assert frames.counts["success"] >= 3 * len(frames.episodes)
    assert {frames.label(name)[1] for name in frames.ids} == {"log"}
    output = shell.run("reward", "train", "frames", "--out", "model", *TINY)
    assert "false positives, confirmed" in output
    for name in ("curves.png", "worst_errors.png", "reward.json"):
        assert (folder / "model" / name).stat().st_size > 0
    run = folder / "judged"
    monkeypatch.chdir(folder)
    program = Program(
        folder / "judged.log", "train", *map(str, RUN), "--reward-model", "model", "--goal.max-env-steps", "1000000",
        "--goal.settle-episodes", "1000000",
        "--console", "--console-port", "0", "--out", "judged",
    )  # fmt: skip
    try:
        eyes = Eyes(*program.address(run), "pilot")
        ended = program.until(lambda: [row for row in rows(run / "actor.jsonl") if row["success"]])
        assert program.until(lambda: eyes.state.get("reward"))["version"] == 1
        assert eyes.press("1", "false_positive")["ok"]
        program.until(lambda: [row for row in rows(run / "reward.jsonl") if row["version"] == 2])
        program.until(lambda: eyes.state["reward"]["version"] == 2)
        assert eyes.state["reward"]["false_positives"] == 1
        eyes.close()
        program.process.send_signal(signal.SIGTERM)
        assert program.end() == 130, program.output[-2000:]
    finally:
        program.kill()
    assert ended

    told = rows(run / "reward.jsonl")
    assert [row["event"] for row in told] == ["judges", "false_positive", "judges"]
    assert [row["version"] for row in told] == [1, 1, 2]
    assert json.loads((folder / "model/reward.json").read_text())["version"] == 2
    episode = told[1]["episode_id"]
    labels = read_labels(run)
    assert [(key[2], row.verdict, row.reason) for key, row in labels.items()] == [
        (episode, Verdict.FAIL, "false positive")
    ]
    known = FrameSet.open(folder / "frames")
    hard = [name for name in known.ids if known.label(name)[1] == "false_positive"]
    assert 1 <= len(hard) <= 8
    assert all(known.label(name)[0] == 0 and known.episode(name)[2] == episode for name in hard)

    steps = steps_of(run)
    assert all("classifier" in step.reward for step in steps)
    assert {step.reward["env"] for step in steps} == {0.0}, "the environment rewards nothing"
    assert any(step.success for step in steps), "what it calls a success stays a fact"
    ends = [step for step in steps if step.terminated and "human" not in step.reward]
    assert ends
    assert all(step.reward["classifier"] > 0.5 for step in ends)

    assert "So says model; " in shell.run("eval", "judged", "--episodes", 1)
