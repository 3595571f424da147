"""What the critics think of states, for people to look at."""

from dataclasses import replace

import numpy as np
import pytest
from contracts import agent_batch, agent_spec, assert_equal_arrays

from robot_hil.policies.config import AnchoredConfig, HilSerlConfig
from robot_hil.policies.torch.anchored import AnchoredRlpd
from robot_hil.policies.torch.hil_serl import HilSerl
from robot_hil.protocols import Valuing

SMALL_ANCHORED = AnchoredConfig(hidden=(16, 16), ensemble=3, utd=2, filters=(4, 4), image_size=8, shift=2)
SMALL_HIL_SERL = HilSerlConfig(hidden=(16, 16), filters=(4, 4), image_size=8, shift=2)

AGENTS = {
    "anchored": lambda: AnchoredRlpd(SMALL_ANCHORED),
    "trained encoder": lambda: AnchoredRlpd(replace(SMALL_ANCHORED, freeze_encoder=False)),
    "categorical": lambda: AnchoredRlpd(replace(SMALL_ANCHORED, bins=21)),
    "hil-serl": lambda: HilSerl(SMALL_HIL_SERL),
}


@pytest.mark.parametrize("pixels", [False, True], ids=["state", "pixels"])
@pytest.mark.parametrize("name", AGENTS)
def test_values_are_repeatable_and_change_nothing(name: str, pixels: bool) -> None:
    agent = AGENTS[name]()
    assert isinstance(agent, Valuing)
    state = agent.init(agent_spec(pixels=pixels, gripper=True), 0)
    batch = agent_batch(agent, agent_spec(pixels=pixels, gripper=True), 8 * agent.updates_per_round)
    state, _ = agent.update(state, batch)
    before = agent.export(state)
    values = agent.values(state, batch)
    assert values.shape == (len(batch["reward"]),)
    assert values.dtype == np.float32
    assert np.isfinite(values).all()
    assert np.unique(values).size > 1
    np.testing.assert_array_equal(values, agent.values(state, batch))
    assert_equal_arrays(agent.export(state), before)  # the generator too
    agent.update(state, batch)


def test_values_are_learnt_returns() -> None:
    """Episodes that end at once with reward 1 or 0, told apart by what is seen."""
    spec = agent_spec()
    agent = AnchoredRlpd(replace(SMALL_ANCHORED, learning_rate=3e-3))
    state = agent.init(spec, 0)
    batch = agent_batch(agent, spec, 64 * agent.updates_per_round)
    name = next(key for key in batch if key.startswith("obs/"))
    good = batch[name][:, 0] > np.median(batch[name][:, 0])
    batch |= {"reward": good.astype(np.float32), "discount": np.zeros(len(good), np.float32)}
    for _ in range(150):
        state, _ = agent.update(state, batch)
    values = agent.values(state, batch)
    assert values[good].mean() > 0.8
    assert values[~good].mean() < 0.2
