"""Learning from frames that stay on the device: the same numbers as from host memory."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from agent_rig import SMALL
from contracts import agent_spec, assert_equal_arrays

from robot_hil.data.specs import Array
from robot_hil.data.step import Authority, Step
from robot_hil.methods.anchored import Anchored
from robot_hil.policies.registry import make_agent
from robot_hil.replay.buffer import ReplayBuffer
from robot_hil.replay.frames import HostFrames

SPEC = agent_spec(pixels=True)
STEPS, ROWS, ROUNDS = 24, 8, 3


def on_torch(specs: Any, capacity: int) -> Any:
    from robot_hil.policies.torch.frames import TorchFrames

    return TorchFrames(specs, capacity, "cpu", group=5)


def on_jax(specs: Any, capacity: int) -> Any:
    import jax

    from robot_hil.policies.jax.frames import JaxFrames

    return JaxFrames(specs, capacity, jax.devices("cpu")[0], group=5)


def steps() -> list[Step]:
    rng = np.random.default_rng(0)
    action = np.zeros(SPEC.action.shape, np.float32)
    return [
        Step(
            obs={name: array.sample(rng) for name, array in SPEC.observation.items()},
            action_policy=action,
            action_human=SPEC.action.sample(rng),
            action_executed=SPEC.action.sample(rng),
            authority=np.full(action.shape, Authority.HUMAN if t % 8 == 3 else Authority.POLICY, np.uint8),
            reward={"env": float(t % 5 == 0)},
            terminated=False,
            truncated=False,
            success=False,
            episode_id=0,
            step_index=t,
        )
        for t in range(STEPS)
    ]


def learnt(agent: Any, frames: Callable[..., Any]) -> tuple[dict[str, Array], Array]:
    """Return what the agent has learnt from batches of `frames`, and what it then thinks of some steps."""
    state = agent.init(SPEC, 0)
    stored = agent.stored(SPEC)

    def prepare(obs: Any) -> dict[str, Array]:
        prepared = agent.prepare(obs)
        return {name: prepared.get(name, np.zeros(array.full_shape, array.dtype)) for name, array in stored.items()}

    buffer = ReplayBuffer(stored, len(SPEC.action.names), 20, prepare, frames)
    for step in steps():
        buffer.add(step)
    buffer.rewrite(agent.encoding, lambda arrays: agent.encode(state, arrays), 8)
    rng, rows = np.random.default_rng(0), ROWS * agent.updates_per_round
    out = buffer.empty_batch(rows, agent.reads)
    for _ in range(ROUNDS):
        batch = buffer.sample_view(Anchored(), rng, rows, 0.97, 0, out, agent.updates_per_round)
        state, _ = agent.update(state, batch)
    seen = buffer.observations(np.arange(5), agent.reads["obs"])
    return agent.export(state), agent.values(state, seen)


@pytest.mark.parametrize(("backend", "frames"), [("torch", on_torch), ("jax", on_jax)])
def test_frames_on_the_device_teach_the_same(backend: str, frames: Callable[..., Any]) -> None:
    agent = make_agent(SMALL, backend, "cpu")
    (here, values), (there, others) = learnt(agent, HostFrames), learnt(agent, frames)
    assert_equal_arrays(here, there)
    np.testing.assert_array_equal(values, others)
