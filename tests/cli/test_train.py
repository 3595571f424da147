"""Whole runs with real processes, on a tiny experiment."""

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from cli.shell import TINY, Shell, child_of, interrupt, rows, until

from robot_hil.learner import checkpoint
from robot_hil.replay.step_log import StepLog


def summary(run: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((run / "summary.json").read_text())
    return found


def executed(run: Path) -> int:
    return sum(row["steps"] for row in rows(run / "actor.jsonl") if row["phase"] in ("demo", "train"))


def logged(run: Path) -> int:
    with StepLog(run / "steps") as log:
        return log.info().steps


def train_steps(run: Path) -> int:
    return max((row["env_steps"] for row in rows(run / "actor.jsonl")), default=0)


def test_a_run_leaves_everything_behind(shell: Shell) -> None:
    run = shell.folder / "run"
    output = shell.run("train", "pick_cube_state", "--out", run, *TINY, "--goal.max-env-steps", 120, "--seed", 3)
    result = summary(run)
    assert result["experiment"] == "pick_cube_state"
    assert result["observation"] == "state"
    assert (result["seed"], result["demos"], result["eval_episodes"]) == (3, 3, 1)
    assert result["env_steps"] >= 120  # type: ignore[operator]
    assert result["steps_logged"] == executed(run) == logged(run)
    assert (result["steps_lost"], result["steps_duplicated"], result["deadline_misses"]) == (0, 0, 0)
    assert result["updates_per_s"] > 0  # type: ignore[operator]
    for name in ("learning_curve.png", "policy.gif", "config.json", "actor.log", "learner.log"):
        assert (run / name).stat().st_size > 0
    config = json.loads((run / "config.json").read_text())
    assert config["experiment"]["demos"] == 3
    assert config["argv"][0] == "pick_cube_state"
    assert "robot-hil eval" in output.splitlines()[-1]


def test_ctrl_c_saves_and_resume_goes_on(shell: Shell) -> None:
    run = shell.folder / "run"
    process = shell.start("train", "pick_cube_state", "--out", run, *TINY, "--goal.max-env-steps", 5000)
    until(lambda: train_steps(run) > 0)
    output = interrupt(process)
    assert process.returncode == 130, output
    assert output.splitlines()[-1] == f"Stopped and saved. Go on with: robot-hil train --resume {run}"
    steps = train_steps(run)
    assert checkpoint.load_newest(run / "checkpoints").state["counters"]["online_steps"] == steps
    assert logged(run) == executed(run)
    shell.run("train", "--resume", run, "--goal.max-env-steps", steps + 20)
    result = summary(run)
    assert result["env_steps"] >= steps + 20  # type: ignore[operator]
    assert (result["demos"], result["steps_lost"], result["steps_duplicated"]) == (3, 0, 0)
    assert result["steps_logged"] == executed(run)


def test_ctrl_c_ends_a_long_warm_start(shell: Shell) -> None:
    run = shell.folder / "run"
    process = shell.start("train", "pick_cube_state", "--out", run, *TINY, "--learner.clone-updates", 10**7)
    until(lambda: any("clone_loss" in row["losses"] or row["replay"]["demo"] for row in rows(run / "learner.jsonl")))
    output = interrupt(process)
    assert process.returncode == 130, output
    assert not (run / "checkpoints").exists()
    assert logged(run) == executed(run)


def test_a_killed_learner_loses_nothing(shell: Shell) -> None:
    run = shell.folder / "run"
    process = shell.start("train", "pick_cube_state", "--out", run, *TINY, "--goal.max-env-steps", 5000)
    until(lambda: train_steps(run) > 0)
    os.kill(child_of(process.pid, "learner"), signal.SIGKILL)
    output = process.communicate(timeout=90)[0]
    assert process.returncode == 1, output
    assert "the learner was killed by signal 9" in output
    assert f"Go on with: robot-hil train --resume {run}" in output
    shell.run("train", "--resume", run, "--goal.max-env-steps", train_steps(run) + 20)
    result = summary(run)
    assert (result["steps_lost"], result["steps_duplicated"]) == (0, 0)
    assert result["steps_logged"] == executed(run)


def test_one_process_gives_the_same_policy_in_one_go_and_in_two(shell: Shell) -> None:
    def policy(name: str) -> dict[str, np.ndarray]:
        return checkpoint.load_newest(shell.folder / name / "checkpoints").arrays["agent"]

    common = ("train", "pick_cube_state", *TINY, "--in-process", "--goal.max-env-steps")
    shell.run(*common, 130, "--out", "whole")
    shell.run(*common, 30, "--out", "parts")
    shell.run("train", "--resume", "parts", "--goal.max-env-steps", 130)
    whole = policy("whole")
    assert checkpoint.load_newest(shell.folder / "whole/checkpoints").state["counters"]["updates"] > 0
    assert all(np.array_equal(array, policy("parts")[name]) for name, array in whole.items())
    assert len([row for row in rows(shell.folder / "parts/actor.jsonl") if row["phase"] == "eval"]) == 2
    assert summary(shell.folder / "parts")["eval_episodes"] == 1


def test_recorded_demonstrations_start_a_run_and_its_policy_is_evaluated(shell: Shell) -> None:
    output = shell.run("record", "pick_cube_state", "--demos", 3, "--out", "demos")
    assert "demos holds 3 demonstrations" in output
    shell.run(
        "train", "pick_cube_state", *TINY, "--in-process", "--goal.max-env-steps", 30, "--out", "run",
        "--demos-from", "demos",
    )  # fmt: skip
    result = summary(shell.folder / "run")
    assert result["demos"] == 3
    assert result["steps_logged"] == executed(shell.folder / "run")
    output = shell.run("eval", "run", "--episodes", 1)
    assert "of 1 succeeded" in output
    output = shell.run("eval", "run/checkpoints/checkpoint-000001", "--episodes", 1)
    assert "checkpoint-000001" in output
    output = shell.run("report", "run", "run", "--out", "both.png")
    assert "pick_cube_state" in output
    assert (shell.folder / "both.png").stat().st_size > 0


def test_any_gymnasium_environment_can_be_trained(shell: Shell) -> None:
    shell.run(
        "train", "pick_cube_state", "--env", "Pendulum-v1", "--agent.hidden", 32, 32, "--learner.start-after", 20,
        "--learner.rounds-per-step", 0.1, "--goal.max-env-steps", 100, "--eval-episodes", 1, "--in-process",
        "--out", "run",
    )  # fmt: skip
    assert summary(shell.folder / "run")["env_steps"] == 200  # one episode


EASY = """
import gymnasium, numpy as np

class Easy(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(-1, 1, (2,), np.float32)
    action_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.left = 3
        return np.zeros(2, np.float32), {}

    def step(self, action):
        self.left -= 1
        done = self.left == 0
        return np.zeros(2, np.float32), float(done), done, False, {"success": done}

gymnasium.register("Easy-v0", Easy, max_episode_steps=10)
"""


@pytest.mark.parametrize("process", [(), ("--in-process",)])
def test_training_ends_with_a_check_that_is_no_training(shell: Shell, process: tuple[str, ...]) -> None:
    (shell.folder / "easy.py").write_text(EASY)
    shell.run(
        "train", "pick_cube_state", "--env", "easy:Easy-v0", "--agent.hidden", 32, 32, "--learner.start-after", 20,
        "--goal.settle-episodes", 2, "--goal.check-episodes", 4, "--eval-episodes", 1, "--out", "run", *process,
    )  # fmt: skip
    run = shell.folder / "run"
    phases = [row["phase"] for row in rows(run / "actor.jsonl")]
    assert phases == ["train"] * 22 + ["check"] * 4 + ["eval"]
    assert len({row["policy_version"] for row in rows(run / "actor.jsonl") if row["phase"] == "check"}) == 1
    result = summary(run)
    assert result["env_steps"] == 22 * 3
    assert result["steps_logged"] == executed(run)
    assert result["extras"]["checks"] == 4  # type: ignore[index]
