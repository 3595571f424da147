"""What members learn from."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_hil.policies.reward.sampling import Table, bootstrap, class_shares, draw_weights


def table(labels: list[int], episodes: list[int], hard: tuple[int, ...] = ()) -> Table:
    return Table(
        prepared={"vectors": np.arange(len(labels), dtype=np.float32)[:, None]},
        labels=np.array(labels),
        episodes=tuple(("a", 0, episode) for episode in episodes),
        steps=np.arange(len(labels)),
        sources=tuple("false_positive" if i in hard else "log" for i in range(len(labels))),
    )


def test_classes_are_drawn_alike_and_hard_negatives_more_often() -> None:
    rows = table([0, 0, 0, 0, 0, 1], [0] * 6, hard=(4,))
    chance = draw_weights(rows, 4.0)
    assert chance.sum() == pytest.approx(1.0)
    assert chance[5] == pytest.approx(0.5)
    assert chance[4] == pytest.approx(4 * chance[0])


@given(st.lists(st.tuples(st.integers(0, 2), st.booleans()), min_size=1, max_size=40), st.floats(0.05, 0.9))
def test_hard_negatives_have_their_share_of_their_class(rows: list[tuple[int, bool]], share: float) -> None:
    labels, hard = [label for label, _ in rows], tuple(i for i, (_, hard) in enumerate(rows) if hard)
    chance = draw_weights(table(labels, [0] * len(rows), hard), 2.0, share)
    present = set(labels)
    for kind in present:
        mine = [i for i, label in enumerate(labels) if label == kind]
        assert chance[mine].sum() == pytest.approx(1 / len(present))
        few = [i for i in mine if i in hard]
        if few:
            assert chance[few].sum() >= share / len(present) - 1e-9
    plain = draw_weights(table(labels, [0] * len(rows), hard), 2.0)
    assert (chance[list(hard)] >= plain[list(hard)] - 1e-12).all()


def test_a_class_without_frames_takes_no_chance() -> None:
    assert draw_weights(table([0, 2], [0, 1]), 1.0) == pytest.approx([0.5, 0.5])
    assert class_shares(np.array([0, 2]), 3) == pytest.approx([0.4, 0.2, 0.4])


def test_members_weigh_episodes_differently_and_every_kind_alike() -> None:
    rows = table([0, 1, 0, 1, 0, 0, 0, 0], [0, 0, 1, 1, 2, 3, 4, 4], hard=(4,))
    weight = bootstrap(rows, 50, np.random.default_rng(0))
    assert weight.shape == (50, 8)
    assert weight[:, [0, 2]].mean(1) == pytest.approx(1.0, abs=1e-5)  # the two episodes with a success
    assert (weight[:, [4, 5, 6]].mean(1) >= 1.0 - 1e-5).all()
    assert (weight[:, 4] >= 1).all()
    assert (weight[:, 6] == weight[:, 7]).all()
    assert weight.min() > 0
    assert weight[:, 0].std() > 0.3


def test_parts_of_a_table() -> None:
    rows = table([0, 1, 0], [0, 1, 1])
    part = rows.part(rows.rows((("a", 0, 1),)))
    assert len(part) == 2
    assert part.labels.tolist() == [1, 0]
    assert part.prepared["vectors"].tolist() == [[1.0], [2.0]]
    assert part.steps.tolist() == [1, 2]
