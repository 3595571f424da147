"""The console of a training run: pause, e-stop with its two steps, a verdict after the fact; the run goes on."""

import json
import time
from pathlib import Path

import pytest
from e2e.person import Eyes, Program

pytestmark = pytest.mark.timeout(900)


def test_a_run_is_paused_stopped_cleared_and_judged_from_its_console(tmp_path: Path):
    folder = tmp_path / "run"
    program = Program(
        tmp_path / "train.log", "train", "pick_cube_state", "--console", "--console-port", "0", "--demos", "2",
        "--learner.clone-updates", "5", "--learner.critic-warmup", "5", "--goal.max-env-steps", "100000",
        "--eval-episodes", "1", "--out", str(folder),
    )  # fmt: skip
    try:
        eyes = Eyes(*program.address(folder), "pilot")
        program.until(lambda: eyes.state.get("phase") == "train" and eyes.state["env_steps"] > 20)

        assert eyes.press("1", "pause")["ok"]
        program.until(lambda: eyes.state["state"] == "HOLD")
        there = eyes.state["env_steps"]
        time.sleep(1.0)
        assert eyes.state["env_steps"] <= there + 1, "the period in which it was paused ends after the pause"
        assert eyes.press("2", "resume")["ok"]
        program.until(lambda: eyes.state["state"] == "POLICY" and eyes.state["env_steps"] > there + 20)

        assert eyes.press("3", "estop")["ok"]
        program.until(lambda: eyes.state["state"] == "ESTOP")
        stopped = eyes.state["env_steps"]
        assert eyes.press("4", "resume")["ok"]
        assert not eyes.press("5", "clear")["ok"], "a reason is needed"
        time.sleep(0.5)
        assert eyes.state["state"] == "ESTOP"
        assert eyes.press("6", "clear", "nobody is in the cell")["ok"]
        program.until(lambda: eyes.state["state"] == "HOLD")
        assert eyes.press("7", "resume")["ok"]
        program.until(lambda: eyes.state["env_steps"] > stopped + 20)

        actor_id, epoch, episode_id = eyes.state["last_episode"]
        answer = eyes.say(
            {"type": "label", "id": "8", "actor_id": actor_id, "epoch": epoch, "episode_id": episode_id,
             "verdict": "discard", "reason": "the camera was covered"}
        )  # fmt: skip
        assert answer["ok"], answer
        rows = [json.loads(line) for line in (folder / "labels.jsonl").read_text().splitlines()]
        assert [(row["episode_id"], row["verdict"]) for row in rows] == [(episode_id, "discard")]
        eyes.close()
        program.process.terminate()
        assert program.end() == 130, program.output[-2000:]
    finally:
        program.kill()
    assert "Stopped and saved" in program.output
