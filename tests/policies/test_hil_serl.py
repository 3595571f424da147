"""The HIL-SERL baseline: what is updated by what, the discrete gripper, its penalty, names."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from contracts import agent_batch, agent_spec

from robot_hil.data.specs import Array
from robot_hil.policies.config import HilSerlConfig
from robot_hil.policies.torch.hil_serl import HilSerl

SMALL = HilSerlConfig(hidden=(16, 16), filters=(4, 4), image_size=8, shift=2)


def started(pixels: bool = False, gripper: bool = True, config: HilSerlConfig = SMALL) -> tuple[HilSerl, Any]:
    agent = HilSerl(config)
    return agent, agent.init(agent_spec(pixels=pixels, gripper=gripper), 0)


def batch_for(agent: HilSerl, rows: int = 8, pixels: bool = False, gripper: bool = True) -> dict[str, Array]:
    return agent_batch(agent, agent_spec(pixels=pixels, gripper=gripper), rows)


def changed(before: dict[str, Array], after: dict[str, Array]) -> set[str]:
    return {"/".join(k.split("/")[:2]) for k in before if not np.array_equal(before[k], after[k])}


@pytest.mark.parametrize("pixels", [False, True])
@pytest.mark.parametrize("gripper", [False, True])
def test_critic_and_actor_updates_keep_to_their_own(pixels: bool, gripper: bool) -> None:
    agent, state = started(pixels, gripper)
    batch = batch_for(agent, pixels=pixels, gripper=gripper)
    agent.update(state, batch)  # moments are not zero any more
    before = agent.export(state)
    features, _ = agent._update_critic(state, batch)
    after = agent.export(state)
    grasp = {"params/grasp", "targets/grasp"} if gripper else set()
    encoder = {"params/encoder"} if pixels else set()
    common = {"params/critic", "targets/critic", "adam/critic", "counters/critic_updates", "generator"}
    assert changed(before, after) == common | grasp | encoder
    agent._update_actor(state, batch, features)
    assert changed(after, agent.export(state)) == {
        "params/actor", "params/temperature", "adam/actor", "adam/temperature", "counters/actor_updates", "generator",
    }  # fmt: skip


def test_a_round_is_two_critic_updates_and_one_of_the_actor() -> None:
    agent, state = started()
    agent.update(state, batch_for(agent))
    assert state.counters == {"critic_updates": 2, "actor_updates": 1}


def test_members_have_output_layers_of_their_own() -> None:
    _, state = started()
    out = state.params["critic/out/kernel"].detach()
    assert out.shape == (2, 16, 1)
    assert not torch.allclose(out[0], out[1])


def test_gripper_takes_one_of_three_values_and_only_where_there_is_one() -> None:
    agent, state = started()
    actor = agent.load_actor(agent.actor_params(state))
    assert any(name.startswith("grasp/") for name in actor)
    rng = np.random.default_rng(0)
    spec = agent_spec(gripper=True)
    for best, value in enumerate((-1.0, 0.0, 1.0)):
        actor["grasp/out/kernel"].zero_()
        actor["grasp/out/bias"].zero_()
        actor["grasp/out/bias"][..., best] = 1.0
        obs = {name: array.sample(rng) for name, array in spec.observation.items()}
        assert agent.act(actor, obs, False, rng)[3] == value
    _, plain = started(gripper=False)
    assert not any("grasp" in name for name in plain.params)


def gripper_nets(state: Any, online: list[float], target: list[float]) -> None:
    """Let the gripper's critic return `online` everywhere, and the one it follows `target`."""
    for params, values in ((state.params, online), (state.targets, target)):
        params["grasp/out/kernel"].detach().zero_()
        params["grasp/out/bias"].detach().copy_(torch.tensor(values).expand_as(params["grasp/out/bias"]))


def grasp_loss(agent: HilSerl, state: Any, batch: dict[str, Array], reward: float, discount: float) -> float:
    rows = len(batch["reward"])
    features = agent._features(state.params, batch, "obs", None)
    loss = agent._grasp_loss(
        state, batch, features, features, torch.full((rows,), reward), torch.full((rows,), discount)
    )
    return float(loss.detach())


def test_gripper_critic_is_a_double_dqn() -> None:
    """The online network chooses "stay", the target network values it at 0.5, and "open" is worth 0.2 so far."""
    agent, state = started(config=replace(SMALL, gripper_penalty=0.0))
    gripper_nets(state, [0.0, 1.0, 0.2], [5.0, 0.5, 7.0])
    batch = batch_for(agent)
    batch["action"][:, 3] = 1.0
    assert grasp_loss(agent, state, batch, reward=0.25, discount=0.9) == pytest.approx((0.2 - 0.7) ** 2)
    assert grasp_loss(agent, state, batch, reward=1.0, discount=0.0) == pytest.approx((0.2 - 1.0) ** 2)


@pytest.mark.parametrize(
    ("command", "action", "turned"),
    [(1.0, -1.0, True), (-1.0, 1.0, True), (1.0, 1.0, False), (-1.0, -1.0, False), (1.0, 0.0, False)],
)
def test_turning_the_gripper_round_costs_the_penalty(command: float, action: float, turned: bool) -> None:
    agent, state = started(config=replace(SMALL, gripper_penalty=0.1))
    gripper_nets(state, [0.0, 0.0, 0.0], [0.0, 0.0, 0.0])
    batch = batch_for(agent)
    batch["obs/state"][:, 4], batch["action"][:, 3] = command, action
    loss = grasp_loss(agent, state, batch, reward=0.0, discount=0.0)
    assert loss == pytest.approx(0.01 if turned else 0.0)


def test_pretraining_changes_nothing() -> None:
    agent, state = started()
    before = agent.export(state)
    state, metrics = agent.pretrain(state, batch_for(agent))
    assert metrics == {}
    assert changed(before, agent.export(state)) == set()
