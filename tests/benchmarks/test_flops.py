"""Operations counted by hand are those that torch makes; where it makes more, those are named."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from robot_hil.data.specs import ArraySpec, EnvSpec
from robot_hil.policies.config import AnchoredConfig, HilSerlConfig
from robot_hil.policies.nets.embedding import EmbeddingSpec, embedding, init_embedding
from robot_hil.policies.nets.resnet import ResNetSpec, resnet
from robot_hil.policies.registry import AgentConfig, make_agent
from robot_hil.policies.torch.ops import TorchOps

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))

import flops

ROWS, STATE, ACTIONS, SIDE = 8, 5, 3, 16


def counted(config: AgentConfig, cameras: int = 0) -> float:
    """Return the operations that torch counts in one update."""
    arrays = {"state": ArraySpec(shape=(STATE,))}
    arrays |= {f"camera{i}": ArraySpec(shape=(SIDE, SIDE, 3), dtype="uint8") for i in range(cameras)}
    action = ArraySpec(shape=(ACTIONS,), low=-1.0, high=1.0)
    spec = EnvSpec(env_id="test/Flops-v0", observation=arrays, action=action, control_hz=10.0, max_episode_steps=10)
    agent = make_agent(config, backend="torch", device="cpu")
    state, rng, rows = agent.init(spec, 0), np.random.default_rng(0), ROWS * agent.updates_per_round
    batch = {
        name: np.ones(rows, np.float32) for name in ("reward", "discount", "imitate", "critic_weight", "actor_weight")
    }
    batch["action"] = np.zeros((rows, ACTIONS), np.float32)
    batch["demonstrated"] = np.zeros(rows, np.float32)
    for prefix, names in agent.reads.items():
        for name in names:
            one = agent.stored(spec)[name].drawn
            batch[f"{prefix}/{name}"] = np.stack([one.sample(rng) for _ in range(rows)])
    with FlopCounterMode(display=False) as counter:
        agent.update(state, batch)
    return float(counter.get_total_flops())


def columns(members: int, forward: int, weights: int, inputs: int) -> flops.Work:
    """Return, negative, what critics' outputs need: torch does not count them, as they are no products of matrices."""
    return flops.Dense((256, 1), ROWS, members).forward * -(forward + weights + inputs)


@pytest.mark.parametrize(("ensemble", "updates"), [(2, 1), (3, 4)])
def test_soft_actor_critic_on_states(ensemble: int, updates: int) -> None:
    work = flops.hil_serl(features=STATE, actions=ACTIONS, rows=ROWS, ensemble=ensemble, updates=updates)
    # the actor needs the critics' gradient of actions only; torch makes that of the state, too
    more = flops.Dense((STATE + ACTIONS, 256, 256, 1), ROWS, ensemble).to_inputs(STATE)
    made = counted(HilSerlConfig(ensemble=ensemble, critic_to_actor=updates))
    assert made == (work + more + columns(ensemble, 2 * updates + 1, updates, updates + 1)).products


def test_default_agent_on_states() -> None:
    seen = 2 * STATE
    work = flops.anchored(features=seen, actions=ACTIONS, rows=ROWS, ensemble=4, updates=4)
    more = flops.Dense((seen + 2 * ACTIONS, 256, 256, 1), ROWS, 4).to_inputs(seen)
    # targets: two members and four minibatches at once, as much as two minibatches of all four
    assert counted(AnchoredConfig()) == (work + more + columns(4, 2 + 4 + 1 + 1, 4, 4 + 1)).products


def test_encoder_trained_end_to_end() -> None:
    encoder = flops.Convolutions(side=SIDE, filters=(4, 8), strides=(2, 2), images=2 * ROWS)
    work = flops.anchored(
        features=2 * STATE + 48, actions=ACTIONS, rows=ROWS, ensemble=4, updates=1, encoder=encoder, encoded=48
    )
    made = counted(AnchoredConfig(freeze_encoder=False, utd=1, filters=(4, 8), image_size=SIDE), cameras=2)
    total = work.products + work.convolutions
    assert 0.98 * total < made < 1.1 * total  # more: gradients of vectors and actions, the soft-argmax's small products


def test_residual_trunk() -> None:
    spec = ResNetSpec(blocks=1, grouped=True)
    params = {f"trunk/{name}": torch.zeros(shape) for name, shape in spec.shapes().items()}
    with FlopCounterMode(display=False) as counter:
        resnet(TorchOps(), params, "trunk", spec, torch.zeros(2, 32, 32, 3))
    assert counter.get_total_flops() == flops.residual(side=32, images=2).convolutions


def test_spatial_embeddings_and_their_training() -> None:
    spec = EmbeddingSpec(cameras=2, places=4, channels=16, vectors=5, outputs=32, vector_outputs=8)
    params = {name: torch.from_numpy(x) for name, x in init_embedding("head", spec, np.random.default_rng(0)).items()}
    work = flops.Embeddings(rows=3, cameras=2, vectors=5, channels=16, places=4, outputs=32, vector_outputs=8)
    assert work.features == spec.features
    leaves = [value.requires_grad_() for value in params.values()]
    with FlopCounterMode(display=False) as counter:
        made = embedding(TorchOps(), params, "head", spec, torch.ones(3, 32, 4), torch.ones(3, 5))
        assert work.forward.products <= counter.get_total_flops() <= 1.5 * work.forward.products
        torch.autograd.grad(made.sum(), leaves)
    # more: two channels' sums are made by one product, half of which is zeros
    assert work.train.products <= counter.get_total_flops() <= 1.5 * work.train.products


def test_time_is_the_sum_of_both_kinds() -> None:
    work = flops.Work(products=6.0, convolutions=8.0) * 0.5 + flops.Work(products=1.0)
    assert work.seconds(2.0, 4.0) == 4.0 / 2.0 + 4.0 / 4.0
