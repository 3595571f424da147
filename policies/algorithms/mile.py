"""MILE (Korkmaz & Biyik 2025, arXiv 2502.13519): that nobody took over tells something, too."""

from dataclasses import dataclass, replace

import numpy as np

from robot_hil.data.specs import Array, EnvSpec
from robot_hil.errors import ConfigError
from robot_hil.policies.algorithms.bc import BehaviourCloning
from robot_hil.policies.algorithms.normal import normal, surprise
from robot_hil.policies.base import Group, Trainer
from robot_hil.policies.config import BcConfig
from robot_hil.policies.nets.mlp import init_mlp, mlp
from robot_hil.policies.ops import A, Batch, Ops, Params

_PROBIT = 1.702
"""The logistic function of 1.702 x is the normal distribution's of x within 0.01; its logarithm is finite everywhere,
and has a slope that leads back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MileConfig(BcConfig):
    """Numbers of MILE."""

    algorithm = "mile"
    cost: float = 1.0
    """What taking over costs a person, c: where policy and person agree they do so in Phi(-c) of the steps."""
    imitation: float = 1.0
    """Weight of imitation beside the likelihood of interventions."""

    def __post_init__(self) -> None:
        BcConfig.__post_init__(self)
        if self.imitation < 0:
            raise ConfigError(f"imitation is {self.imitation}; it must be >= 0.")


class Mile(BehaviourCloning):
    """A person takes over where the robot is expected to do what is much less likely for the person's own policy.

        p(I = 1 | s) = Phi( E_{a ~ pi}[log pi(a|s)] - E_{a ~ r}[log pi(a|s)] - c )
        min  BCE(I, p) over steps outside demonstrations  +  imitation E[ -log pi(a_h|s) ] over what people did

    The policy pi, which also acts, is the person's; r is what a person expects of the robot, fitted to what it proposed
    (`action_policy` where `proposed`). Both are Gaussians, mu, sigma and m, s: the difference of expectations is
    sum_d ((mu_d - m_d)^2 + s_d^2) / (2 sigma_d^2) - 1/2. I is `overridden`. The original takes the expectation over the
    person's action outside of Phi, and trains r by the same loss, as it has no proposals.
    """

    config: MileConfig

    def bind(self, spec: EnvSpec) -> None:
        """See `Agent.bind`."""
        super().bind(spec)
        self._actor = self._robot = replace(self._actor, outputs=2 * self._actions)

    def init(self, rng: np.random.Generator) -> dict[str, Array]:
        """See `Algorithm.init`."""
        return super().init(rng) | init_mlp("robot", self._robot, rng, out_scale=0.1)

    @property
    def groups(self) -> dict[str, Group]:
        """What acts, and what people expect of the robot."""
        c = self.config
        return super().groups | {"robot": Group(names=("robot/",), rate=c.learning_rate, clip_norm=c.clip_norm)}

    def act(self, nn: Ops, params: Params, batch: Batch) -> A:
        """See `Algorithm.act`: the mean, and noise where it is asked for."""
        raw = mlp(nn, params, "actor", self._actor, self._vision.look(nn, params, batch, "obs"))
        return nn.tanh(raw[:, : self._actions] + self.config.exploration * batch["noise/act"])

    def pretrain(self, nn: Ops, trainer: Trainer, batch: Batch) -> dict[str, A]:
        """Imitation of demonstrations alone: of these nothing is known about interventions."""
        metrics = self._imitate_and_explain(nn, trainer, batch, explain=False)
        return {"clone_loss": metrics["imitation_loss"]}

    def update(self, nn: Ops, trainer: Trainer, batch: Batch) -> dict[str, A]:
        """One step of what is expected of the robot, and one of the policy."""
        look = self._vision.look(nn, trainer.params, batch, "obs")

        def expect(params: Params) -> tuple[A, dict[str, A]]:
            mean, log_std = normal(nn, mlp(nn, params, "robot", self._robot, look))
            return nn.mean(batch["proposed"] * surprise(nn, batch["action_policy"], mean, log_std)), {}

        error, _ = trainer.minimise("robot", expect)
        return {"robot_loss": error} | self._imitate_and_explain(nn, trainer, batch, explain=True)

    def _imitate_and_explain(self, nn: Ops, trainer: Trainer, batch: Batch, explain: bool) -> dict[str, A]:
        def loss(params: Params) -> tuple[A, dict[str, A]]:
            features = self._vision.look(nn, params, batch, "obs")
            mean, log_std = normal(nn, mlp(nn, params, "actor", self._actor, features))
            unlike = surprise(nn, batch["action"], mean, log_std)
            imitation = nn.mean(batch["imitate"] * batch["actor_weight"] * unlike)
            if not explain:
                return imitation, {"imitation_loss": imitation}
            expected = normal(nn, mlp(nn, trainer.params, "robot", self._robot, nn.stop_gradient(features)))
            logit = _PROBIT * (self.gap(nn, (mean, log_std), expected) - self.config.cost)
            unlikely = nn.mean(batch["proposed"] * (nn.softplus(logit) - batch["overridden"] * logit))
            total = unlikely + self.config.imitation * imitation
            return total, {"imitation_loss": imitation, "intervention_loss": unlikely}

        total, metrics = self._step(trainer, loss)
        return metrics | {"actor_loss": total}

    @staticmethod
    def gap(nn: Ops, person: tuple[A, A], robot: tuple[A, A]) -> A:
        """Return E_{a ~ person}[log person(a)] - E_{a ~ robot}[log person(a)], (B,); both as mean and log std."""
        (mean, log_std), (other, other_log_std) = person, robot
        spread = (mean - other) ** 2 + nn.exp(2 * other_log_std)
        return nn.sum(0.5 * spread * nn.exp(-2 * log_std) - 0.5, -1)


CONFIG, ALGORITHM = MileConfig, Mile
