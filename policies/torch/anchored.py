"""Anchored RLPD: the default agent. Off-policy actor-critic, LayerNorm ensemble, bounded values, human anchor.

RLPD (Ball et al. 2023, arXiv 2302.02948) with targets from a subset of members, clipped to the known range of returns,
one actor update per round of critic updates, a behaviour-cloning warm start, and a pull towards human actions.

The actor is deterministic and explores with noise of a fixed size, as TD3 (Fujimoto et al. 2018, arXiv 1802.09477).
People show where to explore; a temperature that trades value for entropy either let the noise grow until a policy that
was perfect by its mean needed help, or, held small, paid for actions near zero and slowed the arm down.
"""

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from robot_hil.data.specs import Array, ArraySpec, EnvSpec, Observation
from robot_hil.errors import SpecError
from robot_hil.policies import losses
from robot_hil.policies.config import AnchoredConfig
from robot_hil.policies.torch.common import (
    ENCODER,
    STACKED,
    GroupAdam,
    TorchState,
    detached,
    export_state,
    load_state,
    observation_batch,
    polyak,
    select,
    to_numpy,
)
from robot_hil.policies.torch.networks import MlpSpec, Params, init_mlp, mlp
from robot_hil.policies.torch.vision import ENCODING, GOAL, Vision


class AnchoredRlpd:
    """The agent; see `robot_hil.protocols.Agent`. Holds no learning state itself."""

    def __init__(self, config: AnchoredConfig) -> None:
        self.config = config

    @property
    def updates_per_round(self) -> int:
        """See `Agent.updates_per_round`."""
        return self.config.utd

    # --- set-up ------------------------------------------------------------------------------------------------

    def bind(self, spec: EnvSpec) -> None:
        """Fix shapes from the environment's `spec`. Needed before anything else."""
        c = self.config
        self._vision = Vision.of(spec, c)
        self._actions = spec.action.shape[0]
        features = self._vision.size
        self._actor = MlpSpec(inputs=features, outputs=self._actions, hidden=c.hidden, activation=c.activation)
        self._critic = MlpSpec(
            inputs=features + self._actions * (2 if c.action_gain else 1),
            outputs=max(1, c.bins),
            hidden=c.hidden,
            activation=c.activation,
        )
        if c.bins:
            low, high = c.value_range
            self._support = losses.Support(low=low, high=high, bins=c.bins)
            self._centers, self._edges = self._support.centers(torch), self._support.edges(torch)

    def init(self, spec: EnvSpec, seed: int) -> TorchState:
        """See `Agent.init`."""
        self.bind(spec)
        c = self.config
        generator = torch.Generator().manual_seed(seed)
        params = self._vision.init(generator)
        params |= init_mlp("actor", self._actor, generator, out_scale=0.1)
        params |= init_mlp("critic", self._critic, generator, members=c.ensemble, out_scale=0.1)
        targets = {k: v.clone() for k, v in (select(params, "critic") | select(params, "actor")).items()}
        learns: dict[str, tuple[str, ...]] = {
            "critic": ("critic/",) if c.freeze_encoder else ("critic/", ENCODER + "/"),
            "actor": ("actor/",),
            "clone": ("actor/", ENCODER + "/", GOAL + "/"),
        }
        rates = {"critic": c.learning_rate, "actor": c.actor_rate, "clone": c.clone_rate, "goal": c.learning_rate}
        if self._vision.goal:
            learns["goal"] = (GOAL + "/",)
        optimizers = {
            group: GroupAdam(params, [k for k in params if k.startswith(names)], rates[group], c.clip_norm)
            for group, names in learns.items()
        }
        return TorchState(
            params=params,
            targets=targets,
            optimizers=optimizers,
            generator=generator,
            counters={"critic_updates": 0, "actor_updates": 0, "pretrain_updates": 0},
        )

    def stored(self, spec: EnvSpec) -> dict[str, ArraySpec]:
        """See `Agent.stored`."""
        return self._vision.stored(spec)

    def prepare(self, obs: Observation) -> dict[str, Array]:
        """See `Agent.prepare`; the encoding is zero until `encode` is asked."""
        return self._vision.prepare(obs)

    @property
    def encoding(self) -> str:
        """See `Agent.encoding`: a frozen encoder's output is cached."""
        return ENCODING if self._vision.frozen else ""

    def encode(self, state: TorchState, frames: Mapping[str, Array]) -> Array:
        """See `Agent.encode`: (n, views, features), the image as it is and shifted."""
        return self._vision.encode(state.params, frames[STACKED])

    @property
    def reads(self) -> Mapping[str, tuple[str, ...]]:
        """See `Agent.reads`."""
        return self._vision.reads(("obs", "next_obs"), cached=True)

    @property
    def imitates(self) -> Mapping[str, tuple[str, ...]]:
        """See `Agent.imitates`."""
        return self._vision.reads(("obs",), cached=False)

    # --- acting ------------------------------------------------------------------------------------------------

    def actor_params(self, state: TorchState) -> dict[str, Array]:
        """See `Agent.actor_params`: the average of recent actors, which does not follow each swing of the critics."""
        return to_numpy(select(state.targets, "actor") | select(state.params, ENCODER) | select(state.params, GOAL))

    def load_actor(self, params: Mapping[str, Array]) -> Params:
        """Turn broadcast parameters into what `act` takes."""
        return {name: torch.from_numpy(np.array(value)) for name, value in params.items()}

    def act(self, params: Params, obs: Observation, deterministic: bool, rng: np.random.Generator) -> Array:
        """See `Agent.act`; `params` come from `load_actor`."""
        with torch.inference_mode():
            features, _ = self._vision.see(params, observation_batch(self.prepare(obs)), "obs")
            raw = mlp(params, "actor", self._actor, features)
            if not deterministic:
                raw += self.config.exploration * torch.from_numpy(rng.standard_normal(raw.shape, dtype=np.float32))
        return torch.tanh(raw)[0].numpy()

    def values(self, state: TorchState, batch: Mapping[str, Array]) -> Array:
        """See `Valuing.values`; the policy is the averaged one that acts."""
        with torch.inference_mode():
            features, _ = self._vision.learn_from(state.params, batch, "obs", None)
            action = torch.tanh(mlp(state.targets, "actor", self._actor, features))
            return self._value(self._value_logits(state.params, features, action)).mean(0).numpy()

    # --- learning ----------------------------------------------------------------------------------------------

    def pretrain(self, state: TorchState, batch: Mapping[str, Array]) -> tuple[TorchState, dict[str, float]]:
        """One behaviour-cloning step of actor (and encoder) on the rows that `imitate` marks."""
        features, distance = self._vision.see(state.params, batch, "obs", state.generator)
        mean = torch.tanh(mlp(state.params, "actor", self._actor, features))
        loss = losses.anchor_loss(mean, _tensor(batch, "action"), _tensor(batch, "imitate"))
        metrics = {"clone_loss": float(loss.detach())}
        if distance is not None:
            error = self._goal_error(distance, batch)
            metrics["goal_error"] = float(error.detach())
            loss = loss + self.config.goal_weight * error
        state.optimizers["clone"].step(loss)
        polyak(select(state.targets, "actor"), state.params, 1.0)
        state.counters["pretrain_updates"] += 1
        return state, metrics

    def update(self, state: TorchState, batch: Mapping[str, Array]) -> tuple[TorchState, dict[str, float]]:
        """`utd` critic updates on consecutive parts of `batch`, then one actor update on the last."""
        features, last, metrics = self._update_critics(state, batch)
        return state, metrics | self._update_actor(state, last, features)

    def export(self, state: TorchState) -> dict[str, Array]:
        """See `Agent.export`."""
        return export_state(state)

    def load(self, state: TorchState, params: Mapping[str, Array]) -> TorchState:
        """See `Agent.load`."""
        return load_state(state, params)

    # --- parts -------------------------------------------------------------------------------------------------

    def _goal_error(self, distance: Tensor, batch: Mapping[str, Array]) -> Tensor:
        """Mean absolute error of the distance to the goal over the rows whose episode is known to have succeeded."""
        actual = self._vision.distance_from(batch, "obs")
        error: Tensor = losses.distance_loss(distance, actual, _tensor(batch, "end_known"))
        return error

    def _value_logits(self, params: Params, features: Tensor, action: Tensor) -> Tensor:
        """Critic outputs (members, B, bins)."""
        members = params["critic/out/bias"].shape[0]
        gain = self.config.action_gain
        x = (
            torch.cat([features, action, torch.tanh(gain * action)], dim=-1)
            if gain
            else torch.cat([features, action], -1)
        )
        x = x.expand(members, -1, -1)
        return mlp(params, "critic", self._critic, x)

    def _value(self, logits: Tensor) -> Tensor:
        """Expected value (members, B)."""
        return logits[..., 0] if not self.config.bins else logits.softmax(-1) @ self._centers

    def _explore(self, state: TorchState, raw: Tensor) -> Tensor:
        """Actions as the policy takes them while it explores: what the critics judge and the actor climbs."""
        return torch.tanh(raw + self.config.exploration * torch.randn(raw.shape, generator=state.generator))

    def _targets(self, state: TorchState, batch: Mapping[str, Array]) -> Tensor:
        """Return the targets of `batch`, (B,)."""
        c = self.config
        with torch.no_grad():
            features, _ = self._vision.learn_from(state.params, batch, "next_obs", state.generator)
            action = self._explore(state, mlp(state.params, "actor", self._actor, features))
            drawn = torch.randperm(c.ensemble, generator=state.generator)[: c.subset]
            chosen = {k: v[drawn] for k, v in select(state.targets, "critic").items()}
            value = self._value(self._value_logits(chosen, features, action)).min(0).values
            target: Tensor = losses.td_target(_tensor(batch, "reward"), _tensor(batch, "discount"), value)
            return target.clamp(*c.value_range)

    def _update_critics(
        self, state: TorchState, batch: Mapping[str, Array]
    ) -> tuple[Tensor, dict[str, Array], dict[str, float]]:
        """Do `utd` updates of the critics; returns features and rows of the last minibatch, and its metrics.

        The targets of all minibatches are made at once, by targets and members drawn once a round.
        """
        c = self.config
        size, rest = divmod(len(batch["reward"]), c.utd)
        if rest:
            raise SpecError(f"batch has {len(batch['reward'])} rows; give a multiple of utd = {c.utd}.")
        targets = self._targets(state, batch)
        for i in range(c.utd):
            rows = slice(i * size, (i + 1) * size)
            part = {name: values[rows] for name, values in batch.items()}
            features, metrics = self._update_critic(state, part, targets[rows])
        polyak(select(state.targets, "critic"), state.params, 1.0 - (1.0 - c.tau) ** c.utd)
        return features, part, metrics

    def _update_critic(
        self, state: TorchState, batch: Mapping[str, Array], target: Tensor
    ) -> tuple[Tensor, dict[str, float]]:
        """Do one step of all critics; returns the features that it used, (B, features), without gradients."""
        c = self.config
        features, distance = self._vision.learn_from(state.params, batch, "obs", state.generator)
        logits = self._value_logits(state.params, features, _tensor(batch, "action"))
        weight = _tensor(batch, "critic_weight")
        if not c.bins:
            loss = losses.squared_critic_loss(logits[..., 0], target, weight)
        else:
            probs = self._support.project(torch, torch.erf, self._edges, target)
            loss = losses.categorical_critic_loss(logits.log_softmax(-1), probs, weight)
        if self._vision.inputs.images and c.anchor > 0 and not c.freeze_encoder:
            # The encoder serves the actor too: without this, features that tell human actions apart would fade.
            frozen = detached(select(state.params, "actor"))
            mean = torch.tanh(mlp(frozen, "actor", self._actor, features))
            pull = _tensor(batch, "imitate") * self._anchor_weight(state)
            loss = loss + losses.anchor_loss(mean, _tensor(batch, "action"), pull)
        state.optimizers["critic"].step(loss)
        state.counters["critic_updates"] += 1
        metrics = {"critic_loss": float(loss.detach()) / c.ensemble, "target_mean": float(target.mean())}
        if distance is not None:
            error = self._goal_error(distance, batch)
            state.optimizers["goal"].step(error)
            metrics["goal_error"] = float(error.detach())
        return features.detach(), metrics

    def _update_actor(self, state: TorchState, batch: Mapping[str, Array], features: Tensor) -> dict[str, float]:
        c = self.config
        frozen = detached(select(state.params, "critic"))
        raw = mlp(state.params, "actor", self._actor, features)
        values = self._value(self._value_logits(frozen, features, self._explore(state, raw)))
        disagreement = (values.var(0, correction=0) + 1e-8).sqrt()
        q = values.mean(0) - c.caution * disagreement
        loss = losses.policy_loss(q, _tensor(batch, "actor_weight"))
        metrics = {"q_mean": float(values.detach().mean())}
        if c.anchor > 0:
            human = _tensor(batch, "action")
            pull = _tensor(batch, "imitate") * self._anchor_weight(state)
            if c.anchor_q_filter:
                with torch.no_grad():
                    q_human = self._value(self._value_logits(frozen, features, human)).mean(0)
                better = losses.q_filter(q_human, values.detach().mean(0), 0.0)
                metrics["human_better"] = float((better * (pull > 0)).sum() / (pull > 0).sum().clamp(min=1))
                pull = pull * better
            anchor = losses.anchor_loss(torch.tanh(raw), human, pull)
            metrics["anchor_loss"] = float(anchor.detach())
            loss = loss + anchor
        state.optimizers["actor"].step(loss)
        polyak(select(state.targets, "actor"), state.params, c.actor_average)
        state.counters["actor_updates"] += 1
        return metrics | {"actor_loss": float(loss.detach())}

    def _anchor_weight(self, state: TorchState) -> float:
        c = self.config
        if c.anchor_half_life == 0:
            return c.anchor
        return c.anchor * math.pow(0.5, state.counters["actor_updates"] / c.anchor_half_life)


def _tensor(batch: Mapping[str, Array], key: str) -> Tensor:
    return torch.from_numpy(batch[key])
