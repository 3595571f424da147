"""The HIL-SERL baseline: RLPD-style SAC with a discrete gripper critic (Luo et al. 2024, arXiv 2410.21845).

Networks and numbers of the published code. What is defective there is right here: critic-only updates leave actor and
temperature bit-identical, every critic has its own output layer, time-outs bootstrap, and the pools never mispair
frames (that is the replay's doing). Images go through the same small encoder as the default agent's, in place of the
published frozen trunk, so that a comparison is about the algorithm.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as functional
from torch import Tensor

from robot_hil.data.specs import Array, ArraySpec, EnvSpec, Observation
from robot_hil.errors import SpecError
from robot_hil.policies import losses
from robot_hil.policies.config import HilSerlConfig
from robot_hil.policies.torch.common import (
    ENCODER,
    STACKED,
    GroupAdam,
    Inputs,
    TorchState,
    detached,
    export_state,
    load_state,
    observation_batch,
    polyak,
    select,
    to_numpy,
)
from robot_hil.policies.torch.networks import MlpSpec, Params, conv, gaussian, init_conv, init_mlp, mlp

LOG_STD = (float(np.log(1e-5)), float(np.log(5.0)))
"""Range of the policy's log standard deviation, as published."""


class HilSerl:
    """The agent; see `robot_hil.protocols.Agent`. Holds no learning state itself."""

    def __init__(self, config: HilSerlConfig) -> None:
        self.config = config

    @property
    def updates_per_round(self) -> int:
        """See `Agent.updates_per_round`."""
        return self.config.critic_to_actor

    def bind(self, spec: EnvSpec) -> None:
        """See `Agent.bind`. An action named `gripper` is learnt by a discrete critic: close, stay, open."""
        c = self.config
        self._inputs = Inputs.of(spec, c.image_size, c.shift)
        self._actions = spec.action.shape[0]
        grip = [i for i, name in enumerate(spec.action.names) if name == "gripper"]
        self._grip = grip[0] if grip else None
        self._arm = [i for i in range(self._actions) if i != self._grip]
        self._command = _gripper_command(spec)
        self._conv = self._inputs.conv_spec(c.filters, c.strides)
        features = self._inputs.vector_size + (self._conv.features if self._inputs.images else 0)

        def net(inputs: int, outputs: int) -> MlpSpec:
            return MlpSpec(inputs=inputs, outputs=outputs, hidden=c.hidden, activation="tanh", affine_norm=True)

        self._actor = net(features, 2 * len(self._arm))
        self._critic = net(features + len(self._arm), 1)
        self._grasp = net(features, 3)

    def stored(self, spec: EnvSpec) -> dict[str, ArraySpec]:
        """See `Agent.stored`."""
        return self._inputs.stored(spec)

    def prepare(self, obs: Observation) -> dict[str, Array]:
        """See `Agent.prepare`."""
        return self._inputs.prepare(obs)

    @property
    def encoding(self) -> str:
        """See `Agent.encoding`: the encoder is trained throughout, nothing is cached."""
        return ""

    def encode(self, state: TorchState, frames: Mapping[str, Array]) -> Array:
        """See `Agent.encode`; never asked."""
        raise SpecError("the HIL-SERL baseline caches no encoding.")

    @property
    def imitates(self) -> Mapping[str, tuple[str, ...]]:
        """See `Agent.imitates`: it imitates nothing."""
        return {}

    @property
    def reads(self) -> Mapping[str, tuple[str, ...]]:
        """See `Agent.reads`."""
        names = (*self._inputs.vectors, *((STACKED,) if self._inputs.images else ()))
        return {"obs": names, "next_obs": names}

    def init(self, spec: EnvSpec, seed: int) -> TorchState:
        """See `Agent.init`."""
        self.bind(spec)
        c = self.config
        generator = torch.Generator().manual_seed(seed)
        params: Params = {}
        if self._inputs.images:
            params |= init_conv(ENCODER, self._conv, generator)
        params |= init_mlp("actor", self._actor, generator)
        params |= init_mlp("critic", self._critic, generator, members=c.ensemble)
        if self._grip is not None:
            params |= init_mlp("grasp", self._grasp, generator)
        raw = float(np.log(np.expm1(c.init_temperature)))
        params["temperature/raw"] = torch.tensor(raw)  # softplus of this
        learnt = ("critic/", "grasp/", ENCODER + "/")
        groups = {
            "critic": [k for k in params if k.startswith(learnt)],
            "actor": list(select(params, "actor")),
            "temperature": ["temperature/raw"],
        }
        return TorchState(
            params=params,
            targets={k: v.clone() for k, v in params.items() if k.startswith(("critic/", "grasp/"))},
            optimizers={g: GroupAdam(params, names, c.learning_rate) for g, names in groups.items()},
            generator=generator,
            counters={"critic_updates": 0, "actor_updates": 0},
        )

    def actor_params(self, state: TorchState) -> dict[str, Array]:
        """See `Agent.actor_params`: the gripper's critic acts, so it is among them."""
        return to_numpy({k: v for k, v in state.params.items() if k.startswith(("actor/", "grasp/", ENCODER + "/"))})

    def load_actor(self, params: Mapping[str, Array]) -> Params:
        """See `Agent.load_actor`."""
        return {name: torch.from_numpy(np.array(value)) for name, value in params.items()}

    def act(self, actor: Params, obs: Observation, deterministic: bool, rng: np.random.Generator) -> Array:
        """See `Agent.act`; the gripper is always greedy, as published."""
        with torch.inference_mode():
            features = self._features(actor, observation_batch(self.prepare(obs)), "obs", None)
            raw = mlp(actor, "actor", self._actor, features)
            noise = torch.zeros((1, len(self._arm)))
            if not deterministic:
                noise = torch.from_numpy(rng.standard_normal((1, len(self._arm)), dtype=np.float32))
            action, _, _ = gaussian(raw, noise, *LOG_STD)
            out = np.zeros(self._actions, np.float32)
            out[self._arm] = action[0].numpy()
            if self._grip is not None:
                out[self._grip] = float(mlp(actor, "grasp", self._grasp, features).argmax()) - 1.0
        return out

    def values(self, state: TorchState, batch: Mapping[str, Array]) -> Array:
        """See `Valuing.values`; of the arm's critics, which do not judge the gripper."""
        with torch.inference_mode():
            features = self._features(state.params, batch, "obs", None)
            raw = mlp(state.params, "actor", self._actor, features)
            action, _, _ = gaussian(raw, torch.zeros((len(raw), len(self._arm))), *LOG_STD)
            return self._q(state.params, features, action).mean(0).numpy()

    def pretrain(self, state: TorchState, batch: Mapping[str, Array]) -> tuple[TorchState, dict[str, float]]:
        """Do nothing: the published system starts from a random policy."""
        return state, {}

    def update(self, state: TorchState, batch: Mapping[str, Array]) -> tuple[TorchState, dict[str, float]]:
        """`critic_to_actor` critic updates on consecutive parts of `batch`; the last part also updates the actor."""
        parts = self.config.critic_to_actor
        size = len(batch["reward"]) // parts
        if size * parts != len(batch["reward"]):
            raise SpecError(f"batch has {len(batch['reward'])} rows; give a multiple of {parts}.")
        metrics: dict[str, float] = {}
        for i in range(parts):
            part = {k: v[i * size : (i + 1) * size] for k, v in batch.items()}
            features, metrics = self._update_critic(state, part)
        return state, metrics | self._update_actor(state, part, features)

    def export(self, state: TorchState) -> dict[str, Array]:
        """See `Agent.export`."""
        return export_state(state)

    def load(self, state: TorchState, params: Mapping[str, Array]) -> TorchState:
        """See `Agent.load`."""
        return load_state(state, params)

    def _features(
        self, params: Params, batch: Mapping[str, Array], prefix: str, shift: torch.Generator | None
    ) -> Tensor:
        parts = [self._inputs.vector_batch(batch, prefix)] if self._inputs.vectors else []
        if self._inputs.images:
            parts.append(conv(params, ENCODER, self._conv, self._inputs.image_batch(batch, prefix, shift)))
        return torch.cat(parts, dim=-1)

    def _q(self, params: Params, features: Tensor, action: Tensor) -> Tensor:
        x = torch.cat([features, action], dim=-1).expand(self.config.ensemble, -1, -1)
        return mlp(params, "critic", self._critic, x)[..., 0]

    def _sample(self, state: TorchState, features: Tensor) -> tuple[Tensor, Tensor]:
        noise = torch.randn((len(features), len(self._arm)), generator=state.generator)
        action, log_prob, _ = gaussian(mlp(state.params, "actor", self._actor, features), noise, *LOG_STD)
        return action, log_prob

    def _update_critic(self, state: TorchState, batch: Mapping[str, Array]) -> tuple[Tensor, dict[str, float]]:
        reward, discount = torch.from_numpy(batch["reward"]), torch.from_numpy(batch["discount"])
        ones = torch.ones_like(reward)
        with torch.no_grad():
            after = self._features(state.params, batch, "next_obs", state.generator)
            action, _ = self._sample(state, after)
            target = losses.td_target(reward, discount, self._q(state.targets, after, action).min(0).values)
        features = self._features(state.params, batch, "obs", state.generator)
        executed = torch.from_numpy(batch["action"])
        loss = losses.squared_critic_loss(self._q(state.params, features, executed[:, self._arm]), target, ones)
        if self._grip is not None:
            loss = loss + self._grasp_loss(state, batch, features, after, reward, discount)
        state.optimizers["critic"].step(loss)
        polyak(state.targets, state.params, self.config.tau)
        state.counters["critic_updates"] += 1
        return features.detach(), {"critic_loss": float(loss.detach()), "target_mean": float(target.mean())}

    def _grasp_loss(
        self,
        state: TorchState,
        batch: Mapping[str, Array],
        features: Tensor,
        after: Tensor,
        reward: Tensor,
        discount: Any,
    ) -> Tensor:
        """Double DQN on the gripper's three actions (the paper's eq. 3), with a cost for turning it round."""
        grip = torch.from_numpy(batch["action"][:, self._grip]).round()
        if self._command is not None:
            name, index = self._command
            reward = reward - self.config.gripper_penalty * (
                grip * torch.from_numpy(batch[f"obs/{name}"][:, index]) < 0
            )
        with torch.no_grad():
            best = mlp(state.params, "grasp", self._grasp, after).argmax(-1, keepdim=True)
            value = mlp(state.targets, "grasp", self._grasp, after).gather(-1, best)[:, 0]
            target = losses.td_target(reward, discount, value)
        q = mlp(state.params, "grasp", self._grasp, features).gather(-1, grip.long()[:, None] + 1)[:, 0]
        error: Tensor = q - target
        return (error**2).mean()

    def _update_actor(self, state: TorchState, batch: Mapping[str, Array], features: Tensor) -> dict[str, float]:
        action, log_prob = self._sample(state, features)
        q = self._q(detached(select(state.params, "critic")), features, action).mean(0)
        temperature = functional.softplus(state.params["temperature/raw"])
        loss = losses.actor_loss(q, log_prob, temperature.detach(), torch.ones_like(q))
        state.optimizers["actor"].step(loss)
        entropy = -log_prob.detach().mean()
        # The published target counts the gripper's dimension too.
        goal = self.config.target_entropy_per_dim * self._actions
        state.optimizers["temperature"].step(losses.temperature_loss(temperature, entropy, goal))
        state.counters["actor_updates"] += 1
        return {
            "q_mean": float(q.detach().mean()),
            "entropy": float(entropy),
            "temperature": float(temperature.detach()),
        }


def _gripper_command(spec: EnvSpec) -> tuple[str, int] | None:
    """Find the commanded gripper width in the observation, scaled to [-1, 1] with +1 open."""
    for name in spec.vectors:
        for index, label in enumerate(spec.observation[name].names):
            if label.startswith("gripper command"):
                return name, index
    return None
