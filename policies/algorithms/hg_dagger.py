"""HG-DAgger (Kelly et al. 2019, arXiv 1810.02890): imitation by an ensemble, whose spread is its doubt."""

from dataclasses import dataclass

import numpy as np

from robot_hil.data.specs import Array
from robot_hil.errors import ConfigError
from robot_hil.policies import losses
from robot_hil.policies.algorithms.bc import BehaviourCloning
from robot_hil.policies.base import Trainer
from robot_hil.policies.config import BcConfig
from robot_hil.policies.nets.mlp import init_mlp, mlp
from robot_hil.policies.ops import A, Batch, Ops, Params


@dataclass(frozen=True, slots=True, kw_only=True)
class HgDaggerConfig(BcConfig):
    """Numbers of HG-DAgger."""

    algorithm = "hg_dagger"
    members: int = 5
    """Policies; each begins elsewhere."""

    def __post_init__(self) -> None:
        BcConfig.__post_init__(self)
        if self.members < 2:
            raise ConfigError(f"members is {self.members}; doubt needs at least 2.")


class HgDagger(BehaviourCloning):
    """The members imitate alike and act by their mean; doubt is |diag Cov|_2 of what they would do."""

    config: HgDaggerConfig

    def init(self, rng: np.random.Generator) -> dict[str, Array]:
        """See `Algorithm.init`."""
        return self._vision.init(rng) | init_mlp("actor", self._actor, rng, members=self.config.members, out_scale=0.1)

    def act(self, nn: Ops, params: Params, batch: Batch) -> A:
        """See `Algorithm.act`."""
        mean = nn.mean(self._members(nn, params, batch), 0)
        return nn.clip(mean + self.config.exploration * batch["noise/act"], -1.0, 1.0)

    def doubt(self, nn: Ops, params: Params, batch: Batch) -> A:
        """Return how much the members differ, (B,), from 0 to sqrt(A)."""
        return nn.sqrt(nn.sum(nn.variance(self._members(nn, params, batch), 0) ** 2, -1))

    def _members(self, nn: Ops, params: Params, batch: Batch) -> A:
        """Return what each member would do, (E, B, A)."""
        return nn.tanh(mlp(nn, params, "actor", self._actor, self._vision.look(nn, params, batch, "obs")))

    def _imitate(self, nn: Ops, trainer: Trainer, batch: Batch) -> A:
        def loss(params: Params) -> tuple[A, dict[str, A]]:
            members = self._members(nn, params, batch)
            return losses.anchor_loss(members, batch["action"], batch["imitate"]), {}

        return self._step(trainer, loss)[0]


CONFIG, ALGORITHM = HgDaggerConfig, HgDagger
