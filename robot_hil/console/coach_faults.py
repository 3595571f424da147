"""What keeps a run from learning although the operator does everything right: a slow learner, wrong labels."""

import math
from collections.abc import Mapping, Sequence

from robot_hil.console.advice import Advice
from robot_hil.data.labels import EpisodeKey, LabelRow, Verdict
from robot_hil.report.metrics import EpisodeRow, LearnerRow
from robot_hil.report.summary import WINDOW

MIN_DEMOS = 10
"""Fewer demonstrations say little about how long the task takes."""
BEHIND = 0.7
"""The learner falls behind below this part of the updates per step that it made before."""
RECENT_STEPS = 300
"""Online steps over which that is measured."""
MISSING_STEPS = 300
"""Steps that may be on their way to the learner."""
STANDSTILL_S, STANDSTILL_STEPS = 20.0, 50
"""So long without an update while so many steps come in is a standstill."""
OLD_WEIGHTS_S = 60.0
"""Weights should not be older [s]."""
TOO_SHORT = 0.25
"""A success in less than this part of the shortest demonstration is hard to believe."""
CONTRADICTED = 3
"""Verdicts against the detection, or successes too quick, that are no accident."""


def label_fault(
    episodes: Sequence[EpisodeRow],
    labels: Mapping[EpisodeKey, LabelRow],
    demos: Sequence[EpisodeRow],
    trials: Sequence[EpisodeRow],
) -> Advice | None:
    """Say that the reward is not to be trusted: `episodes` as recorded, `demos` and `trials` as judged."""
    verdicts = {key[2]: row.verdict for key, row in labels.items()}
    wrong = [
        row
        for row in episodes
        if row.phase == "train"
        and (verdict := verdicts.get(row.episode_id)) in (Verdict.SUCCESS, Verdict.FAIL)
        and row.success is not (verdict is Verdict.SUCCESS)
    ]
    if len(wrong) >= CONTRADICTED:
        return Advice(
            kind="labels",
            title="You and the reward disagree",
            text=(
                f"{len(wrong)} of your verdicts contradict what was detected. Repair the detection (reward, "
                f"classifier, place of the goal): the trials that nobody looked at are wrong as well."
            ),
        )
    if len(demos) < MIN_DEMOS:
        return None
    shortest = min(row.steps for row in demos)
    quick = [row for row in trials[-WINDOW:] if row.success and row.steps < TOO_SHORT * shortest]
    if len(quick) < CONTRADICTED:
        return None
    return Advice(
        kind="labels",
        title="Successes too quick to be true",
        text=(
            f"{len(quick)} of the last {WINDOW} trials succeeded within {TOO_SHORT:.0%} of your shortest demonstration "
            f"({shortest} steps). Look at them in the review; if they are none, call them failures."
        ),
    )


def learner_fault(episodes: Sequence[EpisodeRow], learner: Sequence[LearnerRow]) -> Advice | None:
    """What is wrong with the learner, if anything."""
    if not learner:
        return None
    last = learner[-1]
    bad = [name for name, value in last.losses.items() if value is None or not math.isfinite(value)]
    if bad:
        return _of_learner("Learning has broken down", f"{bad[0]} is no number any more. Stop, and resume the run.")
    acted = max((row.env_steps for row in episodes if row.t_wall_s <= last.t_wall_s), default=0)
    if acted - last.env_steps > MISSING_STEPS:
        return _of_learner(
            "Steps do not arrive",
            f"The robot made {acted} steps, the learner has {last.env_steps}. Check the network and the learner's "
            f"disk; nothing is lost, the rest waits at the robot.",
        )
    if advice := _too_slow(learner):
        return advice
    newest = next((row for row in reversed(episodes) if row.phase == "train"), None)
    if newest is not None and newest.policy_age_s is not None and newest.policy_age_s > OLD_WEIGHTS_S:
        return _of_learner(
            "The robot acts on old weights",
            f"They are {newest.policy_age_s:.0f} s old. Check that the learner runs and that its weights come through.",
        )
    return None


def _too_slow(learner: Sequence[LearnerRow]) -> Advice | None:
    last = learner[-1]
    still = next((row for row in learner if row.updates == last.updates), last)
    stood, steps = last.t_wall_s - still.t_wall_s, last.env_steps - still.env_steps
    if last.updates and stood >= STANDSTILL_S and steps >= STANDSTILL_STEPS:
        return _of_learner("The learner stands still", f"No update for {stood:.0f} s, while {steps} steps came in.")
    begin = next((row for row in reversed(learner) if last.env_steps - row.env_steps >= RECENT_STEPS), None)
    if begin is None or begin.env_steps < RECENT_STEPS:
        return None
    recent = (last.updates - begin.updates) / (last.env_steps - begin.env_steps)
    if recent >= BEHIND * begin.utd:
        return None
    return _of_learner(
        "The learner falls behind",
        f"{recent:.1f} updates per step lately, {begin.utd:.1f} before that. Pause the robot now and then, lower the "
        f"update-to-data ratio, or give the learner a faster machine.",
    )


def _of_learner(title: str, text: str) -> Advice:
    return Advice(kind="learner", title=title, text=text)
