"""From scores to probabilities and thresholds that hold on other episodes, and how sure one can be: in numpy."""

import math

import numpy as np

from robot_hil.data.specs import Array
from robot_hil.errors import ConfigError
from robot_hil.policies.reward.report import Rate

_Z = 1.959963984540054
"""Of a 95 % interval."""
_TEMPERATURES = np.geomspace(0.2, 20.0, 60)
_BINS = 10
_POINTS = 100


def softmax(logits: Array) -> Array:
    """Return probabilities along the last axis, float64."""
    shifted = np.asarray(logits, np.float64) - np.max(logits, axis=-1, keepdims=True)
    grown = np.exp(shifted)
    result: Array = grown / grown.sum(-1, keepdims=True)
    return result


def fit_temperature(logits: Array, labels: Array, offset: Array | float = 0.0) -> float:
    """Return the temperature by which to divide logits (K, n, C) (Guo et al. 2017, arXiv 1706.04599).

    It makes the mean probability of the members likeliest for `labels` (n,). `offset` (C,) is added afterwards: log
    shares of the classes, where training saw all of them alike. Labels count as a little uncertain, as if one more
    frame of each class had every label (Platt 1999): a few frames that are all right must not make it certain. With
    nothing to fit the result is 1; it stays between 0.2 and 20.
    """
    if not len(labels):
        return 1.0
    classes = logits.shape[-1]
    frames = np.bincount(labels, minlength=classes)[labels][:, None]
    targets = (frames * np.eye(classes)[labels] + 1.0) / (frames + classes)

    def loss(temperature: float) -> float:
        said = np.maximum(softmax(logits / temperature + offset).mean(0), 1e-12)
        return float(-(targets * np.log(said)).sum(-1).mean())

    return float(_TEMPERATURES[int(np.argmin([loss(temperature) for temperature in _TEMPERATURES]))])


def calibration_error(probability: Array, success: Array) -> float:
    """Return the expected calibration error over ten bins: mean distance of what is said from what is so.

    Args:
        probability: (n,) in [0, 1].
        success: (n,) bool. Without frames the result is 0.
    """
    if not len(success):
        return 0.0
    bins = np.minimum((np.asarray(probability) * _BINS).astype(int), _BINS - 1)
    said = np.bincount(bins, probability, _BINS)
    true = np.bincount(bins, np.asarray(success, np.float64), _BINS)
    return float(np.abs(said - true).sum() / len(success))


def choose_threshold(scores: Array, success: Array, false_positive_rate: float) -> float:
    """Return a threshold that at most `false_positive_rate` of the negatives reach.

    The lowest such threshold lies next to a negative, where another episode's negatives will lie as well. The one taken
    is half-way between that negative and the lowest tenth of the positives above it: for the sake of the margin it
    gives up at most a tenth of the successes, frames at the very brink, which a moment later are clear.

    Args:
        scores: (n,) in [0, 1].
        success: (n,) bool; needs both kinds.
        false_positive_rate: In [0, 1).
    """
    negatives = np.sort(np.asarray(scores, np.float64)[~success])[::-1]
    positives = np.sort(np.asarray(scores, np.float64)[success])
    if not len(negatives) or not len(positives):
        raise ConfigError(
            f"{len(positives)} success frames and {len(negatives)} others to choose a threshold with; both are needed. "
            "Record more episodes of the kind that is missing."
        )
    allowed = math.floor(false_positive_rate * len(negatives))
    low = float(negatives[min(allowed, len(negatives) - 1)])  # this negative must stay below
    above = positives[positives > low]
    high = float(above[len(above) // 10]) if len(above) else 1.0
    return max(0.5 * (low + high), float(np.nextafter(low, 2.0)))


def wilson(events: int, trials: int) -> Rate:
    """Return `events / trials` with Wilson's 95 % interval, which is fair for few trials and shares near 0 or 1."""
    if not trials:
        return Rate(events=0, trials=0, low=0.0, high=1.0)
    share, weight = events / trials, _Z**2 / trials
    centre = (share + weight / 2) / (1 + weight)
    reach = _Z * math.sqrt(share * (1 - share) / trials + weight / (4 * trials)) / (1 + weight)
    low = 0.0 if events == 0 else max(0.0, centre - reach)
    high = 1.0 if events == trials else min(1.0, centre + reach)
    return Rate(events=int(events), trials=int(trials), low=low, high=high)


def roc(scores: Array, success: Array) -> tuple[tuple[float, float, float], ...]:
    """Return (threshold, false-positive rate, true-positive rate), thresholds falling; at most 100 points."""
    thresholds, false, true = _sweep(scores, success)
    negatives, positives = max(1, int((~success).sum())), max(1, int(success.sum()))
    return _thin(thresholds, false / negatives, true / positives)


def precision_recall(scores: Array, success: Array) -> tuple[tuple[float, float, float], ...]:
    """Return (threshold, precision, recall), thresholds falling; at most 100 points."""
    thresholds, false, true = _sweep(scores, success)
    return _thin(thresholds, true / np.maximum(true + false, 1), true / max(1, int(success.sum())))


def area_under_roc(scores: Array, success: Array) -> float:
    """Return the chance that a success scores above a negative, ties counting half; 0.5 when one kind is missing."""
    positives, negatives = scores[success], np.sort(scores[~success])
    if not len(positives) or not len(negatives):
        return 0.5
    below = np.searchsorted(negatives, positives, "left")
    ties = np.searchsorted(negatives, positives, "right") - below
    return float((below + 0.5 * ties).mean() / len(negatives))


def confusion(labels: Array, predicted: Array, classes: int) -> tuple[tuple[int, ...], ...]:
    """Return counts by true class (row) and predicted class (column)."""
    counts = np.bincount(labels * classes + predicted, minlength=classes**2).reshape(classes, classes)
    return tuple(tuple(row) for row in counts.tolist())


def _sweep(scores: Array, success: Array) -> tuple[Array, Array, Array]:
    """Return every distinct threshold, falling, and how many false and true positives each has."""
    order = np.argsort(-scores, kind="stable")
    ordered, hits = scores[order], success[order]
    last = np.append(np.diff(ordered) != 0, True)[: len(ordered)]
    true = np.cumsum(hits)[last]
    return ordered[last], np.flatnonzero(last) + 1 - true, true


def _thin(*columns: Array) -> tuple[tuple[float, float, float], ...]:
    count = len(columns[0])
    kept = np.unique(np.linspace(0, count - 1, min(count, _POINTS)).round().astype(int)) if count else np.zeros(0, int)
    return tuple((float(a), float(b), float(c)) for a, b, c in zip(*(column[kept] for column in columns), strict=True))
