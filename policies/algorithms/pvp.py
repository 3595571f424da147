"""Proxy value propagation (PVP, Peng et al. 2023, NeurIPS, arXiv 2502.03369) on the default's actor and critics."""

from dataclasses import dataclass

from robot_hil.errors import ConfigError
from robot_hil.policies.algorithms.overridden import Overridden
from robot_hil.policies.config import AnchoredConfig
from robot_hil.policies.ops import A, Ops


@dataclass(frozen=True, slots=True, kw_only=True)
class PvpConfig(AnchoredConfig):
    """Numbers of PVP; with `anchor` above 0 it is PVP4Real, which imitates as well."""

    algorithm = "pvp"
    proxy: float = 1.0
    """Value B given to people's actions, -B to those they overrode; `value_range` should be (-B, B)."""
    proxy_weight: float = 1.0
    """Weight c of these labels beside the TD error."""

    def __post_init__(self) -> None:
        AnchoredConfig.__post_init__(self)
        if self.proxy <= 0 or self.proxy_weight < 0:
            raise ConfigError(f"proxy is {self.proxy}, must be > 0; proxy_weight {self.proxy_weight}, must be >= 0.")


class Pvp(Overridden):
    """Adds to the TD error of each critic c E[ I ((Q(s, a_h) - B)^2 + (Q(s, a_pi) + B)^2) ].

    I marks where people overrode the policy's proposal a_pi. Demonstrations, which the paper does not have, get no
    label, as nothing was overridden in them.
    """

    config: PvpConfig

    def _unlike(self, nn: Ops, human: A, policy: A) -> A:
        c = self.config
        return c.proxy_weight * ((human - c.proxy) ** 2 + (policy + c.proxy) ** 2)


CONFIG, ALGORITHM = PvpConfig, Pvp
