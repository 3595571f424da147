"""Steps whose observation says which step it is, so that a wrong pairing shows."""

from collections.abc import Callable

import numpy as np
import pytest

from robot_hil.data.specs import Array, ArraySpec
from robot_hil.data.step import Authority, Segment, Step
from robot_hil.replay.buffer import ReplayBuffer

ACTION_DIM = 2


def observe(actor: int, epoch: int, episode: int, index: int) -> dict[str, Array]:
    identity = np.array([actor, epoch, episode, index], np.float32)
    return {"id": identity, "image": np.full((2, 2, 3), (episode * 31 + index) % 256, np.uint8)}


def build_step(
    episode: int,
    index: int,
    *,
    human: bool = False,
    demo: bool = False,
    end: str = "",
    final: bool = True,
    actor: int = 0,
    epoch: int = 0,
    reward: float = 0.0,
    **facts: object,
) -> Step:
    """Make a step; `end` is "", "terminated" or "truncated"."""
    absent = np.full(ACTION_DIM, np.nan, np.float32)
    driven = human or demo
    fields: dict[str, object] = {
        "obs": observe(actor, epoch, episode, index),
        "action_policy": absent if demo else np.full(ACTION_DIM, -0.5, np.float32),
        "action_human": np.full(ACTION_DIM, 0.5, np.float32) if driven else absent,
        "action_executed": np.full(ACTION_DIM, 0.25, np.float32),
        "authority": np.full(ACTION_DIM, Authority.HUMAN if driven else Authority.POLICY, np.uint8),
        "reward": {"env": reward},
        "terminated": end == "terminated",
        "truncated": end == "truncated",
        "success": end == "terminated",
        "episode_id": episode,
        "step_index": index,
        "segment": Segment.DEMO if demo else Segment.CORRECTION if human else Segment.NONE,
        "final_obs": observe(actor, epoch, episode, index + 1) if end and final else None,
        "actor_id": f"actor{actor}",
        "epoch": epoch,
    }
    return Step(**(fields | facts))  # type: ignore[arg-type]


@pytest.fixture
def make_step() -> Callable[..., Step]:
    return build_step


@pytest.fixture
def make_buffer() -> Callable[..., ReplayBuffer]:
    spec = {"id": ArraySpec(shape=(4,)), "image": ArraySpec(shape=(2, 2, 3), dtype="uint8")}

    def make(capacity: int = 1_000, **options: object) -> ReplayBuffer:
        return ReplayBuffer(spec, ACTION_DIM, capacity, **options)  # type: ignore[arg-type]

    return make
