"""A critic of progress: trained from a run, checked, and at work in another."""

import shutil

from cli.reward import seen
from cli.shell import Shell

from robot_hil.replay.step_log import StepLog

RUN = (
    "pick_cube", "--env", "seen:Seen-v0", "--agent.hidden", 16, 16, "--learner.start-after", 10**6, "--eval-episodes",
    1, "--in-process",
)  # fmt: skip


def test_a_run_is_rewarded_by_the_progress_it_shows(shell: Shell) -> None:
    shutil.copy(str(seen.__file__), shell.folder / "seen.py")
    shell.run("train", *RUN, "--goal.max-env-steps", 60, "--out", "first")
    output = shell.run(
        "reward", "progress", "first", "--out", "critic", "--members", 2, "--updates", 30, "--image-size", 12,
        "--filters", 4, "--strides", 2, "--hidden", 16, "--shift", 0, "--false-positive-rate", 0.2,
    )  # fmt: skip
    assert "Value and time agree" in output
    limits = [
        w
        for name in ("false-positive", "false-negative", "false-episodes", "missed-episodes")
        for w in (f"--max-{name}", "1")
    ]
    assert "PASS" in shell.run("reward", "check", "critic", "first", *limits)
    output = shell.run("reward", "train", "first", "--out", "critic", code=1)
    assert "choose another --out" in output
    shell.run("train", *RUN, "--goal.max-env-steps", 30, "--reward-model", "critic", "--out", "dense")
    with StepLog(shell.folder / "dense/steps") as log:
        steps = list(log.steps())
    assert all("progress" in step.reward for step in steps)
    episode = [step.reward["progress"] for step in steps if step.episode_id == steps[0].episode_id]
    assert sum(episode) <= 1.0 + 1e-6, "an episode earns what it ends with"
    assert {step.reward["classifier"] for step in steps if "classifier" in step.reward} <= {1.0}
