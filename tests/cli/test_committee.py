"""A committee of imitators: made of a run, kept with it, judges new demonstrations and may leave some out."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cli.runs import signals_kept
from cli.shell import Shell, rows

from robot_hil.actor.seeding import Stream
from robot_hil.cli import against, committee, compose, supervise
from robot_hil.cli.against import Against
from robot_hil.cli.committee_make import CommitteeOptions, alarms, calibrated, make
from robot_hil.cli.episodes import demonstrations
from robot_hil.cli.main import main
from robot_hil.cli.record import adopt, record
from robot_hil.cli.relearn import Job, Relearning
from robot_hil.cli.robot import Robot
from robot_hil.cli.runfolder import RunFolder
from robot_hil.data.step import Step
from robot_hil.envs.base import spec_of
from robot_hil.errors import ConfigError, SpecError, StorageError
from robot_hil.experiments import registry
from robot_hil.experiments.base import Experiment
from robot_hil.help.autonomy import AutonomyConfig
from robot_hil.help.compatibility import Compatibility
from robot_hil.help.conformal import Calibration
from robot_hil.methods import bc

pytestmark = pytest.mark.xdist_group("committee")
PILLAR = registry.get("reach_pillar")


def task(expert: str, demos: int) -> Experiment:
    return replace(
        PILLAR,
        demos=demos,
        backend="torch",
        person=replace(PILLAR.person, expert=expert),
        agent=replace(PILLAR.agent, hidden=(16,)),
        learner=replace(PILLAR.learner, batch_size=64, clone_batch_size=8, clone_updates=2, capacity=2000),
    )


def recorded(folder: Path, expert: str, demos: int, judge: Path | None = None, seed: int = 100) -> Path:
    """Record demonstrations in one style."""
    experiment, run = task(expert, demos), RunFolder(folder)
    run.create(experiment, ["reach_pillar"], seed)
    with signals_kept():
        record(experiment, run, seed, against=None if judge is None else Against(judge, run))
    return folder


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten demonstrations over the pillar, and a committee of three."""
    folder = recorded(tmp_path_factory.mktemp("committee") / "base", "reach_over", 10)
    make(folder, CommitteeOptions(members=3, updates=300))
    return folder


@pytest.fixture(scope="module")
def under(tmp_path_factory: pytest.TempPathFactory, base: Path) -> Path:
    return recorded(tmp_path_factory.mktemp("committee") / "under", "reach_under", 3, base, 101)


@pytest.fixture(scope="module")
def over(tmp_path_factory: pytest.TempPathFactory, base: Path) -> Path:
    return recorded(tmp_path_factory.mktemp("committee") / "over", "reach_over", 3, base, 102)


def episodes(folder: Path) -> list[list[Step]]:
    return [list(episode) for episode in demonstrations(RunFolder(folder)).values()]


def test_another_style_scores_below_the_known_one(base: Path, over: Path, under: Path) -> None:
    scores = {f: [row["score"] for row in rows(f / against.ROWS_FILE)] for f in (over, under)}
    assert [len(found) for found in scores.values()] == [3, 3]
    assert np.mean(scores[over]) > np.mean(scores[under])
    members = committee.load(base)
    assert [members.judge(episode).score for episode in episodes(over)] == pytest.approx(scores[over])


def test_a_committee_that_was_loaded_is_the_one_that_was_made(base: Path, tmp_path: Path) -> None:
    loaded = committee.load(base)
    step = episodes(base)[0][0]
    assert loaded.actions([step.obs]).shape == (3, 1, 2)
    loaded.begin_episode()
    p, words = loaded.reliability(step.obs, None)
    assert 0 < p <= 1
    assert words
    assert 0 <= loaded.calibration_error < 0.5
    assert loaded.trigger.low <= AutonomyConfig().low


def test_what_does_not_fit_may_be_left_out(
    base: Path, under: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = committee.load(base)
    scores = sorted(members.judge(episode).score for episode in episodes(under))
    monkeypatch.setattr("robot_hil.help.compatibility.judge.__defaults__", ((scores[0] + scores[1]) / 2,))
    assert len(committee.incompatible(under, members)) == 1
    run = RunFolder(tmp_path / "run")
    run.path.mkdir()
    assert adopt(under, task("reach_over", 2), run, compatible_with=base) == 2
    job = Job(experiment=task("reach_over", 2).taught_by(bc.METHOD), method="bc", source=under, steps=1, seed=0)
    everything = Relearning(job, RunFolder(tmp_path)).learner.replay.sizes["demo"]
    fitting = Relearning(replace(job, compatible_with=base), RunFolder(tmp_path)).learner.replay.sizes["demo"]
    lengths = sorted(len(episode) for episode in episodes(under))
    assert everything - fitting in lengths


def test_too_few_demonstrations_make_no_committee(under: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds 3 demonstrations; a committee needs 8"):
        make(under, CommitteeOptions())
    with pytest.raises(StorageError, match="has no committee; make one: robot-hil committee"):
        committee.load(under)
    with pytest.raises(ConfigError, match="members is 1"):
        CommitteeOptions(members=1)


def test_a_committee_of_another_task_is_refused(base: Path) -> None:
    env = compose.make_env(registry.get("peg_slot"))
    with pytest.raises(SpecError, match="Make one of a run of this task"):
        committee.same_task(committee.load(base), spec_of(env), base)
    env.close()


@pytest.mark.parametrize("more", [(), ("--in-process",)])
def test_it_is_refused_before_anything_is_made(
    base: Path, more: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "made"
    asked = ["train", "peg_slot", "--backend", "torch", "--committee", str(base), "--out", str(out), *more]
    assert main(asked) == 1
    assert "Make one of a run of this task" in capsys.readouterr().err
    assert not out.exists()


def test_the_trigger_keeps_false_alarms_rare() -> None:
    rng = np.random.default_rng(0)
    nominal = [(rng.normal(size=40), rng.normal(size=40)) for _ in range(40)]
    config = calibrated(nominal, 0.1)
    fresh = Calibration(nominal)
    wrong = [alarms(fresh.p(rng.normal(size=40), rng.normal(size=40)), config, 0.1) for _ in range(100)]
    assert np.mean(wrong) <= 0.15
    shifted = [alarms(fresh.p(rng.normal(size=40) + 6, rng.normal(size=40)), config, 0.1) for _ in range(20)]
    assert np.mean(shifted) > 0.9


def test_words_say_what_to_look_at() -> None:
    good = Compatibility(score=0.93, accepted=True, novel=0.0, worst=())
    bad = Compatibility(score=0.41, accepted=False, novel=0.2, worst=((3, 13), (20, 30)))
    assert against.in_words(good) == "fits: 93% like what is known"
    assert (
        against.in_words(bad)
    ) == "does not fit: 41% like what is known, 20% in new places; look at steps 3 to 13, 20 to 30"


def test_from_the_command_line(shell: Shell, base: Path) -> None:
    small = ("--backend", "torch", "--agent.hidden", 16)
    out = shell.run("record", "reach_pillar", "--demos", 1, "--out", "new", "--against", base, *small)
    assert "fits: " in out or "does not fit: " in out
    assert json.loads((shell.folder / "new" / against.ROWS_FILE).read_text())["against"] == str(base)
    assert "needs a run folder" in shell.run("committee", code=2)


def test_a_robot_asks_for_help_where_it_is_unsure_and_the_person_comes(base: Path, tmp_path: Path) -> None:
    """The person watches for nothing, and the policy knows nothing: whoever drives was called."""
    made = task("reach_over", 0)
    experiment = replace(made, committee=str(base), person=replace(made.person, gate="never"))
    agent = compose.make_agent(experiment)
    run = RunFolder(tmp_path)
    robot = Robot(experiment, run, agent, 100)
    robot.policy.set_params(0, agent.load_actor(agent.actor_params(agent.init(robot.spec, 0))))
    robot.start()
    rowed = [robot.run(Stream.TRAIN, episode) for episode in range(3)]
    alone = robot.run(Stream.EVAL, 9)
    robot.close()
    changes = rows(tmp_path / supervise.ROWS_FILE)
    assert {0, 2} <= {row["level"] for row in changes}
    assert all(row["episode_id"] < 3 for row in changes)
    helped = {row["episode_id"] for row in changes if row["level"] == 0 and row["step"] < 45}
    assert helped
    assert all(row is not None and row.human_steps > 0 for row in rowed if row is None or row.episode_id in helped)
    assert alone is not None
    assert alone.human_steps == 0
    assert "the robot" in robot.message
