"""AWAC: advantage-weighted regression with an off-policy critic (Nair et al. 2020, arXiv 2006.09359, eq. 13).

    max E_(s,a)~D [ log pi(a|s) exp(A(s, a) / temperature) ],   A(s, a) = Q(s, a) - Q(s, a'), a' ~ pi(s)

The policy has noise of a fixed size, so log pi is a squared error. Weights are cut off, as everybody does since.
"""

from dataclasses import dataclass

from robot_hil.errors import ConfigError
from robot_hil.policies import losses
from robot_hil.policies.algorithms.anchored import AnchoredRlpd
from robot_hil.policies.base import Trainer
from robot_hil.policies.config import AnchoredConfig
from robot_hil.policies.ops import A, Batch, Ops, Params


@dataclass(frozen=True, slots=True, kw_only=True)
class AwacConfig(AnchoredConfig):
    """Numbers of AWAC; of the anchor only the warm start is left."""

    algorithm = "awac"
    temperature: float = 0.05
    """Advantage that is worth a factor e. Published are 0.3 to 1 with rewards of about 1 per step; where only success
    pays, once, a step lost costs (1 - gamma) of the return."""
    largest_weight: float = 100.0

    def __post_init__(self) -> None:
        AnchoredConfig.__post_init__(self)
        if self.temperature <= 0 or self.largest_weight <= 0:
            raise ConfigError(
                f"temperature is {self.temperature} and largest_weight {self.largest_weight}; both must be above 0."
            )


class Awac(AnchoredRlpd):
    """See `robot_hil.policies.base.Algorithm`."""

    config: AwacConfig

    def _advantage(self, nn: Ops, trainer: Trainer, params: Params, batch: Batch, features: A, mine: A) -> A:
        """Return how much better the executed action is than `mine` (B, A), (B,)."""
        executed = self._q(nn, params, "critic", features, batch["action"])
        return nn.mean(executed - self._q(nn, params, "critic", features, mine), 0)

    def _actor_loss(
        self, nn: Ops, trainer: Trainer, params: Params, batch: Batch, features: A, noise: A
    ) -> tuple[A, dict[str, A]]:
        """Imitate the rows that `imitate` marks, weighted by their advantage."""
        c = self.config
        members = self._members(nn, params, features)
        mine = nn.tanh(nn.mean(members, 0) + c.exploration * noise)
        advantage = nn.stop_gradient(self._advantage(nn, trainer, params, batch, features, mine))
        weight = advantage_weight(nn, advantage, c.temperature, c.largest_weight)
        loss = losses.anchor_loss(nn.tanh(members), batch["action"], weight * batch["imitate"] * batch["actor_weight"])
        return loss, {"advantage": nn.mean(advantage), "weight_mean": nn.mean(weight)}


def advantage_weight(nn: Ops, advantage: A, temperature: float, largest: float) -> A:
    """Return min(exp(advantage / temperature), largest), (B,); large advantages do not overflow."""
    return nn.minimum(nn.exp(nn.clip(advantage / temperature, -80.0, 80.0)), nn.array(largest))


CONFIG, ALGORITHM = AwacConfig, Awac
