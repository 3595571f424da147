"""`actor` and `learner` as separate commands, with keys, in folders of their own."""

from cli.shell import TINY, Shell, rows, until

from robot_hil.cli.children import free_ports
from robot_hil.learner import checkpoint


def test_actor_and_learner_with_keys(shell: Shell) -> None:
    shell.run("keys", "run.keys")
    steps, weights = free_ports(2)
    common = (
        "pick_cube_state", *TINY, "--goal.max-env-steps", 30, "--keys", "run.keys",
        "--endpoint", f"tcp://127.0.0.1:{steps}", "--weights-endpoint", f"tcp://127.0.0.1:{weights}",
    )  # fmt: skip
    learner = shell.start("learner", *common, "--out", "learner")
    output = shell.run("actor", *common, "--out", "actor")
    assert "env steps made" in output
    output = learner.communicate(timeout=60)[0]
    assert learner.returncode == 0, output
    episodes = rows(shell.folder / "actor/actor.jsonl")
    online = max(row["env_steps"] for row in episodes)
    assert checkpoint.load_newest(shell.folder / "learner/checkpoints").state["counters"]["online_steps"] == online


def test_a_port_in_use_is_said_in_one_line(shell: Shell) -> None:
    steps, weights = free_ports(2)
    common = ("--endpoint", f"tcp://127.0.0.1:{steps}", "--weights-endpoint", f"tcp://127.0.0.1:{weights}")
    first = shell.start("learner", "pick_cube_state", *common, "--out", "first")
    until((shell.folder / "first/steps/lock").exists)
    output = shell.run("learner", "pick_cube_state", *common, "--out", "second", code=1)
    last = output.splitlines()[-1]
    assert last.startswith("robot-hil: ")
    assert str(steps) in last
    first.terminate()
    assert first.wait(timeout=60) == 0
