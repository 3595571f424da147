"""One log, recorded once, teaches by every method; a relearnt run can be stopped, gone on with and evaluated."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli.runs import run_here
from cli.shell import Shell, interrupt, rows, until

from robot_hil.cli.main import main
from robot_hil.cli.relearn import Job, Relearning, _parsed
from robot_hil.cli.runfolder import RunFolder
from robot_hil.data.step import Segment
from robot_hil.envs.base import spec_of
from robot_hil.errors import ConfigError
from robot_hil.experiments import registry as experiments
from robot_hil.experiments.base import Experiment
from robot_hil.learner import checkpoint
from robot_hil.methods import registry
from robot_hil.replay.step_log import StepLog

pytestmark = pytest.mark.xdist_group("one log")
TASK = experiments.get("peg_slot")
SIZE: dict[str, Any] = {"hidden": (8,)}


def record(folder: Path, *, person: str = "peg_slot", demos: int = 2) -> Path:
    """Make a run of a few episodes in which a person helps; returns its folder."""
    experiment = replace(
        TASK,
        demos=demos,
        backend="torch",
        person=replace(TASK.person, expert=person, patience_steps=3),
        agent=replace(TASK.agent, **SIZE),
        learner=replace(TASK.learner, clone_updates=2, batch_size=8, rounds_per_step=0.01, capacity=500),
        goal=replace(TASK.goal, max_env_steps=150),
    )
    return run_here(experiment, folder)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record(tmp_path_factory.mktemp("relearn") / "run")


@pytest.fixture(scope="module")
def nobody(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run without a person."""
    return record(tmp_path_factory.mktemp("relearn") / "alone", person="none", demos=0)


def small(experiment: Experiment) -> Experiment:
    """Return it with small networks and batches."""
    learner = replace(experiment.learner, batch_size=8, clone_batch_size=8, clone_updates=2, capacity=500, prefetch=0)
    learner = replace(learner, critic_warmup=min(2, learner.critic_warmup))
    return replace(experiment, backend="torch", agent=replace(experiment.agent, **SIZE), learner=learner)


def job_of(name: str, log: Path, steps: int = 3) -> Job:
    return Job(experiment=small(TASK.taught_by(registry.get(name))), method=name, source=log, steps=steps, seed=7)


def learn(job: Job, folder: Path) -> Relearning:
    run = RunFolder(folder)
    learning = Relearning(job, run)
    run.path.mkdir(exist_ok=True)
    learning.run(lambda: False, lambda name, done, of: None)
    return learning


def test_the_log_has_what_every_method_could_need(log: Path) -> None:
    with StepLog(log / "steps") as opened:
        steps = list(opened.steps())
    online = [step for step in steps if step.segment is not Segment.DEMO]
    assert {step.is_human for step in online} == {True, False}
    assert any(step.onset for step in online)
    assert all(np.isfinite(step.action_policy).all() for step in online)
    assert sum(step.is_last for step in steps if step.segment is Segment.DEMO) == 2
    assert any(step.reward.get("env", 0) > 0 for step in steps)


@pytest.mark.parametrize("name", registry.names())
def test_one_log_teaches_by_every_method(name: str, log: Path, tmp_path: Path) -> None:
    job = job_of(name, log)
    learning = learn(job, tmp_path)
    learner = learning.learner
    assert learner.replay.sizes["demo"] > 0
    assert learner.replay.sizes["intervention"] > 0
    written = rows(tmp_path / "learner.jsonl")
    assert written[-1]["updates"] == 3 * learner.agent.updates_per_round
    assert np.isfinite(list(written[-1]["losses"].values())).all()
    saved = checkpoint.load_newest(tmp_path / "checkpoints")
    agent = learner.agent
    fresh = agent.load(agent.init(learner_spec(job), 0), saved.arrays["agent"])
    obs = {n: s.sample(np.random.default_rng(0)) for n, s in learner_spec(job).observation.items()}
    action = agent.act(agent.load_actor(agent.actor_params(fresh)), obs, True, np.random.default_rng(0))
    assert action.shape == (2,)
    assert np.isfinite(action).all()


def learner_spec(job: Job) -> Any:
    from robot_hil.cli import compose

    env = compose.make_env(job.experiment)
    try:
        return spec_of(env)
    finally:
        env.close()


@pytest.mark.parametrize("name", [n for n in registry.names() if registry.get(n).needs])
def test_a_log_without_what_a_method_needs_is_refused(name: str, nobody: Path, tmp_path: Path) -> None:
    job = job_of(name, nobody)
    with pytest.raises(ConfigError, match=rf"alone cannot be learnt from by {name}: it holds no "):
        Relearning(job, RunFolder(tmp_path))
    assert not list(tmp_path.iterdir())


def test_a_run_gone_on_with_is_the_run_not_stopped(log: Path, tmp_path: Path) -> None:
    whole = learn(job_of("hil_serl", log, 6), tmp_path / "whole")
    first = learn(job_of("hil_serl", log, 2), tmp_path / "parts")
    assert first.trained
    second = learn(job_of("hil_serl", log, 6), tmp_path / "parts")
    one, other = whole.learner.export()[0], second.learner.export()[0]
    assert all(np.array_equal(one[name], other[name]) for name in one)


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Shell]:
    shell = Shell(tmp_path, [])
    yield shell
    for process in shell.started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def test_from_the_command_line(outside: Shell, log: Path) -> None:
    out = outside.folder / "out"
    numbers = ("--agent.hidden", 8, "--learner.clone-updates", 2, "--eval-episodes", 1, "--backend", "torch")
    process = outside.start("relearn", log, "--method", "bc", "--steps", 10**7, "--seed", 7, "--out", out, *numbers)
    until(lambda: bool(rows(out / "learner.jsonl")))
    output = interrupt(process)
    assert process.returncode == 130, output
    assert output.splitlines()[-1] == f"Stopped and saved. Go on with: robot-hil relearn --resume {out}"
    done = checkpoint.load_newest(out / "checkpoints").state["rounds_done"]
    assert done > 0
    output = outside.run("relearn", "--resume", out, "--steps", done + 5)
    assert "bc: " in output
    result = json.loads((out / "relearn.json").read_text())
    assert (result["method"], result["steps"], result["episodes"], result["seed"]) == ("bc", done + 5, 1, 7)
    assert result["log"] == str(log.resolve())
    assert "of 2 succeeded" in outside.run("eval", out, "--episodes", 2)


def test_a_log_outlives_the_numbers_and_the_method_of_its_run(log: Path, tmp_path: Path) -> None:
    """Of another version's run only the task counts: what no longer exists is no hindrance, what it says is taken."""
    old = tmp_path / "old"
    shutil.copytree(log, old)
    config = json.loads((old / "config.json").read_text())
    config["experiment"]["agent"]["gone"] = 1
    config["experiment"]["demos"] = 5
    config["argv"] += ["--method", "gone", "--agent.gone", "1"]
    (old / "config.json").write_text(json.dumps(config))
    job, _, stored = _parsed([str(old), "--method", "bc"])
    assert (job.experiment.demos, job.experiment.person.patience_steps) == (5, 3)
    assert stored == ["peg_slot", "--method", "bc"]


def test_what_cannot_work_is_said(log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = RunFolder(tmp_path / "out")
    run.create(small(TASK.taught_by(registry.get("bc"))), ["peg_slot", "--method", "bc"], 0)
    (run.path / "relearn.json").write_text(json.dumps({"log": str(log), "method": "bc", "steps": 3}))
    for arguments, code, said in (
        (["--resume", run.path, "--method", "bc"], 2, "takes --steps alone"),
        (["--resume", run.path, "--steps", "many"], 2, "'many'"),
        (["--resume", log], 1, "relearn.json cannot be read"),
        ([log], 2, "--method NAME"),
        (["--method", "bc"], 2, "relearn needs a run folder"),
        ([log, "--method", "sac"], 2, "Choose one of: anchored"),
        ([log, "--method", "bc", "--agent.hidden", "-3", "--steps", "x"], 2, "--steps"),
        ([tmp_path, "--method", "bc"], 1, "is no run folder"),
        ([run.path, "--method", "bc"], 1, "has no step log"),
    ):
        try:
            found = main(["relearn", *map(str, arguments)])
        except SystemExit as stop:  # tyro's own
            found = stop.code
        told = capsys.readouterr()
        assert (found, said in told.out + told.err) == (code, True), (arguments, found, told)
