"""BC-RNN-GMM: runs of steps, habits that depend on the past, modes that are not averaged; on both backends."""

from dataclasses import replace

import numpy as np
import pytest
from agent_rig import Rig, changed, small

from robot_hil.actor.policy import AgentPolicy
from robot_hil.data.specs import Array
from robot_hil.errors import ConfigError, SpecError
from robot_hil.policies.algorithms.bc_rnn_gmm import BcRnnGmmConfig, gumbel
from robot_hil.protocols import Remembering

SMALL_RNN = small(BcRnnGmmConfig, hidden=(8,), window=4, modes=2)


def still(rig: Rig, rows: int = 8) -> dict[str, Array]:
    """A batch in which nothing is seen to change."""
    batch = rig.batch(rows=rows, imitate=1.0, actor_weight=1.0, within=1.0)
    batch["obs/state"][:] = 0.5
    return batch


def acted(rig: Rig, steps: int) -> Array:
    policy = AgentPolicy(rig.agent)
    policy.set_params(0, rig.agent.load_actor(rig.agent.actor_params(rig.state)))
    policy.begin_episode(0)
    return np.stack([policy.act({"state": np.full(5, 0.5, np.float32)}, deterministic=True) for _ in range(steps)])


def test_what_depends_on_the_past_alone_is_learnt(backend: str) -> None:
    """A person who does another thing at every step, where nothing changes; and again after every window."""
    rig = Rig(replace(SMALL_RNN, hidden=(16,), learning_rate=2e-2), backend)
    batch = still(rig)
    habit = np.float32([0.8, -0.8, 0.0, 0.5])
    batch["action"][:] = np.tile(habit, 2)[:, None]
    for _ in range(500):
        rig.update(batch)
    assert acted(rig, 9)[:, 0] == pytest.approx(np.r_[habit, habit, habit[:1]], abs=0.15)
    assert isinstance(rig.agent, Remembering)


def test_modes_are_not_averaged(backend: str) -> None:
    rig = Rig(replace(SMALL_RNN, learning_rate=2e-2), backend)
    batch = still(rig)
    batch["action"][:] = np.repeat(np.float32([0.7, -0.7]), 4)[:, None]
    for _ in range(250):
        rig.update(batch)
    assert np.abs(acted(rig, 4)) == pytest.approx(np.full((4, 3), 0.7), abs=0.15)


def test_what_lies_outside_a_run_or_has_no_mark_teaches_nothing(backend: str) -> None:
    rig = Rig(SMALL_RNN, backend)
    for column in ("within", "imitate", "actor_weight"):
        assert rig.update(still(rig) | {column: np.zeros(8, np.float32)})["actor_loss"] == 0.0


def test_a_loss_is_the_mean_over_the_rows(backend: str) -> None:
    rig = Rig(replace(SMALL_RNN, learning_rate=0.0), backend)
    batch = still(rig)
    each = []
    for row in range(8):
        mark = np.zeros(8, np.float32)
        mark[row] = 1.0
        each.append(rig.update(batch | {"imitate": mark})["actor_loss"])
    assert rig.update(batch)["actor_loss"] == pytest.approx(sum(each), rel=1e-4)


def test_every_update_moves_all_that_acts(backend: str) -> None:
    rig = Rig(SMALL_RNN, backend)
    before = rig.export()
    rig.pretrain(rig.batch())
    assert changed(before, rig.export()) == {"params/actor", "targets/actor", "adam/actor", "counters/actor_updates"}


def test_a_mode_is_drawn_by_its_weight(nn) -> None:
    noise = np.random.default_rng(0).standard_normal((20_000, 2)).astype(np.float32)
    weight = np.log(np.float32([0.8, 0.2]))
    chosen = (weight + np.asarray(gumbel(nn, nn.array(noise)))).argmax(1)
    assert (chosen == 0).mean() == pytest.approx(0.8, abs=0.02)


def test_rows_that_make_no_whole_runs_are_refused() -> None:
    rig = Rig(SMALL_RNN, "torch")
    with pytest.raises(SpecError, match="10 rows; give a multiple of window = 4"):
        rig.update(rig.batch(rows=10))


@pytest.mark.parametrize("wrong", [{"window": 1}, {"modes": 0}, {"least_std": 0.0}, {"hidden": ()}])
def test_numbers_that_cannot_work_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        replace(SMALL_RNN, **wrong)
