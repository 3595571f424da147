"""Behaviour cloning: the mean squared error to what people did (Pomerleau 1988), also during training (DAgger's way).

It has no critic. Corrections come into the pools as the robot is taught, so that an online run aggregates them, as
DAgger does (Ross et al. 2011, arXiv 1011.0686); nobody's own trials are imitated. The average of recent weights acts:
where hardly anything was seen each step of the gradient changes what the policy does, and success swings with it.
"""

from collections.abc import Mapping

import numpy as np

from robot_hil.data.specs import Array, EnvSpec
from robot_hil.policies import losses
from robot_hil.policies.algorithms.seeing import Seeing
from robot_hil.policies.base import Group, Loss, Trainer
from robot_hil.policies.config import BcConfig
from robot_hil.policies.nets.mlp import MlpSpec, init_mlp, mlp
from robot_hil.policies.ops import A, Batch, Ops, Params
from robot_hil.policies.vision import ENCODER, Vision


class BehaviourCloning(Seeing):
    """See `robot_hil.policies.base.Algorithm`."""

    counters: tuple[str, ...] = ("actor_updates",)
    follows: tuple[str, ...] = ("actor/", ENCODER + "/")
    updates_per_round = 1

    def __init__(self, config: BcConfig) -> None:
        self.config = config

    def bind(self, spec: EnvSpec) -> None:
        """See `Agent.bind`."""
        c = self.config
        self._vision = Vision.of(spec, c)
        self._actions = spec.action.shape[0]
        self._actor = MlpSpec(inputs=self._vision.size, outputs=self._actions, hidden=c.hidden, activation=c.activation)

    def init(self, rng: np.random.Generator) -> dict[str, Array]:
        """See `Algorithm.init`."""
        return self._vision.init(rng) | init_mlp("actor", self._actor, rng, out_scale=0.1)

    @property
    def groups(self) -> dict[str, Group]:
        """One: everything that acts."""
        c = self.config
        return {"actor": Group(names=("actor/", ENCODER + "/"), rate=c.learning_rate, clip_norm=c.clip_norm)}

    @property
    def acting(self) -> Mapping[str, str]:
        """The average of recent weights acts."""
        return dict.fromkeys(BehaviourCloning.follows, "targets")

    @property
    def noise_size(self) -> int:
        """See `Algorithm.noise_size`."""
        return self._actions

    @property
    def reads(self) -> Mapping[str, tuple[str, ...]]:
        """See `Agent.reads`."""
        return self._vision.reads(("obs",), warm=True)

    @property
    def imitates(self) -> Mapping[str, tuple[str, ...]]:
        """See `Agent.imitates`."""
        return self.reads

    def draw(self, rng: np.random.Generator, rows: int, imitating: bool) -> dict[str, Array]:
        """See `Algorithm.draw`."""
        return self._vision.draw(rng, rows, ("obs",), warm=True)

    def act(self, nn: Ops, params: Params, batch: Batch) -> A:
        """See `Algorithm.act`."""
        return nn.tanh(self._raw(nn, params, batch) + self.config.exploration * batch["noise/act"])

    def pretrain(self, nn: Ops, trainer: Trainer, batch: Batch) -> dict[str, A]:
        """As `update`: there is nothing else to learn."""
        return {"clone_loss": self._imitate(nn, trainer, batch)}

    def update(self, nn: Ops, trainer: Trainer, batch: Batch) -> dict[str, A]:
        """One step on the rows that `imitate` marks, weighted by `actor_weight`."""
        weighted = batch | {"imitate": batch["imitate"] * batch["actor_weight"]}
        return {"actor_loss": self._imitate(nn, trainer, weighted)}

    def _raw(self, nn: Ops, params: Params, batch: Batch) -> A:
        return mlp(nn, params, "actor", self._actor, self._vision.look(nn, params, batch, "obs"))

    def _imitate(self, nn: Ops, trainer: Trainer, batch: Batch) -> A:
        def loss(params: Params) -> tuple[A, dict[str, A]]:
            mean = nn.tanh(self._raw(nn, params, batch))
            return losses.anchor_loss(mean, batch["action"], batch["imitate"]), {}

        return self._step(trainer, loss)[0]

    def _step(self, trainer: Trainer, loss: Loss) -> tuple[A, dict[str, A]]:
        """Do one step of what acts along `loss`; returns the loss and its metrics."""
        found = trainer.minimise("actor", loss)
        for prefix in BehaviourCloning.follows:
            trainer.follow(prefix, self.config.average)
        trainer.tick("actor_updates")
        return found


CONFIG, ALGORITHM = BcConfig, BehaviourCloning
