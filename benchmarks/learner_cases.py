"""The agents whose speed is measured: what each is, what it needs, what was promised, what others reach."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import flops
import numpy as np
from safetensors.numpy import save_file

from robot_hil.data.specs import Array, ArraySpec, EnvSpec
from robot_hil.policies.config import AnchoredConfig, HilSerlConfig, TrunkConfig
from robot_hil.policies.registry import AgentConfig
from robot_hil.protocols import Agent

STATE = {"state": ArraySpec(shape=(18,))}
CAMERAS = {name: ArraySpec(shape=(128, 128, 3), dtype="uint8") for name in ("front", "wrist")}
ACTIONS = 7
FLOAT32, BFLOAT16 = "float32", "bfloat16"
TRUNK_FILE = str(Path(tempfile.gettempdir()) / "robot-hil-benchmark-resnet10.safetensors")
"""Random weights in the shapes of the published trunk: speed does not depend on what it has learnt."""


def write_trunk() -> None:
    """Write `TRUNK_FILE`."""
    from robot_hil.policies.nets.resnet import ResNetSpec
    from robot_hil.policies.trunk_names import resnet_layouts

    spec, rng = ResNetSpec(blocks=1, grouped=True), np.random.default_rng(0)
    names = resnet_layouts(spec)[0].names
    arrays = {}
    for name, shape in spec.shapes().items():
        conv, _, kind = name.rpartition("/")
        if kind == "kernel":
            arrays[names[name]] = (rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)
        else:
            part = {"scale": "weight", "shift": "bias"}[kind]
            arrays[names[f"{conv}/norm/{part}"]] = np.full(shape, float(kind == "scale"), np.float32)
    save_file(arrays, TRUNK_FILE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """An agent whose rounds are timed."""

    name: str
    config: AgentConfig
    observation: Mapping[str, ArraySpec]
    rows: int
    """Of a minibatch."""
    work: flops.Work
    """Of a round."""
    targets: Mapping[str, float] = field(default_factory=dict)
    """Precision -> rounds per second."""
    others: str = ""


def soft_actor_critic(ensemble: int, updates: int) -> dict[str, Any]:
    """Return what the cases of the HIL-SERL agent have in common: state 18-d, no gripper critic.

    Targets come from two critics: of ten, drawn anew for each update, as published.
    """
    return {
        "config": HilSerlConfig(ensemble=ensemble, critic_to_actor=updates, subset=0 if ensemble == 2 else 2),
        "observation": STATE,
        "rows": 256,
        "work": flops.hil_serl(features=18, actions=ACTIONS, rows=256, ensemble=ensemble, updates=updates, subset=2),
    }


STATE_CASES = (
    Case(
        name="state, ensemble 2, full update",
        targets={FLOAT32: 220.0, BFLOAT16: 350.0},
        others="HIL-SERL 176, LeRobot 52",
        **soft_actor_critic(2, 1),
    ),
    Case(
        name="state, ensemble 10, full update",
        targets={FLOAT32: 65.0, BFLOAT16: 130.0},
        others="HIL-SERL 53, LeRobot 17",
        **soft_actor_critic(10, 1),
    ),
    Case(
        name="state, ensemble 10, 3 critic updates and a full one",
        targets={FLOAT32: 20.0, BFLOAT16: 40.0},
        others="HIL-SERL 16",
        **soft_actor_critic(10, 4),
    ),
    Case(
        name="state, default agent: 4 critic updates, 1 of the actor",
        config=AnchoredConfig(),
        observation=STATE,
        rows=256,
        work=flops.anchored(features=2 * 18, actions=ACTIONS, rows=256, ensemble=4, updates=4),
    ),
)
SMALL = flops.Convolutions(side=64, filters=(16, 32), strides=(2, 2), images=2 * 128)
TRUNK = flops.Embeddings(rows=256, cameras=2, vectors=18)
PIXEL_CASES = (
    Case(
        name="two 128x128 cameras, frozen ResNet-10, cached, full update, batch 256",
        config=HilSerlConfig(critic_to_actor=1, trunk=TrunkConfig(file=TRUNK_FILE)),
        observation=STATE | CAMERAS,
        rows=256,
        work=flops.hil_serl(
            features=TRUNK.features,
            actions=ACTIONS,
            rows=256,
            ensemble=2,
            updates=1,
            encoder=TRUNK,
            encoded=TRUNK.features,
        ),
        targets={FLOAT32: 12.0},
        others="HIL-SERL 0.06 to 0.1",
    ),
    Case(
        name="two 64x64 cameras, small encoder trained end to end, full update, batch 128",
        config=AnchoredConfig(freeze_encoder=False, utd=1),
        observation=STATE | CAMERAS,
        rows=128,
        work=flops.anchored(
            features=2 * 18 + 192, actions=ACTIONS, rows=128, ensemble=4, updates=1, encoder=SMALL, encoded=192
        ),
        targets={FLOAT32: 15.0, BFLOAT16: 25.0},
        others="LeRobot 0.13 at 128x128, batch 256",
    ),
    Case(
        name="two 64x64 cameras, small encoder frozen and cached, full update, batch 128",
        config=AnchoredConfig(utd=1),
        observation=STATE | CAMERAS,
        rows=128,
        work=flops.anchored(features=2 * 18 + 192, actions=ACTIONS, rows=128, ensemble=4, updates=1),
    ),
)


def spec_with(observation: Mapping[str, ArraySpec]) -> EnvSpec:
    """Return an environment of 10 Hz with seven actions."""
    return EnvSpec(
        env_id="benchmark/Learner-v0",
        observation=dict(observation),
        action=ArraySpec(shape=(ACTIONS,), low=-1.0, high=1.0),
        control_hz=10.0,
        max_episode_steps=100,
    )


def batches(agent: Agent, spec: EnvSpec, rows: int, count: int = 4) -> list[dict[str, Array]]:
    """Return `count` random batches as the replay makes them; a quarter of the rows is imitated."""
    rng = np.random.default_rng(0)
    made = []
    for _ in range(count):
        batch: dict[str, Array] = {}
        for prefix, names in agent.reads.items():
            for name in names:
                array = agent.stored(spec)[name].drawn
                batch[f"{prefix}/{name}"] = np.stack([array.sample(rng) for _ in range(rows)])
        ended = rng.random(rows) < 0.05
        batch["action"] = rng.uniform(-1, 1, (rows, ACTIONS)).astype(np.float32)
        batch["reward"] = ended.astype(np.float32)
        batch["discount"] = np.where(ended, 0.0, 0.95).astype(np.float32)
        batch["imitate"] = (rng.random(rows) < 0.25).astype(np.float32)
        batch["demonstrated"] = batch["imitate"] * (rng.random(rows) < 0.5)
        batch["critic_weight"] = batch["actor_weight"] = np.ones(rows, np.float32)
        made.append(batch)
    return made


@dataclass(frozen=True, slots=True, kw_only=True)
class Acting:
    """An actor whose time for one action is measured."""

    name: str
    config: AgentConfig
    observation: Mapping[str, ArraySpec]
    target_ms: float | None
    """Of the 99th percentile."""
    work: flops.Work
    others: str
    """Of the median."""


ACTING = (
    Acting(
        name="state",
        config=AnchoredConfig(),
        observation=STATE,
        target_ms=0.5,
        work=flops.Work(),
        others="HIL-SERL 0.17, LeRobot 0.30",
    ),
    Acting(
        name="two cameras, small encoder",
        config=AnchoredConfig(),
        observation=STATE | CAMERAS,
        target_ms=10.0,
        work=flops.Convolutions(side=64, filters=(16, 32), strides=(2, 2), images=2).forward,
        others="LeRobot 7.6",
    ),
    Acting(
        name="two cameras, frozen ResNet-10",
        config=HilSerlConfig(trunk=TrunkConfig(file=TRUNK_FILE)),
        observation=STATE | CAMERAS,
        target_ms=None,
        work=flops.residual(side=128, images=2),
        others="HIL-SERL 15, two cores",
    ),
)
