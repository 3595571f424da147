"""Windows, intervals and the summary of a run."""

import dataclasses
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_hil.errors import StorageError
from robot_hil.report.metrics import EpisodeRow, LearnerRow, Phase
from robot_hil.report.summary import (
    LogCounts,
    Summary,
    env_steps_to_goal,
    read_summary,
    summarize,
    wilson_interval,
    windows,
    write_summary,
)

PROMISED_FIELDS = (
    "experiment, observation, seed, env_steps, env_steps_to_95, wall_s, demos, human_steps, interventions, "
    "intervention_rate_last_20, success_rate, success_ci95, eval_episodes, cycle_steps, demo_cycle_steps, "
    "updates_per_s, utd, deadline_misses, steps_logged, steps_lost, steps_duplicated, extras"
)
LOG = LogCounts(steps_logged=100, steps_lost=0, steps_duplicated=0)


def episodes(*outcomes: tuple[bool, int], phase: Phase = "train", steps: int = 10) -> list[EpisodeRow]:
    """Return episodes of (success, human steps), ten steps each."""
    return [
        EpisodeRow(
            t_wall_s=float(number), env_steps=steps * number, episode_id=number, steps=steps, success=success,
            human_steps=human, interventions=int(human > 0), phase=phase,
        )
        for number, (success, human) in enumerate(outcomes, 1)
    ]  # fmt: skip


def test_goal_needs_a_full_window() -> None:
    assert env_steps_to_goal(episodes(*[(True, 0)] * 19)) is None
    assert env_steps_to_goal(episodes(*[(True, 0)] * 20)) == 200
    assert env_steps_to_goal(episodes(*[(True, 0)] * 30)) == 200


def test_goal_at_its_limits() -> None:
    one_failure = [(False, 0), *[(True, 0)] * 19]
    assert env_steps_to_goal(episodes(*one_failure)) == 200
    assert env_steps_to_goal(episodes((False, 0), *one_failure)) == 210
    ten_of_200_steps_human = [(True, 10), *[(True, 0)] * 19]
    assert env_steps_to_goal(episodes(*ten_of_200_steps_human)) == 200
    assert env_steps_to_goal(episodes((True, 1), *ten_of_200_steps_human[:-1])) is None


def test_success_with_much_help_is_not_the_goal() -> None:
    assert env_steps_to_goal(episodes(*[(True, 5)] * 40)) is None


def test_demonstrations_and_evaluation_do_not_count_for_the_goal() -> None:
    rows = (
        episodes(*[(True, 0)] * 15, phase="demo")
        + episodes(*[(True, 0)] * 19)
        + episodes(*[(True, 0)] * 9, phase="eval")
    )
    assert len(windows(rows)) == 19
    assert env_steps_to_goal(rows) is None


def test_window_values() -> None:
    window = windows(episodes((True, 0), (False, 5), (True, 5)))[-1]
    assert window.episodes == 3
    assert window.success_rate == pytest.approx(2 / 3)
    assert window.unaided_rate == pytest.approx(1 / 3)
    assert window.human_share == pytest.approx(1 / 3)
    assert window.cycle_steps == 10
    assert windows(episodes((False, 0)))[-1].cycle_steps is None


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [(50, 50, 0.9287, 1.0), (48, 50, 0.8654, 0.9890), (0, 50, 0.0, 0.0713), (5, 10, 0.2366, 0.7634), (0, 0, 0.0, 1.0)],
)
def test_wilson_interval_against_published_values(successes: int, trials: int, low: float, high: float) -> None:
    assert wilson_interval(successes, trials) == pytest.approx((low, high), abs=1e-4)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_interval_holds_the_estimate_and_is_symmetric(counts: tuple[int, int]) -> None:
    k, n = counts
    low, high = wilson_interval(k, n)
    assert 0 <= low <= k / n <= high <= 1
    mirrored = wilson_interval(n - k, n)
    assert (low, high) == pytest.approx((1 - mirrored[1], 1 - mirrored[0]), abs=1e-9)


@pytest.mark.parametrize(("k", "n"), [(-1, 3), (4, 3)])
def test_wilson_interval_refuses_impossible_counts(k: int, n: int) -> None:
    with pytest.raises(ValueError, match="0 <= successes <= trials"):
        wilson_interval(k, n)


def learner_row(t: float, updates: int) -> LearnerRow:
    return LearnerRow(t_wall_s=t, updates=updates, env_steps=updates // 2, updates_per_s=0.0, utd=2.0)


def test_summary_of_a_run() -> None:
    rows = [
        *episodes((True, 40), (True, 60), phase="demo", steps=50),
        *episodes(*[(False, 5)] * 5, *[(True, 0)] * 20),
        *episodes(*[(True, 0)] * 49, (False, 0), phase="eval", steps=25),
    ]
    learner = [learner_row(0, 0), learner_row(5, 0), learner_row(10, 100), learner_row(20, 300), learner_row(30, 300)]
    result = summarize(
        experiment="pick_cube", observation="state", seed=3, wall_s=99.0, episodes=rows, learner=learner, log=LOG,
        extras={"git_hash": "abc"},
    )  # fmt: skip
    assert result.env_steps == 250
    assert result.env_steps_to_95 == 240  # one failure is still in the window
    assert result.demos == 2
    assert (result.human_steps, result.interventions) == (25, 5)
    assert result.intervention_rate_last_20 == 0
    assert (result.success_rate, result.eval_episodes) == (0.98, 50)
    assert result.success_ci95 == wilson_interval(49, 50)
    assert (result.cycle_steps, result.demo_cycle_steps) == (25, 50)
    assert result.updates_per_s == pytest.approx(20.0)  # 300 updates in the 15 s that had any
    assert result.utd == 2.0


def test_summary_of_a_run_that_was_stopped_at_once() -> None:
    result = summarize(
        experiment="pick_cube", observation="pixels", seed=0, wall_s=1.0, episodes=[], learner=[],
        log=LogCounts(steps_logged=0, steps_lost=0, steps_duplicated=0),
    )  # fmt: skip
    assert result.env_steps == 0
    assert result.env_steps_to_95 is None
    assert result.success_rate is None
    assert result.updates_per_s is None


def test_summary_has_the_fields_that_others_rely_on() -> None:
    assert ", ".join(entry.name for entry in dataclasses.fields(Summary)) == PROMISED_FIELDS


def test_summary_comes_back(tmp_path: Path) -> None:
    result = summarize(
        experiment="pick_cube", observation="state", seed=3, wall_s=9.5, learner=[], log=LOG,
        episodes=episodes(*[(True, 0)] * 20, phase="eval"), extras={"machine": "a"},
    )  # fmt: skip
    path = tmp_path / "summary.json"
    write_summary(path, result)
    assert read_summary(path) == result
    path.write_text(json.dumps(json.loads(path.read_text()) | {"field_of_tomorrow": 1}))
    assert read_summary(path).extras == {"machine": "a", "field_of_tomorrow": 1}


@pytest.mark.parametrize("content", [None, "{", '{"seed": 1}', "[]"])
def test_unreadable_summary_is_named(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "summary.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(StorageError, match=r"summary\.json"):
        read_summary(path)
