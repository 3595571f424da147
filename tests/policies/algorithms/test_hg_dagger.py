"""HG-DAgger: the ensemble imitates, acts by its mean, and doubts what it has not seen."""

import numpy as np
import pytest
from agent_rig import Rig, changed, small

from robot_hil.errors import ConfigError
from robot_hil.policies.algorithms.hg_dagger import HgDaggerConfig

LINEAR = small(HgDaggerConfig, hidden=(), members=3, exploration=0.5)


def test_doubt_and_action_are_spread_and_mean(backend: str) -> None:
    rig = Rig(LINEAR, backend)
    batch = rig.batch() | {"noise/act": np.full((8, 4), 0.2, np.float32)}
    kernel, bias = (rig.params()[f"actor/out/{name}"] for name in ("kernel", "bias"))
    size = kernel.shape[-1]
    batch["noise/act"] = batch["noise/act"][:, :size]
    members = np.tanh(batch["obs/state"] @ kernel + bias)
    doubt = np.linalg.norm(members.var(0), axis=1)
    assert rig.run(rig.algorithm.doubt, batch) == pytest.approx(doubt, rel=1e-4)
    acted = np.clip(members.mean(0) + 0.1, -1, 1)
    assert rig.run(rig.algorithm.act, batch) == pytest.approx(acted, abs=1e-5)


def test_doubt_fades_where_it_has_learnt_and_stays_elsewhere() -> None:
    rig = Rig(small(HgDaggerConfig, hidden=(32,), learning_rate=1e-2), "torch")
    batch = rig.batch(imitate=1.0)
    batch["action"] *= 0.5
    elsewhere = {"obs/state": -4.0 * batch["obs/state"]}
    losses = [rig.update(batch)["actor_loss"] for _ in range(300)]
    assert losses[-1] < 0.05 * losses[0]
    assert rig.run(rig.algorithm.doubt, batch).mean() < 0.1 * rig.run(rig.algorithm.doubt, elsewhere).mean()


def test_all_members_learn_and_stay_different(backend: str) -> None:
    rig = Rig(LINEAR, backend)
    before = rig.export()
    rig.update(rig.batch(imitate=1.0))
    assert changed(before, rig.export()) == {"params/actor", "targets/actor", "adam/actor", "counters/actor_updates"}
    moved = np.abs(rig.params()["actor/out/kernel"] - before["params/actor/out/kernel"]).max((1, 2))
    assert (moved > 0).all()
    kernel = rig.params()["actor/out/kernel"]
    assert not np.allclose(kernel[0], kernel[1])


def test_an_ensemble_of_one_is_refused() -> None:
    with pytest.raises(ConfigError, match="members is 1"):
        HgDaggerConfig(members=1)
