"""What an agent becomes after twenty updates from a fixed seed on fixed data: a change here changes every result.

The numbers hold for every processor and either backend within rounding. A change on purpose replaces them, and
says so in its commit.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from contracts import agent_batch, agent_spec

from robot_hil.policies.config import AnchoredConfig, BcConfig, HilSerlConfig
from robot_hil.policies.registry import AgentConfig, make_agent

ANCHORED = AnchoredConfig(
    hidden=(32, 32), activation="relu", ensemble=4, action_gain=5.0, subset=2, utd=2, learning_rate=3e-4,
    clone_rate=3e-4, actor_rate=3e-4, tau=0.02, value_range=(0.0, 1.0), bins=0, exploration=0.1, caution=1.0,
    anchor=1.0, anchor_filter="all", anchor_half_life=100, actor_average=1.0, clip_norm=10.0,
    actors=1, vector_gain=0.0, clone_average=0.02,
)  # fmt: skip
HIL_SERL = HilSerlConfig(
    hidden=(32, 32), ensemble=2, critic_to_actor=2, learning_rate=3e-4, tau=0.005, init_temperature=0.01,
    target_entropy_per_dim=-0.5, gripper_penalty=0.02,
)  # fmt: skip
BC = BcConfig(hidden=(32, 32), learning_rate=1e-3)
EXPECTED: dict[str, dict[str, float]] = {
    "AnchoredConfig": {
        "critic_loss": 0.1310264, "target_mean": 0.2324007, "q_mean": 0.1803142, "human_better": 0.5,
        "anchor_loss": 0.2593193, "actor_loss": 0.1352287, "actor norm": 6.370146, "critic norm": 14.29069,
        "action": 0.2800094,
    },
    "HilSerlConfig": {
        "critic_loss": 1.229791, "target_mean": -0.04303284, "q_mean": 0.06060966, "entropy": 0.07267809,
        "temperature": 0.009946497, "actor norm": 10.71186, "critic norm": 14.90406, "action": -0.4034213,
    },
    "BcConfig": {"actor_loss": 0.06823968, "actor norm": 6.394867, "action": 0.1931211},
}  # fmt: skip


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def numbers_after(config: AgentConfig, backend: str, updates: int) -> dict[str, float]:
    """Return the last metrics, the size of each network, and one action."""
    agent, spec = make_agent(config, backend), agent_spec(gripper=True)
    state: Any = agent.init(spec, 0)
    batch = agent_batch(agent, spec, 16 * agent.updates_per_round)
    for _ in range(updates):
        state, _ = agent.pretrain(state, batch)
        state, metrics = agent.update(state, batch)
    numbers = dict(metrics)
    params = {k.removeprefix("params/"): v for k, v in agent.export(state).items() if k.startswith("params/")}
    for network in ("actor", "critic"):
        squares = [np.sum(v.astype(np.float64) ** 2) for k, v in params.items() if k.startswith(network)]
        if squares:
            numbers[f"{network} norm"] = float(np.sqrt(np.sum(squares)))
    obs = {"state": np.linspace(-1.0, 1.0, 5, dtype=np.float32)}
    actor = agent.load_actor(agent.actor_params(state))
    numbers["action"] = float(agent.act(actor, obs, True, np.random.default_rng(0))[0])
    return numbers


@pytest.mark.parametrize("config", [ANCHORED, HIL_SERL, BC], ids=lambda config: type(config).__name__)
def test_twenty_updates_end_where_they_always_did(config: AgentConfig, backend: str) -> None:
    found = numbers_after(config, backend, 20)
    assert found == pytest.approx(EXPECTED[type(config).__name__], rel=1e-4)
