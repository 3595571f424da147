"""RECAP at small scale: a policy conditioned on an indicator of advantage (arXiv 2511.14759, sections IV and V).

    V: cross-entropy of a distribution over [-1, 0] with the return of the episode as it went
    A = r_t + ... + r_{t+N-1} + V(s_{t+N}) - V(s_t);  I = 1 where A is above a threshold, or where a person drove
    L_pi = E[ |pi(s, I) - a|^2 ],  I hidden in `drop` of the rows;  acts by pi(s, 0) + guidance (pi(s, 1) - pi(s, 0))

where pi(s, 0) does not know the indicator. The original's policy is a flow model with a language prompt; here
the indicator is one more input: 1, -1, or 0 for hidden. The threshold is a quantile of the advantages of what the robot
did, followed by stochastic descent on the pinball loss (Koenker & Bassett 1978), so that it needs no pass over the log.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from robot_hil.data.specs import Array, EnvSpec
from robot_hil.errors import ConfigError
from robot_hil.policies import losses
from robot_hil.policies.algorithms.bc import BehaviourCloning
from robot_hil.policies.base import Group, Trainer
from robot_hil.policies.config import BcConfig
from robot_hil.policies.nets.mlp import MlpSpec, init_mlp, mlp
from robot_hil.policies.ops import A, Batch, Ops, Params

THRESHOLD = "threshold/advantage"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecapConfig(BcConfig):
    """Numbers of RECAP, as published where the original is small enough to have them."""

    algorithm = "recap"
    bins: int = 201
    """Of the value's distribution over [-1, 0]."""
    good: float = 0.4
    """Share of the robot's own steps that count as good."""
    drop: float = 0.3
    """Share of the rows whose indicator is hidden."""
    guidance: float = 1.0
    """1 acts as told that it will be good; more goes beyond."""
    threshold_rate: float = 1e-3
    """Learning rate of the threshold, in units of the return."""

    def __post_init__(self) -> None:
        BcConfig.__post_init__(self)
        if self.bins < 2 or not 0 < self.good < 1 or not 0 <= self.drop < 1 or self.guidance < 0:
            raise ConfigError(
                f"bins is {self.bins}, must be at least 2; good {self.good}, must lie in (0, 1); drop {self.drop}, "
                f"must lie in [0, 1); guidance {self.guidance}, must be >= 0."
            )


class Recap(BehaviourCloning):
    """See `robot_hil.policies.base.Algorithm`. Without a batch's `return` (the warm start) all of it is good."""

    config: RecapConfig
    counters = ("actor_updates",)

    def bind(self, spec: EnvSpec) -> None:
        """See `Agent.bind`."""
        super().bind(spec)
        c = self.config
        self._actor = MlpSpec(
            inputs=self._vision.size + 1, outputs=self._actions, hidden=c.hidden, activation=c.activation
        )
        self._value = MlpSpec(inputs=self._vision.size, outputs=c.bins, hidden=c.hidden, activation=c.activation)
        self._support = losses.Support(low=-1.0, high=0.0, bins=c.bins)

    def init(self, rng: np.random.Generator) -> dict[str, Array]:
        """See `Algorithm.init`."""
        value = init_mlp("value", self._value, rng, out_scale=0.1)
        return super().init(rng) | value | {THRESHOLD: np.zeros((), np.float32)}

    @property
    def groups(self) -> dict[str, Group]:
        """Everything that acts; the value, which does not bend the encoder; the threshold."""
        c = self.config
        value = Group(names=("value/",), rate=c.learning_rate, clip_norm=c.clip_norm)
        return super().groups | {"value": value, "threshold": Group(names=(THRESHOLD,), rate=c.threshold_rate)}

    @property
    def reads(self) -> Mapping[str, tuple[str, ...]]:
        """See `Agent.reads`."""
        return self._vision.reads(("obs", "next_obs"), warm=True)

    @property
    def imitates(self) -> Mapping[str, tuple[str, ...]]:
        """See `Agent.imitates`."""
        return self._vision.reads(("obs",), warm=True)

    def draw(self, rng: np.random.Generator, rows: int, imitating: bool) -> dict[str, Array]:
        """See `Algorithm.draw`."""
        seen = ("obs",) if imitating else ("obs", "next_obs")
        return self._vision.draw(rng, rows, seen, warm=True) | {
            "noise/drop": (rng.random(rows) < self.config.drop).astype(np.float32)
        }

    def act(self, nn: Ops, params: Params, batch: Batch) -> A:
        """See `Algorithm.act`."""
        features = self._vision.look(nn, params, batch, "obs")
        ones = nn.array(np.ones(features.shape[0], np.float32))
        blind, good = (self._told(nn, params, features, told * ones) for told in (0.0, 1.0))
        raw = blind + self.config.guidance * (good - blind)
        return nn.tanh(raw + self.config.exploration * batch["noise/act"])

    def pretrain(self, nn: Ops, trainer: Trainer, batch: Batch) -> dict[str, A]:
        """Imitate the rows that `imitate` marks, all of them good."""
        return {"clone_loss": self._imitate_told(nn, trainer, batch, batch["imitate"], 1.0)}

    def update(self, nn: Ops, trainer: Trainer, batch: Batch) -> dict[str, A]:
        """One step of the value, the threshold and the policy."""
        features = nn.stop_gradient(self._vision.look(nn, trainer.params, batch, "obs"))
        after = self._vision.look(nn, trainer.params, batch, "next_obs")
        metrics = self._update_value(nn, trainer, batch, features)
        value, then = (self._v(nn, trainer.params, seen) for seen in (features, after))
        advantage = batch["reward"] + batch["discount"] * then - value
        threshold = self._update_threshold(nn, trainer, batch, advantage)
        good = nn.maximum(nn.float32(advantage > threshold), batch["is_human"])
        weight = batch["imitate"] * batch["actor_weight"]
        loss = self._imitate_told(nn, trainer, batch, weight, 2.0 * good - 1.0)
        return metrics | {"actor_loss": loss, "good": nn.mean(good), "threshold": threshold}

    def _update_value(self, nn: Ops, trainer: Trainer, batch: Batch, features: A) -> dict[str, A]:
        """Fit the distribution to the returns that are known."""
        target = self._support.project(nn, batch["return"])

        def loss(params: Params) -> tuple[A, dict[str, A]]:
            logits = mlp(nn, params, "value", self._value, features)
            chance = nn.log_softmax(logits, -1)[None]
            return losses.categorical_critic_loss(chance, target, batch["returned"]), {}

        error, _ = trainer.minimise("value", loss)
        return {"critic_loss": error}

    def _update_threshold(self, nn: Ops, trainer: Trainer, batch: Batch, advantage: A) -> A:
        """Move the threshold towards the quantile that `good` of the robot's own rows exceed; returns where it was."""
        before = trainer.params[THRESHOLD]
        own = 1.0 - batch["is_human"]

        def loss(params: Params) -> tuple[A, dict[str, A]]:
            return pinball_loss(nn, advantage - params[THRESHOLD], own, 1.0 - self.config.good), {}

        trainer.minimise("threshold", loss)
        return before

    def _imitate_told(self, nn: Ops, trainer: Trainer, batch: Batch, weight: A, told: A) -> A:
        """Imitate, told `told` (B,) or a number unless it is hidden; returns the loss."""
        shown = told * (1.0 - batch["noise/drop"])

        def loss(params: Params) -> tuple[A, dict[str, A]]:
            features = self._vision.look(nn, params, batch, "obs")
            mean = nn.tanh(self._told(nn, params, features, shown))
            return losses.anchor_loss(mean, batch["action"], weight), {}

        return self._step(trainer, loss)[0]

    def _told(self, nn: Ops, params: Params, features: A, told: A) -> A:
        """The policy before squashing, (B, A), for an indicator (B,)."""
        return mlp(nn, params, "actor", self._actor, nn.concat([features, told[:, None]], -1))

    def _v(self, nn: Ops, params: Params, features: A) -> A:
        """Expected return, (B,)."""
        logits = mlp(nn, params, "value", self._value, features)
        return nn.softmax(logits, -1) @ nn.array(self._support.centers())

    def values(self, nn: Ops, params: Params, batch: Batch) -> A:
        """See `Valuing.values`: of the returns that were seen, whoever drove."""
        return self._v(nn, params, self._vision.look(nn, params, batch, "obs"))


def pinball_loss(nn: Ops, error: A, weight: A, quantile: float) -> A:
    """Return the weighted mean of max(q u, (q - 1) u) over errors u (B,): least at the quantile."""
    return nn.mean(nn.maximum(quantile * error, (quantile - 1.0) * error) * weight)


CONFIG, ALGORITHM = RecapConfig, Recap
