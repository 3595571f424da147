"""Labels in whole runs: a training obeys them at once and when it is resumed, and bad demonstrations stay behind."""

from pathlib import Path

import numpy as np
import pytest
from cli.shell import TINY, Shell, interrupt, rows, until

from robot_hil.cli.runfolder import RunFolder
from robot_hil.data.labels import EpisodeKey, LabelRow, Verdict
from robot_hil.learner import checkpoint
from robot_hil.replay.step_log import StepLog
from robot_hil.report.labels import write_label


def say(run: Path, key: EpisodeKey, verdict: Verdict) -> None:
    actor_id, epoch, episode_id = key
    write_label(run, LabelRow(actor_id=actor_id, epoch=epoch, episode_id=episode_id, verdict=verdict))


def lengths(run: Path) -> dict[EpisodeKey, int]:
    with StepLog(run / "steps") as log:
        keys = [(step.actor_id, step.epoch, step.episode_id) for step in log.steps()]
    return {key: keys.count(key) for key in keys}


def demo_rows(run: Path) -> int | None:
    """Rows of demonstrations in the replay, as the learner told last; None before its first row."""
    told = rows(run / "learner.jsonl")
    return told[-1]["replay"]["demo"] if told else None


def test_a_running_training_obeys_and_the_log_keeps_the_facts(shell: Shell) -> None:
    run = shell.folder / "run"
    process = shell.start("train", "pick_cube_state", "--out", run, *TINY, "--goal.max-env-steps", 5000)
    until(lambda: any(row["phase"] == "train" for row in rows(run / "actor.jsonl")))
    recorded = [row for row in rows(run / "actor.jsonl") if row["phase"] == "demo"]
    demos, first = sum(row["steps"] for row in recorded), recorded[0]
    until(lambda: demo_rows(run) == demos)  # the learner writes about a row per second, the actor may be ahead of it
    say(run, ("actor", 1, first["episode_id"]), Verdict.DISCARD)
    until(lambda: demo_rows(run) == demos - first["steps"])
    until((run / "values.json").exists)
    output = interrupt(process)
    assert process.returncode == 130, output
    assert lengths(run)["actor", 1, first["episode_id"]] == first["steps"]
    say(run, ("actor", 1, first["episode_id"]), Verdict.NONE)
    steps = max(row["env_steps"] for row in rows(run / "actor.jsonl"))
    shell.run("train", "--resume", run, "--goal.max-env-steps", steps + 20)
    assert demo_rows(run) == demos


@pytest.mark.parametrize("verdict", [Verdict.DISCARD, Verdict.FAIL])
def test_rejected_demonstrations_stay_behind(verdict: Verdict, shell: Shell) -> None:
    shell.run("record", "pick_cube_state", "--demos", 3, "--out", "demos")
    source, run = shell.folder / "demos", shell.folder / "run"
    keys = list(lengths(source))
    say(source, keys[1], verdict)
    say(source, keys[2], Verdict.SUCCESS)
    common = ("train", "pick_cube_state", *TINY, "--demos", 2, "--in-process", "--demos-from", "demos")
    shell.run(*common, "--goal.max-env-steps", 30, "--out", "run")
    kept = [row for row in RunFolder(run).episodes() if row.phase == "demo"]
    recorded = lengths(source)
    assert [row.steps for row in kept] == [recorded[keys[0]], recorded[keys[2]]]
    found = {key: count for key, count in lengths(run).items() if key[0] == "demos"}
    assert found == {("demos", 1, row.episode_id): row.steps for row in kept}
    for key in keys:
        say(source, key, Verdict.DISCARD)
    output = shell.run(*common, "--out", "other", code=1)
    assert "no demonstrations that were not rejected afterwards" in output


def test_labels_that_come_late_teach_what_a_resumed_run_sees(shell: Shell) -> None:
    """In one process: the policy of a run that is stopped, labelled and resumed is the same every time."""
    policies = []
    for name in ("a", "b"):
        run = shell.folder / name
        common = ("train", "pick_cube_state", *TINY, "--in-process", "--out", run)
        shell.run(*common, "--goal.max-env-steps", 30)
        for episode, verdict in ((0, Verdict.DISCARD), (3, Verdict.FAIL)):
            say(run, ("actor", 1, episode), verdict)
        shell.run("train", "--resume", run, "--goal.max-env-steps", 90)
        policies.append(checkpoint.load_newest(run / "checkpoints").arrays["agent"])
    assert all(np.array_equal(array, policies[1][name]) for name, array in policies[0].items())
