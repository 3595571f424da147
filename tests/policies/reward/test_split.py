"""Splits by episode."""

from hypothesis import given
from hypothesis import strategies as st

from robot_hil.policies.reward.split import split_episodes

EPISODES = st.lists(st.sets(st.integers(0, 2), min_size=1), min_size=1, max_size=30)


@given(EPISODES, st.floats(0.05, 0.95), st.integers(0, 99), st.randoms())
def test_every_kind_of_episode_is_on_both_sides(kinds: list[set[int]], share: float, seed: int, random: object) -> None:
    rows = [(("a", 0, i), label) for i, labels in enumerate(kinds) for label in sorted(labels)]
    aside = split_episodes(rows, share, seed)
    random.shuffle(rows)  # type: ignore[attr-defined]
    assert split_episodes(rows, share, seed) == aside
    for kind in map(frozenset, kinds):
        all_of_it = [("a", 0, i) for i, labels in enumerate(kinds) if labels == kind]
        there = sum(episode in aside for episode in all_of_it)
        assert abs(there - share * len(all_of_it)) <= 1.0
        if len(all_of_it) > 1:
            assert 0 < there < len(all_of_it)
        else:
            assert there == 0


def test_another_seed_draws_others() -> None:
    rows = [(("a", 0, i), 0) for i in range(20)]
    assert len({split_episodes(rows, 0.5, seed) for seed in range(5)}) > 1
