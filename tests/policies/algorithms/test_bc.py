"""Behaviour cloning: it imitates what is marked, weighted, from state and from images; on both backends."""

from dataclasses import replace

import numpy as np
import pytest
from agent_rig import SMALL_BC, Rig, changed

from robot_hil.errors import ConfigError
from robot_hil.protocols import Valuing


def test_every_update_moves_all_that_acts(backend: str) -> None:
    rig = Rig(SMALL_BC, backend, pixels=True)
    before = rig.export()
    rig.update(rig.batch())
    assert changed(before, rig.export()) == {
        "params/actor", "params/encoder", "targets/actor", "targets/encoder", "adam/actor", "counters/actor_updates",
        "generator",
    }  # fmt: skip
    assert rig.counters() == {"actor_updates": 1}


def test_the_average_of_recent_weights_acts(backend: str) -> None:
    newest, averaged = (Rig(replace(SMALL_BC, average=rate), backend, pixels=True) for rate in (1.0, 0.25))
    before = averaged.export()
    acting = [rig.agent.actor_params(rig.update(rig.batch()) and rig.state) for rig in (newest, averaged)]
    for name, moved in acting[0].items():
        start = before[f"params/{name}"]
        assert np.allclose(acting[1][name], start + 0.25 * (moved - start), atol=1e-6), name


def test_it_learns_the_actions_of_the_marked_rows(backend: str) -> None:
    rig = Rig(replace(SMALL_BC, learning_rate=3e-3), backend)
    batch = rig.batch(rows=16)
    batch["imitate"] = np.repeat(np.float32([1.0, 0.0]), 8)
    batch["action"][:8] *= 0.5
    losses = [rig.update(batch)["actor_loss"] for _ in range(400)]
    assert losses[-1] < 0.05 * losses[0]
    actor = rig.agent.load_actor(rig.agent.actor_params(rig.state))
    error = [
        np.abs(rig.agent.act(actor, {"state": obs}, True, np.random.default_rng(0)) - action).mean()
        for obs, action in zip(batch["obs/state"], batch["action"], strict=True)
    ]
    assert np.mean(error[:8]) < 0.2 < np.mean(error[8:])


def test_unmarked_rows_and_such_without_weight_teach_nothing(backend: str) -> None:
    rig = Rig(SMALL_BC, backend)
    assert rig.update(rig.batch(imitate=0.0))["actor_loss"] == 0.0
    assert rig.update(rig.batch(imitate=1.0, actor_weight=0.0))["actor_loss"] == 0.0
    whole = rig.update(rig.batch(imitate=1.0))["actor_loss"]
    other = Rig(SMALL_BC, backend)
    assert other.update(other.batch(imitate=1.0, actor_weight=0.5))["actor_loss"] == pytest.approx(whole / 2, rel=1e-2)


def test_the_warm_start_is_the_same_learning(backend: str) -> None:
    one, other = (Rig(SMALL_BC, backend, pixels=True) for _ in range(2))
    batch = one.batch()
    assert one.pretrain(batch)["clone_loss"] == pytest.approx(other.update(batch)["actor_loss"])
    left, right = one.params(), other.params()
    assert all(np.allclose(left[name], right[name], atol=1e-6) for name in left)
    assert one.agent.imitates == one.agent.reads == {"obs": ("state", "stacked_images")}


def test_it_acts_as_it_learnt_unless_noise_is_asked_for(backend: str) -> None:
    for exploration, moves in ((0.0, False), (0.3, True)):
        rig = Rig(replace(SMALL_BC, exploration=exploration), backend)
        actor = rig.agent.load_actor(rig.agent.actor_params(rig.state))
        obs = {"state": np.zeros(5, np.float32)}
        first, second = (rig.agent.act(actor, obs, False, np.random.default_rng(seed)) for seed in (0, 1))
        assert np.array_equal(first, second) != moves


def test_it_thinks_nothing_of_what_it_sees(backend: str) -> None:
    assert not isinstance(Rig(SMALL_BC, backend).agent, Valuing)


def test_negative_noise_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"exploration is -0\.1"):
        replace(SMALL_BC, exploration=-0.1)
