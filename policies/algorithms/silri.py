"""SiLRI (Zhao et al. 2025, arXiv 2512.24288): imitation as a constraint, as tight in each state as people are sure."""

from dataclasses import dataclass

import numpy as np

from robot_hil.data.specs import Array, EnvSpec
from robot_hil.errors import ConfigError
from robot_hil.policies import losses
from robot_hil.policies.algorithms.anchored import AnchoredRlpd
from robot_hil.policies.algorithms.normal import normal, surprise
from robot_hil.policies.base import Group, Trainer
from robot_hil.policies.config import AnchoredConfig
from robot_hil.policies.nets.mlp import MlpSpec, init_mlp, mlp
from robot_hil.policies.ops import A, Batch, Ops, Params


@dataclass(frozen=True, slots=True, kw_only=True)
class SilriConfig(AnchoredConfig):
    """Numbers of SiLRI; of `AnchoredConfig` the anchor and the caution are not used."""

    algorithm = "silri"
    deviations: float = 1.0
    """Standard deviations kappa of people's actions, summed over dimensions, that the policy may be away from them."""
    slack: float = 0.2
    """Distance c that it may be away besides, in units of the action."""
    multiplier_rate: float = 3e-6
    """Learning rate of the multiplier: a hundredth of the critics', as released."""

    def __post_init__(self) -> None:
        AnchoredConfig.__post_init__(self)
        if self.deviations < 0 or self.slack < 0:
            raise ConfigError(f"deviations is {self.deviations} and slack {self.slack}; both must be >= 0.")


class Silri(AnchoredRlpd):
    """Maximises the value subject to D(s) <= kappa sigma(s) + c, where D(s) = |pi(s) - mu(s)|.

    A Gaussian N(mu, sigma^2) is fitted to what people did (`imitate`); a multiplier lambda(s) > 0 holds the constraint:

        actor       min E[ (-min_k Q_k(s, pi(s)) + lambda(s) D(s)) / (1 + lambda(s)) ]
        multiplier  max E[ lambda(s) (D(s) - kappa sigma(s) - c) ]

    Where people were sure and the policy is far from them it imitates; elsewhere it follows its critics. Unlike the
    original the targets' actions come from the actor as it is, not from a slow copy, and a gripper is not apart.
    """

    config: SilriConfig

    def bind(self, spec: EnvSpec) -> None:
        """See `Agent.bind`."""
        super().bind(spec)
        c, features = self.config, self._vision.size
        self._human = MlpSpec(inputs=features, outputs=2 * self._actions, hidden=c.hidden, activation=c.activation)
        self._multiplier = MlpSpec(inputs=features, outputs=1, hidden=c.hidden, activation=c.activation)

    def init(self, rng: np.random.Generator) -> dict[str, Array]:
        """See `Algorithm.init`."""
        params = super().init(rng)
        params |= init_mlp("human", self._human, rng, out_scale=0.1)
        return params | init_mlp("multiplier", self._multiplier, rng, out_scale=0.1)

    @property
    def groups(self) -> dict[str, Group]:
        """Those of the default, the fit to people, and the multiplier."""
        c = self.config
        more = {
            "human": Group(names=("human/",), rate=c.learning_rate, clip_norm=c.clip_norm),
            "multiplier": Group(names=("multiplier/",), rate=c.multiplier_rate, clip_norm=c.clip_norm),
        }
        return super().groups | more

    def pretrain(self, nn: Ops, trainer: Trainer, batch: Batch) -> dict[str, A]:
        """As the default, and the fit to people, so that it is there when critics begin to pull."""
        metrics = super().pretrain(nn, trainer, batch)
        features, _ = self._vision.see(nn, trainer.params, batch, "obs")
        return metrics | self._fit_people(nn, trainer, batch, features)

    def _update_actor(self, nn: Ops, trainer: Trainer, batch: Batch, features: A, noise: A) -> dict[str, A]:
        metrics = self._fit_people(nn, trainer, batch, features)
        far, allowed = self._constraint(nn, trainer.params, features)

        def tighten(params: Params) -> tuple[A, dict[str, A]]:
            return -nn.mean(self._lambda(nn, params, features) * (far - allowed)), {}

        trainer.minimise("multiplier", tighten)
        return metrics | super()._update_actor(nn, trainer, batch, features, noise)

    def _fit_people(self, nn: Ops, trainer: Trainer, batch: Batch, features: A) -> dict[str, A]:
        def loss(params: Params) -> tuple[A, dict[str, A]]:
            mean, log_std = normal(nn, mlp(nn, params, "human", self._human, features))
            return nn.mean(batch["imitate"] * surprise(nn, batch["action"], mean, log_std)), {}

        error, _ = trainer.minimise("human", loss)
        return {"human_loss": error}

    def _actor_loss(
        self, nn: Ops, trainer: Trainer, params: Params, batch: Batch, features: A, noise: A
    ) -> tuple[A, dict[str, A]]:
        raw = self._raw(nn, params, features)
        values = self._q(nn, params, "critic", features, nn.tanh(raw + self.config.exploration * noise))
        far, _ = self._constraint(nn, params, features)
        weight = nn.stop_gradient(self._lambda(nn, params, features))
        total = losses.policy_loss((nn.min(values, 0) - weight * far) / (1.0 + weight), batch["actor_weight"])
        return total, {"q_mean": nn.mean(values), "multiplier": nn.mean(weight), "distance": nn.mean(far)}

    def _constraint(self, nn: Ops, params: Params, features: A) -> tuple[A, A]:
        """Return how far the actor is from people, and how far it may be, (B,) each."""
        mean, log_std = normal(nn, mlp(nn, params, "human", self._human, features))
        away = nn.tanh(self._raw(nn, params, features)) - nn.stop_gradient(mean)
        allowed = self.config.deviations * nn.sum(nn.exp(log_std), -1) + self.config.slack
        return nn.sqrt(nn.sum(away**2, -1) + 1e-8), nn.stop_gradient(allowed)

    def _lambda(self, nn: Ops, params: Params, features: A) -> A:
        return nn.softplus(mlp(nn, params, "multiplier", self._multiplier, features)[:, 0])


CONFIG, ALGORITHM = SilriConfig, Silri
