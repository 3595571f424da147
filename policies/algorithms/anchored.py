"""Anchored RLPD: the default agent. Off-policy actor-critic, LayerNorm ensemble, bounded values, human anchor.

RLPD (Ball et al. 2023, arXiv 2302.02948) with targets from a subset of members, clipped to the known range of returns,
one actor update per round of critic updates, a behaviour-cloning warm start, and a pull towards human actions.

The actor is deterministic and explores with noise of a fixed size, as TD3 (Fujimoto et al. 2018, arXiv 1802.09477).
People show where to explore; a temperature that trades value for entropy either let the noise grow until a policy that
was perfect by its mean needed help, or, held small, paid for actions near zero and slowed the arm down.
"""

from collections.abc import Mapping

import numpy as np

from robot_hil.data.specs import Array, EnvSpec
from robot_hil.errors import SpecError
from robot_hil.policies import losses
from robot_hil.policies.algorithms.seeing import Seeing
from robot_hil.policies.base import Group, Trainer
from robot_hil.policies.config import AnchoredConfig
from robot_hil.policies.nets.mlp import MlpSpec, init_mlp, mlp, select
from robot_hil.policies.ops import A, Batch, Ops, Params
from robot_hil.policies.vision import ENCODER, GOAL, GoalConfig, Vision

_WHOLE = ("noise/", "constant/")
_CLONED = ("actor/", ENCODER + "/", GOAL + "/")
"""What the warm start trains."""


class AnchoredRlpd(Seeing):
    """See `robot_hil.policies.base.Algorithm`."""

    counters: tuple[str, ...] = ("critic_updates", "actor_updates", "pretrain_updates")
    follows: tuple[str, ...] = ("critic/", *_CLONED)

    def __init__(self, config: AnchoredConfig) -> None:
        self.config = config

    # Shapes ----------------------------------------------------------------------------------------------------

    @property
    def updates_per_round(self) -> int:
        """See `Agent.updates_per_round`."""
        return self.config.utd

    def bind(self, spec: EnvSpec) -> None:
        """See `Agent.bind`."""
        c = self.config
        goal = GoalConfig(features=c.goal_features, gain=c.goal_gain, only=c.goal_only)
        self._vision = Vision.of(spec, c, frozen=c.freeze_encoder, goal=goal)
        self._actions = spec.action.shape[0]
        features = self._vision.size
        self._actor = MlpSpec(inputs=features, outputs=self._actions, hidden=c.hidden, activation=c.activation)
        self._critic = MlpSpec(
            inputs=features + self._actions * (2 if c.action_gain else 1),
            outputs=max(1, c.bins),
            hidden=c.hidden,
            activation=c.activation,
        )
        low, high = c.value_range
        self._support = losses.Support(low=low, high=high, bins=c.bins)

    def init(self, rng: np.random.Generator) -> dict[str, Array]:
        """See `Algorithm.init`."""
        params = self._vision.init(rng)
        params |= init_mlp("actor", self._actor, rng, members=self.config.actors, out_scale=0.1)
        return params | init_mlp("critic", self._critic, rng, members=self.config.ensemble, out_scale=0.1)

    @property
    def _trains_encoder(self) -> bool:
        """Whether critics go on training the encoder; of a trunk that is its head."""
        c = self.config
        if not self._vision.inputs.images or c.goal_only:  # what is seen through the estimate must not be bent
            return False
        return c.trunk.train_head if c.trunk.file else not c.freeze_encoder

    @property
    def groups(self) -> dict[str, Group]:
        """Critics (with the encoder unless it is frozen), actor, warm start, and the estimate of the goal."""
        c = self.config
        judging = ("critic/", ENCODER + "/") if self._trains_encoder else ("critic/",)
        groups = {
            "critic": Group(names=judging, rate=c.learning_rate, clip_norm=c.clip_norm),
            "actor": Group(names=("actor/",), rate=c.actor_rate, clip_norm=c.clip_norm),
            "clone": Group(names=_CLONED, rate=c.clone_rate, clip_norm=c.clip_norm),
        }
        if self._vision.goal:
            groups["goal"] = Group(names=(GOAL + "/",), rate=c.learning_rate, clip_norm=c.clip_norm)
        return groups

    @property
    def acting(self) -> Mapping[str, str]:
        """The average of recent actors acts, which does not follow each swing of the critics."""
        return {"actor/": "targets", ENCODER + "/": "params", GOAL + "/": "params"}

    @property
    def noise_size(self) -> int:
        """See `Algorithm.noise_size`."""
        return self._actions

    @property
    def reads(self) -> Mapping[str, tuple[str, ...]]:
        """See `Agent.reads`."""
        return self._vision.reads(("obs", "next_obs"), warm=True)

    @property
    def imitates(self) -> Mapping[str, tuple[str, ...]]:
        """See `Agent.imitates`."""
        return self._vision.reads(("obs",), warm=False)

    def draw(self, rng: np.random.Generator, rows: int, imitating: bool) -> dict[str, Array]:
        """See `Algorithm.draw`."""
        if imitating:
            return self._vision.draw(rng, rows, ("obs",), warm=False)
        c = self.config
        return self._vision.draw(rng, rows, ("obs", "next_obs"), warm=True) | {
            "noise/next_action": rng.standard_normal((rows, self._actions), dtype=np.float32),
            "noise/action": rng.standard_normal((rows // c.utd, self._actions), dtype=np.float32),
            "noise/members": rng.permutation(c.ensemble)[: c.subset].astype(np.int32),
        }

    # Acting ----------------------------------------------------------------------------------------------------

    def act(self, nn: Ops, params: Params, batch: Batch) -> A:
        """See `Algorithm.act`."""
        features, _ = self._vision.see(nn, params, batch, "obs")
        return nn.tanh(self._raw(nn, params, features) + self.config.exploration * batch["noise/act"])

    def values(self, nn: Ops, params: Params, batch: Batch) -> A:
        """See `Valuing.values`; the policy is the averaged one that acts."""
        features, _ = self._vision.see(nn, params, batch, "obs")
        action = nn.tanh(self._raw(nn, params, features, "targets/actor"))
        return nn.mean(self._q(nn, params, "critic", features, action), 0)

    # Learning --------------------------------------------------------------------------------------------------

    def pretrain(self, nn: Ops, trainer: Trainer, batch: Batch) -> dict[str, A]:
        """One behaviour-cloning step of actor (and encoder) on the rows that `imitate` marks."""

        def loss(params: Params) -> tuple[A, dict[str, A]]:
            features, distance = self._vision.see(nn, params, batch, "obs")
            members = nn.tanh(self._members(nn, params, features))
            clone = losses.anchor_loss(members, batch["action"], batch["imitate"])
            if distance is None:
                return clone, {"clone_loss": clone}
            error = losses.distance_loss(distance, self._vision.distance_from(nn, batch, "obs"), batch["end_known"])
            return clone + self.config.goal_weight * error, {"clone_loss": clone, "goal_error": error}

        _, metrics = trainer.minimise("clone", loss)
        done = nn.float32(trainer.count("pretrain_updates"))
        rate = nn.maximum(1.0 / (done + 1.0), nn.array(np.float32(self.config.clone_average)))
        for prefix in _CLONED:
            trainer.follow(prefix, rate)  # the mean of all that was, then of the newest
        trainer.tick("pretrain_updates")
        return metrics

    def settle(self, nn: Ops, trainer: Trainer, batch: Batch) -> dict[str, A]:
        """Go on with the average of the warm start's last weights; see `AnchoredConfig.clone_average`."""
        for prefix in _CLONED:
            trainer.adopt(prefix)
        return {}

    def update(self, nn: Ops, trainer: Trainer, batch: Batch) -> dict[str, A]:
        """`utd` critic updates on consecutive parts of `batch`, then one actor update on the last.

        The targets of all minibatches are made at once, by targets and members drawn once a round.
        """
        c = self.config
        size, rest = divmod(batch["reward"].shape[0], c.utd)
        if rest:
            raise SpecError(f"batch has {batch['reward'].shape[0]} rows; give a multiple of utd = {c.utd}.")
        targets = self._targets(nn, trainer, batch)
        for i in range(c.utd):
            rows = slice(i * size, (i + 1) * size)
            part = minibatch(batch, rows)
            features, metrics = self._update_critic(nn, trainer, part, targets[rows])
        trainer.follow("critic/", 1.0 - (1.0 - c.tau) ** c.utd)
        return metrics | self._update_actor(nn, trainer, part, features, batch["noise/action"])

    def _targets(self, nn: Ops, trainer: Trainer, batch: Batch) -> A:
        """Return the targets of `batch`, (B,)."""
        c, params = self.config, trainer.params
        features, _ = self._vision.see(nn, params, batch, "next_obs")
        action = nn.tanh(self._raw(nn, params, features) + c.exploration * batch["noise/next_action"])
        drawn = batch["noise/members"]
        chosen = {name: nn.take(value, drawn, 0) for name, value in select(trainer.targets, "critic").items()}
        value = nn.min(self._q(nn, chosen, "critic", features, action), 0)
        return nn.clip(losses.td_target(batch["reward"], batch["discount"], value), *c.value_range)

    def _update_critic(self, nn: Ops, trainer: Trainer, batch: Batch, target: A) -> tuple[A, dict[str, A]]:
        """Do one step of all critics; returns the features that it used, (B, features), without gradients."""
        c = self.config

        def loss(params: Params) -> tuple[A, dict[str, A]]:
            look = self._vision.look(nn, params, batch, "obs")
            features, _ = self._vision.join(nn, params, batch, "obs", look)
            logits = self._logits(nn, params, "critic", features, batch["action"])
            if c.bins:
                probs = self._support.project(nn, target)
                error = losses.categorical_critic_loss(nn.log_softmax(logits, -1), probs, batch["critic_weight"])
            else:
                error = losses.squared_critic_loss(logits[..., 0], target, batch["critic_weight"])
            total = error
            if self._trains_encoder and c.anchor > 0:
                # The encoder serves the actor too: without this, features that tell human actions apart would fade.
                members = nn.tanh(self._members(nn, params, features))
                total = error + losses.anchor_loss(members, batch["action"], self._pull(trainer, batch))
            extra, more = self._critic_extra(nn, trainer, params, batch, features)
            return total + extra, {"critic_loss": error / c.ensemble, "features": features, "look": look, **more}

        _, seen = trainer.minimise("critic", loss)
        features, look = seen.pop("features"), seen.pop("look")
        metrics = seen | {"target_mean": nn.mean(target)}
        trainer.tick("critic_updates")
        if self._vision.goal:
            metrics |= self._update_goal(nn, trainer, batch, look)
        return features, metrics

    def _update_goal(self, nn: Ops, trainer: Trainer, batch: Batch, look: A) -> dict[str, A]:
        def loss(params: Params) -> tuple[A, dict[str, A]]:
            distance = self._vision.distance(nn, params, look)
            actual = self._vision.distance_from(nn, batch, "obs")
            return losses.distance_loss(distance, actual, batch["end_known"]), {}

        error, _ = trainer.minimise("goal", loss)
        return {"goal_error": error}

    def _update_actor(self, nn: Ops, trainer: Trainer, batch: Batch, features: A, noise: A) -> dict[str, A]:
        def loss(params: Params) -> tuple[A, dict[str, A]]:
            return self._actor_loss(nn, trainer, params, batch, features, noise)

        total, metrics = trainer.minimise("actor", loss)
        trainer.follow("actor/", self.config.actor_average)
        trainer.tick("actor_updates")
        return metrics | {"actor_loss": total}

    # Losses: what algorithms that build on this one change ---------------------------------------------------------

    def _critic_extra(
        self, nn: Ops, trainer: Trainer, params: Params, batch: Batch, features: A
    ) -> tuple[A, dict[str, A]]:
        """Return what is added to the critics' loss, a scalar, and metrics.

        The features (B, F) have gradients where the encoder learns.
        """
        return 0.0, {}

    def _actor_loss(
        self, nn: Ops, trainer: Trainer, params: Params, batch: Batch, features: A, noise: A
    ) -> tuple[A, dict[str, A]]:
        """Return the actor's loss and metrics; features (B, F) have no gradients, noise (B, A) is standard normal."""
        c = self.config
        members = self._members(nn, params, features)
        action = nn.tanh(nn.mean(members, 0) + c.exploration * noise)
        values = self._q(nn, params, "critic", features, action)
        q = nn.mean(values, 0) - c.caution * nn.sqrt(nn.variance(values, 0) + 1e-8)
        total = losses.policy_loss(q, batch["actor_weight"])
        metrics = {"q_mean": nn.mean(values)}
        if c.anchor > 0:
            pull = self._pull(trainer, batch)
            if c.anchor_filter != "none":
                kept, metrics["human_better"] = self._kept(nn, params, batch, features, values, pull)
                pull = pull * nn.stop_gradient(kept)
            anchor = losses.anchor_loss(nn.tanh(members), batch["action"], pull)
            metrics["anchor_loss"] = anchor
            total = total + anchor
        return total, metrics

    # Parts -----------------------------------------------------------------------------------------------------

    def _members(self, nn: Ops, params: Params, features: A, name: str = "actor") -> A:
        """Return what each actor would do, before squashing, (actors, B, A)."""
        return mlp(nn, params, name, self._actor, features)

    def _raw(self, nn: Ops, params: Params, features: A, name: str = "actor") -> A:
        """Return what the policy does, before squashing, (B, A): the actors' mean."""
        return nn.mean(self._members(nn, params, features, name), 0)

    def _logits(self, nn: Ops, params: Params, name: str, features: A, action: A) -> A:
        """Critic outputs (members, B, bins)."""
        gain = self.config.action_gain
        parts = [features, action, nn.tanh(gain * action)] if gain else [features, action]
        return mlp(nn, params, name, self._critic, nn.concat(parts, -1))

    def _q(self, nn: Ops, params: Params, name: str, features: A, action: A) -> A:
        """Expected value (members, B)."""
        logits = self._logits(nn, params, name, features, action)
        if not self.config.bins:
            return logits[..., 0]
        return nn.softmax(logits, -1) @ nn.array(self._support.centers())

    def _kept(self, nn: Ops, params: Params, batch: Batch, features: A, values: A, pull: A) -> tuple[A, A]:
        """Return 1 or 0 for each row, (B,), whether the filter keeps its pull; and the share kept of what it judges.

        `values` (members, B) are those of the policy's own actions.
        """
        q_human = self._q(nn, params, "critic", features, batch["action"])
        asked = nn.float32(pull > 0)
        if self.config.anchor_filter == "all":
            better = losses.q_filter(nn.mean(q_human, 0), nn.mean(values, 0), 0.0)
        else:  # in doubt the person is right: one critic suffices
            asked = asked * (1.0 - batch["demonstrated"])
            better = nn.max(q_human - values, 0) > 0
        better = nn.float32(better)
        share = nn.sum(better * asked) / nn.maximum(nn.sum(asked), nn.array(1.0))
        return 1.0 - asked * (1.0 - better), share

    def _pull(self, trainer: Trainer, batch: Batch) -> A:
        """Weight of every row's pull towards the human action, (B,); it fades with training."""
        c = self.config
        if c.anchor_half_life == 0:
            return c.anchor * batch["imitate"]
        return batch["imitate"] * (c.anchor * 0.5 ** (trainer.count("actor_updates") / c.anchor_half_life))


def minibatch(batch: Batch, rows: slice) -> Batch:
    """Return some rows of everything that has rows; of the noise only the images' shifts have."""
    cut = {name: value[rows] for name, value in batch.items() if not name.startswith(_WHOLE) or name.endswith("/shift")}
    return cut | {name: value for name, value in batch.items() if name.startswith("constant/")}


CONFIG, ALGORITHM = AnchoredConfig, AnchoredRlpd
