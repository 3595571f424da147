"""What a classifier was measured to do, on episodes that it was not made from."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """A share `events / trials` with its interval."""

    events: int
    trials: int
    low: float
    high: float
    """Ends of the 95 % interval (Wilson 1927); 0 and 1 without trials."""

    @property
    def value(self) -> float:
        """The share itself; 0 without trials, see the interval."""
        return self.events / self.trials if self.trials else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Held-out figures of a classifier. Success is one class; every other class is a negative."""

    classes: tuple[str, ...]
    train_episodes: int
    calibration_episodes: int
    test_episodes: int
    threshold: float
    false_positive: Rate
    """Of single frames of the test episodes that are no success."""
    false_negative: Rate
    """Of single success frames of the test episodes."""
    confirmed_false_positive: Rate
    """Frames that are no success and at which success stands confirmed: what the reward is corrected for."""
    confirmed_false_negative: Rate
    """Success frames at which it is not confirmed, without the first ones of a success, where it cannot be yet."""
    false_episodes: Rate
    """Test episodes in which success was confirmed before there was any."""
    missed_episodes: Rate
    """Test episodes with a success long enough to be confirmed that never was."""
    confusion: tuple[tuple[int, ...], ...]
    """Test frames by true class (row) and most probable class (column)."""
    roc: tuple[tuple[float, float, float], ...]
    """Threshold, false-positive rate, true-positive rate; thinned to at most 100 points."""
    precision_recall: tuple[tuple[float, float, float], ...]
    """Threshold, precision, recall; thinned likewise."""
    auc: float
    """Area under the ROC curve; 0.5 says nothing."""
    calibration_error_before: float
    """Expected calibration error of the success probability on test frames, as trained."""
    calibration_error: float
    """The same after calibration."""
    warnings: tuple[str, ...] = ()
    """What a person must know before trusting these figures, in plain words."""
    seconds: float = 0.0
    """Time of the training [s]."""

    @property
    def precision(self) -> float:
        """Of single test frames at the threshold; 1 when nothing was called a success."""
        hits = self.false_negative.trials - self.false_negative.events
        called = hits + self.false_positive.events
        return hits / called if called else 1.0

    @property
    def recall(self) -> float:
        """Of single test frames at the threshold."""
        return 1.0 - self.false_negative.value
