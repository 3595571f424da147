"""Cal-QL (Nakamoto et al. 2023, arXiv 2303.05479) on the default's networks: pessimism that knows its bound."""

import math
from dataclasses import dataclass

import numpy as np

from robot_hil.data.specs import Array
from robot_hil.errors import ConfigError
from robot_hil.policies.algorithms.anchored import AnchoredRlpd
from robot_hil.policies.base import Trainer
from robot_hil.policies.config import AnchoredConfig
from robot_hil.policies.nets.gaussian import gaussian
from robot_hil.policies.ops import A, Batch, Ops, Params

_KINDS = ("uniform", "now", "next")


@dataclass(frozen=True, slots=True, kw_only=True)
class CalQlConfig(AnchoredConfig):
    """Numbers of Cal-QL; where returns reach 1 and not 10, `pessimism` and `softness` are a tenth of the published."""

    algorithm = "cal_ql"
    pessimism: float = 0.1
    """Weight alpha of the penalty beside the TD error."""
    softness: float = 0.1
    """Temperature T of the soft maximum over actions."""
    samples: int = 4
    """Actions of each of three kinds per row; published are 10, at two and a half times the time."""

    def __post_init__(self) -> None:
        AnchoredConfig.__post_init__(self)
        if self.pessimism < 0 or self.softness <= 0 or self.samples < 1:
            raise ConfigError(
                f"pessimism is {self.pessimism}, must be >= 0; softness {self.softness}, must be > 0; samples "
                f"{self.samples}, must be >= 1."
            )
        if self.exploration == 0:
            raise ConfigError("exploration is 0; Cal-QL needs a policy with a density, give more.")


class CalQl(AnchoredRlpd):
    """Adds to the TD error of each critic alpha E[ T log sum_a exp(q(s, a) / T) / w(a) - Q(s, a_data) ].

    The sum runs over uniform actions and such of the policy at s and at s', each divided by its density w. Of the
    policy's actions, and of these alone, q(s, a) = max(Q(s, a), R(s)) with the return R that was reached from s
    (`mc_return`): pessimism ends at what is known to be possible, so that the values are of the right size when the
    robot begins to try, and the policy is not unlearnt first. For uniform actions q = Q. Rows not yet surveyed have no
    bound. Here the policy is a Gaussian of the fixed size `exploration`, and targets follow one action, not the best of
    several.
    """

    config: CalQlConfig

    def draw(self, rng: np.random.Generator, rows: int, imitating: bool) -> dict[str, Array]:
        """See `Algorithm.draw`; `drawn/` has rows as the batch has, and is divided with it."""
        noise = super().draw(rng, rows, imitating)
        if imitating:
            return noise
        shape = (rows, self.config.samples, self._actions)
        uniform = rng.random(shape, dtype=np.float32) * 2 - 1
        normal = {f"drawn/{kind}": rng.standard_normal(shape, dtype=np.float32) for kind in _KINDS[1:]}
        return noise | {"drawn/uniform": uniform} | normal

    def _critic_extra(
        self, nn: Ops, trainer: Trainer, params: Params, batch: Batch, features: A
    ) -> tuple[A, dict[str, A]]:
        c = self.config
        data = self._q(nn, params, "critic", features, batch["action"])
        bound = nn.where(batch["surveyed"] > 0, batch["mc_return"], nn.array(np.float32(c.value_range[0])))
        drawn = [self._sampled(nn, trainer, batch, features, kind) for kind in _KINDS]
        # at once: three calls of the critics took twice as long
        q = self._q_each(nn, params, features, nn.concat([actions for actions, _ in drawn], 1))
        uniform, own = q[..., : c.samples], q[..., c.samples :]
        bounded = nn.mean(nn.float32(own < bound[:, None]))
        values = nn.concat([uniform, nn.maximum(own, bound[:, None])], -1)
        over = c.softness * nn.logsumexp(values / c.softness - nn.concat([density for _, density in drawn], -1), -1)
        penalty = nn.sum(nn.mean(over - data, -1))
        return c.pessimism * penalty, {"penalty": penalty / c.ensemble, "bounded": bounded}

    def _sampled(self, nn: Ops, trainer: Trainer, batch: Batch, features: A, kind: str) -> tuple[A, A]:
        """Return actions (B, K, A), without gradients, and their log-density (B, K)."""
        drawn = batch[f"drawn/{kind}"]
        if kind == "uniform":
            return drawn, nn.broadcast_to(nn.array(np.float32(-self._actions * math.log(2.0))), drawn.shape[:2])
        if kind == "next":
            features, _ = self._vision.see(nn, trainer.params, batch, "next_obs")
        mean = self._raw(nn, trainer.params, nn.stop_gradient(features))[:, None]
        log_std = nn.broadcast_to(nn.array(np.float32(math.log(self.config.exploration))), mean.shape)
        return gaussian(nn, nn.concat([mean, log_std], -1), drawn, -math.inf, math.inf)

    def _q_each(self, nn: Ops, params: Params, features: A, actions: A) -> A:
        """Return the values (members, B, K) of actions (B, K, A)."""
        rows, count, size = actions.shape
        seen = nn.broadcast_to(features[:, None], (rows, count, features.shape[-1])).reshape(rows * count, -1)
        q = self._q(nn, params, "critic", seen, actions.reshape(rows * count, size))
        return q.reshape(-1, rows, count)


CONFIG, ALGORITHM = CalQlConfig, CalQl
