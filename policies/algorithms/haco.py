"""HACO (Li et al. 2022, arXiv 2202.10341) on the default's networks: proxy values, and a critic of being taken over."""

from dataclasses import dataclass

import numpy as np

from robot_hil.data.specs import Array, EnvSpec
from robot_hil.errors import ConfigError
from robot_hil.policies import losses
from robot_hil.policies.algorithms.overridden import Overridden
from robot_hil.policies.base import Group, Trainer
from robot_hil.policies.config import AnchoredConfig
from robot_hil.policies.nets.mlp import MlpSpec, init_mlp, mlp
from robot_hil.policies.ops import A, Batch, Ops, Params

_COST_CRITICS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class HacoConfig(AnchoredConfig):
    """Numbers of HACO."""

    algorithm = "haco"
    proxy_weight: float = 1.0
    """Weight of the proxy values beside the TD error."""
    cost_weight: float = 1.0
    """Weight of the cost of take-overs in the actor's loss."""

    def __post_init__(self) -> None:
        AnchoredConfig.__post_init__(self)
        if min(self.proxy_weight, self.cost_weight) < 0:
            raise ConfigError(
                f"proxy_weight is {self.proxy_weight} and cost_weight {self.cost_weight}; both must be >= 0."
            )


class Haco(Overridden):
    """Nothing is rewarded; values come from a_h being preferred to the overridden a_pi (I marks such rows).

        critics   min TD + proxy_weight E[ -I (Q(s, a_h) - max(Q(s, a_pi), low)) ]
        cost      min E[ (C(s, a_pi) - (c + gamma C'(s', pi(s'))))^2 ], c = `takeover_cost`, two critics
        actor     min E[ -Q(s, pi(s)) + cost_weight min C(s, pi(s)) ]

    The original is a SAC, and has no `low`, the smallest return: nothing then keeps Q(s, a_pi) from falling for ever.
    """

    config: HacoConfig
    follows = (*Overridden.follows, "cost/")

    def bind(self, spec: EnvSpec) -> None:
        """See `Agent.bind`."""
        super().bind(spec)
        c, inputs = self.config, self._vision.size + self._actions
        self._cost = MlpSpec(inputs=inputs, outputs=1, hidden=c.hidden, activation=c.activation)

    def init(self, rng: np.random.Generator) -> dict[str, Array]:
        """See `Algorithm.init`."""
        return super().init(rng) | init_mlp("cost", self._cost, rng, members=_COST_CRITICS, out_scale=0.1)

    @property
    def groups(self) -> dict[str, Group]:
        """Those of the default, and the critics of cost."""
        c = self.config
        return super().groups | {"cost": Group(names=("cost/",), rate=c.learning_rate, clip_norm=c.clip_norm)}

    def _unlike(self, nn: Ops, human: A, policy: A) -> A:
        c = self.config
        return c.proxy_weight * (nn.maximum(policy, nn.array(np.float32(c.value_range[0]))) - human)

    def _update_critic(self, nn: Ops, trainer: Trainer, batch: Batch, target: A) -> tuple[A, dict[str, A]]:
        features, metrics = super()._update_critic(nn, trainer, batch, target)
        after, _ = self._vision.see(nn, trainer.params, batch, "next_obs")
        action = nn.tanh(self._raw(nn, trainer.params, after))
        later = nn.min(self._cost_of(nn, trainer.targets, after, action), 0)
        expected = losses.td_target(batch["takeover_cost"], batch["discount"], later)

        def loss(params: Params) -> tuple[A, dict[str, A]]:
            cost = self._cost_of(nn, params, features, batch["action_policy"])
            return losses.squared_critic_loss(cost, expected, batch["critic_weight"]), {}

        error, _ = trainer.minimise("cost", loss)
        trainer.follow("cost/", self.config.tau)
        return features, metrics | {"cost_loss": error / _COST_CRITICS}

    def _actor_loss(
        self, nn: Ops, trainer: Trainer, params: Params, batch: Batch, features: A, noise: A
    ) -> tuple[A, dict[str, A]]:
        total, metrics = super()._actor_loss(nn, trainer, params, batch, features, noise)
        raw = self._raw(nn, params, features)
        cost = self._cost_of(nn, params, features, nn.tanh(raw + self.config.exploration * noise))
        price = nn.mean(batch["actor_weight"] * nn.min(cost, 0))
        return total + self.config.cost_weight * price, metrics | {"cost_mean": price}

    def _cost_of(self, nn: Ops, params: Params, features: A, action: A) -> A:
        """Return C of each critic, (2, B)."""
        return mlp(nn, params, "cost", self._cost, nn.concat([features, action], -1))[..., 0]


CONFIG, ALGORITHM = HacoConfig, Haco
