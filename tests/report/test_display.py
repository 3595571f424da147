"""The display shows what the files say, on terminals and in logs."""

import dataclasses
import io
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from robot_hil.clock import VirtualClock
from robot_hil.report.display import (
    BARS,
    CONTROL_STYLES,
    SPARK_WIDTH,
    Display,
    RunState,
    goal_progress,
    plain_line,
    render,
    sparkline,
)
from robot_hil.report.metrics import EpisodeRow, JsonlSink, LearnerRow, LiveState, write_json
from robot_hil.report.summary import windows

MakeEpisodes = Callable[..., list[EpisodeRow]]
LEARNER = LearnerRow(t_wall_s=100.0, updates=3000, env_steps=1200, updates_per_s=31.2, utd=2.5)


def write_run(folder: Path, rows: list[EpisodeRow], live: LiveState | None = None) -> RunState:
    with JsonlSink(folder / "actor.jsonl") as actor, JsonlSink(folder / "learner.jsonl") as learner:
        for row in rows:
            actor.write(row)
        learner.write(LEARNER)
    if live is not None:
        write_json(folder / "live.json", live)
    run = RunState(folder)
    run.poll()
    return run


def live(**changes: object) -> LiveState:
    state = LiveState(
        t_wall_s=115.0,
        phase="train",
        control="policy",
        env_steps=1234,
        episode_id=55,
        policy_version=301,
        policy_age_s=0.4,
    )
    return dataclasses.replace(state, **changes)  # type: ignore[arg-type]


def text_of(run: RunState, width: int = 100) -> str:
    console = Console(file=io.StringIO(), width=width, record=True, force_terminal=True, color_system="truecolor")
    console.print(render(run, "pick_cube"))
    return console.export_text()


def test_training_shows_all_figures(tmp_path: Path, make_episodes: MakeEpisodes) -> None:
    text = text_of(write_run(tmp_path, make_episodes()[:55], live()))
    window = windows(make_episodes()[:55])[-1]
    for expected in (
        "training", "P O L I C Y", f"{window.success_rate:.0%} of last 20", f"{window.human_share:.0%} of steps",
        "1,234", "31 (2.5 per step)", "0.4 s (version 301)", "(person 45)", "goal", "1:55",
    ):  # fmt: skip
        assert expected in text


@pytest.mark.parametrize("control", [*CONTROL_STYLES, "idle"])
def test_who_is_in_control_is_written_big(control: str, tmp_path: Path) -> None:
    text = text_of(write_run(tmp_path, [], live(control=control)))
    word = CONTROL_STYLES.get(control, ("IDLE",))[0]
    assert " ".join(word) in text


def test_evaluation_shows_rate_and_interval(tmp_path: Path, make_episodes: MakeEpisodes) -> None:
    text = text_of(write_run(tmp_path, make_episodes(), live(phase="eval")))
    assert "evaluation, person off" in text
    assert "of 50" in text
    assert "95 % interval" in text
    assert "goal reached" in text


def test_a_check_shows_the_trials_of_the_present_policy(tmp_path: Path, make_episodes: MakeEpisodes) -> None:
    online = [row for row in make_episodes() if row.phase != "eval"]
    failed = dataclasses.replace(online[-1], phase="check", success=False, env_steps=online[-1].env_steps - 500)
    passed = dataclasses.replace(online[-1], phase="check", success=True)
    run = write_run(tmp_path, [*online, failed, passed, passed], live(phase="check"))
    assert "check, person off | success 2/2" in plain_line(run)
    assert "100% of 2" in text_of(run)


def test_nothing_jumps_between_phases(tmp_path: Path, make_episodes: MakeEpisodes) -> None:
    empty = RunState(tmp_path / "missing")
    empty.poll()
    heights = {text_of(empty).count("\n")}
    for count, phase in ((7, "demo"), (55, "train"), (160, "eval")):
        run = write_run(tmp_path / phase, make_episodes()[:count], live(phase=phase, message="m" * 300))
        heights.add(text_of(run).count("\n"))
    assert len(heights) == 1


@pytest.mark.parametrize("width", [60, 80, 200])
def test_no_line_is_wider_than_the_terminal(width: int, tmp_path: Path, make_episodes: MakeEpisodes) -> None:
    text = text_of(write_run(tmp_path, make_episodes(), live(message="word " * 60)), width)
    assert max(map(len, text.splitlines())) <= width


@given(st.lists(st.floats(-1, 2), max_size=300))
def test_sparkline_is_bounded(values: list[float]) -> None:
    bars = sparkline(values)
    assert len(bars) == min(len(values), SPARK_WIDTH)
    assert set(bars) <= set(BARS)


def test_progress_reaches_one_with_the_goal(make_episodes: MakeEpisodes) -> None:
    curve = windows(make_episodes())
    assert goal_progress(None) == 0.0
    for window in curve:
        assert 0.0 <= goal_progress(window) <= 1.0
        assert (goal_progress(window) == 1.0) == window.is_goal
    assert curve[-1].is_goal


def test_windows_read_bit_by_bit_are_those_of_the_whole(tmp_path: Path, make_episodes: MakeEpisodes) -> None:
    run = RunState(tmp_path)
    with JsonlSink(tmp_path / "actor.jsonl") as sink:
        for row in make_episodes():
            sink.write(row)
            run.poll()
    assert run.windows == windows(make_episodes())


def test_plain_output_is_one_line_per_period_and_never_repeats(tmp_path: Path, make_episodes: MakeEpisodes) -> None:
    output, clock = io.StringIO(), VirtualClock()
    write_run(tmp_path, make_episodes()[:55], live())
    display = Display(tmp_path, "pick_cube", console=Console(file=output, width=40), clock=clock)
    assert output.getvalue() == ""
    with display:
        for _ in range(30):
            display.refresh()
            clock.advance(1.0)
        write_json(tmp_path / "live.json", live(env_steps=2000))
    display.stop()
    lines = output.getvalue().splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("1:55 | training | success ")
    assert "2000 env steps" in lines[1]


def test_plain_lines_of_the_other_phases(tmp_path: Path, make_episodes: MakeEpisodes) -> None:
    rows = make_episodes()
    assert "7 recorded" in plain_line(write_run(tmp_path / "a", rows[:7], live(phase="demo")))
    assert "success 0/0" in plain_line(write_run(tmp_path / "b", rows[:60], live(phase="eval")))
    imitating = live(phase="train", message="the learner imitates the demonstrations: 40 of 500 updates")
    assert "40 of 500 updates" in plain_line(write_run(tmp_path / "c", rows[:20], imitating))
    assert plain_line(RunState(tmp_path / "none")) == "0:00 | demonstrations | 0 recorded"


def test_live_panel_on_a_terminal(tmp_path: Path, make_episodes: MakeEpisodes) -> None:
    output = io.StringIO()
    write_run(tmp_path, make_episodes(), live(phase="eval"))
    display = Display(tmp_path, "pick_cube", console=Console(file=output, width=100, force_terminal=True))
    with display:
        display.start()
        display.refresh()
    display.stop()
    assert "evaluation, person off" in output.getvalue()
