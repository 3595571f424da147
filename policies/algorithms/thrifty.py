"""ThriftyDAgger (Hoque et al. 2021, arXiv 2109.08273): HG-DAgger's ensemble, and a critic that foresees success."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from robot_hil.data.specs import Array, EnvSpec
from robot_hil.errors import ConfigError
from robot_hil.policies import losses
from robot_hil.policies.algorithms.hg_dagger import HgDagger, HgDaggerConfig
from robot_hil.policies.base import Group, Trainer
from robot_hil.policies.nets.mlp import MlpSpec, init_mlp, mlp
from robot_hil.policies.ops import A, Batch, Ops, Params

_CRITICS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ThriftyConfig(HgDaggerConfig):
    """Numbers of ThriftyDAgger."""

    algorithm = "thrifty"
    critic_rate: float = 1e-3
    """Learning rate of the critics of success."""
    tau: float = 0.005
    """Polyak rate of their targets, per update."""

    def __post_init__(self) -> None:
        HgDaggerConfig.__post_init__(self)
        if not 0 < self.tau <= 1:
            raise ConfigError(f"tau is {self.tau}; it must lie in (0, 1].")


class Thrifty(HgDagger):
    """Q_G(s, a) in [0, 1]: the discounted probability of success after a, when the ensemble goes on.

    min E[ (Q_G(s, a) - (r + gamma Q_G'(s', pi(s')))) ^2 ] with r = 1 at success, for each of two critics. The smaller
    one makes the targets, and is told. They do not train what the policy sees. `values` is Q_G(s, pi(s)): where it is
    low the robot should not be alone, see `robot_hil.help.thrifty`.
    """

    config: ThriftyConfig
    counters = ("actor_updates", "critic_updates")
    follows = (*HgDagger.follows, "critic/")

    def bind(self, spec: EnvSpec) -> None:
        """See `Agent.bind`."""
        super().bind(spec)
        c, inputs = self.config, self._vision.size + self._actions
        self._critic = MlpSpec(inputs=inputs, outputs=1, hidden=c.hidden, activation=c.activation)

    def init(self, rng: np.random.Generator) -> dict[str, Array]:
        """See `Algorithm.init`."""
        return super().init(rng) | init_mlp("critic", self._critic, rng, members=_CRITICS, out_scale=0.1)

    @property
    def groups(self) -> dict[str, Group]:
        """What acts, and the critics."""
        c = self.config
        return super().groups | {"critic": Group(names=("critic/",), rate=c.critic_rate, clip_norm=c.clip_norm)}

    @property
    def reads(self) -> Mapping[str, tuple[str, ...]]:
        """See `Agent.reads`."""
        return self._vision.reads(("obs", "next_obs"), warm=True)

    @property
    def imitates(self) -> Mapping[str, tuple[str, ...]]:
        """See `Agent.imitates`."""
        return self._vision.reads(("obs",), warm=True)

    @property
    def acting(self) -> Mapping[str, str]:
        """The critics too: who acts must know when to ask."""
        return {**super().acting, "critic/": "params"}

    def draw(self, rng: np.random.Generator, rows: int, imitating: bool) -> dict[str, Array]:
        """See `Algorithm.draw`."""
        return self._vision.draw(rng, rows, ("obs",) if imitating else ("obs", "next_obs"), warm=True)

    def values(self, nn: Ops, params: Params, batch: Batch) -> A:
        """See `Valuing.values`."""
        look = self._vision.look(nn, params, batch, "obs")
        return nn.min(self._success(nn, params, look, nn.mean(self._members(nn, params, batch), 0)), 0)

    def foresee(self, nn: Ops, params: Params, batch: Batch) -> A:
        """See `Foreseer.foresee`."""
        doubt, success = self.doubt(nn, params, batch), self.values(nn, params, batch)
        action = nn.mean(self._members(nn, params, batch), 0)
        return nn.concat([action, doubt[:, None], success[:, None]], -1)

    def update(self, nn: Ops, trainer: Trainer, batch: Batch) -> dict[str, A]:
        """One step of the policies, as HG-DAgger, and one of the critics."""
        return super().update(nn, trainer, batch) | self._foresee(nn, trainer, batch)

    def _foresee(self, nn: Ops, trainer: Trainer, batch: Batch) -> dict[str, A]:
        look = self._vision.look(nn, trainer.params, batch, "obs")
        after = self._vision.look(nn, trainer.params, batch, "next_obs")
        action = nn.mean(nn.tanh(mlp(nn, trainer.params, "actor", self._actor, after)), 0)
        value = nn.min(self._success(nn, trainer.targets, after, action), 0)
        target = nn.clip(losses.td_target(batch["reward"], batch["discount"], value), 0.0, 1.0)

        def loss(params: Params) -> tuple[A, dict[str, A]]:
            q = self._success(nn, params, look, batch["action"])
            return losses.squared_critic_loss(q, target, batch["critic_weight"]), {}

        error, _ = trainer.minimise("critic", loss)
        trainer.follow("critic/", self.config.tau)
        trainer.tick("critic_updates")
        return {"critic_loss": error / _CRITICS, "target_mean": nn.mean(target)}

    def _success(self, nn: Ops, params: Params, look: A, action: A) -> A:
        """Return Q_G of each critic, (2, B)."""
        return nn.sigmoid(mlp(nn, params, "critic", self._critic, nn.concat([look, action], -1)))[..., 0]


CONFIG, ALGORITHM = ThriftyConfig, Thrifty
