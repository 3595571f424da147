"""IQL: implicit Q-learning (Kostrikov et al. 2021, arXiv 2110.06169, eqs. 5 to 7).

    L_V = E[ |expectile - 1(u < 0)| u^2 ],  u = min Q'(s, a) - V(s)
    L_Q = E[ (r + gamma V(s') - Q(s, a))^2 ]
    L_pi = E[ min(exp((min Q' - V) / temperature), largest) |pi(s) - a|^2 ]

No action is asked for that nobody has executed, so that nothing unknown is over-rated: it may learn without trying.
"""

from dataclasses import dataclass

import numpy as np

from robot_hil.data.specs import Array, EnvSpec
from robot_hil.errors import ConfigError
from robot_hil.policies import losses
from robot_hil.policies.algorithms.awac import Awac, AwacConfig
from robot_hil.policies.base import Group, Trainer
from robot_hil.policies.nets.mlp import MlpSpec, init_mlp, mlp
from robot_hil.policies.ops import A, Batch, Ops, Params


@dataclass(frozen=True, slots=True, kw_only=True)
class IqlConfig(AwacConfig):
    """Numbers of IQL."""

    algorithm = "iql"
    expectile: float = 0.8
    """Of the values of what was done in a state; 0.5 their mean, towards 1 their maximum. Published are 0.7 to 0.9."""

    def __post_init__(self) -> None:
        AwacConfig.__post_init__(self)
        if not 0 < self.expectile < 1:
            raise ConfigError(f"expectile is {self.expectile}; it must lie between 0 and 1.")


class Iql(Awac):
    """See `robot_hil.policies.base.Algorithm`."""

    config: IqlConfig

    def bind(self, spec: EnvSpec) -> None:
        """See `Agent.bind`."""
        super().bind(spec)
        c = self.config
        self._value = MlpSpec(inputs=self._vision.size, outputs=1, hidden=c.hidden, activation=c.activation)

    def init(self, rng: np.random.Generator) -> dict[str, Array]:
        """See `Algorithm.init`."""
        return super().init(rng) | init_mlp("value", self._value, rng, out_scale=0.1)

    @property
    def groups(self) -> dict[str, Group]:
        """As those of the actor-critic, and the value."""
        c = self.config
        return super().groups | {"value": Group(names=("value/",), rate=c.learning_rate, clip_norm=c.clip_norm)}

    def _targets(self, nn: Ops, trainer: Trainer, batch: Batch) -> A:
        """Move the value once a round, on all its rows, then bootstrap from it."""
        features, _ = self._vision.see(nn, trainer.params, batch, "obs")
        q = self._executed(nn, trainer, batch, features)

        def loss(params: Params) -> tuple[A, dict[str, A]]:
            error = q - self._v(nn, params, features)
            return expectile_loss(nn, error, self.config.expectile), {}

        trainer.minimise("value", loss)
        after, _ = self._vision.see(nn, trainer.params, batch, "next_obs")
        target = losses.td_target(batch["reward"], batch["discount"], self._v(nn, trainer.params, after))
        return nn.clip(target, *self.config.value_range)

    def _advantage(self, nn: Ops, trainer: Trainer, params: Params, batch: Batch, features: A, mine: A) -> A:
        """Return how much better the executed action is than the expectile, (B,)."""
        return self._executed(nn, trainer, batch, features) - self._v(nn, params, features)

    def _executed(self, nn: Ops, trainer: Trainer, batch: Batch, features: A) -> A:
        """Return what the target critics think of the executed actions at least, (B,)."""
        return nn.min(self._q(nn, trainer.targets, "critic", features, batch["action"]), 0)

    def _v(self, nn: Ops, params: Params, features: A) -> A:
        return mlp(nn, params, "value", self._value, features)[..., 0]


def expectile_loss(nn: Ops, error: A, expectile: float) -> A:
    """Return the mean of |expectile - 1(u < 0)| u^2 over errors u (B,): asymmetric least squares."""
    weight = nn.where(error < 0, nn.array(1.0 - expectile), nn.array(expectile))
    return nn.mean(weight * error**2)


CONFIG, ALGORITHM = IqlConfig, Iql
