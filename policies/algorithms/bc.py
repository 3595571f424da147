"""Behaviour cloning: the mean squared error to what people did (Pomerleau 1988), also during training (DAgger's way).

It has no critic. Corrections come into the pools as the robot is taught, so that an online run aggregates them, as
DAgger does (Ross et al. 2011, arXiv 1011.0686); nobody's own trials are imitated.
"""

from collections.abc import Mapping

import numpy as np

from robot_hil.data.specs import Array, ArraySpec, EnvSpec, Observation
from robot_hil.errors import SpecError
from robot_hil.policies import losses
from robot_hil.policies.base import Group, Trainer
from robot_hil.policies.config import BcConfig
from robot_hil.policies.inputs import STACKED, Inputs
from robot_hil.policies.nets.conv import ConvSpec, conv, init_conv
from robot_hil.policies.nets.mlp import MlpSpec, init_mlp, mlp
from robot_hil.policies.ops import A, Batch, Ops, Params
from robot_hil.policies.vision import ENCODER


class BehaviourCloning:
    """See `robot_hil.policies.base.Algorithm`."""

    counters = ("actor_updates",)
    follows = ()
    updates_per_round = 1
    encoding = ""

    def __init__(self, config: BcConfig) -> None:
        self.config = config

    def bind(self, spec: EnvSpec) -> None:
        """See `Agent.bind`."""
        c = self.config
        self._inputs = Inputs.of(spec, c.image_size, c.shift)
        self._conv = ConvSpec(cameras=len(self._inputs.images), filters=c.filters, strides=c.strides)
        self._actions = spec.action.shape[0]
        features = self._inputs.vector_size + (self._conv.features if self._inputs.images else 0)
        self._actor = MlpSpec(inputs=features, outputs=self._actions, hidden=c.hidden, activation=c.activation)

    def init(self, rng: np.random.Generator) -> dict[str, Array]:
        """See `Algorithm.init`."""
        params = init_conv(ENCODER, self._conv, rng) if self._inputs.images else {}
        return params | init_mlp("actor", self._actor, rng, out_scale=0.1)

    def constants(self) -> dict[str, Array]:
        """See `Algorithm.constants`."""
        return {}

    @property
    def groups(self) -> dict[str, Group]:
        """One: everything that acts."""
        c = self.config
        return {"actor": Group(names=("actor/", ENCODER + "/"), rate=c.learning_rate, clip_norm=c.clip_norm)}

    @property
    def acting(self) -> Mapping[str, str]:
        """See `Algorithm.acting`."""
        return dict.fromkeys(("actor/", ENCODER + "/"), "params")

    @property
    def noise_size(self) -> int:
        """See `Algorithm.noise_size`."""
        return self._actions

    def stored(self, spec: EnvSpec) -> dict[str, ArraySpec]:
        """See `Agent.stored`."""
        return self._inputs.stored(spec)

    def prepare(self, obs: Observation) -> dict[str, Array]:
        """See `Agent.prepare`."""
        return self._inputs.prepare(obs)

    def encode(self, nn: Ops, params: Params, batch: Batch) -> A:
        """See `Algorithm.encode`; never asked."""
        raise SpecError("behaviour cloning caches no encoding.")

    @property
    def reads(self) -> Mapping[str, tuple[str, ...]]:
        """See `Agent.reads`."""
        return {"obs": (*self._inputs.vectors, *((STACKED,) if self._inputs.images else ()))}

    @property
    def imitates(self) -> Mapping[str, tuple[str, ...]]:
        """See `Agent.imitates`."""
        return self.reads

    def draw(self, rng: np.random.Generator, rows: int, imitating: bool) -> dict[str, Array]:
        """See `Algorithm.draw`."""
        return self._inputs.draw_shifts(rng, rows, ("obs",))

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
        parts = [self._inputs.vector_batch(nn, batch, "obs")] if self._inputs.vectors else []
        if self._inputs.images:
            parts.append(conv(nn, params, ENCODER, self._conv, self._inputs.image_batch(nn, batch, "obs")))
        return mlp(nn, params, "actor", self._actor, parts[0] if len(parts) == 1 else nn.concat(parts, -1))

    def _imitate(self, nn: Ops, trainer: Trainer, batch: Batch) -> A:
        def loss(params: Params) -> tuple[A, dict[str, A]]:
            mean = nn.tanh(self._raw(nn, params, batch))
            return losses.anchor_loss(mean, batch["action"], batch["imitate"]), {}

        error, _ = trainer.minimise("actor", loss)
        trainer.tick("actor_updates")
        return error
