"""A robot that asks by its own gate, or proposes and waits for approval; and what is refused beforehand."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cli.shell import Shell, rows

from robot_hil.actor.seeding import Stream
from robot_hil.cli import compose, supervise
from robot_hil.cli.main import main
from robot_hil.cli.robot import Robot
from robot_hil.cli.runfolder import RunFolder
from robot_hil.data.specs import Array, Observation
from robot_hil.errors import ConfigError
from robot_hil.experiments import registry
from robot_hil.experiments.base import Experiment
from robot_hil.help.asking import AskConfig
from robot_hil.help.autonomy import AutonomyConfig, Level
from robot_hil.methods import registry as methods

TASK = registry.get("peg_slot")
SMALL = (
    "--backend", "torch", "--agent.hidden", 8, "--demos", 1, "--learner.clone-updates", 2, "--learner.batch-size", 8,
    "--learner.rounds-per-step", 0.01, "--eval-episodes", 1, "--in-process",
)  # fmt: skip


def test_a_robot_that_asks_by_itself_from_the_command_line(shell: Shell) -> None:
    """The person watches for nothing: who drives was called."""
    asked = ("--method", "thrifty", "--ask.by", "thrifty", "--ask.budget", 0.3, "--person.gate", "never")
    shell.run("train", "peg_slot", *asked, *SMALL, "--goal.max-env-steps", 330, "--out", "run")
    changes = rows(shell.folder / "run" / supervise.ROWS_FILE)
    calls = [row for row in changes if row["level"] == Level.HELD]
    assert calls
    assert {row["cause"] for row in calls} <= {"success is unlikely", "the imitators disagree on what to do"}
    assert "a person drove" in {row["cause"] for row in changes}
    episodes = [row for row in rows(shell.folder / "run" / "actor.jsonl") if row["phase"] == "train"]
    assert min(row["episode_id"] for row in calls) > episodes[0]["episode_id"]  # at first it knows nothing of itself
    helped = {row["episode_id"] for row in episodes if row["human_steps"]}
    assert helped
    assert helped <= {row["episode_id"] for row in calls}


class Unsure:
    """Reliable enough to act, not to act alone."""

    def begin_episode(self) -> None:
        self.step = 0

    def reliability(self, obs: Observation, executed: Array | None, driven: bool = False) -> tuple[float, str]:
        self.step += 1
        return 0.03, "all is strange"


def robot_of(experiment: Experiment, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Robot:
    """A robot whose policy goes straight down, watched by `Unsure`."""
    agent = compose.make_agent(experiment)
    robot = Robot(experiment, RunFolder(folder), agent, 100)
    trigger = AutonomyConfig(smooth_s=0.0, dwell_s=0.3)
    robot.supervision = supervise.Supervision(robot, Unsure(), trigger, robot._clock)
    robot._let_people_come(None)
    robot.policy.set_params(0, agent.load_actor(agent.actor_params(agent.init(robot.spec, 0))))
    monkeypatch.setattr(agent, "act", lambda params, obs, deterministic, rng: np.float32([0.0, -1.0]))
    robot.start()
    return robot


@pytest.mark.parametrize(("approve", "levels"), [(False, {2, 0}), (True, {2, 1})])
def test_a_person_approves_of_what_goes_the_right_way_and_drives_else(
    approve: bool, levels: set[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = replace(TASK.person, gate="never", profile="competent")
    experiment = replace(TASK, backend="torch", person=person, ask=AskConfig(by="thrifty", approve=approve))
    monkeypatch.setattr("robot_hil.cli.robot.supervision_of", lambda *given: None)
    robot = robot_of(experiment, tmp_path, monkeypatch)
    taken: list[bool] = []
    robot.sink = lambda step: taken.append(step.is_human)
    robot.run(Stream.TRAIN, 0)
    robot.close()
    changes = rows(tmp_path / supervise.ROWS_FILE)
    assert {row["level"] for row in changes} >= levels
    assert any(taken)  # down is not the way while the slot is elsewhere


@pytest.mark.parametrize(
    ("options", "words"),
    [(("--ask.approve",), "has nothing that says when: give --committee RUN, or --ask.by thrifty"),
     (("--ask.per-minute", "3"), "has nothing that says when"),
     (("--ask.by", "thrifty"), "needs an agent that foresees success, which anchored does not: add --method thrifty"),
     (("--ask.by", "thrifty", "--method", "thrifty", "--committee", "x"), "leave out --committee x"),
     (("--committee", "nowhere"), "nowhere has no committee; make one: robot-hil committee nowhere")],
)  # fmt: skip
@pytest.mark.parametrize("more", [(), ("--in-process",)])
def test_what_does_not_work_together_is_refused_before_anything_is_made(
    options: tuple[str, ...], words: str, more: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "made"
    assert main(["train", "peg_slot", "--backend", "torch", "--out", str(out), *options, *more]) == 1
    assert words in capsys.readouterr().err
    assert not out.exists()


def test_numbers_of_asking_that_cannot_be_are_refused() -> None:
    for wrong in ({"budget": 0.7}, {"per_minute": -1}):
        with pytest.raises(ConfigError, match="budget is"):
            AskConfig(**wrong)
    with pytest.raises(ConfigError, match="foresees success"):
        supervise.check_asking(replace(TASK, ask=AskConfig(by="thrifty")))
    supervise.check_asking(replace(TASK.taught_by(methods.get("thrifty")), ask=AskConfig(by="thrifty")))
