"""What a classifier does on test episodes, told as a `Report`."""

from collections.abc import Iterator

import numpy as np

from robot_hil.data.specs import Array
from robot_hil.policies.reward import calibration, rules
from robot_hil.policies.reward.calibration import wilson
from robot_hil.policies.reward.config import RewardConfig
from robot_hil.policies.reward.report import Report
from robot_hil.policies.reward.sampling import Table
from robot_hil.policies.reward.training import Calibration, Parts


def measure(
    table: Table, logits: Array, calibrated: Calibration, config: RewardConfig, parts: Parts,
    classes: tuple[str, ...], success: int, warnings: tuple[str, ...] = (), seconds: float = 0.0,
) -> Report:  # fmt: skip
    """Judge test frames.

    Args:
        table: The frames of the test episodes.
        logits: (K, n, classes) of them.
        calibrated: As the model has it.
        config: Likewise.
        parts: Likewise.
        classes: Their names.
        success: Which of them is success.
        warnings: What else must be said.
        seconds: Time of the training.
    """
    members = calibration.softmax(logits / calibrated.temperature + np.array(calibrated.offset))
    raw = calibration.softmax(logits).mean(0)[:, success]
    scores = rules.combine(members[..., success], config.rule, config.caution)
    truth = table.labels == success
    hits = scores >= calibrated.threshold
    counts = _Confirmed()
    for rows in _episodes(table):
        counts.take(truth[rows], rules.confirmed(hits[rows], config.confirm_frames), config.confirm_frames)
    return Report(
        classes=classes,
        train_episodes=len(parts.train),
        calibration_episodes=len(parts.calibration),
        test_episodes=len(parts.test),
        threshold=calibrated.threshold,
        false_positive=wilson(int((hits & ~truth).sum()), int((~truth).sum())),
        false_negative=wilson(int((~hits & truth).sum()), int(truth.sum())),
        confirmed_false_positive=wilson(counts.false, counts.negatives),
        confirmed_false_negative=wilson(counts.missed, counts.positives),
        false_episodes=wilson(counts.false_episodes, counts.episodes),
        missed_episodes=wilson(counts.missed_episodes, counts.successes),
        confusion=calibration.confusion(table.labels, members.mean(0).argmax(-1), len(classes)),
        roc=calibration.roc(scores, truth),
        precision_recall=calibration.precision_recall(scores, truth),
        auc=calibration.area_under_roc(scores, truth),
        calibration_error_before=calibration.calibration_error(raw, truth),
        calibration_error=calibration.calibration_error(members.mean(0)[:, success], truth),
        warnings=(*warnings, *_doubts(truth, parts, config)),
        seconds=seconds,
    )


class _Confirmed:
    """Counts of what stood confirmed, over episodes."""

    def __init__(self) -> None:
        self.false = self.negatives = self.missed = self.positives = 0
        self.episodes = self.false_episodes = self.successes = self.missed_episodes = 0

    def take(self, truth: Array, believed: Array, frames: int) -> None:
        """Take one episode, its frames in order."""
        ready = rules.confirmed(truth, frames)  # from here on it could have been confirmed
        self.false += int((believed & ~truth).sum())
        self.negatives += int((~truth).sum())
        self.missed += int((ready & ~believed).sum())
        self.positives += int(ready.sum())
        first = int(truth.argmax()) if truth.any() else len(truth)
        self.episodes += 1
        self.false_episodes += bool(believed[:first].any())
        if ready.any():
            self.successes += 1
            self.missed_episodes += not (believed & truth).any()


def _episodes(table: Table) -> Iterator[Array]:
    """Yield the rows of one episode after the other, in the order of its steps."""
    for episode in dict.fromkeys(table.episodes):
        rows = table.rows((episode,))
        yield rows[np.argsort(table.steps[rows], kind="stable")]


def _doubts(truth: Array, parts: Parts, config: RewardConfig) -> Iterator[str]:
    if not len(parts.test):
        yield "There are no test episodes: nothing here was measured. Record at least two episodes of each kind."
    elif truth.all() or not truth.any():
        yield "The test episodes lack successes or failures; one of the error rates is unknown."
    if 0 < (~truth).sum() < 1 / config.false_positive_rate:
        yield (
            f"{int((~truth).sum())} test frames without success cannot show a false-positive rate of "
            f"{config.false_positive_rate:g}; read the interval, not the rate."
        )
