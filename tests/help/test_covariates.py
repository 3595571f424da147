"""What was not seen before lies far away, also where every feature by itself looks as always."""

import numpy as np
import pytest

from robot_hil.errors import ConfigError, SpecError
from robot_hil.help import covariates


def walk(gain: float = 0.1, seed: int = 0, steps: int = 300) -> tuple[list[dict[str, np.ndarray]], list[np.ndarray]]:
    """A state that follows the actions."""
    rng = np.random.default_rng(seed)
    actions = rng.uniform(-1, 1, (steps, 2)).astype(np.float32)
    states = np.cumsum(gain * actions, 0) - gain * actions
    return [{"state": s.astype(np.float32)} for s in states], list(actions)


def test_images_become_a_few_colours_and_vectors_stay() -> None:
    image = np.zeros((9, 8, 3), np.uint8)
    image[:2, :2] = 255
    seen = covariates.look({"b": np.array([2.0, 3.0], np.float32), "a": image})
    assert seen.shape == (16 * 3 + 2,)
    assert seen[:6].tolist() == [1.0, 1.0, 1.0, 0.0, 0.0, 0.0]
    assert seen[-2:].tolist() == [2.0, 3.0]
    with pytest.raises(SpecError, match="at least 4x4"):
        covariates.look({"a": np.zeros((3, 8, 3), np.uint8)})


def test_a_step_is_described_by_where_how_it_came_and_what_was_done() -> None:
    now, before = np.array([1.0, 2.0]), np.array([0.5, 2.5])
    assert covariates.describe(now, before, np.array([0.3])).tolist() == [1.0, 2.0, 0.5, -0.5, 0.3]
    assert covariates.describe(now, None, np.array([0.3])).tolist() == [1.0, 2.0, 0.0, 0.0, 0.0]
    rows = covariates.describe_episode([{"s": before}, {"s": now}], [np.array([0.3]), np.array([0.7])])
    assert rows.tolist() == [[0.5, 2.5, 0.0, 0.0, 0.0], [1.0, 2.0, 0.5, -0.5, 0.3]]


def test_a_broken_relation_is_noticed_although_each_feature_looks_as_always() -> None:
    reference = covariates.refer(covariates.describe_episode(*walk()))
    usual = reference.distances(covariates.describe_episode(*walk(seed=1, steps=50)))
    states, actions = walk(seed=1, steps=50)
    swapped = [-a for a in actions]  # the motion is as before, and so is the size of the actions
    unusual = reference.distances(covariates.describe_episode(states, swapped))
    assert np.median(unusual[1:]) > 5 * np.median(usual[1:])


def test_what_never_varied_counts_as_soon_as_it_does() -> None:
    rng = np.random.default_rng(0)
    features = np.concatenate([rng.normal(size=(100, 2)), np.ones((100, 1))], 1)
    reference = covariates.refer(features)
    shifted = features[0] + [0.0, 0.0, 1.0]
    assert reference.distance(shifted) > 10 * reference.distance(features[0])
    assert np.isfinite(reference.points).all()


def test_too_little_and_foreign_features_are_refused() -> None:
    with pytest.raises(ConfigError, match="at least 10 steps; there are 9"):
        covariates.refer(np.zeros((9, 2)))
    with pytest.raises(SpecError, match="made of"):
        covariates.refer(np.eye(20)).distance(np.zeros(3))
