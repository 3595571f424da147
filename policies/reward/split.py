"""Splits of labelled frames by episode: neighbours look alike, and a frame beside a trained one measures nothing."""

import hashlib
import math
from collections.abc import Sequence

from robot_hil.data.labels import EpisodeKey


def split_episodes(rows: Sequence[tuple[EpisodeKey, int]], share: float, seed: int) -> frozenset[EpisodeKey]:
    """Return the episodes to lay aside: about `share` of each kind, a kind being the classes that an episode shows.

    Args:
        rows: Episode and label of every frame.
        share: Between 0 and 1. Of each kind with two or more episodes at least one goes to either side.
        seed: Another seed draws others; the order of `rows` does not matter.
    """
    classes: dict[EpisodeKey, set[int]] = {}
    for episode, label in rows:
        classes.setdefault(episode, set()).add(label)
    kinds: dict[frozenset[int], list[EpisodeKey]] = {}
    for episode, labels in classes.items():
        kinds.setdefault(frozenset(labels), []).append(episode)
    aside: set[EpisodeKey] = set()
    for episodes in kinds.values():
        count = min(max(1, math.floor(share * len(episodes) + 0.5)), len(episodes) - 1)
        aside |= set(sorted(episodes, key=lambda episode: _rank(episode, seed))[:count])
    return frozenset(aside)


def _rank(episode: EpisodeKey, seed: int) -> bytes:
    return hashlib.sha256(repr((seed, *episode)).encode()).digest()
