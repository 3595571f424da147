"""What the critics think of states, for people to look at; on both backends."""

from dataclasses import replace

import numpy as np
import pytest
from agent_rig import SMALL, SMALL_HIL_SERL, Rig
from contracts import assert_equal_arrays

from robot_hil.policies.config import AnchoredConfig, HilSerlConfig
from robot_hil.protocols import Valuing

AGENTS: dict[str, AnchoredConfig | HilSerlConfig] = {
    "anchored": SMALL,
    "trained encoder": replace(SMALL, freeze_encoder=False),
    "categorical": replace(SMALL, bins=21),
    "hil-serl": SMALL_HIL_SERL,
}


@pytest.mark.parametrize("pixels", [False, True], ids=["state", "pixels"])
@pytest.mark.parametrize("name", AGENTS)
def test_values_are_repeatable_and_change_nothing(name: str, pixels: bool, backend: str) -> None:
    rig = Rig(AGENTS[name], backend, pixels=pixels, gripper=True)
    agent = rig.agent
    assert isinstance(agent, Valuing)
    batch = rig.batch(rows=8 * agent.updates_per_round)
    if backend == "torch":  # of jax the contract has seen that much, and compiling takes long
        rig.update(batch)
    before = rig.export()
    values = agent.values(rig.state, batch)
    assert values.shape == (len(batch["reward"]),)
    assert values.dtype == np.float32
    assert np.isfinite(values).all()
    assert np.unique(values).size > 1
    np.testing.assert_array_equal(values, agent.values(rig.state, batch))
    assert_equal_arrays(rig.export(), before)  # the generator too
    seen_alone = {name: value for name, value in batch.items() if name.startswith("obs/")}
    np.testing.assert_array_equal(values, agent.values(rig.state, seen_alone))


def test_values_are_learnt_returns(backend: str) -> None:
    """Episodes that end at once with reward 1 or 0, told apart by what is seen."""
    rig = Rig(replace(SMALL, learning_rate=3e-3, hidden=(16, 16), ensemble=3), backend)
    batch = rig.batch(rows=128)
    good = batch["obs/state"][:, 0] > np.median(batch["obs/state"][:, 0])
    batch |= {"reward": good.astype(np.float32), "discount": np.zeros(len(good), np.float32)}
    for _ in range(150):
        rig.update(batch)
    values = rig.agent.values(rig.state, batch)
    assert values[good].mean() > 0.8
    assert values[~good].mean() < 0.2
