"""Advice for the operator, from what a run has written so far: rules, whose numbers docs/coach.md explains."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import mean, median, pstdev

from robot_hil.console.advice import Advice
from robot_hil.console.coach_faults import MIN_DEMOS, label_fault, learner_fault
from robot_hil.data.labels import EpisodeKey, LabelRow, Verdict
from robot_hil.report.metrics import EpisodeRow, LearnerRow
from robot_hil.report.summary import GOAL_SUCCESS, WINDOW, Window, window_of, windows

ALARMS = ("learner", "labels", "failure")
"""Kinds of advice that tell of trouble."""
LENGTH_ERROR = 0.08
"""Demonstrations are enough once the mean length is known this well: standard error / mean."""
HESITANT = 2.0
"""A demonstration this many times as long as the median one is worth a second look."""
FIRST_TRIALS = 10
"""Trials that show what imitation alone has come to."""
CLONE_FAILS = 0.2
"""Share of them that come to the goal, up to which the demonstrations were too few."""
YOUNG = 0.5
"""Share of trials without help, up to which the policy is young."""
SLACK = 0.1
"""Advice that was reached is kept until the share has fallen so much below its threshold."""
PATIENCE = 1.5
"""Trials may last this many times the median demonstration before a person takes over."""
IN_A_ROW = 3
"""Failures in a row that are no accident."""
SIMILAR = 0.15
"""Places along the episode closer than this part of it count as the same; at least 3 steps."""
SAME_PLACE = 0.6
"""Share of takeovers in one place from which on it is called one."""
PLATEAU = 40
"""Episodes without progress."""
NEARLY = 0.8
"""Share of trials from which on nearly all go well."""
MEMORY = 200
"""Trials back from now, among which progress is looked for."""
PROGRESS_SUCCESS, PROGRESS_HUMAN, PROGRESS_CYCLE = 0.05, 0.03, 0.05
"""What counts as progress: of the success rate, of the person's share, relative of the cycle length."""
MUCH_HELP, HELP_FALLS = 0.2, 0.03
"""A person's share from here on should fall by so much within a window."""


def advise(
    episodes: Sequence[EpisodeRow],
    learner: Sequence[LearnerRow],
    demos_wanted: int,
    *,
    takeovers: Sequence[int] = (),
    labels: Mapping[EpisodeKey, LabelRow] | None = None,
) -> list[Advice]:
    """Return what to tell the operator now, the most urgent first; empty while there is nothing to say.

    `episodes` and `learner` are the rows of the run, oldest first; `demos_wanted` the experiment's number;
    `takeovers` the step indices at which the person took over in the newest 20 trials (the review knows them); `labels`
    the verdicts that count, which correct the episodes before anything else is judged.
    """
    labels = labels or {}
    seen = _judged(episodes, labels)
    demos = [row for row in seen if row.phase == "demo" and row.success]
    trials = [row for row in seen if row.phase == "train"]
    found = [
        learner_fault(episodes, learner),
        label_fault(episodes, labels, demos, trials),
        _failure(trials, takeovers),
        _done(seen),
        _plateau(trials),
        _hands(trials),
        _intervene(trials, demos),
        _demos(demos, trials, demos_wanted),
    ]
    return [replace(one, level="warning") if one.kind in ALARMS else one for one in found if one is not None]


def _judged(episodes: Sequence[EpisodeRow], labels: Mapping[EpisodeKey, LabelRow]) -> list[EpisodeRow]:
    """Return the episodes in the light of the verdicts; discarded ones are left out."""
    verdicts = {key[2]: row.verdict for key, row in labels.items()}
    seen = []
    for row in episodes:
        verdict = verdicts.get(row.episode_id, Verdict.NONE) if row.phase in ("demo", "train") else Verdict.NONE
        if verdict is Verdict.DISCARD:
            continue
        changed = verdict in (Verdict.SUCCESS, Verdict.FAIL)
        seen.append(replace(row, success=verdict is Verdict.SUCCESS) if changed else row)
    return seen


# -- demonstrations ----------------------------------------------------------------------------------------------------


def demos_needed(lengths: Sequence[int]) -> int:
    """Return how many demonstrations of such lengths are enough: the more they vary, the more; at least 10."""
    if len(lengths) < 2:
        return MIN_DEMOS
    spread = pstdev(lengths) / mean(lengths)
    return max(MIN_DEMOS, math.ceil((spread / LENGTH_ERROR) ** 2))


def _demos(demos: Sequence[EpisodeRow], trials: Sequence[EpisodeRow], wanted: int) -> Advice | None:
    if len(trials) >= FIRST_TRIALS:
        return _after_clone(demos, trials)
    lengths = [row.steps for row in demos]
    have = len(lengths)
    if trials or not (have or wanted):
        return None
    text = "Do it one way, without pauses, from starts as different as they will be later."
    title = f"Demonstration {have + 1} of {wanted}"
    if have >= wanted:
        asked, spread = demos_needed(lengths), pstdev(lengths) / mean(lengths)
        text = f"{have} demonstrations; their length spreads by {spread:.0%}, which asks for at least {asked}."
        title = "Enough demonstrations"
        if have < asked:
            title = f"Their lengths vary: better {asked - have} more" if asked > MIN_DEMOS else "Few demonstrations"
    if have >= MIN_DEMOS and max(lengths) > HESITANT * median(lengths):
        text += (
            f" The longest took {max(lengths)} steps, the median {median(lengths):.0f}: look at it in the review, and "
            f"discard it if it hesitates or does it another way."
        )
    return Advice(kind="demos", title=title, text=text)


def _after_clone(demos: Sequence[EpisodeRow], trials: Sequence[EpisodeRow]) -> Advice | None:
    """The first trials show what imitation alone has come to."""
    first = trials[:FIRST_TRIALS]
    good = sum(row.success for row in first)
    if len(trials) >= 2 * WINDOW or good > CLONE_FAILS * FIRST_TRIALS:
        return None
    return Advice(
        kind="demos",
        title="Too little to start from",
        text=(
            f"{good} of the first {FIRST_TRIALS} trials came to the goal, your help included, after {len(demos)} "
            f"demonstrations. Finish trials by hand when they fail, or start again with twice as many demonstrations."
        ),
    )


# -- when to take over -------------------------------------------------------------------------------------------------


def _intervene(trials: Sequence[EpisodeRow], demos: Sequence[EpisodeRow]) -> Advice | None:
    if not trials:
        return None
    stage = "young"
    seen = windows(trials[-MEMORY:])
    for window in seen:
        stage = _stage(stage, window)
    now = seen[-1]
    good = round(now.unaided_rate * now.episodes)
    score = f"{good} of the last {WINDOW} trials" if now.episodes == WINDOW else f"{good} of {now.episodes} trials"
    if stage == "good":
        title, text = "Hands off, only watch", "Stop it only before it breaks something."
    elif stage == "young":
        title = "Take over early, and briefly"
        text = "Correct as soon as it goes astray, bring it back on its way, and let go at once."
    else:
        usual = median([row.steps for row in demos or [row for row in trials if row.success]])
        title = "Let it try longer"
        text = (
            f"Wait until it is stuck or about to break something; {PATIENCE * usual:.0f} steps are not too long. What "
            f"it finds by itself makes it faster than you."
        )
    return Advice(kind="intervene", title=title, text=f"{score} worked without you. {text}")


def _stage(stage: str, window: Window) -> str:
    """Return young, trying or good after this window; to fall back takes more than to miss the step up."""
    unaided = window.unaided_rate
    if window.episodes == WINDOW and unaided >= (GOAL_SUCCESS - SLACK if stage == "good" else GOAL_SUCCESS):
        return "good"
    if window.episodes < FIRST_TRIALS or unaided <= (YOUNG if stage == "young" else YOUNG - SLACK):
        return "young"
    return "trying"


def _hands(trials: Sequence[EpisodeRow]) -> Advice | None:
    if len(trials) < 2 * WINDOW:
        return None
    now, before = window_of(trials), window_of(trials[:-WINDOW])
    if now.human_share < MUCH_HELP or now.human_share < before.human_share - HELP_FALLS:
        return None
    shares = f"You drove {now.human_share:.0%} of the last {WINDOW} trials, {before.human_share:.0%} of those before"
    if now.success_rate >= NEARLY:
        text = f"{shares}, and nearly all succeed. Let go sooner: what you do for it, it does not learn to do."
    else:
        text = f"{shares}, and it still fails. More help alone does not cure that: see where it fails, and demonstrate."
    return Advice(kind="hands", title="You help as much as before", text=text)


# -- trouble -----------------------------------------------------------------------------------------------------------


def _failure(trials: Sequence[EpisodeRow], takeovers: Sequence[int]) -> Advice | None:
    recent = list(trials[-WINDOW:])
    if not recent:
        return None
    if place := _one_place(takeovers):
        share = sum(abs(one - place) <= _near(place) for one in takeovers)
        return Advice(
            kind="failure",
            title=f"It needs you around step {place}",
            text=(
                f"{share} of {len(takeovers)} takeovers began there. Take over a little before that, show it slowly in "
                f"several ways, and vary what it meets there: place, angle, light."
            ),
        )
    failed = next((i for i, row in enumerate(reversed(recent)) if row.success), len(recent))
    if failed < IN_A_ROW:
        return None
    lengths = [row.steps for row in recent[-failed:]]
    where = "at different times: look for a cause outside, a moved camera, a slipping gripper"
    if min(lengths) >= max(row.steps for row in trials):
        where = "for lack of time: take over where it stops getting on, and finish by hand, so that it sees the goal"
    elif max(lengths) - min(lengths) <= _near(median(lengths)):
        where = f"after about {median(lengths):.0f} steps: correct just before, and begin some trials near there"
    return Advice(kind="failure", title=f"{failed} failures in a row", text=f"The last {failed} trials failed {where}.")


def _near(place: float) -> float:
    return max(3.0, SIMILAR * place)


def _one_place(takeovers: Sequence[int]) -> int:
    """Return the step around which most takeovers lie; 0 for no such place. A start that needs help is none."""
    if len(takeovers) <= IN_A_ROW:
        return 0
    densest = max(takeovers, key=lambda one: sum(abs(other - one) <= _near(one) for other in takeovers))
    place = round(median([one for one in takeovers if abs(one - densest) <= _near(densest)]))
    share = sum(abs(one - place) <= _near(place) for one in takeovers) / len(takeovers)
    return place if share >= SAME_PLACE else 0


# -- the end -----------------------------------------------------------------------------------------------------------


def _done(episodes: Sequence[EpisodeRow]) -> Advice | None:
    """Checks or the evaluation say more than any stretch of training."""
    tried = [row for row in episodes if row.phase != "demo"]
    checks = 0
    for row in reversed([row for row in tried if row.phase != "eval"]):
        if row.phase != "check" or not row.success:
            break
        checks += 1
    if checks < WINDOW:
        return None
    return Advice(
        kind="done",
        title="It has learnt it",
        text=f"{checks} checks in a row succeeded without you. Stop here; more training may still make it faster.",
    )


def _plateau(trials: Sequence[EpisodeRow]) -> Advice | None:
    if len(trials) < PLATEAU + WINDOW:
        return None
    seen = windows(trials[-MEMORY:])[WINDOW - 1 :]
    if _progress(seen[:-PLATEAU], seen[-PLATEAU:]):
        return None
    now = seen[-1]
    numbers = f"success {now.success_rate:.0%}, your share {now.human_share:.0%}"
    if now.cycle_steps is not None:
        numbers += f", {now.cycle_steps:.0f} steps"
    if now.unaided_rate >= NEARLY:
        return Advice(
            kind="plateau",
            title="Little left to gain here",
            text=(
                f"No progress for {PLATEAU} trials ({numbers}). Let the checks decide; what it cannot do yet, it "
                f"learns from demonstrations of just that."
            ),
        )
    return Advice(
        kind="plateau",
        title="No progress",
        text=(
            f"None for {PLATEAU} trials ({numbers}). Something is missing that more of the same does not bring: "
            f"demonstrate what fails, check reward and cameras, or make the resets more alike."
        ),
    )


def _progress(earlier: Sequence[Window], later: Sequence[Window]) -> bool:
    """Whether the best of the later windows is clearly better than the best of the earlier ones, in any respect."""
    if not earlier:
        return True
    success = [max(window.success_rate for window in part) for part in (earlier, later)]
    human = [min(window.human_share for window in part) for part in (earlier, later)]
    cycle = [min(window.cycle_steps or math.inf for window in part) for part in (earlier, later)]
    return (
        success[1] > success[0] + PROGRESS_SUCCESS
        or human[1] < human[0] - PROGRESS_HUMAN
        or cycle[1] < cycle[0] * (1 - PROGRESS_CYCLE)
    )
