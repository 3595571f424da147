"""The HIL-SERL baseline: RLPD-style SAC with a discrete gripper critic (Luo et al. 2024, arXiv 2410.21845).

Networks and numbers of the published code. What is defective there is right here: critic-only updates leave actor and
temperature bit-identical, every critic has its own output layer, time-outs bootstrap, and the pools never mispair
frames (that is the replay's doing). Images go through the published frozen trunk and its head where a file is given;
else through the same small encoder as the default agent's, so that a comparison is about the algorithm.
"""

from collections.abc import Mapping

import numpy as np

from robot_hil.data.specs import Array, EnvSpec
from robot_hil.errors import SpecError
from robot_hil.policies import losses
from robot_hil.policies.algorithms.anchored import minibatch
from robot_hil.policies.algorithms.seeing import Seeing
from robot_hil.policies.base import Group, Trainer
from robot_hil.policies.config import HilSerlConfig
from robot_hil.policies.nets.gaussian import gaussian
from robot_hil.policies.nets.mlp import MlpSpec, init_mlp, mlp, select
from robot_hil.policies.ops import A, Batch, Ops, Params
from robot_hil.policies.vision import ENCODER, Vision

LOG_STD = (float(np.log(1e-5)), float(np.log(5.0)))
"""Range of the policy's log standard deviation, as published."""
TEMPERATURE = "temperature/raw"
"""Its softplus is the temperature."""


class HilSerl(Seeing):
    """See `robot_hil.policies.base.Algorithm`."""

    counters = ("critic_updates", "actor_updates")
    follows = ("critic/", "grasp/")

    def __init__(self, config: HilSerlConfig) -> None:
        self.config = config

    @property
    def updates_per_round(self) -> int:
        """See `Agent.updates_per_round`."""
        return self.config.critic_to_actor

    def bind(self, spec: EnvSpec) -> None:
        """See `Agent.bind`. An action named `gripper` is learnt by a discrete critic: close, stay, open."""
        c = self.config
        self._vision = Vision.of(spec, c)
        self._actions = spec.action.shape[0]
        grip = [i for i, name in enumerate(spec.action.names) if name == "gripper"]
        self._grip = grip[0] if grip else None
        self._arm = np.array([i for i in range(self._actions) if i != self._grip], np.int32)
        self._command = _gripper_command(spec)
        features = self._vision.size

        def net(inputs: int, outputs: int) -> MlpSpec:
            return MlpSpec(inputs=inputs, outputs=outputs, hidden=c.hidden, activation="tanh", affine_norm=True)

        self._actor = net(features, 2 * len(self._arm))
        self._critic = net(features + len(self._arm), 1)
        self._grasp = net(features, 3)

    def init(self, rng: np.random.Generator) -> dict[str, Array]:
        """See `Algorithm.init`."""
        c = self.config
        params = self._vision.init(rng)
        params |= init_mlp("actor", self._actor, rng)
        params |= init_mlp("critic", self._critic, rng, members=c.ensemble)
        if self._grip is not None:
            params |= init_mlp("grasp", self._grasp, rng)
        return params | {TEMPERATURE: np.asarray(np.log(np.expm1(c.init_temperature)), np.float32)}

    @property
    def groups(self) -> dict[str, Group]:
        """Critics with the encoder, actor, temperature."""
        names = {"critic": ("critic/", "grasp/", ENCODER + "/"), "actor": ("actor/",), "temperature": (TEMPERATURE,)}
        return {group: Group(names=begin, rate=self.config.learning_rate) for group, begin in names.items()}

    @property
    def acting(self) -> Mapping[str, str]:
        """The gripper's critic acts, so it is among them."""
        return dict.fromkeys(("actor/", "grasp/", ENCODER + "/"), "params")

    @property
    def noise_size(self) -> int:
        """See `Algorithm.noise_size`: the gripper is always greedy, as published."""
        return len(self._arm)

    @property
    def imitates(self) -> Mapping[str, tuple[str, ...]]:
        """See `Agent.imitates`: the published system starts from a random policy."""
        return {}

    @property
    def reads(self) -> Mapping[str, tuple[str, ...]]:
        """See `Agent.reads`."""
        return self._vision.reads(("obs", "next_obs"), warm=True)

    def draw(self, rng: np.random.Generator, rows: int, imitating: bool) -> dict[str, Array]:
        """See `Algorithm.draw`."""
        if imitating:
            return {}
        c, arm = self.config, len(self._arm)
        noise = self._vision.draw(rng, rows, ("obs", "next_obs"), warm=True) | {
            "noise/next_action": rng.standard_normal((rows, arm), dtype=np.float32),
            "noise/action": rng.standard_normal((rows // c.critic_to_actor, arm), dtype=np.float32),
        }
        if c.subset:
            drawn = [rng.permutation(c.ensemble)[: c.subset] for _ in range(c.critic_to_actor)]
            noise["noise/members"] = np.array(drawn, np.int32)
        return noise

    def act(self, nn: Ops, params: Params, batch: Batch) -> A:
        """See `Algorithm.act`."""
        features = self._features(nn, params, batch, "obs")
        action, _ = self._sample(nn, params, features, batch["noise/act"])
        if self._grip is None:
            return action
        grip = nn.float32(nn.argmax(mlp(nn, params, "grasp", self._grasp, features), -1))[:, None] - 1.0
        return nn.concat([action[:, : self._grip], grip, action[:, self._grip :]], -1)

    def values(self, nn: Ops, params: Params, batch: Batch) -> A:
        """See `Valuing.values`; of the arm's critics, which do not judge the gripper."""
        features = self._features(nn, params, batch, "obs")
        still = nn.array(np.zeros((features.shape[0], len(self._arm)), np.float32))
        action, _ = self._sample(nn, params, features, still)
        return nn.mean(self._q(nn, params, features, action), 0)

    def pretrain(self, nn: Ops, trainer: Trainer, batch: Batch) -> dict[str, A]:
        """Do nothing: see `imitates`."""
        return {}

    def update(self, nn: Ops, trainer: Trainer, batch: Batch) -> dict[str, A]:
        """`critic_to_actor` critic updates on consecutive parts of `batch`; the last part also updates the actor."""
        parts = self.config.critic_to_actor
        size, rest = divmod(batch["reward"].shape[0], parts)
        if rest:
            raise SpecError(f"batch has {batch['reward'].shape[0]} rows; give a multiple of {parts}.")
        for i in range(parts):
            rows = slice(i * size, (i + 1) * size)
            part = minibatch(batch, rows)
            members = batch["noise/members"][i] if self.config.subset else None
            features, metrics = self._update_critic(nn, trainer, part, batch["noise/next_action"][rows], members)
        return metrics | self._update_actor(nn, trainer, features, batch["noise/action"])

    def _features(self, nn: Ops, params: Params, batch: Batch, prefix: str) -> A:
        return self._vision.look(nn, params, batch, prefix)

    def _q(self, nn: Ops, params: Params, features: A, action: A) -> A:
        return mlp(nn, params, "critic", self._critic, nn.concat([features, action], -1))[..., 0]

    def _sample(self, nn: Ops, params: Params, features: A, noise: A) -> tuple[A, A]:
        return gaussian(nn, mlp(nn, params, "actor", self._actor, features), noise, *LOG_STD)

    def _update_critic(
        self, nn: Ops, trainer: Trainer, batch: Batch, noise: A, members: A | None
    ) -> tuple[A, dict[str, A]]:
        after = self._features(nn, trainer.params, batch, "next_obs")
        action, _ = self._sample(nn, trainer.params, after, noise)
        judges = trainer.targets
        if members is not None:
            judges = {name: nn.take(value, members, 0) for name, value in select(judges, "critic").items()}
        value = nn.min(self._q(nn, judges, after, action), 0)
        target = losses.td_target(batch["reward"], batch["discount"], value)
        grip_target = self._grasp_target(nn, trainer, batch, after) if self._grip is not None else None
        executed = nn.take(batch["action"], nn.array(self._arm), 1)

        def loss(params: Params) -> tuple[A, dict[str, A]]:
            features = self._features(nn, params, batch, "obs")
            q = self._q(nn, params, features, executed)
            total = losses.squared_critic_loss(q, target, 1.0)
            if grip_target is not None:
                q_grip = nn.pick(mlp(nn, params, "grasp", self._grasp, features), self._grip_index(nn, batch))
                total = total + nn.mean((q_grip - grip_target) ** 2)
            return total, {"features": features}

        total, seen = trainer.minimise("critic", loss)
        for prefix in self.follows:
            trainer.follow(prefix, self.config.tau)
        trainer.tick("critic_updates")
        return seen["features"], {"critic_loss": total, "target_mean": nn.mean(target)}

    def _grip_index(self, nn: Ops, batch: Batch) -> A:
        """Return which of close, stay, open was executed, integers (B,)."""
        grip = batch["action"][:, self._grip]
        return nn.integer(grip > 0.5) - nn.integer(grip < -0.5) + 1

    def _grasp_target(self, nn: Ops, trainer: Trainer, batch: Batch, after: A) -> A:
        """Targets of double DQN on the gripper's actions (the paper's eq. 3), with a cost for turning it round."""
        reward = batch["reward"]
        if self._command is not None:
            name, index = self._command
            turned = nn.float32(self._grip_index(nn, batch) - 1) * batch[f"obs/{name}"][:, index] < 0
            reward = reward - self.config.gripper_penalty * nn.float32(turned)
        best = nn.argmax(mlp(nn, trainer.params, "grasp", self._grasp, after), -1)
        value = nn.pick(mlp(nn, trainer.targets, "grasp", self._grasp, after), best)
        return losses.td_target(reward, batch["discount"], value)

    def _update_actor(self, nn: Ops, trainer: Trainer, features: A, noise: A) -> dict[str, A]:
        temperature = nn.softplus(trainer.params[TEMPERATURE])

        def policy(params: Params) -> tuple[A, dict[str, A]]:
            action, log_prob = self._sample(nn, params, features, noise)
            q = nn.mean(self._q(nn, params, features, action), 0)
            loss = losses.actor_loss(q, log_prob, temperature, 1.0)
            return loss, {"q_mean": nn.mean(q), "entropy": -nn.mean(log_prob)}

        _, metrics = trainer.minimise("actor", policy)
        # The published target counts the gripper's dimension too.
        goal = self.config.target_entropy_per_dim * self._actions

        def heat(params: Params) -> tuple[A, dict[str, A]]:
            return losses.temperature_loss(nn.softplus(params[TEMPERATURE]), metrics["entropy"], goal), {}

        trainer.minimise("temperature", heat)
        trainer.tick("actor_updates")
        return metrics | {"temperature": temperature}


def _gripper_command(spec: EnvSpec) -> tuple[str, int] | None:
    """Find the commanded gripper width in the observation, scaled to [-1, 1] with +1 open."""
    for name in spec.vectors:
        for index, label in enumerate(spec.observation[name].names):
            if label.startswith("gripper command"):
                return name, index
    return None


CONFIG, ALGORITHM = HilSerlConfig, HilSerl
