"""When training ends; and that a folder belongs to one process at a time."""

from pathlib import Path

import pytest

from robot_hil.cli.goal import GoalTracker
from robot_hil.cli.runfolder import RunFolder, next_free
from robot_hil.errors import ConfigError
from robot_hil.experiments.base import Goal
from robot_hil.report.metrics import EpisodeRow, JsonlSink


def row(number: int, steps: int = 20, **values: object) -> EpisodeRow:
    defaults: dict[str, object] = {
        "t_wall_s": 10.0 * number, "env_steps": 20 * number, "episode_id": number, "steps": steps, "success": True,
        "human_steps": 0, "interventions": 0, "phase": "train",
    }  # fmt: skip
    return EpisodeRow(**(defaults | values))  # type: ignore[arg-type]


def test_goal_needs_a_full_window_then_settles() -> None:
    tracker = GoalTracker(Goal(settle_episodes=3, cycle_ratio=0.0, check_episodes=0))
    for number in range(1, 23):
        tracker.add(row(number))
        assert not tracker.done()
    tracker.add(row(23))
    assert tracker.done() == "goal reached"


def test_a_slow_policy_goes_on() -> None:
    goal = Goal(settle_episodes=0, cycle_ratio=0.5, check_episodes=0)
    demos = [row(0, 30, phase="demo")]
    assert not GoalTracker(goal, [*demos, *(row(i, 20) for i in range(1, 30))]).done()
    assert GoalTracker(goal, [*demos, *(row(i, 15) for i in range(1, 30))]).done() == "goal reached"


def test_training_ends_after_checks_that_all_succeed() -> None:
    tracker = GoalTracker(Goal(settle_episodes=0, cycle_ratio=0.0, check_episodes=3))
    for number in range(1, 21):
        assert not tracker.check_due()
        tracker.add(row(number))
    for number in range(21, 24):
        assert tracker.check_due()
        assert not tracker.done()
        tracker.add(row(number, phase="check", env_steps=400))
    assert tracker.done() == "goal reached"
    assert not tracker.check_due()


def test_successes_that_were_none_do_not_end_training() -> None:
    goal = Goal(settle_episodes=0, cycle_ratio=0.0, check_episodes=0)
    tracker = GoalTracker(goal, [row(i) for i in range(1, 21)])
    assert tracker.done() == "goal reached"
    for number in (7, 20):
        tracker.contradict(number)
    assert tracker.done() == "", "18 of 20 are not 95 %"
    tracker.contradict(99)  # an episode that nobody knows changes nothing
    for number in range(21, 41):
        tracker.add(row(number))
    assert tracker.done() == "goal reached"


def test_a_check_that_only_seemed_to_succeed_has_failed() -> None:
    goal = Goal(settle_episodes=0, cycle_ratio=0.0, check_episodes=2, check_pause=4)
    tracker = GoalTracker(goal, [row(i) for i in range(1, 21)])
    tracker.add(row(21, phase="check", env_steps=400))
    tracker.contradict(21)
    assert not tracker.check_due(), "training goes on for a while first"
    assert not tracker.done()


def test_a_failed_check_goes_back_to_training_for_a_while() -> None:
    goal = Goal(settle_episodes=0, cycle_ratio=0.0, check_episodes=2, check_pause=4)
    tracker = GoalTracker(goal, [row(i) for i in range(1, 21)])
    tracker.add(row(21, phase="check", env_steps=400))
    tracker.add(row(22, phase="check", env_steps=400, success=False))
    for number in range(23, 27):
        assert not tracker.check_due()
        tracker.add(row(number))
    assert tracker.check_due()
    tracker.add(row(27, phase="check", env_steps=520))
    assert not tracker.done()  # successes of the earlier check do not count
    tracker.add(row(28, phase="check", env_steps=520))
    assert tracker.done() == "goal reached"


def test_a_check_must_be_as_fast_too() -> None:
    goal = Goal(settle_episodes=0, cycle_ratio=0.5, check_episodes=2)
    demos = [row(0, 40, phase="demo")]
    trained = GoalTracker(goal, [*demos, *(row(i, 20) for i in range(1, 21))])
    for steps in (22, 20):
        assert trained.check_due()
        trained.add(row(30, steps, phase="check"))
    assert not trained.done()
    assert not trained.check_due()


def test_no_check_of_a_policy_that_needs_help() -> None:
    tracker = GoalTracker(Goal(settle_episodes=0, cycle_ratio=0.0), [row(i) for i in range(1, 21)])
    assert tracker.check_due()
    for number in (21, 22):
        tracker.add(row(number, human_steps=1))
    assert not tracker.check_due()


@pytest.mark.parametrize("name", ["settle_episodes", "cycle_ratio", "check_episodes", "check_pause"])
def test_a_goal_below_nothing_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"goal\.{name} is -1"):
        Goal(**{name: -1})  # type: ignore[arg-type]


def test_limits_end_training_in_any_case() -> None:
    failures = [row(i, success=False) for i in range(1, 11)]
    assert not GoalTracker(Goal(max_env_steps=201), failures).done()
    assert "200 env steps" in GoalTracker(Goal(max_env_steps=200), failures).done()
    assert "90 s of training" in GoalTracker(Goal(max_train_s=90), failures).done()


def test_a_goal_reached_in_an_earlier_session_counts() -> None:
    rows = [*(row(i) for i in range(1, 21)), *(row(i, success=False) for i in range(21, 24))]
    tracker = GoalTracker(Goal(settle_episodes=3, cycle_ratio=0.0, check_episodes=0), rows)
    assert not tracker.done()  # the policy of now is worse than that of the goal
    for number in range(24, 43):
        tracker.add(row(number))
    assert tracker.done() == "goal reached"


def test_a_folder_has_one_process_of_a_kind(tmp_path: Path) -> None:
    first = RunFolder(tmp_path)
    first.lock("learner")
    with pytest.raises(ConfigError, match="another process is its learner"):
        RunFolder(tmp_path).lock("learner")
    other = RunFolder(tmp_path)
    other.lock("actor")
    first.unlock()
    other.lock("learner")
    other.unlock()


def test_the_clock_goes_on_where_the_last_session_stopped(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    with JsonlSink(run.actor_rows) as rows:
        rows.write(row(7))
    assert 70.0 <= run.now() < 75.0
    other = RunFolder(tmp_path)
    other.start_clock(run.start_clock())
    assert abs(other.now() - run.now()) < 1.0


def test_the_next_free_folder(tmp_path: Path) -> None:
    assert next_free(tmp_path, "demo").name == "demo-1"
    (tmp_path / "demo-1").mkdir()
    assert next_free(tmp_path, "demo").name == "demo-2"
