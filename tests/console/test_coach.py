"""Advice on recorded runs: two that went well, and the baseline's, which had trouble. Learner rows are thinned out."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_hil.console.advice import Advice
from robot_hil.console.coach import advise, demos_needed
from robot_hil.data.labels import EpisodeKey, LabelRow, Verdict
from robot_hil.report.metrics import EpisodeRow, LearnerRow, read_episodes, read_learner

DATA = Path(__file__).parent / "data"
WELL = ("pick_cube_state", "peg_insertion")
TROUBLE = ("pick_cube_state-hil_serl", "peg_insertion_state-hil_serl")
WANTED = {"peg_insertion": 50}


@cache
def rows(name: str) -> tuple[list[EpisodeRow], list[LearnerRow]]:
    return read_episodes(DATA / f"{name}.actor.jsonl"), read_learner(DATA / f"{name}.learner.jsonl")


def upto(name: str, trials: int) -> tuple[list[EpisodeRow], list[LearnerRow]]:
    """Return the rows that there were after so many trials."""
    episodes, learner = rows(name)
    numbers = [i for i, row in enumerate(episodes) if row.phase == "train"]
    kept = episodes[: numbers[trials - 1] + 1] if trials else [row for row in episodes if row.phase == "demo"]
    return kept, [row for row in learner if row.t_wall_s <= kept[-1].t_wall_s]


def after(name: str, trials: int) -> dict[str, Advice]:
    episodes, learner = upto(name, trials)
    return {one.kind: one for one in advise(episodes, learner, WANTED.get(name, 20))}


def every_moment(name: str) -> Iterator[list[Advice]]:
    episodes, learner = rows(name)
    for end in range(len(episodes) + 1):
        known = [row for row in learner if end and row.t_wall_s <= episodes[end - 1].t_wall_s]
        yield advise(episodes[:end], known, WANTED.get(name, 20))


@pytest.mark.parametrize("name", [*WELL, *TROUBLE])
def test_at_every_moment_there_is_one_advice_of_a_kind_and_something_to_do(name: str) -> None:
    for found in every_moment(name):
        kinds = [one.kind for one in found]
        assert len(set(kinds)) == len(kinds)
        assert found
        assert all(one.title and one.text.endswith(".") for one in found)
        assert all(len(one.title) <= 45 and len(one.text) <= 320 for one in found)


@pytest.mark.parametrize("name", WELL)
def test_a_run_that_goes_well_raises_no_alarm(name: str) -> None:
    kinds = {one.kind for found in every_moment(name) for one in found}
    assert not kinds & {"learner", "labels", "failure"}
    assert kinds >= {"demos", "intervene", "plateau", "done"}


def test_a_run_that_goes_well_is_let_alone_step_by_step() -> None:
    assert after("pick_cube_state", 0)["demos"].title == "Enough demonstrations"
    assert after("pick_cube_state", 1)["intervene"].title == "Take over early, and briefly"
    assert after("pick_cube_state", 10)["intervene"].title == "Let it try longer"
    assert "8 of 10 trials" in after("pick_cube_state", 10)["intervene"].text
    assert "45 steps" in after("pick_cube_state", 10)["intervene"].text  # demonstrations take 30
    assert after("pick_cube_state", 21)["intervene"].title == "Hands off, only watch"
    assert after("pick_cube_state", 54)["intervene"].title == "Hands off, only watch"  # 18 of 20: no flapping
    assert after("pick_cube_state", 62)["intervene"].title == "Let it try longer"
    episodes, learner = rows("pick_cube_state")
    assert advise(episodes, learner, 20)[0].title == "It has learnt it"
    checks = [i for i, row in enumerate(episodes) if row.phase == "check"]
    assert "done" not in {one.kind for one in advise(episodes[: checks[-1]], learner, 20)}


def test_the_baseline_is_in_trouble_and_the_coach_says_where() -> None:
    found = after("pick_cube_state-hil_serl", 9)["failure"]
    assert (found.title, found.level) == ("9 failures in a row", "warning")
    assert after("pick_cube_state-hil_serl", 9)["intervene"].level == "info"
    assert "lack of time" in found.text
    assert "failure" not in after("pick_cube_state-hil_serl", 10)
    start = after("pick_cube_state-hil_serl", 10)["demos"]
    assert start.title == "Too little to start from"
    assert "1 of the first 10 trials" in start.text
    found = after("peg_insertion_state-hil_serl", 40)["hands"]
    assert "36% of the last 20 trials, 33% of those before, and it still fails" in found.text
    for name in TROUBLE:
        assert all(one.kind not in ("done", "plateau") for found in every_moment(name) for one in found)
        assert all(one.title != "Hands off, only watch" for found in every_moment(name) for one in found)


def test_help_that_does_not_fall_is_said() -> None:
    assert "hands" not in after("peg_insertion", 39)
    found = after("peg_insertion", 50)["hands"]
    assert "33% of the last 20 trials, 36% of those before, and nearly all succeed" in found.text
    assert "hands" not in after("peg_insertion", 60)
    assert "hands" not in after("peg_insertion", 200)


def test_no_progress_is_said_where_nothing_improves() -> None:
    assert "plateau" not in after("peg_insertion", 150)
    found = after("peg_insertion", 201)["plateau"]
    assert found.title == "Little left to gain here"
    episodes, learner = upto("peg_insertion_state-hil_serl", 60)
    stuck = [*episodes, *[replace(row, episode_id=1000 + i) for i, row in enumerate(2 * episodes[-20:])]]
    found = next(one for one in advise(stuck, learner, 20) if one.kind == "plateau")
    assert found.title == "No progress"


# -- demonstrations ----------------------------------------------------------------------------------------------------


def demo(number: int, steps: int) -> EpisodeRow:
    return EpisodeRow(
        t_wall_s=float(number), env_steps=0, episode_id=number, steps=steps, success=True, human_steps=steps,
        interventions=0, phase="demo",
    )  # fmt: skip


def test_demonstrations_are_counted_up_to_what_is_wanted() -> None:
    for have in range(5):
        (one,) = advise([demo(n, 30) for n in range(have)], [], 5)
        assert (one.kind, one.title) == ("demos", f"Demonstration {have + 1} of 5")
    assert advise([], [], 0) == []
    assert advise([demo(n, 30) for n in range(5)], [], 5)[0].title == "Few demonstrations"
    episodes, _ = upto("pick_cube_state", 0)
    failed = replace(episodes[0], success=False)
    assert advise([failed, *episodes[1:8]], [], 20)[0].title == "Demonstration 8 of 20"


def test_the_more_demonstrations_vary_the_more_are_needed() -> None:
    lengths = {name: [row.steps for row in rows(name)[0] if row.phase == "demo"] for name in (*WELL, *TROUBLE)}
    assert demos_needed(lengths["pick_cube_state"]) == 10
    assert demos_needed(lengths["peg_insertion"]) == 11
    assert demos_needed(lengths["peg_insertion_state-hil_serl"]) == 20
    assert demos_needed([]) == demos_needed([30]) == demos_needed([30] * 40) == 10
    varied = [20, 60] * 8
    (one,) = advise([demo(n, steps) for n, steps in enumerate(varied)], [], 10)
    assert one.title == f"Their lengths vary: better {demos_needed(varied) - 16} more"


def test_a_hesitant_demonstration_is_pointed_out_until_it_is_discarded() -> None:
    episodes = [demo(n, 30) for n in range(11)] + [demo(11, 70)]
    (one,) = advise(episodes, [], 20)
    assert "longest took 70 steps, the median 30" in one.text
    (one,) = advise(episodes, [], 20, labels=said({11: Verdict.DISCARD}))
    assert "longest" not in one.text
    assert one.title == "Demonstration 12 of 20"


# -- faults ------------------------------------------------------------------------------------------------------------


def said(verdicts: dict[int, Verdict]) -> dict[EpisodeKey, LabelRow]:
    return {
        ("actor", 1, number): LabelRow(actor_id="actor", epoch=1, episode_id=number, verdict=verdict)
        for number, verdict in verdicts.items()
    }


def first(episodes: Sequence[EpisodeRow], learner: Sequence[LearnerRow], **more) -> Advice:
    return advise(episodes, learner, 20, **more)[0]


def test_a_learner_that_stands_still_or_falls_behind() -> None:
    episodes, learner = upto("pick_cube_state", 80)
    half = len(learner) // 2
    frozen = [*learner[:half], *[replace(row, updates=learner[half].updates) for row in learner[half:]]]
    found = first(episodes, frozen)
    assert (found.kind, found.title) == ("learner", "The learner stands still")
    slow = [
        row if i < half else replace(row, updates=learner[half].updates + (row.updates - learner[half].updates) // 2)
        for i, row in enumerate(learner)
    ]
    assert first(episodes, slow).title == "The learner falls behind"
    assert first(episodes, learner).kind != "learner"


def test_a_learner_that_gets_nothing_or_breaks_down() -> None:
    episodes, learner = upto("pick_cube_state", 80)
    lost = [*learner[:-3], *[replace(row, env_steps=row.env_steps - 900) for row in learner[-3:]]]
    found = first(episodes, lost)
    assert (found.kind, found.title) == ("learner", "Steps do not arrive")
    broken = [*learner[:-1], replace(learner[-1], losses={**learner[-1].losses, "critic_loss": None})]  # NaN in JSON
    found = first(episodes, broken)
    assert found.title == "Learning has broken down"
    assert "critic_loss" in found.text
    aged = [*episodes[:-1], replace(episodes[-1], policy_age_s=75.0)]
    assert first(aged, learner).title == "The robot acts on old weights"


def test_verdicts_correct_what_is_judged_and_show_a_bad_detection() -> None:
    episodes, learner = upto("pick_cube_state", 30)
    newest = [row.episode_id for row in episodes[-20:]]
    assert after("pick_cube_state", 30)["intervene"].title == "Hands off, only watch"
    labels = said(dict.fromkeys(newest[-6:], Verdict.FAIL))
    found = {one.kind: one for one in advise(episodes, learner, 20, labels=labels)}
    assert found["intervene"].title == "Let it try longer"
    assert found["failure"].title == "6 failures in a row"
    assert found["labels"].title == "You and the reward disagree"
    agreed = {one.kind for one in advise(episodes, learner, 20, labels=said(dict.fromkeys(newest, Verdict.SUCCESS)))}
    assert "labels" not in agreed
    two = said(dict.fromkeys(newest[-2:], Verdict.FAIL))
    assert "labels" not in {one.kind for one in advise(episodes, learner, 20, labels=two)}


def test_successes_too_quick_to_be_true() -> None:
    episodes, learner = upto("pick_cube_state", 80)
    quick = [*episodes[:-3], *[replace(row, steps=5, success=True) for row in episodes[-3:]]]
    found = {one.kind: one for one in advise(quick, learner, 20)}["labels"]
    assert "3 of the last 20" in found.text
    assert "(28 steps)" in found.text


def test_takeovers_in_one_place() -> None:
    episodes, learner = upto("peg_insertion", 50)
    found = {one.kind: one for one in advise(episodes, learner, 50, takeovers=[41, 12, 44, 39, 40, 60, 43])}["failure"]
    assert found.title == "It needs you around step 41"
    assert "5 of 7 takeovers" in found.text
    for scattered in ([2, 15, 30, 45, 60, 75], [40, 41, 42], []):
        assert "failure" not in {one.kind for one in advise(episodes, learner, 50, takeovers=scattered)}


def test_failures_at_one_place_and_at_many() -> None:
    episodes, learner = upto("pick_cube_state", 40)
    short = [replace(row, success=False, steps=40 + i) for i, row in enumerate(episodes[-4:])]
    found = {one.kind: one for one in advise([*episodes[:-4], *short], learner, 20)}["failure"]
    assert found.title == "4 failures in a row"
    assert "after about 42 steps" in found.text
    spread = [replace(row, success=False, steps=10 + 20 * i) for i, row in enumerate(episodes[-4:])]
    found = {one.kind: one for one in advise([*episodes[:-4], *spread], learner, 20)}["failure"]
    assert "at different times" in found.text


def an_episode(number: int, phase: str, steps: int, success: bool, human: float, age: float | None) -> EpisodeRow:
    return EpisodeRow(
        t_wall_s=float(number), env_steps=20 * number, episode_id=number, steps=steps, success=success,
        human_steps=round(human * steps), interventions=round(3 * human), phase=phase, policy_age_s=age,
    )  # fmt: skip


EPISODES = st.lists(
    st.tuples(
        st.sampled_from(["demo", "train", "train", "train", "check", "eval"]),
        st.integers(1, 200),
        st.booleans(),
        st.sampled_from([0.0, 0.0, 0.3, 1.0]),
        st.none() | st.floats(0, 100),
    ),
    max_size=90,
)
LEARNER = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 100), st.none() | st.floats()), max_size=30)


@given(
    EPISODES,
    LEARNER,
    st.integers(0, 30),
    st.lists(st.integers(0, 200), max_size=20),
    st.dictionaries(st.integers(0, 90), st.sampled_from(list(Verdict)), max_size=20),
)
@settings(max_examples=60)
def test_whatever_happens_there_is_at_most_one_advice_of_a_kind(episodes, learner, wanted, takeovers, verdicts) -> None:
    rows, updates, steps = [], 0, 0
    for second, (more_updates, more_steps, loss) in enumerate(learner):
        updates, steps = updates + more_updates, steps + more_steps
        utd = updates / max(1, steps)
        losses = {"critic_loss": loss}
        rows.append(
            LearnerRow(
                t_wall_s=3.0 * second, updates=updates, env_steps=steps, updates_per_s=1.0, utd=utd, losses=losses
            )
        )
    seen = [an_episode(number, *facts) for number, facts in enumerate(episodes)]
    found = advise(seen, rows, wanted, takeovers=takeovers, labels=said(verdicts))
    assert len({one.kind for one in found}) == len(found)
    assert found == advise(seen, rows, wanted, takeovers=takeovers, labels=said(verdicts))
    assert all("nan" not in one.text and "inf" not in one.text.split() for one in found)
