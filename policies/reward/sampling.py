"""Which frames a member learns from, and how often: balanced classes, weighty hard negatives, bootstrapped episodes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from robot_hil.data.labels import EpisodeKey
from robot_hil.data.specs import Array
from robot_hil.policies.reward.dataset import HARD_NEGATIVE
from robot_hil.policies.reward.inputs import Prepared


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Labelled frames in memory, row by row, those of an episode in order."""

    prepared: Prepared
    labels: Array
    """int64 (n,)."""
    episodes: tuple[EpisodeKey, ...]
    steps: Array
    """int64 (n,)."""
    sources: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    def rows(self, wanted: Sequence[EpisodeKey] | frozenset[EpisodeKey]) -> Array:
        """Return the rows of some episodes."""
        known = frozenset(wanted)
        return np.array([i for i, episode in enumerate(self.episodes) if episode in known], np.int64)

    def part(self, rows: Array) -> "Table":
        """Return some of the rows."""
        return Table(
            prepared={name: array[rows] for name, array in self.prepared.items()},
            labels=self.labels[rows],
            episodes=tuple(self.episodes[i] for i in rows),
            steps=self.steps[rows],
            sources=tuple(self.sources[i] for i in rows),
        )


def draw_weights(table: Table, hard_weight: float, hard_share: float = 0.0) -> Array:
    """Return each row's chance of being drawn, (n,): classes alike, hard negatives `hard_weight` times as often.

    A success lasts a few frames of an episode and failures last long: drawn as they come, successes would be lost. So
    would a handful of hard negatives among thousands of other frames: where a class has some, they are at least
    `hard_share` of its draws.
    """
    hard = np.array([source == HARD_NEGATIVE for source in table.sources], bool)
    weight = np.where(hard, hard_weight, 1.0)
    for label in set(table.labels[hard].tolist()):
        of_class = table.labels == label
        few, rest = of_class & hard, float(weight[of_class & ~hard].sum())
        wanted = hard_share / (1.0 - hard_share) * rest
        weight[few] *= max(1.0, wanted / float(weight[few].sum()))
    totals = np.bincount(table.labels, weight)
    chance: Array = weight / totals[table.labels] / np.count_nonzero(totals)
    return chance


def class_shares(labels: Array, classes: int) -> Array:
    """Return the share of each class, (C,), a missing one counted as half a frame."""
    counts = np.maximum(np.bincount(labels, minlength=classes), 0.5)
    shares: Array = counts / counts.sum()
    return shares


def bootstrap(table: Table, members: int, rng: np.random.Generator) -> Array:
    """Return how much each row counts for each member, (K, n): random weights of whole episodes, member by member.

    The Bayesian bootstrap (Rubin 1981): weights are exponential, not counts of a draw with replacement, which would
    keep a third of a handful of demonstrations from every member. They are divided by their mean over the episodes of
    a kind (the classes that an episode shows), so that every member minds every kind alike; and a member minds a hard
    negative at least as much as the mean.
    """
    keys = sorted(set(table.episodes))
    place = {key: i for i, key in enumerate(keys)}
    owner = np.array([place[key] for key in table.episodes])
    shown: list[set[int]] = [set() for _ in keys]
    for episode, label in zip(owner.tolist(), table.labels.tolist(), strict=True):
        shown[episode].add(label)
    drawn = rng.standard_exponential((members, len(keys)))
    for kind in {frozenset(labels) for labels in shown}:
        same = [i for i, labels in enumerate(shown) if labels == kind]
        drawn[:, same] /= drawn[:, same].mean(1, keepdims=True)
    weight: Array = drawn[:, owner].astype(np.float32)
    hard = [i for i, source in enumerate(table.sources) if source == HARD_NEGATIVE]
    weight[:, hard] = np.maximum(weight[:, hard], 1.0)
    return weight
